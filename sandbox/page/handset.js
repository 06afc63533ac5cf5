// One phone: a screen, two soft keys, green and red, twelve keys, an inbox and a wallet. It shows
// what the sandbox answers and decides nothing about insurance. Made and fed by page.js.

import { post, Refused } from "./ask.js";
import { el, say } from "./elements.js";
import { KEYS, Typing } from "./keys.js";
import { Bookmark } from "./bookmark.js";
import { hourOf, kes, local, plural, shortDate, suggest, wantsLetters } from "./words.js";

/** A telephone receiver, drawn here because few fonts have one. */
function receiver() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 10");
  svg.setAttribute("width", "24");
  svg.setAttribute("height", "10");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("fill", "currentColor");
  shape.setAttribute("d", "M12 1C6 1 1 3 1 6v2c0 1 .6 1.400 1.400 1.200L7 8V5.500c3-1 7-1 10 0V8l4.600 1.200C22.400 9.400 23 9 23 8V6c0-3-5-5-11-5Z");
  svg.append(shape);
  return svg;
}

/** The status of an answer that the network did not take. */
const BAD_REQUEST = 400;

/** What each mode offers: the soft keys' words and whether something can be typed. */
const MODES = {
  idle: { left: "Messages", right: "M-Pesa", field: "Number to dial" },
  wait: { left: "", right: "", field: null },
  ussd: { left: "Send", right: "Cancel", field: "Your answer" },
  end: { left: "OK", right: "", field: null },
  inbox: { left: "Open", right: "Back", field: null },
  text: { left: "", right: "Back", field: null },
  money: { left: "", right: "Back", field: null },
  prompt: { left: "Pay", right: "Cancel", field: "M-Pesa PIN" },
};

export class Handset {
  #msisdn;
  #nth;
  #code;
  #phone = { sms: [], prompt: null, balance_minor: 0, screen: null };
  #mode = "idle";
  #screen = "";
  #typed = "";
  #hasLetters = false;
  #bookmark;
  #read = 0;
  /** The text of the inbox that Open opens, from the oldest; the arrows move it. */
  #chosen = 0;
  /** Looks in a row in which the network knew nothing of the call that is on the screen. */
  #gone = 0;
  #prompt = null;
  #isKnown = false;
  #typing = new Typing();
  #on;
  #parts = {};

  /** `on.changed()` is called after anything that changes the world; `on.trouble(text)` to complain. */
  constructor(msisdn, nth, code, on) {
    this.#msisdn = msisdn;
    this.#nth = nth;
    this.#code = code;
    this.#on = on;
    this.#bookmark = new Bookmark(msisdn);
    this.element = this.#build();
    this.#show();
  }

  /** The present of this phone, from the sandbox, at the world's instant. */
  update(phone, at) {
    this.#phone = phone;
    this.#parts.clock.textContent = hourOf(at);
    this.#parts.balance.textContent = kes(phone.balance_minor);
    if (!this.#isKnown) {
      this.#isKnown = true;
      this.#read = this.#bookmark.of(phone.sms);
      if (phone.screen) {
        // the page was loaded anew in the middle of a call
        this.#take({ text: phone.screen, open: true });
        return;
      }
    }
    const isFree = ["idle", "end", "inbox", "text", "money"].includes(this.#mode);
    if (phone.prompt && isFree) {
      const hadFocus = this.element.contains(document.activeElement);
      this.#prompt = phone.prompt;
      this.#enter("prompt", `M-PESA\nPay ${kes(phone.prompt.amount_minor)} to MicroCrop?\nEnter your M-PESA PIN:`);
      // whoever holds this phone types her PIN next; nobody else is interrupted
      if (hadFocus) this.#focus();
      return;
    }
    if (this.#mode === "prompt" && phone.prompt?.order_id !== this.#prompt?.order_id) {
      this.#enter("idle");
      return;
    }
    if (this.#mode === "ussd" && this.#isGone(phone)) {
      this.#enter("idle");
      return;
    }
    if (this.#mode === "inbox") this.#arrived();
    else if (["idle", "end"].includes(this.#mode)) this.#show();
    else this.#marks();
  }

  /** Whether the call has ended elsewhere, at another window of the same town; one look may be older. */
  #isGone(phone) {
    this.#gone = phone.screen ? 0 : this.#gone + 1;
    return this.#gone >= 3;
  }

  /** A text that comes while the inbox is open is listed, and what was chosen stays chosen. */
  #arrived() {
    if (this.#parts.text.querySelectorAll("button").length !== this.#phone.sms.length) {
      const hadFocus = this.#parts.text.contains(document.activeElement) && document.activeElement !== this.#parts.text;
      this.#list();
      if (hadFocus) this.#item(this.#chosen)?.focus();
      this.#mark();
    }
    this.#marks();
  }

  /** Everything listed counts as read. */
  #mark() {
    this.#read = this.#phone.sms.length;
    this.#bookmark.set(this.#phone.sms);
  }

  get unread() {
    return Math.max(0, this.#phone.sms.length - this.#read);
  }

  // What the keys do.

  async #green() {
    switch (this.#mode) {
      case "idle":
        // as on any phone: green on an empty screen brings back the last number
        if (this.#typed === "") {
          this.#typed = this.#code;
          this.#show();
        } else await this.#ask("dial", { code: this.#typed });
        break;
      case "ussd": {
        const text = this.#typed.trim();
        if (text !== "") await this.#ask("input", { text });
        break;
      }
      case "prompt": await this.#pay(); break;
      case "inbox": this.#open(); break;
      case "end": this.#enter("idle"); break;
      default: break;
    }
  }

  async #red() {
    switch (this.#mode) {
      case "ussd": case "wait":
        this.#enter("idle");
        await this.#quietly("hangup", {});
        break;
      case "prompt": await this.#cancel(); break;
      case "idle": this.#typed = ""; this.#show(); break;
      default: this.#enter("idle"); break;
    }
  }

  async #left() {
    switch (this.#mode) {
      case "idle": this.#inbox(); break;
      case "ussd": case "prompt": case "end": case "inbox": await this.#green(); break;
      default: break;
    }
  }

  async #right() {
    switch (this.#mode) {
      case "idle":
        if (this.#typed !== "") { this.#typed = this.#typed.slice(0, -1); this.#typing.rest(); this.#show(); }
        else this.#enter("money", `M-PESA\nBalance: ${kes(this.#phone.balance_minor)}\n\nPretend money in a pretend wallet.`);
        break;
      case "ussd":
        if (this.#typed !== "") { this.#typed = this.#typed.slice(0, -1); this.#typing.rest(); this.#show(); }
        else await this.#red();
        break;
      case "text": this.#inbox(); break;
      case "end": this.#inbox(); break;
      default: await this.#red(); break;
    }
  }

  #press(key) {
    const isAnswer = this.#mode === "ussd";
    if (!MODES[this.#mode].field) {
      if (this.#mode === "wait") return;
      this.#enter("idle");
    }
    if (this.#mode === "prompt") {
      if (/\d/.test(key) && this.#typed.length < 4) this.#typed += key;
    } else if (isAnswer && key === "#") {
      this.#hasLetters = !this.#hasLetters;
      this.#typing.rest();
    } else if (isAnswer && key === "*") {
      this.#typed += ".";
      this.#typing.rest();
    } else if (isAnswer && this.#hasLetters) {
      this.#typed = this.#typing.letter(this.#typed, key);
    } else {
      this.#typed += key;
    }
    this.#show();
  }

  #scroll(by) {
    if (this.#mode === "inbox") {
      // the newest is at the top: down is towards the older ones
      const last = this.#phone.sms.length - 1;
      this.#item(Math.max(0, Math.min(last, this.#chosen - by)))?.focus();
    } else {
      this.#parts.text.scrollBy({ top: by * 36 });
    }
  }

  // What the world answers.

  async #ask(path, body) {
    const hadFocus = this.element.contains(document.activeElement);
    const [before, hadLetters] = [this.#screen, this.#hasLetters];
    this.#enter("wait", path === "dial" ? "USSD running…" : "Sending…");
    try {
      const answer = await post(`/page/phones/${this.#msisdn}/${path}`, body);
      this.#on.trouble("");
      // the red key may have ended the call meanwhile
      if (this.#mode === "wait") this.#take(answer);
    } catch (error) {
      const isUnfit = path === "input" && error instanceof Refused && error.status === BAD_REQUEST;
      if (this.#mode !== "wait") {
        // the red key was quicker
      } else if (isUnfit) {
        // the network took nothing: the call is where it was
        this.#enter("ussd", before);
        this.#hasLetters = hadLetters;
        this.#typed = body.text;
        this.#show();
        this.#on.trouble(error.message);
      } else this.#enter("end", error instanceof Refused ? error.message : "Network problem. Please dial again.");
    }
    if (hadFocus) this.#focus();
    this.#on.changed();
  }

  #take(answer) {
    if (answer.error) this.#enter("end", answer.error);
    else if (answer.open) {
      this.#enter("ussd", answer.text);
      this.#hasLetters = wantsLetters(answer.text);
      this.#show();
    } else this.#enter("end", answer.text ?? "");
  }

  async #quietly(path, body) {
    try {
      const answer = await post(`/page/phones/${this.#msisdn}/${path}`, body);
      this.#on.trouble("");
      this.#on.changed();
      return answer;
    } catch (error) {
      this.#on.trouble(error.message);
      return null;
    }
  }

  async #pay() {
    if (!/^\d{4}$/.test(this.#typed)) {
      this.#parts.text.textContent = `M-PESA\nA PIN has 4 digits.\nPay ${kes(this.#prompt.amount_minor)} to MicroCrop?`;
      this.#focus();
      return;
    }
    const pin = this.#typed;
    const { order_id, amount_minor } = this.#prompt;
    this.#enter("wait", "M-PESA\nPaying…");
    const answer = await this.#quietly("prompt", { order_id, pin });
    const words = {
      paid: `M-PESA\nConfirmed. ${kes(amount_minor)} paid to MicroCrop.`,
      short: "M-PESA\nYou do not have enough money in your account.",
    };
    this.#enter("end", words[answer?.state] ?? "M-PESA\nNot done.");
    this.#focus();
  }

  async #cancel() {
    const { order_id } = this.#prompt;
    this.#enter("wait", "M-PESA\nCancelling…");
    const answer = await this.#quietly("prompt", { order_id });
    this.#enter("end", answer?.state === "cancelled"
      ? "M-PESA\nRequest cancelled. Nothing was paid."
      : "M-PESA\nNot cancelled: the request is not open any more, or nobody answered.\nSee your balance.");
    this.#focus();
  }

  #inbox() {
    this.#chosen = Math.max(0, this.#phone.sms.length - 1);
    this.#enter("inbox", "");
    this.#item(this.#chosen)?.focus();
  }

  #item(at) {
    return this.#parts.text.querySelector(`[data-at="${at}"]`);
  }

  #open(at = this.#chosen) {
    const sms = this.#phone.sms[at];
    if (!sms) return;
    this.#chosen = at;
    this.#mark();
    this.#enter("text", `MicroCrop, ${shortDate(sms.at)} ${hourOf(sms.at)}\n${sms.text}`);
    this.#parts.text.focus();
  }

  // What is shown.

  #enter(mode, screen = "") {
    this.#mode = mode;
    this.#screen = screen;
    this.#typed = "";
    this.#hasLetters = false;
    this.#typing.rest();
    if (mode !== "prompt") this.#prompt = null;
    if (mode === "inbox") this.#mark();
    this.#gone = 0;
    this.#parts.text.scrollTop = 0;
    this.#show();
  }

  #show() {
    const { text, field, left, right, helper } = this.#parts;
    const mode = MODES[this.#mode];
    this.element.dataset.mode = this.#mode;
    if (this.#mode === "inbox") this.#list();
    else {
      const shown = this.#mode === "idle" ? this.#idle() : this.#screen;
      // a live region must change only when its words do
      if (text.textContent !== shown || text.firstElementChild) text.textContent = shown;
    }
    field.hidden = !mode.field;
    if (mode.field) {
      field.setAttribute("aria-label", mode.field);
      field.type = this.#mode === "prompt" ? "password" : "text";
      field.inputMode = this.#mode === "ussd" && this.#hasLetters ? "text" : this.#mode === "idle" ? "tel" : "numeric";
      field.maxLength = this.#mode === "prompt" ? 4 : 160;
      field.placeholder = this.#mode === "idle" ? this.#code : "";
      if (field.value !== this.#typed) field.value = this.#typed;
    }
    const isTyped = this.#typed !== "" && ["idle", "ussd"].includes(this.#mode);
    this.#label(left, mode.left);
    // a text that came during a call is one press away when the call is over
    const offered = this.#mode === "end" && this.unread > 0 ? "Messages" : mode.right;
    this.#label(right, isTyped ? "Clear" : offered);
    const suggestion = this.#suggestion();
    helper.hidden = suggestion === null;
    say(helper, this.#typed !== "" && this.#typed === suggestion ? "Send it" : "Type an answer for me");
    this.#marks();
  }

  #label(key, word) {
    key.textContent = word;
    // a key without a word has nothing to do, and nothing to say to a screen reader
    key.toggleAttribute("data-empty", word === "");
  }

  #idle() {
    if (this.unread > 0) return `${plural(this.unread, "new message")}\n\nPress Messages to read.`;
    return `Dial ${this.#code}\nto insure your crop.`;
  }

  #list() {
    const { text } = this.#parts;
    if (this.#phone.sms.length === 0) {
      text.textContent = "Messages\n\nNone yet.";
      return;
    }
    const items = this.#phone.sms.map((sms, at) => {
      const open = el("button", { type: "button", "data-at": at },
        el("b", {}, `${shortDate(sms.at)} `), sms.text.slice(0, 34), "…");
      open.addEventListener("click", () => this.#open(at));
      open.addEventListener("focus", () => { this.#chosen = at; });
      return el("li", {}, open);
    });
    text.replaceChildren(el("ol", {}, ...items.reverse()));
  }

  #marks() {
    const { envelope, mode } = this.#parts;
    envelope.textContent = this.unread > 0 ? `✉ ${this.unread}` : "";
    mode.textContent = this.#mode === "ussd" ? (this.#hasLetters ? "abc" : "123") : "";
  }

  #suggestion() {
    if (this.#mode === "ussd") return suggest(this.#screen, this.#nth);
    if (this.#mode === "prompt") return "1234";
    return null;
  }

  #focus() {
    const { field, text } = this.#parts;
    if (!field.hidden) field.focus();
    else text.focus();
  }

  // How it is built.

  #build() {
    const name = local(this.#msisdn);
    const id = `phone-${this.#msisdn}`;
    const p = this.#parts;
    p.clock = el("span", {});
    p.envelope = el("span", { class: "envelope" });
    p.mode = el("span", { class: "letters" });
    p.text = el("div", { class: "text", role: "status", "aria-live": "polite", "aria-atomic": "true", tabindex: "0", "aria-label": `Screen of ${name}` });
    p.field = el("input", { class: "field", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    p.left = el("button", { type: "button", class: "soft" });
    p.right = el("button", { type: "button", class: "soft" });
    p.balance = el("b", {});
    p.helper = el("button", { type: "button", class: "quiet helper" }, "Type an answer for me");
    const green = el("button", { type: "button", class: "call green", "aria-label": "Green key: dial, send" }, receiver());
    const red = el("button", { type: "button", class: "call red", "aria-label": "Red key: hang up" }, receiver());
    const up = el("button", { type: "button", class: "pad", "aria-label": "Scroll up", tabindex: "-1" }, "▲");
    const down = el("button", { type: "button", class: "pad", "aria-label": "Scroll down", tabindex: "-1" }, "▼");
    const pad = el("div", { class: "keys", role: "group", "aria-label": "Keypad, arrow keys move" });
    for (const [at, [key, letters]] of KEYS.entries()) {
      const name = { "*": "* star", "#": "# hash", 0: "0 space" }[key] ?? `${key} ${letters}`;
      const button = el("button", { type: "button", class: "key", "aria-label": name.trim(), "data-key": key, tabindex: at === 0 ? "0" : "-1" },
        el("b", {}, key), " ", el("small", {}, letters));
      button.addEventListener("click", () => this.#press(key));
      pad.append(button);
    }
    green.addEventListener("click", () => this.#green());
    red.addEventListener("click", () => this.#red());
    p.left.addEventListener("click", () => this.#left());
    p.right.addEventListener("click", () => this.#right());
    up.addEventListener("click", () => this.#scroll(-1));
    down.addEventListener("click", () => this.#scroll(1));
    p.helper.addEventListener("click", async () => {
      const suggestion = this.#suggestion() ?? "";
      if (this.#typed === suggestion) await this.#green();
      else {
        this.#typed = suggestion;
        this.#show();
      }
      // hidden while the answer was awaited: the next press is offered where the last one was made
      if (this.#suggestion() !== null) p.helper.focus();
    });
    p.field.addEventListener("input", () => {
      // the gateway joins answers by them: no phone can send them inside one
      this.#typed = this.#mode === "ussd" ? p.field.value.replaceAll(/[*#]/g, "") : p.field.value;
      this.#typing.rest();
      this.#show();
    });
    const body = el("div", { class: "body" },
      el("div", { class: "ear", "aria-hidden": "true" }),
      el("div", { class: "lcd" },
        el("div", { class: "bar", "aria-hidden": "true" },
          el("span", { class: "signal" }), p.envelope, p.mode, p.clock),
        p.text, p.field),
      el("div", { class: "softs" }, p.left, p.right),
      el("div", { class: "calls" }, green, el("div", { class: "pads" }, up, down), red),
      pad);
    const phone = el("article", { class: "handset", id, "aria-label": `Phone ${name}` },
      body,
      el("p", { class: "owner" }, el("span", {}, name), p.balance),
      p.helper);
    phone.addEventListener("keydown", (event) => this.#key(event, pad));
    return phone;
  }

  #key(event, pad) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { field, text } = this.#parts;
    const isButton = event.target instanceof HTMLButtonElement;
    if (event.key === "Escape") {
      event.preventDefault();
      this.#red();
    } else if (event.key === "Enter" && !isButton) {
      event.preventDefault();
      this.#green();
    } else if (event.target.parentElement === pad && event.key.startsWith("Arrow")) {
      event.preventDefault();
      this.#move(event, pad);
    } else if (["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      this.#scroll(event.key === "ArrowUp" ? -1 : 1);
    } else if (/^[0-9*#]$/.test(event.key) && (event.target !== field || (this.#mode === "ussd" && /^[*#]$/.test(event.key)))) {
      event.preventDefault();
      // the same key on the keypad, so that both ways type alike
      this.#press(event.key);
      if (event.target === text && !field.hidden) field.focus();
    }
  }

  /** One tab stop for the keypad; the arrows walk over it. */
  #move(event, pad) {
    const keys = [...pad.children];
    const at = keys.indexOf(event.target);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -3, ArrowDown: 3 }[event.key];
    const next = keys[at + step];
    if (!next) return;
    for (const key of keys) key.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
