// The world beside the phones: clock, weather, rain gauges, what happened, releases, ledger. Shows
// the present it is given and sends what its buttons ask; keeps nothing. Made and fed by page.js.

import { kes, hourOf, local, longDate, millimetres, plural, shortDate } from "./words.js";

const $ = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Replaces children only when `key` says that they differ, so that focus and scrolling stay. */
function refill(parent, key, fill) {
  const text = JSON.stringify(key);
  if (parent.dataset.shown === text) return;
  parent.dataset.shown = text;
  parent.replaceChildren(...fill());
}

const PHASES = {
  before_sale: (s) => `The sale opens on ${longDate(s.sale.opens)}`,
  sale: (s) => `On sale until ${longDate(s.sale.closes - 1)}`,
  growing: () => "The season is under way: rain counts",
  deciding: () => "The season is over: the numbers are being settled",
  over: (s) => `The season of ${s.year} is settled`,
};

const NOTES = {
  prompt_open: "Time waits: a phone asks for an M-Pesa PIN. Enter four digits, or cancel.",
  phone_in_use: "Paused, because a phone was picked up. Press Play when you are done.",
  last_call: "Stopped on the last day of sale: nobody is insured yet. Dial now, or press Play again.",
  sale_opens: "The sale has opened.",
  season_over: "The season is settled. Read the messages on the phones. For another: cargo xtask down, then up.",
  held: "Stopped: a payout waits for two people. Approve it as both, then press Play.",
};

const KINDS = {
  person: "Person", policy: "Cover", rain: "Rain", decision: "Decision", money: "Payment", payout: "Payout", text: "Text",
};

const ACCOUNTS = {
  swypt_clearing: "Collected, at Swypt",
  premiums: "Premiums earned",
  claims: "Claims paid",
  mpesa_utility: "M-Pesa payout account",
  suspense: "Not yet placed",
  claims_payable: "Claims owed",
};

const DAY_MS = 86_400_000;

export class WorldPanels {
  #ask;
  #map;

  /** `ask(path, body)` sends what a button wants; `map` is zoomed from the list of cells. */
  constructor(ask, map) {
    this.#ask = ask;
    this.#map = map;
    $("play").addEventListener("click", () => {
      ask("/page/clock", { playing: $("play").getAttribute("aria-pressed") !== "true" });
    });
    for (const radio of document.getElementsByName("pace")) {
      radio.addEventListener("change", () => ask("/page/clock", { pace: radio.value }));
    }
    for (const radio of document.getElementsByName("sky")) {
      radio.addEventListener("change", () => ask("/page/weather", { scenario: radio.value }));
    }
    $("whole").addEventListener("click", () => map.whole());
  }

  show(state) {
    const season = state.clock.season && {
      ...state.clock.season,
      sale: { opens: Date.parse(state.clock.season.sale.opens), closes: Date.parse(state.clock.season.sale.closes) },
      cover: { opens: Date.parse(state.clock.season.cover.opens), closes: Date.parse(state.clock.season.cover.closes) },
    };
    this.#clock(state, season);
    this.#sky(state.sky);
    this.#cells(state.cells);
    this.#events(state.events);
    this.#held(state.held);
    this.#books(state.books);
    this.#map.show(state.cells, state.stations);
  }

  #clock({ at, clock, is_away }, season) {
    $("date").textContent = longDate(at);
    $("date").dateTime = at;
    $("hour").textContent = `${hourOf(at)} in Nairobi`;
    $("phase").textContent = season ? PHASES[season.phase](season) : "";
    if (season) this.#track(Date.parse(at), season);
    const play = $("play");
    play.disabled = !clock.is_manual || season?.phase === "over";
    play.setAttribute("aria-pressed", String(clock.playing === true));
    play.textContent = clock.playing ? "Pause" : "Play";
    for (const radio of document.getElementsByName("pace")) {
      radio.disabled = !clock.is_manual;
      if (clock.pace && document.activeElement !== radio) radio.checked = radio.value === clock.pace;
    }
    let note = NOTES[clock.note] ?? "";
    if (!clock.is_manual) note = "This system runs on real time; it cannot be played.";
    if (clock.trouble) note = `The clock stopped: ${clock.trouble}`;
    if (is_away) note = "The product does not answer at the moment.";
    if ($("note").textContent !== note) $("note").textContent = note;
  }

  /** The insured year from January to the end of June, with today in it. */
  #track(now, season) {
    const from = Date.UTC(season.year, 0, 1);
    const to = season.cover.closes + 30 * DAY_MS;
    const share = (at) => Math.max(0, Math.min(100, ((at - from) / (to - from)) * 100));
    const track = $("track");
    if (track.dataset.year !== String(season.year)) {
      track.dataset.year = String(season.year);
      const part = (name, window, words) => {
        const made = el("span", { class: name }, words);
        made.style.left = `${share(window.opens)}%`;
        made.style.width = `${share(window.closes) - share(window.opens)}%`;
        return made;
      };
      track.replaceChildren(part("sale", season.sale, "on sale"), part("cover", season.cover, "rain counts"), el("span", { class: "today" }));
    }
    track.querySelector(".today").style.left = `calc(${share(now)}% - 1px)`;
    track.setAttribute("aria-label",
      `On sale ${shortDate(season.sale.opens)} to ${shortDate(season.sale.closes - 1)}; rain counts ` +
      `${shortDate(season.cover.opens)} to ${shortDate(season.cover.closes - 1)}; today is ${shortDate(now)}`);
  }

  #sky({ scenario, is_free }) {
    $("sky").disabled = !is_free || scenario === "replay";
    $("sky").title = is_free ? "" : "The season has begun: its weather cannot be changed any more";
    for (const radio of document.getElementsByName("sky")) {
      if (document.activeElement !== radio || $("sky").disabled) radio.checked = radio.value === scenario;
    }
  }

  #cells(cells) {
    refill($("cells"), cells, () => {
      if (cells.length === 0) {
        return [el("p", {}, "Nobody is insured yet. A cover stands for one hexagon of about five square kilometres; its rain decides for everybody in it.")];
      }
      return cells.map((cell) => this.#cell(cell));
    });
  }

  #cell(cell) {
    const most = Math.max(cell.trigger_mm * 1.35, (cell.rain_um / 1000) * 1.05);
    const share = (mm) => Math.min(100, (mm / most) * 100);
    const zoom = el("button", { type: "button", class: "quiet" }, "Show on map");
    zoom.setAttribute("aria-label", `Show on map: ${cell.place}`);
    zoom.addEventListener("click", () => this.#map.zoom(cell));
    const gauge = el("div", { class: "gauge", role: "img", "aria-label":
      `${millimetres(cell.rain_um)} fell so far. Below ${cell.trigger_mm} mm it pays, below ${cell.exit_mm} mm the most.` });
    gauge.style.setProperty("--exit", `${share(cell.exit_mm)}%`);
    gauge.style.setProperty("--trigger", `${share(cell.trigger_mm)}%`);
    const fallen = el("span", { class: "fallen" });
    fallen.style.width = `${share(cell.rain_um / 1000)}%`;
    gauge.append(fallen);
    for (const mm of [cell.exit_mm, cell.trigger_mm]) {
      const mark = el("span", { class: "mark" });
      mark.style.left = `${share(mm)}%`;
      gauge.append(mark);
    }
    const marks = el("div", { class: "marks", "aria-hidden": "true" });
    for (const [mm, words] of [[cell.exit_mm, "pays most"], [cell.trigger_mm, "pays below"]]) {
      const mark = el("span", {}, `${mm} mm ${words}`);
      mark.style.left = `${share(mm)}%`;
      marks.append(mark);
    }
    const tallest = Math.max(20_000, ...cell.dekads.map((dekad) => dekad.um));
    const dekads = el("div", { class: "dekads", "aria-hidden": "true" });
    for (const dekad of cell.dekads) {
      const bar = el("i", { class: dekad.is_over ? "" : "half", title: `${shortDate(dekad.first)} to ${shortDate(dekad.last)}: ${millimetres(dekad.um)}` });
      bar.style.height = `${(dekad.um / tallest) * 100}%`;
      dekads.append(bar);
    }
    const parts = [
      el("h3", {}, `${cell.place} · ${plural(cell.policies, "policy", "policies")}`, zoom),
      gauge, marks,
      el("p", {}, `${millimetres(cell.rain_um)} so far, ten days a bar`),
      dekads,
    ];
    if (cell.decided) {
      const { rain, payout, confidence, short_code, state } = cell.decided;
      const held = state === "held" ? " Waits for two people." : "";
      parts.push(el("p", { class: "verdict" }, `The product measured ${rain} and pays ${payout} of the sum insured (confidence ${confidence} of 100, evidence ${short_code}).${held}`));
    }
    return el("section", { class: "cell" }, ...parts);
  }

  #events(lines) {
    refill($("events"), lines.map((line) => line.nth), () => {
      if (lines.length === 0) return [el("li", {}, el("span", {}), el("span", {}), "Nothing yet.")];
      return lines.map((line) => {
        const word = KINDS[line.kind] ?? line.kind;
        const mark = el("span", { "aria-hidden": "true", class: "dot" });
        return el("li", { class: line.kind }, el("time", { datetime: line.at }, shortDate(line.at)), mark,
          el("span", {}, el("span", { class: "visually-hidden" }, `${word}: `), line.text));
      });
    });
  }

  #held(runs) {
    $("held").hidden = runs.length === 0;
    refill($("held-runs"), runs, () => runs.map((run) => {
      const given = run.approvals.map((approval) => approval.operator);
      const button = (operator, words) => {
        const made = el("button", { type: "button", class: "quiet" }, words);
        made.addEventListener("click", () => this.#ask(`/page/releases/${run.evaluation}/approve`, { operator }));
        return made;
      };
      const why = run.holds.length > 0 ? ` (${run.holds.join(", ").replaceAll("_", " ")})` : "";
      const so_far = given.length > 0 ? ` Approved by ${given.join(", ")}.` : "";
      return el("li", {}, el("span", {}, `${kes(run.total_minor)} in ${plural(run.payouts, "payout")}${why}.${so_far}`),
        button("first", "Approve as the first operator"), button("second", "Approve as the second operator"));
    }));
  }

  #books(books) {
    refill($("books"), books, () => {
      if (!books) return [el("p", {}, "The product's report has not come yet.")];
      const moved = books.accounts.filter((line) => line.balance_minor !== 0);
      const side = (is_debit) => moved.reduce((sum, line) =>
        sum + (line.balance_minor > 0 === is_debit ? Math.abs(line.balance_minor) : 0), 0);
      const rows = moved.map(({ account, balance_minor }) => el("tr", {},
        el("th", { scope: "row" }, ACCOUNTS[account] ?? account.replaceAll("_", " ")),
        el("td", {}, balance_minor > 0 ? kes(balance_minor) : ""),
        el("td", {}, balance_minor < 0 ? kes(-balance_minor) : "")));
      const head = el("tr", {}, el("th", { scope: "col" }, "Account"), el("th", { scope: "col" }, "Debit"), el("th", { scope: "col" }, "Credit"));
      const foot = el("tr", {}, el("th", { scope: "row" }, "Together"), el("td", {}, kes(side(true))), el("td", {}, kes(side(false))));
      const is_same = books.collected_minor === books.wallets.collected_minor && books.disbursed_minor === books.wallets.disbursed_minor;
      const checks = [
        [books.balanced, books.balanced ? "Debits equal credits" : "Debits and credits differ"],
        [is_same, is_same
          ? `The wallets' own book says the same: ${kes(books.collected_minor)} in, ${kes(books.disbursed_minor)} out`
          : `On its way: the wallets' book says ${kes(books.wallets.collected_minor)} in, ${kes(books.wallets.disbursed_minor)} out`],
        [books.invariants.broken === 0, `${books.invariants.checked} rules checked, ${books.invariants.broken} broken`],
      ];
      return [
        moved.length === 0
          ? el("p", {}, "No shilling has moved yet.")
          : el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, foot)),
        el("ul", {}, ...checks.map(([is_right, words]) => el("li", { "data-wait": !is_right }, words))),
      ];
    });
  }
}

/** Which step of the way a visitor is at, and what to do there. */
export function guide(state) {
  const { books, clock, phones, events } = state;
  const policies = books?.policies ?? { awaiting: 0, active: 0, settled: 0 };
  const insured = policies.active + policies.settled;
  const done = {
    register: (books?.farmers ?? 0) > 0,
    buy: policies.awaiting + insured > 0 || phones.some((phone) => phone.last_prompt),
    pay: insured > 0,
    play: insured > 0 && policies.active === 0,
    paid: (books?.payouts.paid ?? 0) > 0,
  };
  const prompt = phones.find((phone) => phone.prompt);
  const isRainy = !done.paid && done.play;
  const hints = {
    register: "Press the green key twice: the first press fills in the code, the second dials it. Answer as a farmer would, or let “Type an answer for me” fill in an answer and press the green key.",
    buy: "Registered. Dial again if the call has ended, add a plot (4), then buy a cover (1). The quote says what it costs and when it pays; two questions make sure it was understood.",
    pay: prompt ? `The phone ${local(prompt.msisdn)} asks for an M-Pesa PIN: any four digits pay, the red key refuses.` : "The M-Pesa prompt is on its way to the phone.",
    play: clock.playing ? "The season passes; watch the rain on the insured cell." : "She is covered. Choose the weather, then press Play and watch the rain.",
    paid: isRainy ? "It rained enough: nothing is due. Begin anew with a drought to see it pay: cargo xtask down, then up." : "Paid, without a claim. Read the message on the phone, and compare the ledger with the wallets' own book.",
  };
  const steps = Object.keys(done);
  const current = steps.find((step) => !done[step]) ?? "paid";
  return { done, current, hint: events ? hints[current] : "" };
}
