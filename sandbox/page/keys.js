// The twelve keys: what each types in digits and in letters, pressed once or several times in a row.
// Knows nothing of screens. Used by the handset.

export const KEYS = [
  ["1", ".,'-"], ["2", "abc"], ["3", "def"],
  ["4", "ghi"], ["5", "jkl"], ["6", "mno"],
  ["7", "pqrs"], ["8", "tuv"], ["9", "wxyz"],
  ["*", ""], ["0", ""], ["#", ""],
];

const LETTERS = {
  1: ".,'-1", 2: "abc2", 3: "def3", 4: "ghi4", 5: "jkl5", 6: "mno6", 7: "pqrs7", 8: "tuv8", 9: "wxyz9", 0: " 0",
};
/** A second press of the same key within this time takes its next letter. */
const SAME_LETTER_MS = 900;

/** Types into a text by key presses, letters by pressing again as on an old phone. */
export class Typing {
  #key = null;
  #turn = 0;
  #at = 0;

  /** The text after a press of `key`; `now` is any steady time in ms. */
  letter(text, key, now = performance.now()) {
    const choices = LETTERS[key];
    if (!choices) return text;
    const isAgain = key === this.#key && now - this.#at < SAME_LETTER_MS && text.length > 0;
    this.#turn = isAgain ? (this.#turn + 1) % choices.length : 0;
    this.#key = key;
    this.#at = now;
    const before = isAgain ? text.slice(0, -1) : text;
    const begins = before === "" || before.endsWith(" ");
    const letter = choices[this.#turn];
    return before + (begins ? letter.toUpperCase() : letter);
  }

  /** The next press begins a new letter. */
  rest() {
    this.#key = null;
  }
}
