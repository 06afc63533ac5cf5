//! Farmers, plots, policies and capacity against a real database: happy, duplicate, stale.
//! Personal data must not be readable in a row.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot set up, it cannot go on without"
)]

use chrono::{DateTime, TimeDelta, Utc};
use domain::cell::PlotCell;
use domain::i18n::{Crop, Language};
use domain::id::{FarmerId, PlotId, PolicyId, ProductVersionId, QuoteId, ReceiptId, RiskId};
use domain::money::Money;
use domain::policy::PolicyState;
use domain::quote::{QuoteError, quote};
use domain::ussd::PolicyStatus;
use sqlx::{PgPool, Row};
use store::farmers::{self, NewFarmer, Registered};
use store::plots::{self, NewPlot};
use store::policies::{self, Policy};
use store::quotes::{self, Quoted};
use store::{Connection, Pii, StoreError, capacity, products, seasons, ussd, wards};

const PRODUCT: &str = r#"
schema = 1
code = "KE-MZ-PD-LR"
crop = "maize"
currency = "KES"
sums_insured_kes = [3000, 5000, 10000]
release_auto_max_kes = 100000
capacity_kes_per_cell = 5000
payout_min_kes = 10
name = { en = "Rain deficit", sw = "Upungufu wa mvua" }
season = { code = "MAM", sale = "01-15..02-28", cover = "03-01..05-31" }
payout = { function = "linear" }
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
code = "marsabit"
wards = ["0234"]
rate_bp = 2813
triggers = [{ phase = "season", trigger_mm = 278, exit_mm = 95 }]
"#;

fn now() -> DateTime<Utc> {
    "2026-02-01T09:00:00Z".parse().unwrap()
}

fn pii() -> Pii {
    Pii::from_hex(&"ab".repeat(32), &"cd".repeat(32)).unwrap()
}

fn cell() -> PlotCell {
    "887a635567fffff".parse().unwrap()
}

async fn a_ward(conn: &mut Connection) {
    let ward = wards::Ward {
        code: "0234".to_owned(),
        name: "Karare".to_owned(),
        constituency: "Saku".to_owned(),
        county: "Marsabit".to_owned(),
        cell: cell(),
    };
    assert_eq!(
        wards::insert_missing(conn, now(), std::slice::from_ref(&ward))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        wards::insert_missing(conn, now(), &[ward]).await.unwrap(),
        0
    );
}

async fn register(conn: &mut Connection, n: u8, phone: u8, national_id: &str) -> Registered {
    let seal = |plain: &[u8]| pii().seal([n; 12], plain).unwrap();
    let farmer = NewFarmer {
        id: FarmerId::from_parts(1, [n; 10]),
        phone_index: &[phone; 32],
        phone_cipher: &seal(b"254712345678"),
        name_cipher: &seal(b"Wanjiku Kamau"),
        national_id_index: &pii().national_id_index(national_id),
        national_id_cipher: &seal(national_id.as_bytes()),
        language: Language::Sw,
        ward_code: "0234",
        pin_hash: None,
        consent_version: "2026-01",
    };
    farmers::insert(conn, now(), &farmer).await.unwrap()
}

/// A farmer with one plot.
async fn a_plot(conn: &mut Connection, n: u8) -> PlotId {
    assert_eq!(
        register(conn, n, n, &format!("1234567{n}")).await,
        Registered::Fresh
    );
    let id = PlotId::from_parts(1, [n; 10]);
    let plot = NewPlot {
        id,
        farmer_id: FarmerId::from_parts(1, [n; 10]),
        ward_code: "0234",
        cell: cell(),
        acres_e2: 150,
        crop: Crop::Maize,
        sown_on: None,
        intent_key: Some("a"),
    };
    assert!(plots::insert(conn, now(), &plot).await.unwrap());
    id
}

/// Inserts a quote and a policy awaiting its premium.
async fn buy(conn: &mut Connection, n: u8, plot_id: PlotId) -> Result<Policy, StoreError> {
    let product = domain::product::Product::from_toml(PRODUCT).unwrap();
    let version = ProductVersionId::from_parts(1, [1; 10]);
    products::publish(conn, now(), version, &product)
        .await
        .unwrap();
    let quote = quote(&product, "0234", Money::kes(3_000).unwrap(), now()).unwrap();
    let farmer_id = FarmerId::from_parts(1, [plot_id.uuid().into_bytes()[15]; 10]);
    let id = PolicyId::from_parts(1, [n; 10]);
    let quoted = Quoted {
        id: QuoteId::from_parts(1, [n; 10]),
        farmer_id,
        plot_id,
        version,
        quote: &quote,
    };
    quotes::insert(conn, now(), quoted).await?;
    let policy = Policy {
        id,
        farmer_id,
        plot_id,
        version,
        season_year: 2026,
        zone: "marsabit".to_owned(),
        risk_cell: cell().risk_cell(),
        accumulation_cell: cell().risk_cell().accumulation_cell(),
        risk_id: None,
        window: quote.cover,
        sale_closes_at: "2026-02-28T21:00:00Z".parse().unwrap(),
        sum_insured: quote.sum_insured,
        premium: quote.premium,
        state: PolicyState::AwaitingPremium,
        short_code: domain::ussd::policy_code(id),
        bought_at: now(),
        lapses_at: domain::policy::lapses_at(now()),
    };
    policies::insert(conn, &policy, quoted.id, None).await?;
    Ok(policy)
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_phone_and_a_national_id_register_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    assert_eq!(
        register(&mut conn, 1, 1, "12345678").await,
        Registered::Fresh
    );
    assert_eq!(
        register(&mut conn, 2, 1, "87654321").await,
        Registered::PhoneTaken
    );
    assert_eq!(
        register(&mut conn, 3, 2, "12345678").await,
        Registered::NationalIdTaken
    );
    let caller = farmers::find_caller(&mut conn, &pii(), &[1; 32])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (caller.name.as_str(), caller.has_pin),
        ("Wanjiku Kamau", false)
    );
    assert!(
        farmers::find_caller(&mut conn, &pii(), &[2; 32])
            .await
            .unwrap()
            .is_none()
    );
    let contact = farmers::get_contact(&mut conn, &pii(), caller.id)
        .await
        .unwrap();
    assert_eq!(contact.phone.e164(), "+254712345678");
    let row = sqlx::raw_sql("select name_cipher, phone_cipher from farmers");
    let row = row.fetch_one(&mut *conn).await.unwrap();
    let (name, phone): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
    assert!(!name.windows(7).any(|w| w == b"Wanjiku"));
    assert!(!phone.windows(9).any(|w| w == b"712345678"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_third_miss_locks_for_a_day_and_a_pin_is_set_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    register(&mut conn, 1, 1, "12345678").await;
    let id = FarmerId::from_parts(1, [1; 10]);
    farmers::set_pin(&mut conn, id, "hash").await.unwrap();
    let again = farmers::set_pin(&mut conn, id, "other").await;
    assert!(matches!(again, Err(StoreError::Stale { .. })));
    for misses in [1, 2] {
        let state = farmers::miss_pin(&mut conn, now(), id).await.unwrap();
        assert_eq!((state.misses, state.is_locked(now())), (misses, false));
    }
    let locked = farmers::miss_pin(&mut conn, now(), id).await.unwrap();
    assert!(locked.is_locked(now() + TimeDelta::hours(24) - TimeDelta::seconds(1)));
    assert!(!locked.is_locked(now() + TimeDelta::hours(24)));
    assert_eq!(locked.misses, 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_plot_of_the_same_intent_is_added_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    let id = a_plot(&mut conn, 1).await;
    let farmer_id = FarmerId::from_parts(1, [1; 10]);
    let again = NewPlot {
        id: PlotId::from_parts(2, [2; 10]),
        farmer_id,
        ward_code: "0234",
        cell: cell(),
        acres_e2: 150,
        crop: Crop::Maize,
        sown_on: None,
        intent_key: Some("a"),
    };
    assert!(!plots::insert(&mut conn, now(), &again).await.unwrap());
    assert_eq!(plots::count_locked(&mut conn, farmer_id).await.unwrap(), 1);
    let stranger = FarmerId::from_parts(9, [9; 10]);
    assert!(
        plots::find_of_farmer(&mut conn, stranger, id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        plots::find_of_farmer(&mut conn, farmer_id, id)
            .await
            .unwrap()
            .is_some()
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_plot_has_one_live_policy_and_lapsing_frees_it(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    let plot = a_plot(&mut conn, 1).await;
    let policy = buy(&mut conn, 1, plot).await.unwrap();
    let twice = buy(&mut conn, 2, plot).await;
    assert!(
        matches!(&twice, Err(StoreError::Conflict { constraint }) if constraint == "policies_one_live")
    );
    let live = policies::find_live_locked(&mut conn, plot, policy.version, 2026)
        .await
        .unwrap();
    assert_eq!(live, Some(policy.clone()));
    let late = now() + TimeDelta::hours(24);
    assert!(
        policies::list_to_lapse(&mut conn, now(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        policies::list_to_lapse(&mut conn, late, 10).await.unwrap(),
        [policy.id]
    );
    policies::lapse(&mut conn, late, policy.id).await.unwrap();
    let risk = RiskId::from_parts(1, [1; 10]);
    for stale in [
        policies::lapse(&mut conn, late, policy.id).await,
        policies::activate(&mut conn, late, policy.id, risk).await,
        policies::settle(&mut conn, late, policy.id).await,
    ] {
        assert!(matches!(stale, Err(StoreError::Stale { .. })));
    }
    buy(&mut conn, 3, plot).await.unwrap();
    let listed = seasons::list_policies(&mut conn, &[1; 32], 9)
        .await
        .unwrap();
    let states: Vec<_> = listed.into_iter().map(|summary| summary.status).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&PolicyStatus::Lapsed));
    assert!(states.contains(&PolicyStatus::AwaitingPremium));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_premium_is_asked_for_once_until_the_prompt_is_decided(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    let plot = a_plot(&mut conn, 1).await;
    let policy = buy(&mut conn, 1, plot).await.unwrap();
    let ask = |n: u8| ReceiptId::from_parts(1, [n; 10]);
    let first = policies::request_premium(&mut conn, now(), &policy, ask(1))
        .await
        .unwrap();
    assert_eq!(first, Some(ask(1)));
    let open = policies::request_premium(&mut conn, now(), &policy, ask(2))
        .await
        .unwrap();
    assert_eq!(open, None);
    let refuse = sqlx::raw_sql("update receipts set state = 'refused'");
    refuse.execute(&mut *conn).await.unwrap();
    let next = policies::request_premium(&mut conn, now(), &policy, ask(3))
        .await
        .unwrap();
    assert_eq!(next, Some(ask(3)));
    let rows = sqlx::raw_sql("select attempt from receipts order by attempt");
    let rows = rows.fetch_all(&mut *conn).await.unwrap();
    let attempts: Vec<i16> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(attempts, [1, 2]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn capacity_is_never_oversold_by_concurrent_buyers(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    a_ward(&mut conn).await;
    let plot = a_plot(&mut conn, 1).await;
    let exposure = buy(&mut conn, 1, plot).await.unwrap().exposure();
    drop(conn);
    let (amount, limit) = (Money::kes(3_000).unwrap(), Money::kes(5_000).unwrap());
    let reserve = async |n: u8| {
        let mut tx = pool.begin().await.unwrap();
        let id = uuid::Uuid::from_bytes([n; 16]);
        let had = capacity::reserve(&mut tx, id, exposure, amount, limit)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        had
    };
    let (first, second) = tokio::join!(reserve(1), reserve(2));
    assert!(first ^ second, "exactly one of two fits");
    let mut conn = pool.acquire().await.unwrap();
    capacity::bind(&mut conn, exposure, amount).await.unwrap();
    let again = capacity::bind(&mut conn, exposure, amount).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })));
    let release = capacity::release(&mut conn, exposure, amount).await;
    assert!(matches!(release, Err(StoreError::Stale { .. })));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_intent_of_a_hop_is_claimed_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let key = [7; 32];
    assert_eq!(
        ussd::claim(&mut conn, now(), &key, 3, "buy").await.unwrap(),
        None
    );
    ussd::conclude(&mut conn, &key, 3, "buy", "sold_out", None)
        .await
        .unwrap();
    let second = ussd::claim(&mut conn, now(), &key, 3, "buy")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.outcome, "sold_out");
    assert_eq!(
        ussd::claim(&mut conn, now(), &key, 3, "set_pin")
            .await
            .unwrap(),
        None
    );
    let all = ussd::list_by_session(&mut conn, &key).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        ussd::purge(&mut conn, now() + TimeDelta::days(2), 10)
            .await
            .unwrap(),
        2
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_draft_is_not_published_and_retires_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let sold = domain::product::Product::from_toml(PRODUCT).unwrap();
    let [first, second] = [1, 2].map(|n| ProductVersionId::from_parts(1, [n; 10]));
    products::publish(&mut conn, now(), first, &sold)
        .await
        .unwrap();
    let mut draft = sold;
    draft.schema = 2;
    draft.status = Some(domain::product::Status::Draft);
    let refused = products::publish(&mut conn, now(), second, &draft).await;
    assert!(
        matches!(&refused, Err(StoreError::Unsellable { code, fault: QuoteError::Draft })
            if code == "KE-MZ-PD-LR"),
        "{refused:?}"
    );
    let on_sale = products::list_on_sale(&mut conn).await.unwrap();
    let ids: Vec<_> = on_sale.iter().map(|version| version.id).collect();
    assert_eq!(ids, [first]);
}
