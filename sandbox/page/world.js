// The world beside the phones: clock, weather, rain gauges, what happened, releases, ledger. Shows
// the present it is given and sends what its buttons ask; keeps nothing. Made and fed by page.js.

import { CellCard } from "./cells.js";
import { el, Kept, refill, say } from "./elements.js";
import { kes, hourOf, local, longDate, plural, shortDate } from "./words.js";

const $ = (id) => document.getElementById(id);

const PHASES = {
  before_sale: (s) => `The sale opens on ${longDate(s.sale.opens)}`,
  sale: (s) => `On sale until ${longDate(s.sale.closes - 1)}`,
  growing: () => "The season is under way: rain counts",
  deciding: () => "The season is over: the numbers are being settled",
  over: (s) => s.is_settled ? `The season of ${s.year} is settled` : `The season of ${s.year} is over, not settled`,
};

const NOTES = {
  prompt_open: "Time waits: a phone asks for an M-Pesa PIN. Enter four digits, or cancel.",
  phone_in_use: "Paused, because a phone was picked up. Press Play when you are done.",
  last_call: "Stopped on the last day of sale: nobody is insured yet. Dial now, or press Play again.",
  sale_opens: "The sale has opened.",
  season_over: "The season is settled. Read the messages on the phones. For another: cargo xtask down, then up.",
  held: "Stopped: a payout waits for two people. Approve it as both, then press Play.",
  unsettled: "The days for deciding have passed and something is not settled: people of the insurer must look at it.",
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
  #cells;
  #runs;
  #isPlaying = false;

  /** `ask(path, body)` sends what a button wants; `map` is zoomed from the list of cells. */
  constructor(ask, map) {
    this.#ask = ask;
    this.#map = map;
    this.#cells = new Kept($("cells"), (cell) => new CellCard(cell, (it) => map.zoom(it)));
    this.#runs = new Kept($("held-runs"), (run) => this.#run(run));
    $("play").addEventListener("click", () => ask("/page/clock", { playing: !this.#isPlaying }));
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
    this.#cells.show(state.cells, (cell) => `${cell.product} ${cell.cell} ${cell.season}`, () =>
      el("p", {}, "Nobody is insured yet. A cover stands for one hexagon of about five square kilometres; its rain decides for everybody in it."));
    this.#events(state.events);
    $("held").hidden = state.held.length === 0;
    this.#runs.show(state.held, (run) => run.evaluation);
    this.#books(state.books);
    this.#map.show(state.cells, state.stations);
  }

  #clock({ at, clock, is_away }, season) {
    say($("date"), longDate(at));
    $("date").dateTime = at;
    say($("hour"), `${hourOf(at)} in Nairobi`);
    say($("phase"), season ? PHASES[season.phase](season) : "");
    if (season) this.#track(Date.parse(at), season);
    const play = $("play");
    play.disabled = !clock.is_manual || season?.phase === "over";
    this.#isPlaying = clock.playing === true;
    // the word says what it will do; a pressed state beside it would say the opposite
    play.dataset.playing = String(this.#isPlaying);
    say(play, this.#isPlaying ? "Pause" : "Play");
    for (const radio of document.getElementsByName("pace")) {
      radio.disabled = !clock.is_manual;
      if (clock.pace && document.activeElement !== radio) radio.checked = radio.value === clock.pace;
    }
    let note = NOTES[clock.note] ?? "";
    if (!clock.is_manual) note = "This system runs on real time; it cannot be played.";
    if (clock.trouble) note = `The clock stopped: ${clock.trouble}`;
    if (is_away) note = "The product does not answer at the moment.";
    say($("note"), note);
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

  #events(lines) {
    refill($("events"), lines.map((line) => line.nth), () => {
      if (lines.length === 0) return [el("li", { class: "none" }, "Nothing yet.")];
      return lines.map((line) => {
        const word = KINDS[line.kind] ?? line.kind;
        const mark = el("span", { "aria-hidden": "true", class: "dot" });
        return el("li", { class: line.kind }, el("time", { datetime: line.at }, shortDate(line.at)), mark,
          el("span", {}, el("span", { class: "visually-hidden" }, `${word}: `), line.text));
      });
    });
  }

  /** A release and its two buttons, which stay the same while approvals come in. */
  #run({ evaluation }) {
    const words = el("span");
    const button = (operator, name) => {
      const made = el("button", { type: "button", class: "quiet" }, `Approve as the ${name} operator`);
      made.addEventListener("click", () => this.#ask(`/page/releases/${evaluation}/approve`, { operator }));
      return made;
    };
    return {
      element: el("li", {}, words, button("first", "first"), button("second", "second")),
      show(run) {
        const given = run.approvals.map((approval) => approval.operator);
        const why = run.holds.length > 0 ? ` (${run.holds.join(", ").replaceAll("_", " ")})` : "";
        const so_far = given.length > 0 ? ` Approved by ${given.join(", ")}.` : "";
        say(words, `${kes(run.total_minor)} in ${plural(run.payouts, "payout")}${why}.${so_far}`);
      },
    };
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

