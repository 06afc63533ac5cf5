// Visitors without hands: one with a mouse and one with a keyboard alone register, buy, refuse, pay,
// play a drought and read that they were paid. Fails on anything a visitor would mind: an error in
// the console, a request to another host, a barrier for who cannot see or point.
// Waits for what must appear, never for a time. Started by `cargo xtask browser`.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const { PAGE_URL, BROWSER, MODULES, SCREENS } = process.env;
const require = createRequire(join(MODULES, "package.json"));
const { chromium } = require("playwright-core");
const axeSource = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

const SCREEN_MS = 20_000;
const SEASON_MS = 180_000;
/** What a visitor is allowed to see of each screen: the network's limit. */
const SCREEN_CHARS_MAX = 160;
const PIN = "2580";

const faults = [];
const fault = (words) => {
  faults.push(words);
  console.log(`  fault: ${words}`);
};
const say = (words) => console.log(`  ${words}`);

function must(is_so, words) {
  if (!is_so) throw new Error(words);
}

// Watching over the browser.

const isLoopback = (url) => {
  const { protocol, hostname } = new URL(url);
  return ["data:", "blob:", "about:"].includes(protocol) || ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
};

async function open(browser, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(SCREEN_MS);
  await context.route("**/*", (route) => {
    const url = route.request().url();
    if (isLoopback(url)) return route.continue();
    fault(`a request to another host: ${url}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) fault(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => fault(`script: ${error.message}`));
  page.on("requestfailed", (request) => {
    // leaving a page cuts its last look short
    if (request.failure()?.errorText !== "net::ERR_ABORTED") fault(`failed: ${request.url()}`);
  });
  await page.goto(PAGE_URL);
  await page.locator(".handset").first().waitFor();
  return page;
}

async function barriers(page, where) {
  await page.evaluate(`${axeSource}; undefined`);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map((v) => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 4).join("; ")}`);
  });
  for (const words of found) fault(`barrier ${where}: ${words}`);
}

async function shoot(page, name) {
  await page.screenshot({ path: join(SCREENS, `${name}.png`) });
}

async function fits(page, where) {
  const [wide, high] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const below = document.documentElement.scrollHeight - window.innerHeight;
    const footer = document.querySelector("footer").getBoundingClientRect().bottom + window.scrollY;
    return [scrollWidth - clientWidth, below > 0 ? document.documentElement.scrollHeight - footer : 0];
  });
  if (wide > 0) fault(`${where}: the page is ${wide} px too wide`);
  if (high > 40) fault(`${where}: ${high} px of nothing below the page's end`);
}

/** What the guide says of worlds that are hard to bring about. */
async function guides(page) {
  const said = await page.evaluate(async () => {
    const { guide } = await import("/page/assets/guide.js");
    const phone = { msisdn: "254712000001", prompt: null, last_prompt: null };
    const world = (policies, payouts, more = {}) => guide({
      books: { farmers: 1,
        policies: { awaiting: 0, active: 0, settled: 0, lapsed: 0, ...policies },
        payouts: { planned: 0, held: 0, paid: 0, refused: 0, ...payouts } },
      clock: { playing: true, season: { phase: "deciding" } }, phones: [phone], held: [], ...more,
    });
    const after = (last_prompt) => ({ phones: [{ ...phone, last_prompt }] });
    const asked = { phones: [{ ...phone, prompt: { order_id: "1" }, last_prompt: "open" }] };
    return [
      ["pay", "asks for an M-Pesa PIN", world({ awaiting: 1 }, {}, asked)],
      ["pay", "on its way to the phone", world({ awaiting: 1 }, {})],
      ["pay", "Nothing was paid. Dial again", world({ awaiting: 1 }, {}, after("cancelled"))],
      ["pay", "Nothing was paid. Dial again", world({ awaiting: 1 }, {}, after("short"))],
      ["pay", "Within a minute", world({ awaiting: 1 }, {}, after("paid"))],
      ["buy", "lapsed. Dial again", world({ lapsed: 1 }, {}, after("cancelled"))],
      ["play", "The season passes", world({ active: 1 }, {})],
      ["paid", "nothing is due", world({ settled: 1 }, {})],
      ["paid", "two people must release", world({ settled: 1 }, { planned: 1, held: 1 })],
      ["paid", "two people must release", world({ settled: 1 }, {}, { held: [{ evaluation: "eva_1" }] })],
      ["paid", "on its way by M-Pesa", world({ settled: 1 }, { planned: 1 })],
      ["paid", "refused", world({ settled: 1 }, { planned: 1, refused: 1 })],
      ["paid", "without a claim", world({ settled: 1 }, { planned: 1, paid: 1 })],
    ].filter(([step, words, { current, hint }]) => current !== step || !hint.includes(words))
      .map(([step, words, told]) => `not ${step}, “${words}”, but ${told.current}, “${told.hint}”`);
  });
  for (const words of said) fault(`the guide says ${words}`);
}

// A phone, and how it is worked.

const words = (phone) => phone.locator(".text").innerText();
const modeOf = (phone) => phone.getAttribute("data-mode");

/** Waits until the phone's screen is in one of these modes and its words match. */
async function shows(phone, pattern, modes = ["ussd", "end"]) {
  const page = phone.page();
  const handle = await phone.elementHandle();
  await page.waitForFunction(
    ([element, source, flags, allowed]) =>
      allowed.includes(element.dataset.mode) && new RegExp(source, flags).test(element.querySelector(".text").innerText),
    [handle, pattern.source, pattern.flags, modes],
  );
  const text = await words(phone);
  must([...text].length <= SCREEN_CHARS_MAX || modes.includes("text"), `a screen of ${[...text].length} characters`);
  return text;
}

const byMouse = {
  async dial(phone) {
    const green = phone.getByRole("button", { name: "Green key" });
    await green.click();
    await green.click();
  },
  /** Digits by the phone's own keys, words by the keyboard. */
  async answer(phone, text) {
    if (/^\d+$/.test(text)) {
      for (const digit of text) await phone.locator(`[data-key="${digit}"]`).click();
    } else {
      await phone.locator(".field").fill(text);
    }
    await phone.getByRole("button", { name: "Green key" }).click();
  },
  async home(phone) {
    await phone.getByRole("button", { name: "Red key" }).click();
  },
  async newestText(phone) {
    await phone.getByRole("button", { name: "Messages" }).click();
    await phone.locator(".text li button").first().click();
  },
};

/** Tabs on until the focus is where it should be; it must be seen on the way. */
async function tabTo(page, what, test, arg) {
  for (let presses = 0; presses < 120; presses += 1) {
    if (await page.evaluate(test, arg)) {
      const isSeen = await page.evaluate(() => {
        const at = document.activeElement;
        const shown = at.matches("input[type=radio]") ? at.nextElementSibling : at;
        const style = getComputedStyle(shown);
        return style.outlineStyle !== "none" || style.backgroundColor === "rgb(22, 32, 13)";
      });
      if (!isSeen) fault(`the focus cannot be seen on ${what}`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not reach ${what}`);
}

const fieldOf = (phone) => phone.getAttribute("id").then((id) => `#${id} .field`);

const byKeyboard = {
  async dial(phone) {
    const page = phone.page();
    await tabTo(page, "the phone's field", (at) => document.activeElement?.matches(at), await fieldOf(phone));
    await page.keyboard.type("*384*57#");
    await page.keyboard.press("Enter");
  },
  async answer(phone, text) {
    const page = phone.page();
    must(await page.evaluate((at) => document.activeElement?.matches(at), await fieldOf(phone)),
      "after an answer the focus is not in the phone's field");
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
  },
  async home(phone) {
    await phone.page().keyboard.press("Escape");
  },
  async newestText(phone) {
    const page = phone.page();
    await tabTo(page, "Messages", (id) => document.activeElement?.closest(`#${id}`) && document.activeElement.textContent === "Messages",
      await phone.getAttribute("id"));
    await page.keyboard.press("Enter");
    await shows(phone, /MicroCrop|./s, ["inbox"]);
    await page.keyboard.press("Enter");
  },
};

/** What this visitor answers to each screen. */
const answers = (who) => [
  [/8\. Continue/, "8"],
  [/1\. English/, "1"],
  [/full name/, who.name],
  [/national ID/, who.id],
  [/4-digit code/, who.ward],
  [/Is this right/, "1"],
  [/1\. I agree/, "1"],
  [/Choose a secret|same PIN again|your MicroCrop PIN/, PIN],
  [/in acres/, "0.5"],
  [/1\. Maize/, "1"],
  [/DDMM/, "1"],
  [/Where is the plot/, "1"],
  [/Question 1:/, "2"],
  [/Question 2:/, "1"],
  [/4\. Add plot/, "1"],
  [/\. Cover:/, "1"],
  [/Insured \(premium\)/, "1"],
  [/1\. Accept/, "1"],
];

/** Registers and buys; gives the premium in shillings. */
async function buy(phone, who, hand, shotAt = {}) {
  await hand.dial(phone);
  let text = await shows(phone, /1\. English|4\. Add plot/);
  for (let hops = 0; hops < 40; hops += 1) {
    // the prompt itself may be quicker than the call's last screen is read
    const bought = text.match(/M-PESA prompt for KES ([\d,]+)|Pay KES ([\d,]+) to MicroCrop/);
    if (bought) return Number((bought[1] ?? bought[2]).replaceAll(",", ""));
    must(await modeOf(phone) === "ussd", `the call ended with: ${text}`);
    const answer = answers(who).find(([screen]) => screen.test(text))?.[1];
    must(answer, `a screen nobody expected: ${text}`);
    for (const [name, screen] of Object.entries(shotAt)) {
      if (screen.test(text)) await shoot(phone.page(), name);
    }
    await hand.answer(phone, answer);
    // either other words, or the same question again with the next one behind it
    const before = text;
    const handle = await phone.elementHandle();
    await phone.page().waitForFunction(
      ([element, old]) => ["ussd", "end", "prompt"].includes(element.dataset.mode) && element.querySelector(".text").innerText !== old,
      [handle, before],
    );
    text = await words(phone);
  }
  throw new Error("no end of the call in sight");
}

/** The beginning of a text, without the line that says when it came. */
const gist = (text) => text.split("\n").slice(1).join(" ").slice(0, 90);

const wallet = async (phone) => Number((await phone.locator(".owner b").innerText()).replace(/[^\d]/g, ""));

/** Waits for a new text and gives its words. */
async function readText(phone, pattern, hand) {
  const handle = await phone.elementHandle();
  await phone.page().waitForFunction(
    (element) => element.querySelector(".envelope").textContent !== "",
    handle, { timeout: SEASON_MS });
  await hand.newestText(phone);
  return shows(phone, pattern, ["text"]);
}

async function pay(phone, premium, hand) {
  const page = phone.page();
  await shows(phone, /Enter your M-PESA PIN/, ["prompt"]);
  const before = await wallet(phone);
  await hand.answer(phone, "1234");
  await shows(phone, /Confirmed\./, ["end"]);
  const handle = await phone.elementHandle();
  await page.waitForFunction(([element, left]) => {
    const balance = Number(element.querySelector(".owner b").textContent.replace(/[^\d]/g, ""));
    return balance === left;
  }, [handle, before - premium]);
  await hand.home(phone);
}

/** In the field, too, # switches letters and * types a point: no answer can have them in it. */
async function starAndHash(phone) {
  const field = phone.locator(".field");
  const letters = () => phone.locator(".letters").textContent();
  await field.fill("");
  await field.press("#");
  must(await letters() === "abc" && await field.inputValue() === "", "# in the field does not switch to letters");
  await field.press("#");
  await field.press("*");
  must(await letters() === "123" && await field.inputValue() === ".", "* in the field types no point");
  await field.fill("1*2#");
  must(await field.inputValue() === "12", "a pasted * or # stays in an answer");
}

/** The red key refuses a prompt, and the guide says how to go on. */
async function refuse(phone) {
  await shows(phone, /Enter your M-PESA PIN/, ["prompt"]);
  await byMouse.home(phone);
  await shows(phone, /Request cancelled\. Nothing was paid\./, ["end"]);
  await phone.page().locator("#hint").filter({ hasText: "Nothing was paid. Dial again" }).waitFor();
  await byMouse.home(phone);
}

/** The texts, newest first, are walked by the phone's own arrows; Open opens the chosen one. */
async function walkInbox(phone) {
  await byMouse.home(phone);
  await phone.getByRole("button", { name: "Messages" }).click();
  const count = await phone.locator(".text li").count();
  must(count >= 2, `${count} texts`);
  const chosen = () => phone.page().evaluate(() => Number(document.activeElement.dataset.at));
  for (let down = 1; down < count; down += 1) {
    await phone.getByRole("button", { name: "Scroll down" }).click();
    must(await chosen() === count - 1 - down, "the arrow does not go to the next text");
  }
  await phone.getByRole("button", { name: "Scroll up" }).click();
  must(await chosen() === 1, "the arrow does not go back");
  await phone.getByRole("button", { name: "Scroll down" }).click();
  await phone.getByRole("button", { name: "Open" }).click();
  await shows(phone, /is on\./, ["text"]);
  await byMouse.home(phone);
}

/** Loaded anew, the page shows the same: what was read is not new again. */
async function reloads(page, phone) {
  await page.reload();
  await phone.waitFor();
  await page.waitForFunction(() => document.querySelector(".owner b").textContent !== "");
  must(await phone.locator(".envelope").textContent() === "", "after a reload every text is new again");
}

// The visits: two people at two windows of one town.

/** With a mouse: looks around, registers, buys, pays and reads that she is covered. */
async function visitByMouse(browser) {
  const page = await open(browser, { viewport: { width: 1280, height: 800 } });
  const phone = page.locator(".handset").first();
  await page.locator("#map .county").first().waitFor({ state: "attached" });
  await shoot(page, "01-start");
  await barriers(page, "at the start");
  await fits(page, "1280 px");
  await guides(page);

  await byMouse.dial(phone);
  await shows(phone, /1\. English/);
  await shoot(page, "02-dialled");
  await phone.getByRole("button", { name: "Type an answer for me" }).click();
  must(await phone.locator(".field").inputValue() === "1", "the offered answer is not the first language");
  await phone.getByRole("button", { name: "Send it" }).waitFor();
  await starAndHash(phone);
  await byMouse.home(phone);
  await shows(phone, /Dial \*384\*57#/, ["idle"]);
  say("the red key ends a call");

  const who = { name: "Asha Lemarkat", id: "23456789", ward: "0234" };
  const premium = await buy(phone, who, byMouse, { "03-quote": /1\. Accept/ });
  say(`by mouse: registered and bought for KES ${premium}`);
  await shows(phone, /Enter your M-PESA PIN/, ["prompt"]);
  await shoot(page, "04-prompt");
  await barriers(page, "at the prompt");
  await refuse(phone);
  must(await buy(phone, who, byMouse) === premium, "the same cover has another price after a refusal");
  await pay(phone, premium, byMouse);
  const covered = await readText(phone, /is on\./, byMouse);
  say(`by mouse: paid; text: ${gist(covered)}`);
  await page.getByRole("button", { name: /^Show on map: / }).first().click();
  await page.getByRole("button", { name: "Whole country" }).waitFor();
  await page.waitForFunction(() => document.getElementById("map").hasAttribute("data-near"));
  await page.locator("#map path.covered").waitFor({ state: "attached" });
  await shoot(page, "05-covered");
  await barriers(page, "with a cover");
  await byMouse.home(phone);
  await reloads(page, phone);
  return { page, phone };
}

/** By keyboard alone, with less motion: the same on a phone of his own, and he presses Play. */
async function visitByKeyboard(browser) {
  const page = await open(browser, { viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const is = (name) => [(text) => document.activeElement?.textContent?.trim() === text, name];
  await tabTo(page, "the skip link", ...is("Skip to the phones"));
  await page.keyboard.press("Enter");
  await tabTo(page, "Add a phone", ...is("Add a phone"));
  await page.keyboard.press("Enter");
  const phone = page.locator(".handset").nth(1);
  await phone.waitFor();

  // the keypad is one stop, walked by arrows
  const id = await phone.getAttribute("id");
  await tabTo(page, "the keypad", (at) => Boolean(document.activeElement?.closest(`#${at} .keys`)), id);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.waitForFunction((at) => document.querySelector(`#${at} .field`).value === "5", id);
  await page.keyboard.press("Escape");
  await page.waitForFunction((at) => document.querySelector(`#${at} .field`).value === "", id);

  const who = { name: "Brian Mutua", id: "24567890", ward: "0340" };
  const premium = await buy(phone, who, byKeyboard);
  await pay(phone, premium, byKeyboard);
  await readText(phone, /is on\./, byKeyboard);
  say(`by keyboard: registered, bought and paid KES ${premium}`);
  await byKeyboard.home(phone);
  await tabTo(page, "the speeds", () => document.activeElement?.name === "pace");
  must(await page.evaluate(() => document.activeElement.value) === "steady", "ten days is not the usual speed");
  await tabTo(page, "the weather", () => document.activeElement?.name === "sky");
  must(await page.evaluate(() => document.activeElement.value) === "drought", "the page does not begin with a drought");
  await tabTo(page, "Play", ...is("Play"));
  await page.keyboard.press("Space");
  return { page, phone };
}

/** By mouse: pauses in mid-season and plays on. */
async function season({ page }) {
  await page.waitForFunction(() => document.querySelectorAll(".cell:first-child .dekads i").length >= 3, null, { timeout: SEASON_MS });
  must(await page.getByRole("radio", { name: "Flood" }).isDisabled(), "the weather can be changed in mid-season");
  // a panel that is filled anew must not throw the focus away
  const zoom = page.getByRole("button", { name: /^Show on map: / }).first();
  await zoom.focus();
  const bars = await page.locator(".cell:first-child .dekads i").count();
  await page.waitForFunction((before) => document.querySelectorAll(".cell:first-child .dekads i").length > before, bars, { timeout: SEASON_MS });
  must(await zoom.evaluate((at) => at === document.activeElement), "the focus was lost while the season plays");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Play" }).waitFor();
  await shoot(page, "06-season");
  await barriers(page, "in mid-season");
  await page.getByRole("radio", { name: "Fast" }).check();
  await page.getByRole("button", { name: "Play" }).click();
  await page.waitForFunction(() => document.getElementById("note").textContent.includes("The season is settled"), null, { timeout: SEASON_MS });
}

/** Reads that the drought was paid, and that the wallet has it. */
async function paidOut({ phone }, before, hand) {
  const text = await readText(phone, /You are paid KES [\d,]+/, hand);
  const amount = Number(text.match(/You are paid KES ([\d,]+)/)[1].replaceAll(",", ""));
  const handle = await phone.elementHandle();
  await phone.page().waitForFunction(([element, least]) =>
    Number(element.querySelector(".owner b").textContent.replace(/[^\d]/g, "")) === least, [handle, before + amount]);
  say(`paid KES ${amount}; text: ${gist(text)}`);
}

async function ledgerAgrees({ page }) {
  for (const line of ["Debits equal credits", "The wallets' own book says the same", " 0 broken"]) {
    await page.locator("#books li:not([data-wait])").filter({ hasText: line }).waitFor();
  }
  must(await page.locator("#guide li[data-done]").count() === 5, "the guide does not show every step as done");
}

async function visits(browser) {
  const asha = await visitByMouse(browser);
  const brian = await visitByKeyboard(browser);
  const before = [await wallet(asha.phone), await wallet(brian.phone)];
  // her phone as his window shows it, with its inbox open all season
  const hers = brian.page.locator(".handset").first();
  await hers.getByRole("button", { name: "Messages" }).click();
  const texts = await hers.locator(".text li").count();
  await season(asha);
  await paidOut(asha, before[0], byMouse);
  await hers.locator(".text li").nth(texts).waitFor();
  await ledgerAgrees(asha);
  await walkInbox(asha.phone);
  await shoot(asha.page, "07-paid");
  await barriers(asha.page, "after the season");
  await paidOut(brian, before[1], byKeyboard);
  await shoot(brian.page, "08-keyboard");
  await barriers(brian.page, "two phones");
  await brian.page.setViewportSize({ width: 390, height: 844 });
  await fits(brian.page, "390 px");
  await brian.page.screenshot({ path: join(SCREENS, "09-narrow.png"), fullPage: true });
  await barriers(brian.page, "on a narrow window");
}

const browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  await visits(browser);
} catch (error) {
  fault(error.message);
  for (const [nth, context] of browser.contexts().entries()) {
    const [page] = context.pages();
    if (!page) continue;
    await shoot(page, `failed-${nth + 1}`);
    const shown = await page.locator(".handset").evaluateAll((all) => all.map((one) => `${one.dataset.mode}: ${one.querySelector(".text").innerText}`));
    for (const words of shown) say(`phone shows ${words}`);
    say(`note: ${await page.locator("#note").innerText()} ${await page.locator("#date").innerText()}`);
  }
} finally {
  await browser.close();
}
if (faults.length > 0) {
  console.log(`  ${faults.length} faults`);
  process.exitCode = 1;
}
