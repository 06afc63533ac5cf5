//! The index role over a real database and a broker in memory: whatever order days arrive in, and
//! however they are batched, the rows are the same; one bad message does not hold up its neighbours;
//! what was decided stays. Run by cargo.

mod field;
mod scenes;

use data_processor::stream::Outcome;
use domain::event::Event;
use domain::measure::RainUm;
use runtime::topology::Role;
use sqlx::PgPool;

use self::field::{Field, RISKS, date, risk, season};

#[sqlx::test(migrations = "../migrations")]
async fn any_order_any_repetition_and_any_batching_give_the_same_rows(pool: PgPool) {
    let field = Field::new(pool).await;
    let fetched = season();
    // day by day, one message at a time
    for one in &fetched {
        field.record(one).await;
        field.hear_day(one);
        field.drain().await;
    }
    let straight = field.rows().await;
    assert!(straight.contains("station-a|2026-03-05|"), "there are days");
    assert_eq!(straight.matches("final|").count(), RISKS.len());
    for seed in 1..=6 {
        field.reset().await;
        field.arrive(&fetched, seed).await;
        let shuffled = field.rows().await;
        let first = straight.lines().zip(shuffled.lines()).find(|(a, b)| a != b);
        assert_eq!(first, None, "seed {seed}");
        assert_eq!(straight.len(), shuffled.len(), "seed {seed}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_bad_message_of_a_batch_is_parked_and_the_others_are_done(pool: PgPool) {
    let field = Field::new(pool).await;
    let fetched = season();
    for one in fetched.iter().take(12) {
        field.record(one).await;
        field.hear_day(one);
    }
    store::testing::change(
        &field.context.pool,
        format!(
            "update risks set risk_cell = 'nowhere' where id = '{}'",
            risk(2).uuid()
        ),
    )
    .await
    .unwrap();
    for number in RISKS {
        field.hear(&Event::IndexDue {
            risk_id: risk(number),
        });
    }
    field.hear_bytes("index.due.v1", b"{}");
    field.hear_bytes("observation.recorded.v1", b"[]");
    let outcomes = field.step().await;
    assert_eq!(outcomes.len(), 12 + RISKS.len() + 2, "one batch");
    let parked = |outcome: &&Outcome| matches!(outcome, Outcome::Park(_));
    assert_eq!(outcomes.iter().filter(parked).count(), 3, "{outcomes:?}");
    let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done);
    assert_eq!(done.count(), outcomes.len() - 3);
    assert_eq!(field.broker.parked(Role::Index).len(), 3);
    assert_eq!(
        field
            .count("select count(distinct risk_id) from index_runs")
            .await,
        2
    );
    let dirty = "select count(*) from risks where index_dirty";
    assert_eq!(field.count(dirty).await, 1, "the broken one");
    let uncomputed = "select count(*) from station_utc_days
                      where state <> 'due' and computed_at is null";
    assert_eq!(field.count(uncomputed).await, 0);
    let heard = "select count(*) from consumed where consumer = 'index'";
    let all = i64::try_from(outcomes.len()).unwrap();
    assert_eq!(field.count(heard).await, all);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_the_database_a_batch_goes_back_in_its_order(pool: PgPool) {
    let mut field = Field::new(pool).await;
    let fetched = season();
    for one in fetched.iter().take(3) {
        field.record(one).await;
        field.hear_day(one);
    }
    let alive = field.without_database().await;
    let outcomes = field.step().await;
    assert_eq!(outcomes.len(), 3);
    let paused = |outcome: &Outcome| matches!(outcome, Outcome::Pause(_));
    assert!(outcomes.iter().all(paused), "{outcomes:?}");
    assert_eq!(field.broker.depth(Role::Index).ready, 3);
    field.context.pool = alive;
    assert_eq!(
        field.step().await,
        [Outcome::Done, Outcome::Done, Outcome::Done]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_late_reply_changes_no_decision_and_is_restated(pool: PgPool) {
    let field = Field::new(pool).await;
    let fetched = field.live_through().await;
    field.decide().await;
    let unpaid = field.restated().await;
    let owed: Vec<_> = unpaid
        .iter()
        .map(|one| (one.risk_id, one.now_minor))
        .collect();
    // three policies of 10,000 shillings; 184 mm between 278 and 95 pay 94/183 of each
    assert_eq!(owed, [(risk(1), Some(1_541_100))]);
    assert!(unpaid.iter().all(|one| one.days.is_empty()), "{unpaid:?}");
    let paid = format!(
        "update evaluations set total_minor = 1541100 where risk_id = '{}'",
        risk(1).uuid()
    );
    field.change(&paid).await;
    assert_eq!(field.restated().await, [], "nothing is new");
    let decided = field.rows().await;

    // the gauge of the leading station stood still from noon on, it is said later
    let day = date("2026-03-03");
    let late = fetched
        .iter()
        .find(|one| one.station == "station-a" && one.date == day)
        .unwrap()
        .refused_from(24);
    field.record_anew(&late).await;
    field.hear_day(&late);
    field.drain().await;
    assert_eq!(field.rows().await, decided, "what was decided stays");
    let restated = field.restated().await;
    let now: Vec<_> = restated
        .iter()
        .map(|one| (one.risk_id, one.paid_minor, one.now_minor))
        .collect();
    // the second station fills the first risk; the third has no number with two stations
    let filled = (risk(1), 1_541_100, Some(1_541_100));
    assert_eq!(now, [filled, (risk(3), 0, None)]);
    for one in &restated {
        let changed: Vec<_> = one
            .days
            .iter()
            .map(|day| (day.station.as_str(), day.day, day.now_um))
            .collect();
        let next = date("2026-03-04");
        assert_eq!(
            changed,
            [("station-a", day, None), ("station-a", next, None)]
        );
        assert!(
            one.days
                .iter()
                .all(|day| day.published_um > Some(RainUm(0)))
        );
    }
}
