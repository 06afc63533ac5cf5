//! Quotes and purchases for farmers: the phone's price, her consent on record, her phone asked once,
//! one cover a plot and season, and nothing left behind by what is refused.

use axum::http::StatusCode;
use chrono::TimeDelta;
use domain::money::Money;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{Answer, House, Key};
use super::seed::{farmer, product, seed};

const QUOTES: &str = "/api/v1/quotes";
const POLICIES: &str = "/api/v1/policies";
const CODE: &str = "KE-MZ-PD-LR";
const BELLS: &str = "select count(*) from outbox where topic = 'premium.requested.v1'";
const BOUGHT: &str = "select count(*) from policies";
const RESERVED: &str = "select coalesce(sum(reserved_minor), 0)::bigint from capacity";

async fn sell(house: &House, code: &str, capacity_kes: i64) {
    let now = house.app.clock.now();
    let mut conn = house.app.acquire().await.unwrap();
    let sold = product(code, capacity_kes);
    let id = house.app.ids.mint(now);
    store::products::publish(&mut conn, now, id, &sold)
        .await
        .unwrap();
}

/// A new farmer's plot in Karare.
async fn plot(key: &Key<'_>, number: u32) -> String {
    let who = key
        .post(
            "/api/v1/farmers",
            &format!("farmer-{number}"),
            &farmer(number),
        )
        .await;
    assert_eq!(who.status, StatusCode::CREATED, "{}", who.text());
    let wanted = json!({ "farmer_id": who.member("id"), "acres": 1.5, "crop": "maize" });
    let made = key
        .post("/api/v1/plots", &format!("plot-{number}"), &wanted)
        .await;
    made.member("id")
}

async fn ask(key: &Key<'_>, once: &str, plot: &str, code: &str, kes: i64) -> Answer {
    let sum = json!({ "minor": kes * 100, "currency": "KES" });
    let wanted = json!({ "plot": plot, "product": code, "sum_insured": sum });
    key.post(QUOTES, once, &wanted).await
}

async fn quoted(key: &Key<'_>, once: &str, plot: &str) -> String {
    let answer = ask(key, once, plot, CODE, 3_000).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.member("id")
}

fn purchase(quote: &str) -> Value {
    let consent = json!({ "version": "2026-01", "obtained_at": "2026-02-02T09:00:00Z" });
    json!({ "quote": quote, "consent": consent })
}

/// Buys with her consent of now.
async fn buy(key: &Key<'_>, once: &str, quote: &str) -> Answer {
    let mut wanted = purchase(quote);
    wanted["consent"]["obtained_at"] = json!(key.now().to_rfc3339());
    key.post(POLICIES, once, &wanted).await
}

/// The code of what is wrong: of the field, if it is one.
fn code(answer: &Answer) -> String {
    let body = answer.json();
    let field = body["errors"][0]["code"].as_str();
    field.map_or_else(|| answer.code(), str::to_owned)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_quote_has_the_price_of_the_phone_and_shows_what_it_would_pay(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let plot = plot(&key, 1).await;
    let answer = ask(&key, "q1", &plot, CODE, 3_000).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let body = answer.json();
    let sum = Money::kes(3_000).unwrap();
    let sold = product(CODE, 1_000_000);
    let phone = domain::quote::quote(&sold, "0321", sum, house.app.clock.now()).unwrap();
    assert_eq!(body["premium"]["minor"], phone.premium.minor);
    assert_eq!(body["expires_at"], "2026-02-03T09:00:00Z");
    assert_eq!(body["season"], "MAM-2026");
    assert_eq!(
        body["cover"],
        json!({ "start": "2026-03-01", "end": "2026-06-01" })
    );
    let paid = body["examples"].as_array().unwrap().iter();
    let paid = paid.map(|e| e["payout"]["minor"].as_i64().unwrap());
    assert_eq!(
        paid.collect::<Vec<_>>(),
        [0, 75_000, 150_000, 225_000, 300_000]
    );
    assert_eq!(body["examples"][2]["rain"][0]["rain_um"], 186_500);
    assert_eq!(body["policy_id"], Value::Null);
    let read = key.get(answer.header("location")).await;
    assert_eq!(read.body, answer.body);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_has_no_price_is_refused_with_what_would_help(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    sell(&house, CODE, 1_000_000).await;
    let (ours, foreign) = (plot(&key, 1).await, plot(&theirs, 2).await);
    let kitui = json!({ "farmer_id": key.all("/api/v1/farmers", 9).await[0]["id"],
        "acres": 1, "crop": "maize", "ward_code": "0700" });
    let kitui = key.post("/api/v1/plots", "kitui", &kitui).await;
    for (number, (plot, product, kes, expected)) in [
        (foreign.as_str(), CODE, 3_000, "unknown"),
        ("plt_1", CODE, 3_000, "malformed"),
        (&ours, "NONE", 3_000, "unknown"),
        (&ours, CODE, 4_000, "not_on_offer"),
        (&kitui.member("id"), CODE, 3_000, "not_sold_there"),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = ask(&key, &format!("q{number}"), plot, product, kes).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(code(&refused), expected, "{}", refused.text());
    }
    let euros = json!({ "plot": ours, "product": CODE,
        "sum_insured": { "minor": 300_000, "currency": "EUR" } });
    let euros = key.post(QUOTES, "euros", &euros).await;
    assert_eq!(code(&euros), "unknown_currency");
    house.time.set("2026-02-28T21:00:00Z".parse().unwrap());
    let late = ask(&key, "late", &ours, CODE, 3_000).await;
    assert_eq!(code(&late), "sale_closed");
    assert_eq!(house.count("select count(*) from quotes").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_purchase_sent_again_asks_her_phone_once(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let agent = json!({ "code": "AG-1", "name": "Otieno Seed", "phone": "0722000001" });
    let agent = key.post("/api/v1/agents", "agent", &agent).await;
    let quote = quoted(&key, "q1", &plot(&key, 1).await).await;
    let mut wanted = purchase(&quote);
    wanted["consent"]["obtained_by"] = json!("AG-1");
    let bought = key.post(POLICIES, "b1", &wanted).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.text());
    let again = key.post(POLICIES, "b1", &wanted).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, bought.body);
    for once in [BELLS, BOUGHT, "select count(*) from receipts"] {
        assert_eq!(house.count(once).await, 1, "{once}");
    }
    assert_eq!(house.count(RESERVED).await, 300_000);
    let body = bought.json();
    assert_eq!(body["state"], "awaiting_premium");
    assert_eq!(body["consent"]["version"], "2026-01");
    assert_eq!(body["consent"]["obtained_at"], "2026-02-02T09:00:00Z");
    assert_eq!(body["consent"]["obtained_by"], agent.member("id"));
    let named = "select count(*) from outbox o join receipts r on r.id = o.subject_id
                 join policies p on p.id = r.policy_id
                 where r.state = 'requested' and r.amount_minor = p.premium_minor";
    assert_eq!(house.count(named).await, 1);
    let payments = key.all("/api/v1/payments", 9).await;
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0]["policy_id"], body["id"]);
    assert_eq!(payments[0]["state"], "requested");
    assert_eq!(payments[0]["amount"], body["premium"]);
    let spent = key.get(&format!("{QUOTES}/{quote}")).await.json();
    assert_eq!(spent["policy_id"], body["id"]);
    let read = key.get(bought.header("location")).await;
    assert_eq!(read.body, bought.body);
    assert_eq!(read.header("etag"), bought.header("etag"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plot_has_one_cover_a_season_and_the_second_buyer_is_told_which(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let plot = plot(&key, 1).await;
    let (first, second) = (
        quoted(&key, "q1", &plot).await,
        quoted(&key, "q2", &plot).await,
    );
    // at the same time, with two quotes
    let (one, two) = tokio::join!(buy(&key, "b1", &first), buy(&key, "b2", &second));
    let (won, lost) = if one.status == StatusCode::CREATED {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!(won.status, StatusCode::CREATED, "{}", won.text());
    assert_eq!(lost.status, StatusCode::CONFLICT, "{}", lost.text());
    assert_eq!(lost.code(), "already_insured");
    assert_eq!(lost.member("policy_id"), won.member("id"));
    let third = quoted(&key, "q3", &plot).await;
    let later = buy(&key, "b3", &third).await;
    assert_eq!(later.member("policy_id"), won.member("id"));
    assert_eq!(house.count(BELLS).await, 1);
    assert_eq!(house.count(BOUGHT).await, 1);
    assert_eq!(house.count(RESERVED).await, 300_000);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_buys_or_cancels_what_is_anothers(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    sell(&house, CODE, 1_000_000).await;
    let quote = quoted(&theirs, "q1", &plot(&theirs, 1).await).await;
    let foreign = key.get(&format!("{QUOTES}/{quote}")).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let stolen = buy(&key, "b1", &quote).await;
    assert_eq!(stolen.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(code(&stolen), "unknown");
    assert_eq!(house.count(BOUGHT).await, 0);
    let bought = buy(&theirs, "b1", &quote).await;
    let path = bought.header("location");
    assert_eq!(key.get(path).await.status, StatusCode::NOT_FOUND);
    let cancelled = key.post(&format!("{path}/cancel"), "c1", &json!({})).await;
    assert_eq!(cancelled.status, StatusCode::NOT_FOUND);
    assert_eq!(theirs.get(path).await.json()["state"], "awaiting_premium");
    assert!(key.all(POLICIES, 9).await.is_empty());
    assert!(key.all("/api/v1/payments", 9).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_quote_is_bought_while_it_holds_and_at_its_own_terms(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let plot = plot(&key, 1).await;
    let stale = quoted(&key, "q1", &plot).await;
    house.time.advance(TimeDelta::hours(24));
    let refused = buy(&key, "b1", &stale).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.code(), "quote_expired");
    let replaced = quoted(&key, "q2", &plot).await;
    sell(&house, CODE, 2_000_000).await;
    let refused = buy(&key, "b2", &replaced).await;
    assert_eq!(refused.code(), "product_replaced");
    house.time.set("2026-02-28T20:59:00Z".parse().unwrap());
    let last = quoted(&key, "q3", &plot).await;
    house.time.set("2026-02-28T21:00:00Z".parse().unwrap());
    let refused = buy(&key, "b3", &last).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.code(), "sale_closed");
    for nothing in [BOUGHT, BELLS, RESERVED] {
        assert_eq!(house.count(nothing).await, 0, "{nothing}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_sold_out_is_refused_and_leaves_nothing(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 5_000).await;
    let first = quoted(&key, "q1", &plot(&key, 1).await).await;
    let second = quoted(&key, "q2", &plot(&key, 2).await).await;
    let bought = buy(&key, "b1", &first).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.text());
    let full = buy(&key, "b2", &second).await;
    assert_eq!(full.status, StatusCode::CONFLICT);
    assert_eq!(full.code(), "capacity_full");
    assert_eq!(house.count(BOUGHT).await, 1);
    assert_eq!(house.count(RESERVED).await, 300_000);
    // what is given back can be sold, with the key that was refused
    let path = format!("{}/cancel", bought.header("location"));
    let cancelled = key.post(&path, "c1", &json!({})).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text());
    let bought = buy(&key, "b2", &second).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.text());
    assert_eq!(house.count(RESERVED).await, 300_000);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_her_consent_nothing_is_bought(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    sell(&house, CODE, 1_000_000).await;
    let quote = quoted(&key, "q1", &plot(&key, 1).await).await;
    let agent = json!({ "code": "AG-1", "name": "Otieno Seed", "phone": "0722000001" });
    let foreign = theirs.post("/api/v1/agents", "agent", &agent).await;
    let (version, at) = ("2026-01", "2026-02-02T09:00:00Z");
    for (number, (consent, field, expected)) in [
        (Value::Null, "consent", "missing"),
        (json!({ "obtained_at": at }), "consent.version", "missing"),
        (
            json!({ "version": "2025-01", "obtained_at": at }),
            "consent.version",
            "unknown_version",
        ),
        (
            json!({ "version": version }),
            "consent.obtained_at",
            "missing",
        ),
        (
            json!({ "version": version, "obtained_at": "yesterday" }),
            "consent.obtained_at",
            "malformed",
        ),
        (
            json!({ "version": version, "obtained_at": "2026-02-02T09:00:01Z" }),
            "consent.obtained_at",
            "in_the_future",
        ),
        (
            json!({ "version": version, "obtained_at": "2026-02-02T08:49:59Z" }),
            "consent.obtained_at",
            "before_the_quote",
        ),
        (
            json!({ "version": version, "obtained_at": at, "obtained_by": foreign.member("id") }),
            "consent.obtained_by",
            "unknown",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wanted = purchase(&quote);
        wanted["consent"] = consent;
        let refused = key.post(POLICIES, &format!("b{number}"), &wanted).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let fault = &refused.json()["errors"][0];
        assert_eq!(fault["field"], field, "{}", refused.text());
        assert_eq!(fault["code"], expected, "{}", refused.text());
    }
    let silent = json!({ "quote": quote });
    let silent = key.post(POLICIES, "silent", &silent).await;
    assert_eq!(code(&silent), "missing");
    assert_eq!(house.count(BOUGHT).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unpaid_policy_is_cancelled_unless_her_phone_is_ringing(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let plot = plot(&key, 1).await;
    let quote = quoted(&key, "q1", &plot).await;
    let bought = buy(&key, "b1", &quote).await;
    let path = bought.header("location").to_owned();
    let cancel = format!("{path}/cancel");
    let moved = |state: &str| {
        format!(
            "update receipts set state = '{state}', prompted_at = '2026-02-02',
             next_check_at = '2026-02-02'"
        )
    };
    house.change(moved("sent")).await;
    let ringing = key.post(&cancel, "c1", &json!({})).await;
    assert_eq!(ringing.status, StatusCode::CONFLICT);
    assert_eq!(ringing.code(), "prompt_open");
    assert_eq!(key.get(&path).await.json()["state"], "awaiting_premium");
    house.change(moved("requested")).await;
    let cancelled = key.post(&cancel, "c1", &json!({})).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text());
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert_ne!(cancelled.header("etag"), bought.header("etag"));
    assert_eq!(house.count(RESERVED).await, 0);
    let payments = key.all("/api/v1/payments", 9).await;
    assert_eq!(payments[0]["state"], "refused");
    let twice = key.post(&cancel, "c2", &json!({})).await;
    assert_eq!(twice.code(), "not_awaiting_premium");
    assert_eq!(house.count(RESERVED).await, 0);
    let used = buy(&key, "b2", &quote).await;
    assert_eq!(used.code(), "quote_used");
    let fresh = quoted(&key, "q2", &plot).await;
    let bought = buy(&key, "b3", &fresh).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.text());
}

#[sqlx::test(migrations = "../migrations")]
async fn policies_are_listed_by_what_they_are(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    // one active policy of another product, bought the day before
    let our = seed(&house, &key, 1).await;
    sell(&house, CODE, 1_000_000).await;
    for number in 1..=3 {
        let plot = plot(&key, number).await;
        let quote = quoted(&key, &format!("q{number}"), &plot).await;
        buy(&key, &format!("b{number}"), &quote).await;
        house.time.advance(TimeDelta::hours(1));
    }
    let all = key.all(POLICIES, 2).await;
    assert_eq!(all.len(), 4);
    let farmer = all[1]["farmer_id"].as_str().unwrap();
    let count = async |query: &str| {
        let page = key.get(&format!("{POLICIES}?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        page.json()["items"].as_array().unwrap().len()
    };
    for (query, expected) in [
        ("state=active".to_owned(), 1),
        ("state=awaiting_premium".to_owned(), 3),
        ("state=lapsed".to_owned(), 0),
        (format!("product={CODE}"), 3),
        ("product=P1&state=active".to_owned(), 1),
        ("season=MAM-2026".to_owned(), 4),
        ("season=MAM-2025".to_owned(), 0),
        ("season=OND-2026".to_owned(), 0),
        (format!("farmer={farmer}"), 1),
        (format!("farmer={}", our.ids["farmer"]), 1),
        ("created_from=2026-02-02T10:00:00Z".to_owned(), 2),
        ("created_before=2026-02-02T10:00:00Z".to_owned(), 2),
        (
            "created_from=2026-02-02T09:00:00Z&created_before=2026-02-02T10:00:00Z".to_owned(),
            1,
        ),
    ] {
        assert_eq!(count(&query).await, expected, "{query}");
    }
    for wrong in ["state=sold", "season=2026", "farmer=x", "created_from=now"] {
        let refused = key.get(&format!("{POLICIES}?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(code(&refused), "malformed", "{wrong}");
    }
    let path = format!("{POLICIES}/{}", our.ids["policy"]);
    let read = key.get(&path).await;
    let request = key
        .request("GET", &path)
        .header("if-none-match", read.header("etag"))
        .body(axum::body::Body::empty());
    let known = house.send(request.unwrap()).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert!(known.body.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_corrected_product_does_not_insure_a_plot_twice(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    sell(&house, CODE, 1_000_000).await;
    let plot = plot(&key, 1).await;
    let first = quoted(&key, "q1", &plot).await;
    let bought = key.post(POLICIES, "b1", &purchase(&first)).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.text());
    house.time.advance(chrono::TimeDelta::minutes(10));
    sell(&house, CODE, 999_999).await;
    let second = quoted(&key, "q2", &plot).await;
    let refused = key.post(POLICIES, "b2", &purchase(&second)).await;
    assert_eq!(code(&refused), "already_insured", "{}", refused.text());
    assert_eq!(house.count(BOUGHT).await, 1);
    let noted =
        "select count(*) from audit_log where action = 'policy.bought' and actor like 'key_%'";
    assert_eq!(house.count(noted).await, 1);
}
