//! One of everything for a partner, so that another partner can be shown to see none of it.
//! A new path parameter of a partner's GET route needs a line in `seed`. Must hold no test.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use domain::evidence::{canonical_json, cid, short_code};
use domain::id::{EvaluationId, PayoutId, PolicyId, QuoteId, ReceiptId};
use domain::index::PhaseSum;
use domain::product::Product;
use domain::settle::{Observed, Outcome, settle};
use serde_json::json;
use uuid::Uuid;

use super::house::{House, Key};

/// What a partner has.
pub(crate) struct Seeded {
    /// A printed id for each path parameter.
    pub(crate) ids: BTreeMap<&'static str, String>,
    /// Texts that nobody else may see.
    pub(crate) words: Vec<String>,
}

impl Seeded {
    /// A path template with this partner's own ids.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut path = template.to_owned();
        for (name, id) in &self.ids {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        assert!(!path.contains('{'), "{template} needs a line in seed.rs");
        path
    }
}

/// A farmer as a partner sends her, different for each number.
pub(crate) fn farmer(number: u32) -> serde_json::Value {
    json!({
        "phone": format!("+2547{number:08}"),
        "name": format!("Wanjiku {}", letters(number)),
        "national_id": format!("{:08}", 20_000_000 + number),
        "language": "sw",
        "ward_code": "0321",
        "consent": { "version": "2026-01", "obtained": "paper" }
    })
}

/// A number in letters, because names have no digits.
pub(crate) fn letters(number: u32) -> String {
    number
        .to_string()
        .chars()
        .map(|c| char::from(b'a' + u8::try_from(c.to_digit(10).unwrap_or(0)).unwrap_or(0)))
        .collect()
}

/// One of everything; `number` is 1 to 9 and different for each partner.
pub(crate) async fn seed(house: &House, key: &Key<'_>, number: u32) -> Seeded {
    let post = async |path: &str, body: serde_json::Value| {
        let answer = key.post(path, &format!("seed{path}"), &body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.member("id")
    };
    let agent_body = json!({ "code": format!("AG-{number}"), "name": "Otieno Seed",
        "phone": format!("07220000{number:02}") });
    let agent = post("/api/v1/agents", agent_body).await;
    let group_body = json!({ "code": format!("GR-{number}"), "name": format!("Group {number}") });
    let group = post("/api/v1/groups", group_body).await;
    let mut farmer_body = farmer(100 + number);
    farmer_body["agent"] = json!(agent);
    farmer_body["group"] = json!(format!("GR-{number}"));
    let farmer_id = post("/api/v1/farmers", farmer_body.clone()).await;
    let plot_body = json!({ "farmer_id": farmer_id, "acres": 1.5, "crop": "maize" });
    let plot = post("/api/v1/plots", plot_body).await;
    let made = json!({ "name": "seeded key", "scopes": ["farmers:read"] });
    let api_key = post("/api/v1/api-keys", made).await;
    let hooked = json!({ "url": "https://example.org/", "events": ["payout.paid"] });
    let endpoint = post("/api/v1/endpoints", hooked).await;
    let test = format!("/api/v1/endpoints/{endpoint}/test");
    let delivery = key.post(&test, "seed-test", &json!({})).await;
    let delivery = delivery.member("delivery_id");
    let insured = insure(house, number, (&farmer_id, &plot)).await;

    let mut ids = insured;
    ids.insert("agent", agent);
    ids.insert("group", group);
    ids.insert("farmer", farmer_id);
    ids.insert("plot", plot);
    ids.insert("key", api_key);
    ids.insert("endpoint", endpoint);
    ids.insert("delivery", delivery);
    let mut words: Vec<String> = ids.values().cloned().collect();
    words.push(key.organisation.to_string());
    for field in ["phone", "name"] {
        let text = farmer_body[field].as_str().unwrap_or_default();
        words.push(text.trim_start_matches('+').to_owned());
    }
    Seeded { ids, words }
}

/// Maize in Karare and Marsabit Central: all is lost at 95 mm of rain, nothing from 278 mm.
pub(crate) fn product(code: &str, capacity_kes: i64) -> Product {
    let text = format!(
        r#"
schema = 1
code = "{code}"
crop = "maize"
currency = "KES"
sums_insured_kes = [3000, 5000, 10000]
release_auto_max_kes = 100000
capacity_kes_per_cell = {capacity_kes}
payout_min_kes = 10
name = {{ en = "Rain deficit", sw = "Upungufu wa mvua" }}
season = {{ code = "MAM", sale = "01-15..02-28", cover = "03-01..05-31" }}
payout = {{ function = "linear" }}
[[phases]]
code = "season"
days = "03-01..05-31"
weight_bp = 10000
[settlement]
dataset = "weatherxm"
fallback = []
filled_days_max_bp = 1000
decide_after_days = 20
stations_min = 2
[[zones]]
code = "z"
wards = ["0321", "0322"]
rate_bp = 2813
triggers = [{{ phase = "season", trigger_mm = 278, exit_mm = 95 }}]
"#
    );
    Product::from_toml(&text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// A quote, a policy on risk, its premium, the decision on its season and its payout: half of the
/// rain between trigger and exit fell, so half of it is lost. `number` is 1 to 9 and different each
/// time.
pub(crate) async fn insure(
    house: &House,
    number: u32,
    (farmer, plot): (&str, &str),
) -> BTreeMap<&'static str, String> {
    let id = |kind: u128| {
        Uuid::from_u128(
            0x0190_0000_0000_7000_8000_0000_0000_0000 | (kind << 32) | u128::from(number),
        )
    };
    let bare = |printed: &str| printed.rsplit('_').next().unwrap_or_default().to_owned();
    let (farmer, plot) = (bare(farmer), bare(plot));
    let [
        version,
        risk,
        run,
        quote,
        policy,
        receipt,
        evaluation,
        payout,
    ] = [1, 2, 3, 4, 5, 6, 7, 8].map(id);
    let at = "2026-02-01T09:00:00Z";
    let sold = product(&format!("P{number}"), 1_000_000);
    let (hash, document) = (sold.hash(), json!(sold).to_string());
    let phases = vec![PhaseSum::of_rain("season", 186_500, 0)];
    let observed = Observed::of_rain(phases, 2, 95);
    let settlement = match settle(&sold, &sold.zones[0], &observed) {
        Ok(Outcome::Settled(settlement)) => json!(settlement).to_string(),
        other => panic!("{other:?}"),
    };
    let observed = json!(observed).to_string();
    let bundle = canonical_json(&json!({ "form": "seed", "number": number }));
    let (cid, evidence) = (cid(&bundle), short_code(&bundle));
    let bundle = HEXLOWER.encode(&bundle);
    let sql = format!(
        "insert into product_versions values
             ('{version}', '{hash}', 'P{number}', '{document}', '{at}');
         insert into risks (id, product_version_id, zone, risk_cell, season_year, window_start,
             window_end, window_closes_at, state, created_at)
         values ('{risk}', '{version}', 'z', '877a53a49ffffff', 2026, '2026-03-01', '2026-06-01',
             '2026-05-31T21:00:00Z', 'evaluated', '{at}');
         insert into index_runs (id, risk_id, as_of_day, phases, stations, missing_days, confidence,
             final, manifest_hash, engine_version, computed_at)
         values ('{run}', '{risk}', '2026-05-31', '[]', 2, 0, 95, true, 'm', 'e', '{at}');
         insert into quotes (id, farmer_id, plot_id, product_version_id, season_year, zone,
             sum_insured_minor, premium_minor, currency, created_at, expires_at)
         values ('{quote}', '{farmer}', '{plot}', '{version}', 2026, 'z', 1000000, 84400, 'KES',
             '{at}', '{at}');
         insert into policies (id, farmer_id, plot_id, quote_id, product_version_id, season_year,
             zone, risk_cell, accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
             sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at,
             activated_at)
         values ('{policy}', '{farmer}', '{plot}', '{quote}', '{version}', 2026, 'z',
             '877a53a49ffffff', '857a53a7fffffff', '{risk}', '2026-03-01', '2026-06-01', '{at}',
             1000000, 84400, 'KES', 'active', 'SHORT{number}', '{at}', '{at}', '{at}');
         insert into receipts (id, policy_id, farmer_id, attempt, rail, amount_minor, currency, state,
             created_at)
         values ('{receipt}', '{policy}', '{farmer}', 1, 'swypt', 84400, 'KES', 'requested', '{at}');
         insert into evaluations (id, risk_id, index_run_id, observed, settlement, share_numerator,
             share_denominator, weather_bp, holds, policies, total_minor, currency, state, cid,
             short_code, bundle, evaluated_at)
         values ('{evaluation}', '{risk}', '{run}', '{observed}', '{settlement}', 1, 2, 5000, '{{}}', 1,
             500000, 'KES', 'approved', '{cid}', '{evidence}', '\\x{bundle}', '{at}');
         insert into payouts (id, policy_id, evaluation_id, amount_minor, currency, state, planned_at)
         values ('{payout}', '{policy}', '{evaluation}', 500000, 'KES', 'planned', '{at}')"
    );
    house.change(sql).await;
    BTreeMap::from([
        ("quote", QuoteId(quote).to_string()),
        ("policy", PolicyId(policy).to_string()),
        ("payment", ReceiptId(receipt).to_string()),
        ("evaluation", EvaluationId(evaluation).to_string()),
        ("evidence", cid),
        ("payout", PayoutId(payout).to_string()),
    ])
}
