// Makes a world in which every operation of the API can succeed, over the API itself, and writes
// down for each operation that needs ids a request that must succeed. Must never touch the database:
// what follows a season is added by world.sql, under the ids named here. Run by `cargo xtask contract`.

import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";

const { BASE_URL, PARTNER_KEY, ADMINISTRATOR, NOW, WORLD } = process.env;
const CONSENT = "2026-01";
const PASSWORD = "korosho na maziwa";

let drawn = 0;

async function ask(method, path, body, bearer = PARTNER_KEY, headers = {}) {
  drawn += 1;
  const response = await fetch(BASE_URL + path, {
    method,
    headers: {
      ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      "content-type": "application/json",
      "idempotency-key": `world-${drawn}`,
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

const post = (path, body, bearer) => ask("POST", path, body ?? {}, bearer);

// RFC 6238, six digits, 30 s
function totp(secret, at) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const place = digest[19] & 15;
  return String((digest.readUInt32BE(place) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

const seconds = Math.floor(Date.parse(NOW) / 1000);
const consent = { version: CONSENT, obtained: "paper" };
const purchase = { version: CONSENT, obtained_at: NOW };
const sum = { minor: 300_000, currency: "KES" };

const farmer = (number) => ({
  phone: `+2547110000${String(number).padStart(2, "0")}`,
  name: `Wanjiku ${String.fromCharCode(64 + number)}a`,
  national_id: String(30_000_000 + number),
  ward_code: "0234",
  consent,
});
const newFarmer = async (number) => (await post("/api/v1/farmers", farmer(number))).id;
const newPlot = async (farmer_id) =>
  (await post("/api/v1/plots", { farmer_id, acres: 1.5, crop: "maize" })).id;
const quoteOf = (plot) => ({ plot, product: "KE-MZ-PD-LR", sum_insured: sum });
const newQuote = async (plot) => (await post("/api/v1/quotes", quoteOf(plot))).id;
const newPolicy = async (quote) => (await post("/api/v1/policies", { quote, consent: purchase })).id;

const agent = (await post("/api/v1/agents", { code: "AG-1", name: "Otieno Seed" })).id;
const agentToCorrect = (await post("/api/v1/agents", { code: "AG-2", name: "Otieno Other" })).id;
const group = (await post("/api/v1/groups", { code: "GR-1", name: "Group one" })).id;
const groupToCorrect = (await post("/api/v1/groups", { code: "GR-2", name: "Group two" })).id;
const farmers = [await newFarmer(1), await newFarmer(2), await newFarmer(3)];
const plots = [];
for (const id of [farmers[0], farmers[0], farmers[1], farmers[1], farmers[2]]) plots.push(await newPlot(id));
const quote = await newQuote(plots[2]);
const policy = await newPolicy(quote);
const policyToCancel = await newPolicy(await newQuote(plots[3]));
const quoteToBuy = await newQuote(plots[4]);

const hooked = (number) => ({ url: `https://example.org/${number}`, events: ["payout.paid"] });
const endpoints = [];
for (const number of [1, 2, 3, 4]) endpoints.push((await post("/api/v1/endpoints", hooked(number))).id);
const delivery = (await post(`/api/v1/endpoints/${endpoints[0]}/test`)).delivery_id;
const keys = [];
for (const name of ["key to show", "key to rotate", "key to end"]) {
  keys.push((await post("/api/v1/api-keys", { name, scopes: ["farmers:read"] })).id);
}

const admin = (path, body) => post(path, body, ADMINISTRATOR);
const other = (await admin("/api/v1/operator/organisations", { name: "Other Lender", kind: "lender" })).id;
const keysOfOther = `/api/v1/operator/organisations/${other}/keys`;
const keyOfOther = (await admin(keysOfOther, { name: "their key", scopes: ["farmers:read"] })).id;
const invite = (name) =>
  admin("/api/v1/operator/invitations", { email: `${name}@example.com`, role: "operator" });
const accept = (token, name) =>
  post("/api/v1/invitations/accept", { token, name, password: PASSWORD }, null);
const confirm = (token, secret) =>
  post("/api/v1/invitations/confirm", { token, totp: totp(secret, seconds) }, null);
async function enrol(name) {
  const { token } = await invite(name.toLowerCase());
  const { totp_secret } = await accept(token, name);
  return { secret: totp_secret, session: await confirm(token, totp_secret) };
}
const [toChange, toLeave, toSignIn] = [await enrol("Neema"), await enrol("Baraka"), await enrol("Zawadi")];
const toWithdraw = (await invite("withdrawn")).invitation;
const toAccept = (await invite("accepting")).token;
const toConfirm = (await invite("confirming")).token;
const confirming = await accept(toConfirm, "Confirming");

// made by world.sql: the first decision is released and its payout refused, the second is held
const made = (prefix, kind, number) =>
  `${prefix}_0190000000007000800000000000${String(kind).padStart(2, "0")}0${number}`;
const payment = made("rec", 5, 1);
const [released, held] = [made("eva", 6, 1), made("eva", 6, 2)];
const refused = made("pay", 7, 1);
const evidence = "CVHFSLZZ";

const once = true;
const latest = { "If-Match": '"1"' };
const requests = {
  "GET /api/v1/api-keys/{key}": [{ path: { key: keys[0] } }],
  "POST /api/v1/api-keys": [{ once, body: { name: "one more key", scopes: ["farmers:read"] } }],
  "POST /api/v1/api-keys/{key}/rotate": [{ once, path: { key: keys[1] }, body: { grace_seconds: 60 } }],
  "POST /api/v1/api-keys/{key}/end": [{ once, path: { key: keys[2] } }],
  "GET /api/v1/agents/{agent}": [{ path: { agent } }],
  "POST /api/v1/agents": [{ once, body: { code: "AG-3", name: "Achieng Third", phone: "0722000003" } }],
  "PATCH /api/v1/agents/{agent}": [
    { once, path: { agent: agentToCorrect }, headers: latest, body: { ended: true } },
  ],
  "GET /api/v1/groups/{group}": [{ path: { group } }],
  "POST /api/v1/groups": [{ once, body: { code: "GR-3", name: "Group three", ward_code: "0234" } }],
  "PATCH /api/v1/groups/{group}": [
    { once, path: { group: groupToCorrect }, headers: latest, body: { name: "Group the second" } },
  ],
  "GET /api/v1/farmers/{farmer}": [{ path: { farmer: farmers[0] } }],
  "POST /api/v1/farmers": [{ once, body: { ...farmer(11), agent: "AG-1", group: "GR-1" } }],
  "PATCH /api/v1/farmers/{farmer}": [
    { once, path: { farmer: farmers[1] }, headers: latest, body: { language: "en", group_id: group } },
  ],
  "POST /api/v1/farmers/bulk": [
    { once, query: { dry_run: true }, body: { farmers: [farmer(12)] } },
    { once, body: { farmers: [farmer(13)] } },
    {
      once,
      media_type: "text/csv",
      body:
        "phone,name,national_id,ward_code,consent_version,consent_obtained\n" +
        `0711000014,Akinyi,30000014,0234,${CONSENT},paper\n`,
    },
  ],
  "GET /api/v1/plots/{plot}": [{ path: { plot: plots[0] } }],
  "POST /api/v1/plots": [
    { once, body: { farmer_id: farmers[2], acres: 2, crop: "beans", point: { lat: 2.33, lon: 37.98 } } },
    { once, body: { farmer_id: farmers[2], acres: 2, crop: "beans" } },
  ],
  "POST /api/v1/quotes": [{ once, body: quoteOf(plots[2]) }],
  "GET /api/v1/quotes/{quote}": [{ path: { quote } }],
  "POST /api/v1/policies": [{ once, body: { quote: quoteToBuy, consent: { ...purchase, obtained_by: "AG-1" } } }],
  "GET /api/v1/policies/{policy}": [{ path: { policy } }],
  "POST /api/v1/policies/{policy}/cancel": [{ once, path: { policy: policyToCancel } }],
  "GET /api/v1/payments/{payment}": [{ path: { payment } }],
  "GET /api/v1/evaluations/{evaluation}": [{ path: { evaluation: released } }],
  "GET /api/v1/evidence/{evidence}": [{ path: { evidence } }],
  "GET /api/v1/payouts/{payout}": [{ path: { payout: refused } }],
  "GET /api/v1/endpoints/{endpoint}": [{ path: { endpoint: endpoints[0] } }],
  "POST /api/v1/endpoints": [{ once, body: hooked(5) }],
  "PATCH /api/v1/endpoints/{endpoint}": [
    { once, path: { endpoint: endpoints[1] }, headers: latest, body: { description: "ours" } },
  ],
  "DELETE /api/v1/endpoints/{endpoint}": [{ once, path: { endpoint: endpoints[2] } }],
  "POST /api/v1/endpoints/{endpoint}/rotate-secret": [{ once, path: { endpoint: endpoints[3] } }],
  "POST /api/v1/endpoints/{endpoint}/test": [{ once, path: { endpoint: endpoints[0] } }],
  "POST /api/v1/endpoints/{endpoint}/replay": [
    { once, path: { endpoint: endpoints[0] }, body: { since: "2026-01-01T00:00:00Z", delivered: true } },
  ],
  "GET /api/v1/deliveries/{delivery}": [{ path: { delivery } }],
  "POST /api/v1/deliveries/{delivery}/replay": [{ once, path: { delivery } }],
  "POST /api/v1/payout-runs/{evaluation}/approve": [{ path: { evaluation: held }, body: { reason: "looked at" } }],
  "POST /api/v1/payouts/{payout}/retry": [{ path: { payout: refused }, body: { reason: "account mended" } }],
  "PUT /api/v1/operator/wards/{code}": [{ path: { code: "0234" }, body: { lat: 2.33, lon: 37.98 } }],
  "POST /api/v1/operator/organisations": [{ body: { name: "Third Insurer", kind: "insurer" } }],
  "POST /api/v1/operator/organisations/{organisation}/state": [
    { path: { organisation: other }, body: { state: "suspended" } },
    { path: { organisation: other }, body: { state: "active" } },
  ],
  "GET /api/v1/operator/organisations/{organisation}/keys": [{ path: { organisation: other } }],
  "POST /api/v1/operator/organisations/{organisation}/keys": [
    { path: { organisation: other }, body: { name: "second key", scopes: ["plots:read"] } },
  ],
  "POST /api/v1/operator/organisations/{organisation}/keys/{key}/end": [
    { path: { organisation: other, key: keyOfOther } },
  ],
  "POST /api/v1/operator/people/{operator}/role": [
    { path: { operator: toChange.session.operator.id }, body: { role: "auditor" } },
  ],
  "POST /api/v1/operator/people/{operator}/end": [{ path: { operator: toLeave.session.operator.id } }],
  "POST /api/v1/operator/invitations": [{ body: { email: "invited@example.com", role: "auditor" } }],
  "POST /api/v1/operator/invitations/{invitation}/withdraw": [{ path: { invitation: toWithdraw } }],
  "POST /api/v1/invitations/accept": [{ body: { token: toAccept, name: "Accepting", password: PASSWORD } }],
  "POST /api/v1/invitations/confirm": [
    { body: { token: toConfirm, totp: totp(confirming.totp_secret, seconds) } },
  ],
  "POST /api/v1/sessions": [
    // the code of the step behind the one that was used to confirm
    { body: { name: "Zawadi", password: PASSWORD, totp: totp(toSignIn.secret, seconds + 30) } },
  ],
  "POST /api/v1/sessions/refresh": [{ body: { refresh_token: toChange.session.refresh_token } }],
  "POST /api/v1/sessions/sign-out": [{ body: { refresh_token: toSignIn.session.refresh_token } }],
};

// what other phases put into paths half of the time, so that handlers are reached; nothing that
// the run itself stands on
const ids = {
  farmer: farmers, plot: plots, quote: [quote], policy: [policy], agent: [agent], group: [group],
  key: [keys[0]], endpoint: [endpoints[0], endpoints[1]], delivery: [delivery], payment: [payment],
  evaluation: [released, held], payout: [refused], evidence: [evidence], organisation: [other],
  operator: [toChange.session.operator.id], invitation: [toWithdraw], code: ["0234", "0331"],
};

writeFileSync(WORLD, JSON.stringify({ requests, ids }, null, 1));
