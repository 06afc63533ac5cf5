// One insured cell: how much rain fell against what the cover promises, ten days a bar, and what the
// product decided. Shows what it is given and reckons nothing about money. Made by world.js.

import { el, refill, say } from "./elements.js";
import { millimetres, plural, shortDate } from "./words.js";

/** Bars are at least as high as this much rain would need, µm: a drizzle must not look like a flood. */
const TALLEST_LEAST_UM = 20_000;

export class CellCard {
  #cell;
  #title = el("span");
  #zoom = el("button", { type: "button", class: "quiet" }, "Show on map");
  #fallen = el("span", { class: "fallen" });
  #marks = [el("span", { class: "mark" }), el("span", { class: "mark" })];
  #gauge = el("div", { class: "gauge", role: "img" }, this.#fallen, ...this.#marks);
  #words = [el("span"), el("span")];
  #sum = el("p");
  #dekads = el("div", { class: "dekads", "aria-hidden": "true" });
  #verdict = el("p", { class: "verdict" });

  constructor(cell, zoom) {
    this.#cell = cell;
    this.#zoom.addEventListener("click", () => zoom(this.#cell));
    this.element = el("section", { class: "cell" },
      el("h3", {}, this.#title, this.#zoom),
      this.#gauge, el("div", { class: "marks", "aria-hidden": "true" }, ...this.#words),
      this.#sum, this.#dekads, this.#verdict);
  }

  show(cell) {
    this.#cell = cell;
    const fallen = cell.rain_um / 1000;
    const most = Math.max(cell.trigger_mm * 1.35, fallen * 1.05);
    const share = (mm) => `${Math.min(100, (mm / most) * 100)}%`;
    say(this.#title, `${cell.place} · ${plural(cell.policies, "policy", "policies")}`);
    this.#zoom.setAttribute("aria-label", `Show on map: ${cell.place}`);
    this.#gauge.setAttribute("aria-label",
      `${millimetres(cell.rain_um)} fell so far. Below ${cell.trigger_mm} mm it pays, below ${cell.exit_mm} mm the most.`);
    this.#gauge.style.setProperty("--exit", share(cell.exit_mm));
    this.#gauge.style.setProperty("--trigger", share(cell.trigger_mm));
    this.#fallen.style.width = share(fallen);
    for (const [at, [mm, words]] of [[cell.exit_mm, "most"], [cell.trigger_mm, "pays"]].entries()) {
      this.#marks[at].style.left = share(mm);
      this.#words[at].style.left = share(mm);
      say(this.#words[at], `< ${mm} mm: ${words}`);
    }
    say(this.#sum, cell.dekads.length === 0
      ? "No rain counts yet."
      : `${millimetres(cell.rain_um)} fell so far. Ten days a bar:`);
    refill(this.#dekads, cell.dekads, () => {
      const tallest = Math.max(TALLEST_LEAST_UM, ...cell.dekads.map((dekad) => dekad.um));
      return cell.dekads.map((dekad) => {
        const bar = el("i", { class: dekad.is_over ? "" : "half",
          title: `${shortDate(dekad.first)} to ${shortDate(dekad.last)}: ${millimetres(dekad.um)}` });
        bar.style.height = `${(dekad.um / tallest) * 100}%`;
        return bar;
      });
    });
    this.#dekads.hidden = cell.dekads.length === 0;
    say(this.#verdict, cell.decided ? verdict(cell.decided) : "");
    this.#verdict.hidden = !cell.decided;
  }
}

function verdict({ rain, payout, confidence, short_code, state }) {
  const held = state === "held" ? " It waits for two people." : "";
  return `Decided by the numbers: ${rain} of rain, so ${payout} of the sum insured is paid (confidence ${confidence} of 100, evidence ${short_code}).${held}`;
}
