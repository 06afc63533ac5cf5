// How far the texts of a phone were read, remembered by this window over a reload. Another town's
// texts are other texts: nothing of them was read. Used by the handset.

/** What tells a text from all others: when it came, and its words. */
const sign = (sms) => `${sms.at} ${sms.text}`;

export class Bookmark {
  #key;

  constructor(msisdn) {
    this.#key = `read-${msisdn}`;
  }

  /** How many of these texts, oldest first, were read. */
  of(texts) {
    let last = null;
    try {
      last = sessionStorage.getItem(this.#key);
    } catch {
      // a browser that keeps nothing counts every text as new
    }
    return texts.findLastIndex((sms) => sign(sms) === last) + 1;
  }

  /** All of these texts are read. */
  set(texts) {
    const last = texts.at(-1);
    if (!last) return;
    try {
      sessionStorage.setItem(this.#key, sign(last));
    } catch {
      // as above
    }
  }
}
