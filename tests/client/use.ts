// A partner's program over the client that is generated from docs/openapi.json: enrols a farmer,
// quotes, buys with consent, pages, corrects by version, repeats a change and reads a refusal. Every
// path, member and status here is checked by the compiler against the document, and every answer
// against what it must be. Must never reach round the client. Run by `cargo xtask contract`.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { env: Record<string, string | undefined> };

const baseUrl = process.env["BASE_URL"] ?? "";
const key = process.env["CLIENT_KEY"] ?? "";
const now = process.env["NOW"] ?? "";
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

type Problem = components["schemas"]["Problem"];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`it should be that ${what}`);
}

/** The body of an answer that must be one. */
function done<T>(answer: { data?: T; error?: unknown; response: Response }, what: string): T {
  check(
    answer.data !== undefined && answer.response.ok,
    `${what} succeeds, not ${answer.response.status} ${JSON.stringify(answer.error)}`,
  );
  return answer.data;
}

let drawn = 0;
/** Headers of a new change. */
const once = () => ({ header: { "Idempotency-Key": `client-${(drawn += 1)}` } });

const partner = done(await api.GET("/api/v1/organisation"), "reading the partner");
check(partner.kind === "cooperative" && partner.state === "active", "the partner is active");

const products = done(await api.GET("/api/v1/products"), "listing products");
const product = products.items.find((one) => one.sale.is_open && one.payout === "linear");
check(product !== undefined, "a product is on sale");
const zone = product.zones[0];
const sum = product.sums_insured[0];
const ward = zone?.wards[0];
check(zone !== undefined && sum !== undefined && ward !== undefined, "it is sold somewhere");

const agent = done(
  await api.POST("/api/v1/agents", { params: once(), body: { code: "AG-1", name: "Otieno" } }),
  "adding an agent",
);

const enrolment: components["schemas"]["FarmerInput"] = {
  phone: "+254712345678",
  name: "Wanjiku wa Ng'ang'a",
  national_id: "12345678",
  language: "sw",
  ward_code: ward,
  agent: agent.code,
  consent: { version: "2026-01", obtained: "paper" },
};
const change = once();
const first = await api.POST("/api/v1/farmers", { params: change, body: enrolment });
const farmer = done(first, "enrolling a farmer");
check(farmer.national_id === "*****678", "her national ID is hidden");
const etag = first.response.headers.get("etag");
check(etag === '"1"', "a new farmer has her first version");
check(first.response.headers.get("ratelimit-limit") !== null, "the ceiling is told");

const again = await api.POST("/api/v1/farmers", { params: change, body: enrolment });
check(done(again, "the same change again").id === farmer.id, "it answers as before");
check(again.response.headers.get("idempotent-replayed") === "true", "it says so");

const other = await api.POST("/api/v1/farmers", {
  params: change,
  body: { ...enrolment, name: "Another" },
});
const reused: Problem | undefined = other.error;
check(other.response.status === 422 && reused?.code === "idempotency_key_reused", "a key is for one request");

const twice = await api.POST("/api/v1/farmers", { params: once(), body: enrolment });
const known: Problem | undefined = twice.error;
check(twice.response.status === 409 && known?.code === "already_enrolled", "she is enrolled once");

const bad = await api.POST("/api/v1/farmers", {
  params: once(),
  body: { ...enrolment, phone: "0700", national_id: "1" },
});
const invalid: Problem | undefined = bad.error;
check(bad.response.headers.get("content-type") === "application/problem+json", "a refusal is a problem");
check(invalid?.code === "invalid", "its code says what kind");
check(
  invalid.errors?.map((fault) => fault.field).join() === "phone,national_id",
  "each field that is wrong is named",
);

const plot = done(
  await api.POST("/api/v1/plots", {
    params: once(),
    body: { farmer_id: farmer.id, acres: 1.5, crop: "maize" },
  }),
  "adding a plot",
);
check(plot.located_by === "ward" && plot.acres === 1.5, "the plot is where its ward is");

const quote = done(
  await api.POST("/api/v1/quotes", {
    params: once(),
    body: { plot: plot.id, product: product.code, sum_insured: sum },
  }),
  "asking for a quote",
);
const premium = Math.ceil((sum.minor * zone.rate_bp) / 10_000 / 100) * 100;
check(quote.premium.minor === premium, "the premium is the zone's rate, up to a whole shilling");

const policy = done(
  await api.POST("/api/v1/policies", {
    params: once(),
    body: {
      quote: quote.id,
      consent: { version: "2026-01", obtained_by: agent.code, obtained_at: now },
    },
  }),
  "buying with consent",
);
check(policy.state === "awaiting_premium", "only her money puts it on risk");
check(policy.consent?.obtained_by === agent.id, "her consent is on record");

const payments = done(
  await api.GET("/api/v1/payments", { params: { query: { policy: policy.id } } }),
  "listing payments",
);
check(payments.items.length === 1 && payments.items[0]?.state === "requested", "her phone is asked once");

for (const code of ["GR-1", "GR-2", "GR-3"]) {
  const body = { code, name: `Group ${code}` };
  done(await api.POST("/api/v1/groups", { params: once(), body }), "adding a group");
}
const codes: string[] = [];
let cursor: string | undefined;
do {
  const query = cursor === undefined ? { limit: 2 } : { limit: 2, cursor };
  const page = done(await api.GET("/api/v1/groups", { params: { query } }), "listing groups");
  check(page.items.length <= 2, "a page has as many as were asked for");
  codes.push(...page.items.map((group) => group.code));
  cursor = page.next_cursor ?? undefined;
} while (cursor !== undefined);
// those of one instant come in any order, and time stands still here
check(codes.sort().join() === "GR-1,GR-2,GR-3", "the pages have everything once");

const correct = (version: string) =>
  api.PATCH("/api/v1/farmers/{farmer}", {
    params: {
      path: { farmer: farmer.id },
      header: { ...once().header, "If-Match": version },
    },
    body: { language: "en" },
  });
const corrected = await correct(etag);
check(done(corrected, "correcting her language").language === "en", "it is corrected");
check(corrected.response.headers.get("etag") === '"2"', "it is another version");
const stale = await correct(etag);
const behind: Problem | undefined = stale.error;
check(stale.response.status === 412 && behind?.code === "precondition_failed", "an old version is refused");

const cancelled = done(
  await api.POST("/api/v1/policies/{policy}/cancel", {
    params: { ...once(), path: { policy: policy.id } },
  }),
  "cancelling what is not paid",
);
check(cancelled.state === "cancelled", "it is cancelled");

const stranger = createClient<paths>({ baseUrl });
const refused = await stranger.GET("/api/v1/farmers");
const unknown: Problem | undefined = refused.error;
check(refused.response.status === 401 && unknown?.code === "unauthorised", "a stranger sees nothing");
