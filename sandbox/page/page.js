// Starts the page: asks for the present at most twice a second, and hands it to the phones, the
// panels and the guide. Holds no state of the world: a reload shows the same.

import { get, post } from "./ask.js";
import { say } from "./elements.js";
import { guide } from "./guide.js";
import { Handset } from "./handset.js";
import { CountryMap } from "./map.js";
import { WorldPanels } from "./world.js";

/** The sandbox looks at the product at most twice a second; asking more often shows nothing new. */
const LOOK_MS = 600;
const HIDDEN_LOOK_MS = 3_000;
const LAND_AGAIN_MS = 3_000;

const $ = (id) => document.getElementById(id);
const handsets = new Map();
let timer = 0;
let isLooking = false;

function complain(words) {
  say($("alert"), words);
}

async function ask(path, body) {
  try {
    await post(path, body);
    complain("");
  } catch (error) {
    complain(error.message);
  }
  look();
}

const map = new CountryMap($("map"), (isZoomed) => {
  $("whole").hidden = !isZoomed;
});
const panels = new WorldPanels(ask, map);

function show(state) {
  for (const [nth, phone] of state.phones.entries()) {
    let handset = handsets.get(phone.msisdn);
    if (!handset) {
      handset = new Handset(phone.msisdn, nth, state.service_code, { changed: look, trouble: complain });
      handsets.set(phone.msisdn, handset);
      $("handsets").append(handset.element);
    }
    handset.update(phone, state.at);
  }
  panels.show(state);
  const { done, current, hint } = guide(state);
  for (const step of $("guide").children) {
    const name = step.dataset.step;
    step.toggleAttribute("data-done", done[name]);
    if (name === current) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  say($("hint"), hint);
}

async function look() {
  if (isLooking) return;
  isLooking = true;
  clearTimeout(timer);
  try {
    show(await get("/page/state"));
    if ($("alert").dataset.away) {
      complain("");
      delete $("alert").dataset.away;
    }
  } catch (error) {
    $("alert").dataset.away = "yes";
    complain(error.message);
  } finally {
    isLooking = false;
    timer = setTimeout(look, document.hidden ? HIDDEN_LOOK_MS : LOOK_MS);
  }
}

$("add-phone").addEventListener("click", async () => {
  await ask("/page/phones", {});
});

document.addEventListener("visibilitychange", look);

/** The land once; again a little later where the sandbox did not answer. */
async function land() {
  try {
    await map.load();
  } catch (error) {
    $("alert").dataset.away = "yes";
    complain(error.message);
    setTimeout(land, LAND_AGAIN_MS);
  }
}

land();
look();
