// Which step of the way a visitor is at, and what to do there. Pure: reads the present it is given
// and shows nothing. Used by page.js.

import { local } from "./words.js";

const NOBODY = { awaiting: 0, active: 0, settled: 0, lapsed: 0 };
const NOTHING = { planned: 0, held: 0, paid: 0, refused: 0 };

/** `done` by step, the `current` step, and a `hint` in words. */
export function guide({ books, clock, phones, held }) {
  const policies = books?.policies ?? NOBODY;
  const payouts = books?.payouts ?? NOTHING;
  const insured = policies.active + policies.settled;
  const prompt = phones.find((phone) => phone.prompt);
  const done = {
    register: (books?.farmers ?? 0) > 0,
    // a cover that lapsed unpaid has to be bought again
    buy: policies.awaiting + insured > 0 || Boolean(prompt),
    pay: insured > 0,
    play: insured > 0 && policies.active === 0,
    paid: payouts.paid > 0,
  };
  const steps = Object.keys(done);
  const current = steps.find((step) => !done[step]) ?? "paid";
  const hints = {
    register: "Press the green key of the phone twice: the first press fills in the code, the second dials it. Then answer as a farmer would, or press “Type an answer for me” and “Send it” below the phone.",
    buy: policies.lapsed > 0
      ? "Nothing was paid, so the cover lapsed. Dial again and buy (1)."
      : "Registered. Dial again if the call has ended, add a plot (4), then buy a cover (1). The quote says what it costs and when it pays; two questions make sure it was understood.",
    pay: pay(phones, prompt),
    play: play(clock),
    paid: paid(payouts, held, clock),
  };
  return { done, current, hint: hints[current] };
}

function pay(phones, prompt) {
  if (prompt) return `The phone ${local(prompt.msisdn)} asks for an M-Pesa PIN: any four digits pay, the red key refuses.`;
  const last = (state) => phones.some((phone) => phone.last_prompt === state);
  if (last("paid")) return "Paid. Within a minute the product knows, and a text says that the cover is on.";
  if (last("cancelled") || last("short")) return "Nothing was paid. Dial again to pay or buy.";
  return "The M-Pesa prompt is on its way to the phone.";
}

function play({ playing, season }) {
  if (season?.phase === "over") return "The stations did not tell enough to decide by numbers alone: people of the insurer must look at it.";
  if (playing) return "The season passes; watch the rain on the insured cell.";
  if (season?.phase === "sale") return "She is covered. Choose the weather, then press Play and watch the rain.";
  return "Press Play and watch the rain on the insured cell.";
}

function paid(payouts, held, { playing }) {
  const then = playing ? "" : " Then press Play.";
  if (payouts.paid > 0) return "Paid, without a claim. Read the message on the phone, and compare the ledger with the wallets' own book.";
  if (held.length > 0 || payouts.held > 0) return `The rain failed, and the payout is so large or doubtful that two people must release it: approve it as both.${then}`;
  if (payouts.planned === 0) return "It rained enough: nothing is due. Begin anew with a drought to see it pay: cargo xtask down, then up.";
  if (payouts.refused >= payouts.planned) return "The rain failed, but M-Pesa refused the payment: people of the insurer must look at it.";
  return `The rain failed: the payout is on its way by M-Pesa.${playing ? "" : " Press Play if nothing moves."}`;
}
