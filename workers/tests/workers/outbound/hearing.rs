//! Webhooks to a partner, from the bell to a real receiver, on a real database: told once, in order,
//! whatever is late, doubled, lost or down; and only of the partner's own farmers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::event::Event;
use domain::id::PolicyId;
use futures_util::future::{join, join_all};
use runtime::broker::Message;
use sqlx::PgPool;
use workers::consumer::{Handler, Outcome};
use workers::outbound;

use super::partner::{self, Partner};
use super::receiver::Seen;
use super::sending::verify;

#[sqlx::test(migrations = "../migrations")]
async fn what_happened_while_the_receiver_was_down_arrives_once_and_in_order(pool: PgPool) {
    let mut partner = Partner::open(pool).await;
    let payouts = partner.settle().await;
    partner.receiver.go_down().await;
    for payout_id in payouts.iter().copied() {
        let event = Event::PayoutApproved { payout_id };
        assert_eq!(partner.hear(&event).await, Outcome::Done);
    }
    assert_eq!(partner.step().await.failed, 3);
    partner.pass(TimeDelta::seconds(5));
    partner.end_payouts("paid").await;
    for payout_id in payouts.iter().copied() {
        partner.hear(&Event::PayoutPaid { payout_id }).await;
    }
    // what was paid waits for what was released, and is not due before it
    assert_eq!(partner.step().await.failed, 3);
    let next = partner.now() + TimeDelta::minutes(5);
    assert_eq!(partner.due().await, (0, Some(next)));
    for wait in [TimeDelta::minutes(5), TimeDelta::minutes(30)] {
        partner.pass(wait);
        assert_eq!(partner.step().await.failed, 3);
    }
    partner.pass(TimeDelta::minutes(25));
    partner.receiver.come_back().await;
    assert!(partner.step().await.is_empty());
    partner.pass(TimeDelta::minutes(95));
    assert_eq!(partner.drain().await, 6);

    let seen = partner.receiver.take();
    let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.id.as_str()).collect();
    assert_eq!((seen.len(), ids.len()), (6, 6));
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for seen in &seen {
        let data = &seen.data()["data"];
        let payout = data["payout_id"].as_str().unwrap().to_owned();
        told.entry(payout).or_default().push(seen.kind());
    }
    assert_eq!(told.len(), 3);
    let secret = partner.secret.as_str();
    let lines: Vec<(&str, &Seen)> = seen.iter().map(|seen| (secret, seen)).collect();
    assert_eq!(verify(&lines, Some(partner.now())), ["ok"; 6]);
    for kinds in told.values() {
        assert_eq!(kinds, &["payout.approved", "payout.paid"]);
    }
    assert_eq!(partner.due().await, (0, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn twin_hearers_and_twin_senders_tell_once(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payouts = partner.settle().await;
    let twin = outbound::build(&partner.house.context).unwrap();
    let mut bells: Vec<Message> = Vec::new();
    for payout_id in payouts {
        let message = partner.message(&Event::PayoutApproved { payout_id });
        // the same message again, and another that a sweep has rung for the same payout
        bells.extend([message.clone(), message]);
        bells.push(partner.message(&Event::PayoutApproved { payout_id }));
    }
    let ours = join_all(bells.iter().map(|bell| partner.outbound.handle(bell)));
    let theirs = join_all(bells.iter().map(|bell| twin.handle(bell)));
    let (ours, theirs) = join(ours, theirs).await;
    assert!(
        ours.iter()
            .chain(&theirs)
            .all(|heard| *heard == Outcome::Done)
    );
    let (ours, theirs) = join(partner.outbound.step(), twin.step()).await;
    assert_eq!(ours.unwrap().taken + theirs.unwrap().taken, 3);
    assert!(partner.step().await.is_empty());
    let seen = partner.receiver.take();
    let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.id.as_str()).collect();
    assert_eq!((seen.len(), ids.len()), (3, 3));
}

#[sqlx::test(migrations = "../migrations")]
async fn how_a_payout_ended_is_told_after_its_release_whichever_bell_is_first(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payout_id = partner.settle().await[0];
    partner.pass(TimeDelta::minutes(1));
    partner.end_payouts("refused").await;
    partner.hear(&Event::PayoutRefused { payout_id }).await;
    partner.hear(&Event::PayoutApproved { payout_id }).await;
    partner.drain().await;
    assert_eq!(rounds(&partner), ["1 payout.approved", "1 payout.refused"]);

    // somebody mends it and has it tried again: another round
    partner.pass(TimeDelta::days(1));
    partner.retry(payout_id).await;
    partner.hear(&Event::PayoutApproved { payout_id }).await;
    partner.drain().await;
    partner.pass(TimeDelta::minutes(1));
    partner.end_payouts("paid").await;
    partner.hear(&Event::PayoutPaid { payout_id }).await;
    partner.drain().await;
    assert_eq!(rounds(&partner), ["2 payout.approved", "2 payout.paid"]);
}

/// What came since it was last asked, with the round of each.
fn rounds(partner: &Partner) -> Vec<String> {
    let seen = partner.receiver.take();
    let told = |seen: &Seen| format!("{} {}", seen.data()["data"]["round"], seen.kind());
    seen.iter().map(told).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn rounds_that_nobody_heard_of_are_told_in_order_by_whichever_bell_comes_first(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payout_id = partner.settle().await[0];
    // refused, mended, refused for a reason of ours, mended and paid, while nobody listened
    partner.pass(TimeDelta::minutes(1));
    partner.end_payouts("refused").await;
    partner.pass(TimeDelta::days(1));
    partner.retry(payout_id).await;
    partner.end_payouts("refused").await;
    partner
        .house
        .tamper("update payout_legs set concerns_farmer = false where attempt = 2")
        .await;
    partner.pass(TimeDelta::days(1));
    partner.retry(payout_id).await;
    partner.end_payouts("paid").await;
    partner.pass(TimeDelta::hours(1));
    for event in [
        Event::PayoutPaid { payout_id },
        Event::PayoutRefused { payout_id },
        Event::PayoutApproved { payout_id },
    ] {
        assert_eq!(partner.hear(&event).await, Outcome::Done);
    }
    partner.drain().await;
    assert_eq!(
        rounds(&partner),
        [
            "1 payout.approved",
            "1 payout.refused",
            "2 payout.approved",
            "3 payout.approved",
            "3 payout.paid"
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_that_is_ours_to_mend_is_not_told(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payout_id = partner.settle().await[0];
    partner.end_payouts("refused").await;
    partner
        .house
        .tamper("update payout_legs set concerns_farmer = false")
        .await;
    // no bell rings for such a refusal; the sweeps may ring for the release again
    partner.hear(&Event::PayoutApproved { payout_id }).await;
    partner.drain().await;
    let seen = partner.receiver.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].kind(), "payout.approved");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_partner_hears_of_its_own_farmers_only(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payouts = partner.settle().await;
    let stranger = partner::join(&partner.house, "Wafugaji").await;
    let url = partner.receiver.url().replace("/hooks", "/stranger");
    partner.add_endpoint(stranger, &url).await;
    // one of the three is nobody's, and one the stranger's
    let whose = format!(
        "update policies set organisation_id = case when rank = 1 then null else '{}'::uuid end
         from (select policy_id, rank() over (order by payouts.id) as rank from payouts) as ranked
         where ranked.policy_id = policies.id and rank < 3",
        stranger.uuid()
    );
    let pool = &partner.house.context.pool;
    store::testing::change(pool, whose).await.unwrap();
    for payout_id in payouts.iter().copied() {
        partner.hear(&Event::PayoutApproved { payout_id }).await;
    }
    let told = partner
        .house
        .text(
            "select string_agg(o.name || ' ' || d.subject_id, ', ' order by d.subject_id)
             from deliveries d join organisations o on o.id = d.organisation_id",
        )
        .await;
    let (second, third) = (payouts[1].uuid(), payouts[2].uuid());
    assert_eq!(told, format!("Wafugaji {second}, Wakulima {third}"));
}

#[sqlx::test(migrations = "../migrations")]
async fn payloads_carry_nothing_personal(pool: PgPool) {
    let partner = Partner::open(pool).await;
    for payout_id in partner.settle().await {
        partner.hear(&Event::PayoutApproved { payout_id }).await;
    }
    partner.drain().await;
    for seen in partner.receiver.take() {
        for phone in &partner.house.season.phones {
            assert!(!seen.body.contains(phone.digits()), "{}", seen.body);
        }
        assert!(!seen.body.contains("Wanjiku") && !seen.body.contains("30000"));
        let data = &seen.data()["data"];
        assert_eq!(data["amount"]["minor"], 633_200);
        assert!(data["farmer_id"].as_str().unwrap().starts_with("far_"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn policies_are_told_of_when_they_come_on_risk_or_lapse(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let policies: Vec<PolicyId> = partner.house.season.policies.clone();
    let risk_id = partner.house.season.risk_id;
    // as if they had been bought today
    partner
        .house
        .tamper(
            "update policies set activated_at = endpoints.created_at,
                 lapses_at = endpoints.created_at from endpoints",
        )
        .await;
    partner
        .house
        .tamper(
            "update policies set state = 'lapsed', activated_at = null, ended_at = lapses_at
             where short_code = 'POL00002'",
        )
        .await;
    for policy_id in policies.iter().copied().take(2) {
        let event = Event::PolicyActivated { policy_id, risk_id };
        partner.hear(&event).await;
        partner.hear(&Event::PolicyLapsed { policy_id }).await;
    }
    partner.drain().await;
    let mut seen = partner.receiver.take();
    seen.sort_by_key(Seen::kind);
    let kinds: Vec<String> = seen.iter().map(Seen::kind).collect();
    assert_eq!(kinds, ["policy.activated", "policy.lapsed"]);
    let data = &seen[0].data()["data"];
    assert_eq!(data["code"], "POL00001");
    assert_eq!(data["season"], "MAM-2026");
    assert_eq!(data["sum_insured"]["minor"], 1_000_000);
    assert_eq!(data["policy_id"], policies[0].to_string());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_index_is_told_once_and_an_older_one_not_after_it(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let (risk_id, index_run_id) = (partner.house.season.risk_id, partner.house.season.run_id);
    partner
        .house
        .tamper(
            "insert into index_runs (id, risk_id, as_of_day, phases, stations, missing_days,
                 confidence, final, manifest_hash, engine_version, computed_at)
             select '01900000-0000-7000-8000-0000000000ff', risk_id, '2026-05-30', phases, stations,
                    missing_days, confidence, false, 'older', engine_version,
                    computed_at + interval '1 second'
             from index_runs;
             update index_runs set computed_at = computed_at + interval '1 minute' where final",
        )
        .await;
    partner.pass(TimeDelta::minutes(2));
    let older = "01900000-0000-7000-8000-0000000000ff"
        .parse::<uuid::Uuid>()
        .unwrap()
        .into();
    for index_run_id in [index_run_id, older, index_run_id] {
        let event = Event::IndexUpdated {
            risk_id,
            index_run_id,
        };
        assert_eq!(partner.hear(&event).await, Outcome::Done);
    }
    partner.drain().await;
    let seen = partner.receiver.take();
    assert_eq!(seen.len(), 1);
    let data = &seen[0].data()["data"];
    assert_eq!(data["index_run_id"], index_run_id.to_string());
    assert_eq!(
        (&data["policies"], &data["final"]),
        (&3.into(), &true.into())
    );
    assert_eq!(data["phases"][0]["rain_um"], 162_120);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_index_is_rung_for_only_where_a_partner_with_policies_of_the_risk_asked(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let risk_id = partner.house.season.risk_id;
    let is_watched = async || {
        let mut conn = partner.house.context.pool.acquire().await.unwrap();
        store::endpoints::list_index_watched(&mut conn, &[risk_id])
            .await
            .unwrap()
            .contains(&risk_id)
    };
    assert!(is_watched().await);
    let kinds = "update endpoints set kinds = '{payout.paid}'";
    partner.house.tamper(kinds).await;
    assert!(!is_watched().await);
    let kinds = "update endpoints set kinds = '{index.updated}'";
    partner.house.tamper(kinds).await;
    assert!(is_watched().await);
    let nobodys = "update policies set organisation_id = null";
    partner.house.tamper(nobodys).await;
    assert!(!is_watched().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_partner_is_told_nothing_and_may_catch_up_later(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner
        .house
        .tamper("update organisations set state = 'suspended'")
        .await;
    for payout_id in partner.settle().await {
        partner.hear(&Event::PayoutApproved { payout_id }).await;
    }
    assert!(partner.step().await.is_empty());
    assert_eq!(partner.due().await, (0, None));
    let kept = "select count(*) from deliveries where state = 'failed'";
    assert_eq!(partner.house.count(kept).await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bell_that_the_broker_lost_is_heard_from_the_outbox(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.settle().await;
    let published = format!(
        "update outbox set published_at = '{}'",
        partner.now().to_rfc3339()
    );
    let pool = &partner.house.context.pool;
    store::testing::change(pool, published).await.unwrap();
    assert_eq!(partner.outbound.catch_up().await.unwrap(), 0);
    partner.pass(TimeDelta::minutes(11));
    assert_eq!(partner.outbound.catch_up().await.unwrap(), 3);
    assert_eq!(partner.outbound.catch_up().await.unwrap(), 0);
    assert_eq!(partner.drain().await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_an_endpoint_there_is_no_work(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.house.tamper("delete from endpoints").await;
    for payout_id in partner.settle().await {
        let event = Event::PayoutApproved { payout_id };
        assert_eq!(partner.hear(&event).await, Outcome::Done);
    }
    assert!(partner.step().await.is_empty());
    assert_eq!(partner.due().await, (0, None));
    assert_eq!(
        partner.house.count("select count(*) from deliveries").await,
        0
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn old_deliveries_are_forgotten_and_not_told_again(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payout_id = partner.settle().await[0];
    partner.hear(&Event::PayoutApproved { payout_id }).await;
    assert_eq!(partner.drain().await, 1);
    partner.pass(TimeDelta::days(29));
    assert_eq!(partner.outbound.purge().await.unwrap(), 0);
    partner.pass(TimeDelta::days(2));
    assert_eq!(partner.outbound.purge().await.unwrap(), 1);
    partner.hear(&Event::PayoutApproved { payout_id }).await;
    assert!(partner.step().await.is_empty());
}
