// The page's only way to the sandbox: JSON over the same origin. Never asks another host.

/** A refusal in the server's own words, with its status; without one where nothing answered. */
export class Refused extends Error {
  constructor(words, status = null) {
    super(words);
    this.status = status;
  }
}

async function read(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // an answer cut short is as good as none
  }
  if (!answer.ok || body === null) {
    throw new Refused(body?.error ?? "The sandbox did not answer. Is `cargo xtask up` still running?", answer.status);
  }
  return body;
}

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15_000) });
  } catch {
    throw new Refused("The sandbox did not answer. Is `cargo xtask up` still running?");
  }
  return read(answer);
}

export const get = (path) => send(path, { headers: { accept: "application/json" } });

export const post = (path, body = {}) =>
  send(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
