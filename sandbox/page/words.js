// Words and numbers as people in Kenya write them, and the answers a visitor may borrow for each
// screen of the product. Pure: asks nothing, shows nothing.

const EAST_AFRICA = "Africa/Nairobi";
const long = new Intl.DateTimeFormat("en-GB", { timeZone: EAST_AFRICA, day: "numeric", month: "long", year: "numeric" });
const short = new Intl.DateTimeFormat("en-GB", { timeZone: EAST_AFRICA, day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat("en-GB", { timeZone: EAST_AFRICA, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const longDate = (at) => long.format(new Date(at));
export const shortDate = (at) => short.format(new Date(at));
export const hourOf = (at) => hour.format(new Date(at));

/** Cents as shillings, `KES 2,813`. */
export function kes(minor) {
  const whole = Math.trunc(Math.abs(minor) / 100);
  const cents = Math.abs(minor) % 100;
  const text = whole.toLocaleString("en-GB") + (cents ? `.${String(cents).padStart(2, "0")}` : "");
  return `${minor < 0 ? "-" : ""}KES ${text}`;
}

/** Twelve digits as a phone shows them, `0712 000 001`. */
export const local = (digits) => digits.replace(/^254(\d{3})(\d{3})(\d{3})$/, "0$1 $2 $3");

export const millimetres = (um) => `${Math.round(um / 1000)} mm`;

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const NAMES = ["Asha Lemarkat", "Brian Mutua", "Cherop Leshore", "Daudi Musyoka", "Esther Galgalo", "Faith Kioko"];
// the first of them fares worst in a drought
const WARDS = ["0234", "0340", "0228", "0420", "0234", "0340"];

/**
 * What a farmer would answer to a screen; nothing where only she can know. `nth` is the phone's
 * place on the page, so that each is another person.
 */
export function suggest(screen, nth) {
  const at = nth % NAMES.length;
  const rules = [
    [/8\. (Continue|Endelea)/, "8"],
    [/1\. English\n2\. Kiswahili/, "1"],
    [/full name|jina lako kamili/, NAMES[at]],
    [/national ID|kitambulisho/, String(23_456_789 + at * 1_111)],
    [/4-digit code|WADI/, WARDS[at]],
    [/Choose a secret|Chagua PIN|same PIN again|PIN hiyo tena|your MicroCrop PIN|PIN yako ya MicroCrop/, "2580"],
    [/in acres|kwa ekari/, "1.5"],
    [/DDMM/, "1"],
    [/Question 1:|Swali 1:/, "2"],
    [/4\. (Add plot|Ongeza shamba)/, "1"],
    [/(^|\n)1\. /, "1"],
    [/Is this right\?|Sahihi\?/, "1"],
  ];
  return rules.find(([words]) => words.test(screen))?.[1] ?? null;
}

/** Whether a screen asks for words rather than digits. */
export const wantsLetters = (screen) => /full name|jina lako kamili/.test(screen);
