// Making elements, and changing no more of them than has to be: focus, scrolling and what a screen
// reader is reading stay where they are. Knows nothing of insurance. Used by phones and panels.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Words of an element, touched only when they differ. */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** Replaces children only when `key` says that they differ. */
export function refill(parent, key, fill) {
  const text = JSON.stringify(key);
  if (parent.dataset.shown === text) return;
  parent.dataset.shown = text;
  parent.replaceChildren(...fill());
}

/** Parts of a list that stay the same elements while their things change. */
export class Kept {
  #parent;
  #make;
  #parts = new Map();

  /** `make(thing)` gives `{ element, show(thing) }`. */
  constructor(parent, make) {
    this.#parent = parent;
    this.#make = make;
  }

  /** Shows these things, each known by `keyOf(thing)`; `empty` stands where there are none. */
  show(things, keyOf, empty = null) {
    const keys = new Set(things.map(keyOf));
    for (const [key, part] of this.#parts) {
      if (keys.has(key)) continue;
      part.element.remove();
      this.#parts.delete(key);
    }
    if (things.length === 0) {
      if (empty && !this.#parent.hasChildNodes()) this.#parent.append(empty());
      return;
    }
    if (this.#parts.size === 0) this.#parent.replaceChildren();
    for (const [at, thing] of things.entries()) {
      let part = this.#parts.get(keyOf(thing));
      if (!part) {
        part = this.#make(thing);
        this.#parts.set(keyOf(thing), part);
      }
      const there = this.#parent.children[at];
      // an element that is moved loses its focus: only what is new or out of place is put anywhere
      if (there !== part.element) this.#parent.insertBefore(part.element, there ?? null);
      part.show(thing);
    }
  }
}
