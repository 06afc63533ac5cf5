//! What follows a season, as a partner sees it: decisions with their numbers, payouts with the
//! rail's receipt numbers, payments, and evidence whose bytes are what its address says.

use axum::body::Body;
use axum::http::StatusCode;
use domain::evidence::{cid, short_code};
use serde_json::{Value, json};
use sqlx::PgPool;
use store::page::Slice;
use store::partner_views::{self, EvaluationFilter, PayoutFilter, PolicyFilter};
use store::payments::{self, PaymentFilter};
use store::{bundles, quotes};

use super::house::{House, Key};
use super::seed::{insure, seed};

const EVALUATIONS: &str = "/api/v1/evaluations";
const PAYOUTS: &str = "/api/v1/payouts";
const PAYMENTS: &str = "/api/v1/payments";
const EVIDENCE: &str = "/api/v1/evidence";

async fn count(key: &Key<'_>, path: &str) -> usize {
    let page = key.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
    page.json()["items"].as_array().unwrap().len()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_decision_shows_its_numbers_and_where_its_evidence_is(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let body = key
        .get(&format!("{EVALUATIONS}/{}", our.ids["evaluation"]))
        .await
        .json();
    assert_eq!(
        body["rain"],
        json!([{ "phase": "season", "rain_um": 186_500 }])
    );
    assert_eq!(body["weather_bp"], 5_000);
    assert_eq!(body["damage_index_bp"], Value::Null);
    assert_eq!(
        body["share"],
        json!({ "numerator": 1, "denominator": 2, "nearest_bp": 5_000 })
    );
    assert_eq!(body["holds"], json!([]));
    assert_eq!(body["confidence"], 95);
    assert_eq!(body["policies"], 1);
    assert_eq!(body["season"], "MAM-2026");
    assert_eq!(body["evidence"]["cid"], our.ids["evidence"].as_str());
    for others in ["total", "index_run", "bundle"] {
        assert!(!body.to_string().contains(others), "{others}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn evidence_is_the_bytes_that_its_address_names(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &key, 1).await;
    seed(&house, &theirs, 2).await;
    let address = &our.ids["evidence"];
    let answer = key.get(&format!("{EVIDENCE}/{address}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(&cid(&answer.body), address);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("etag"), format!("\"{address}\""));
    assert!(answer.header("cache-control").contains("immutable"));
    let code = short_code(&answer.body);
    for code in [code.clone(), code.to_lowercase()] {
        let by_code = key.get(&format!("{EVIDENCE}/{code}")).await;
        assert_eq!(by_code.body, answer.body, "{code}");
        let foreign = theirs.get(&format!("{EVIDENCE}/{code}")).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    }
    let known = key
        .request("GET", &format!("{EVIDENCE}/{address}"))
        .header("if-none-match", answer.header("etag"))
        .body(Body::empty());
    let known = house.send(known.unwrap()).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert!(known.body.is_empty());
    for nothing in ["%27", "a.b", &"a".repeat(65), "AAAAAAAA"] {
        let answer = key.get(&format!("{EVIDENCE}/{nothing}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nothing}");
    }
    house
        .change("update evaluations set bundle = bundle || ' '::bytea")
        .await;
    let altered = key.get(&format!("{EVIDENCE}/{address}")).await;
    assert_eq!(altered.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payout_shows_when_it_arrived_and_the_rails_receipts(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &key, 1).await;
    seed(&house, &theirs, 2).await;
    let path = format!("{PAYOUTS}/{}", our.ids["payout"]);
    let planned = key.get(&path).await.json();
    assert_eq!(planned["state"], "planned");
    assert_eq!(planned["receipts"], json!([]));
    assert_eq!(planned["paid_at"], Value::Null);
    // two legs arrived, after a first attempt that was refused; another's has receipts too
    house
        .change(
            "insert into payout_legs (id, payout_id, leg, attempt, originator_id, amount_minor,
                 currency, state, rail_receipt, decided_at)
             select gen_random_uuid(), payouts.id, part.leg, part.attempt,
                    'MC' || translate(substr(upper(md5(payouts.id::text || part.receipt)), 1, 18),
                                      '0189', 'WXYZ'),
                    250000, 'KES', part.state, part.receipt, '2026-06-20T10:00:00Z'
             from payouts, (values (1, 1, 'refused', 'RNONE'), (1, 2, 'paid', 'RB'),
                                   (2, 1, 'paid', 'RC')) part (leg, attempt, state, receipt);
             update payouts set state = 'paid', decided_at = '2026-06-20T10:00:00Z'",
        )
        .await;
    let paid = key.get(&path).await.json();
    assert_eq!(paid["state"], "paid");
    assert_eq!(paid["paid_at"], "2026-06-20T10:00:00Z");
    assert_eq!(paid["receipts"], json!(["RB", "RC"]));
    assert_eq!(
        paid["amount"],
        json!({ "minor": 500_000, "currency": "KES" })
    );
    house.change("update payouts set state = 'refused'").await;
    assert_eq!(key.get(&path).await.json()["paid_at"], Value::Null);
    let behind = |sql: &str| {
        store::testing::number_behind(&house.app.pool, theirs.organisation, sql.to_owned())
    };
    let ours = format!(
        "select coalesce(cardinality(payout_receipts('{}')), 0)::bigint",
        our.ids["payout"].trim_start_matches("pay_")
    );
    assert_eq!(
        behind(&ours).await.unwrap(),
        0,
        "the wall holds for receipts"
    );
    assert!(behind("select count(*) from payout_legs").await.is_err());
}

#[sqlx::test(migrations = "../migrations")]
async fn lists_are_cut_into_pages_and_filtered(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &key, 1).await;
    let their = seed(&house, &theirs, 2).await;
    for number in 3..=5 {
        insure(&house, number, (&our.ids["farmer"], &our.ids["plot"])).await;
    }
    let (farmer, policy) = (&our.ids["farmer"], &our.ids["policy"]);
    let evaluation = &our.ids["evaluation"];
    for list in [EVALUATIONS, PAYOUTS, PAYMENTS] {
        assert_eq!(key.all(list, 3).await.len(), 4, "{list}");
        assert_eq!(theirs.all(list, 3).await.len(), 1, "{list}");
        let of_policy = format!("{list}?policy={policy}");
        assert_eq!(count(&key, &of_policy).await, 1, "{list}");
        assert_eq!(count(&theirs, &of_policy).await, 0, "{list}");
        let foreign = format!("{list}?policy={}", their.ids["policy"]);
        assert_eq!(count(&key, &foreign).await, 0, "{list}");
    }
    for (query, expected) in [
        (format!("{PAYOUTS}?farmer={farmer}"), 4),
        (format!("{PAYOUTS}?farmer={}", their.ids["farmer"]), 0),
        (format!("{PAYOUTS}?evaluation={evaluation}"), 1),
        (format!("{PAYOUTS}?state=planned"), 4),
        (format!("{PAYOUTS}?state=paid"), 0),
        (format!("{PAYMENTS}?farmer={farmer}"), 4),
        (format!("{PAYMENTS}?state=requested"), 4),
        (format!("{PAYMENTS}?state=accepted"), 0),
        (format!("{EVALUATIONS}?product=P3"), 1),
        (format!("{EVALUATIONS}?product=P2"), 0),
        (format!("{EVALUATIONS}?season=MAM-2026"), 4),
        (format!("{EVALUATIONS}?season=MAM-2027"), 0),
    ] {
        assert_eq!(count(&key, &query).await, expected, "{query}");
    }
    for wrong in [
        format!("{PAYOUTS}?state=lost"),
        format!("{PAYMENTS}?state=paid"),
        format!("{EVALUATIONS}?season=x"),
        format!("{EVALUATIONS}?policy=x"),
    ] {
        let refused = key.get(&wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(refused.json()["errors"][0]["code"], "malformed", "{wrong}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payment_shows_what_came_of_it_and_nothing_of_the_rail(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    house
        .change(
            "update receipts set state = 'suspended', suspense_reason = 'mismatched',
                 collected_minor = 80000, rail_order_id = 'D-secret-order',
                 deposit_hash = '0xsecret', rail_receipt = 'RSECRET', needs_person = 'secret',
                 prompted_at = '2026-02-01T09:00:05Z', decided_at = '2026-02-01T09:01:00Z'",
        )
        .await;
    let answer = key.get(&format!("{PAYMENTS}/{}", our.ids["payment"])).await;
    let body = answer.json();
    assert_eq!(body["state"], "suspended");
    assert_eq!(body["suspense_reason"], "mismatched");
    assert_eq!(
        body["collected"],
        json!({ "minor": 80_000, "currency": "KES" })
    );
    assert_eq!(body["decided_at"], "2026-02-01T09:01:00Z");
    let text = answer.text().to_lowercase();
    for hidden in ["secret", "swypt", "rail", "enquir"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

/// The wall is tested in `walls`; this is the filter in front of it, asked where there is no wall.
#[sqlx::test(migrations = "../migrations")]
async fn without_the_wall_our_own_filter_hides_the_same(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &ours, 1).await;
    seed(&house, &theirs, 2).await;
    let mut conn = house.app.acquire().await.unwrap();
    let conn = &mut *conn;
    let slice = Slice::first(9);
    for (key, expected) in [(&ours, true), (&theirs, false)] {
        let asker = key.organisation;
        let id = |name: &str| our.ids[name].clone();
        let quote = id("quote").parse().unwrap();
        let quote = quotes::find_of_organisation(conn, asker, quote).await;
        let policy = id("policy").parse().unwrap();
        let policy = partner_views::find_policy(conn, asker, policy).await;
        let payment = id("payment").parse().unwrap();
        let payment = payments::find_of_organisation(conn, asker, payment).await;
        let evaluation = id("evaluation").parse().unwrap();
        let evaluation = partner_views::find_evaluation(conn, asker, evaluation).await;
        let payout = id("payout").parse().unwrap();
        let payout = partner_views::find_payout(conn, asker, payout).await;
        let bundle = bundles::find_of_organisation(conn, asker, &id("evidence")).await;
        let found = [
            quote.unwrap().is_some(),
            policy.unwrap().is_some(),
            payment.unwrap().is_some(),
            evaluation.unwrap().is_some(),
            payout.unwrap().is_some(),
            bundle.unwrap().is_some(),
        ];
        assert_eq!(found, [expected; 6]);
        let any = PolicyFilter::default();
        let policies = partner_views::list_policies(conn, asker, &any, slice).await;
        let any = PaymentFilter::default();
        let payments = payments::list_of_organisation(conn, asker, any, slice).await;
        let any = EvaluationFilter::default();
        let evaluations = partner_views::list_evaluations(conn, asker, None, &any, slice).await;
        let any = PayoutFilter::default();
        let payouts = partner_views::list_payouts(conn, asker, None, any, slice).await;
        let listed = [
            policies.unwrap().len(),
            payments.unwrap().len(),
            evaluations.unwrap().len(),
            payouts.unwrap().len(),
        ];
        assert_eq!(listed, [1; 4]);
    }
}
