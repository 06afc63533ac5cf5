//! How webhooks are sent to a real receiver: signed so that the public library of another language
//! verifies them, tried again by the schedule, stopped for endpoints that are no more, and never to
//! an address that is not public.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::webhook::ATTEMPTS_MAX;
use futures_util::future::join;
use providers::Secret;
use providers::webhook::{new_secret, signature};
use runtime::clock::Clock;
use serde_json::json;
use sqlx::PgPool;
use store::attempts::{self, Room};
use store::endpoints;
use workers::sweeps;

use super::partner::Partner;
use super::receiver::Seen;

pub(crate) const STATE: &str = "select coalesce(disabled_by, state) from endpoints";

/// Gives the endpoint another secret, as its partner would; the old one signs for a day. None when
/// too many do.
pub(crate) async fn rotate(partner: &Partner) -> Option<String> {
    let (context, now) = (&partner.house.context, partner.now());
    let secret = new_secret(context.ids.bytes());
    let cipher = context
        .pii
        .seal(context.ids.bytes(), secret.expose().as_bytes())
        .unwrap();
    let mut conn = context.pool.acquire().await.unwrap();
    let ends_at = now + TimeDelta::days(1);
    let rotated = endpoints::rotate_secret(&mut conn, now, partner.endpoint, &cipher, ends_at);
    rotated.await.unwrap().then(|| secret.expose().to_owned())
}

/// What the public library of another language says of each request.
pub(crate) fn verify(lines: &[(&str, &Seen)], now: Option<DateTime<Utc>>) -> Vec<String> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/standardwebhooks/verify.py"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("webhooks-venv");
    let mut python = Command::new("python3")
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    for (secret, seen) in lines {
        let line = json!({
            "secret": secret, "id": seen.id, "timestamp": seen.timestamp,
            "signature": seen.signature, "body": seen.body,
            "now": now.map(|now| now.timestamp()),
        });
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the library could not be had: `python3 -m venv` and `pip install -r \
         workers/tests/standardwebhooks/requirements.txt` must work here (python3-venv, a package \
         index); what failed is above"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_public_library_of_another_language_verifies_what_is_sent(pool: PgPool) {
    let partner = Partner::open(pool).await;
    // the library looks at its own clock
    partner.house.time.set(Clock::System.now());
    partner.test().await;
    partner.drain().await;
    let fresh = rotate(&partner).await.unwrap();
    partner.test().await;
    partner.drain().await;
    let [first, second] = &partner.receiver.take()[..] else {
        panic!("two were to come")
    };
    let mut tampered = first.clone();
    tampered.body = tampered.body.replace("endpoint.tested", "payout.paid");
    let mut late = first.clone();
    late.timestamp = (partner.now() - TimeDelta::hours(1))
        .timestamp()
        .to_string();
    let lines = [
        (partner.secret.as_str(), first),
        (&partner.secret, second),
        (&fresh, second),
        (&fresh, first),
        (&partner.secret, &tampered),
        (&partner.secret, &late),
    ];
    let said = verify(&lines, None);
    assert_eq!(
        said,
        [
            "ok",
            "ok",
            "ok",
            "No matching signature found",
            "No matching signature found",
            "Message timestamp too old",
        ]
    );
}

/// What a request that is made now carries under these secrets.
pub(crate) fn expected(partner: &Partner, secrets: &[&str], seen: &Seen) -> String {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let id = seen.id.parse().unwrap();
    signature(&secrets, id, partner.now(), &seen.body).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_old_secret_signs_for_a_day_after_a_rotation(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let fresh = rotate(&partner).await.unwrap();
    partner.pass(TimeDelta::hours(23));
    partner.test().await;
    partner.drain().await;
    let seen = partner.receiver.take().remove(0);
    assert_eq!(seen.timestamp, partner.now().timestamp().to_string());
    assert_eq!(
        seen.signature,
        expected(&partner, &[&fresh, &partner.secret], &seen)
    );
    partner.pass(TimeDelta::hours(1));
    partner.test().await;
    partner.drain().await;
    let seen = partner.receiver.take().remove(0);
    assert_eq!(seen.signature, expected(&partner, &[&fresh], &seen));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_delivery_is_tried_ten_times_under_one_id_and_given_up(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(503);
    partner.test().await;
    let mut attempts = 0;
    loop {
        match partner.due().await {
            (0, None) => break,
            (0, Some(next)) => partner.house.time.set(next),
            _ => {
                assert_eq!(partner.step().await.failed, 1);
                attempts += 1;
            }
        }
    }
    assert_eq!(attempts, ATTEMPTS_MAX);
    let seen = partner.receiver.take();
    assert!(
        seen.iter()
            .all(|again| again.id == seen[0].id && again.body == seen[0].body)
    );
    assert_eq!(seen.len(), usize::from(ATTEMPTS_MAX));
    let failed = "select count(*) from deliveries where state = 'failed' and status = 503";
    assert_eq!(partner.house.count(failed).await, 1);
    assert_eq!(partner.house.text(STATE).await, "enabled");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_endpoint_that_is_gone_is_told_nothing_more_until_it_is_enabled(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(410);
    partner.test().await;
    partner.test().await;
    assert_eq!(partner.step().await.failed, 1);
    assert_eq!(partner.house.text(STATE).await, "gone");
    assert_eq!(partner.due().await, (0, None));
    let noted = "select count(*) from audit_log where action = 'endpoint.disabled'
                 and details ->> 'reason' = 'gone'";
    assert_eq!(partner.house.count(noted).await, 1);

    // what happens meanwhile is kept, and sent when its partner asks for it
    partner.receiver.answer(200);
    partner.receiver.take();
    for payout_id in partner.settle().await {
        partner.hear(&Event::PayoutApproved { payout_id }).await;
    }
    assert!(partner.step().await.is_empty());
    partner.enable_at(&partner.receiver.url()).await;
    assert!(partner.step().await.is_empty());
    assert_eq!(partner.replay(partner.now(), false).await, 5);
    assert_eq!(partner.drain().await, 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_replay_sends_again_under_the_same_id(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.test().await;
    partner.drain().await;
    assert_eq!(partner.replay(partner.now(), false).await, 0);
    assert_eq!(partner.replay(partner.now(), true).await, 1);
    assert_eq!(partner.drain().await, 1);
    let seen = partner.receiver.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn five_days_of_nothing_but_failure_disable_an_endpoint_and_one_success_does_not(
    pool: PgPool,
) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(500);
    let began = partner.now();
    let mut disabled_after = None;
    for hour in 0..(24 * 8) {
        if hour % 24 == 0 && partner.house.text(STATE).await == "enabled" {
            partner.test().await;
        }
        // the attempt of this hour is taken, and the five days begin anew
        partner.receiver.answer(if hour == 34 { 204 } else { 500 });
        partner.step().await;
        if disabled_after.is_none() && partner.house.text(STATE).await == "failing" {
            disabled_after = Some(partner.now() - began);
        }
        partner.pass(TimeDelta::hours(1));
    }
    let taken = "select count(*) from deliveries where state = 'delivered'";
    assert_eq!(partner.house.count(taken).await, 1);
    let (earliest, latest) = (TimeDelta::hours(35 + 120), TimeDelta::hours(35 + 144));
    let after = disabled_after.unwrap();
    assert!(after >= earliest && after <= latest, "{after}");
    assert_eq!(partner.due().await, (0, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn only_public_addresses_are_called_in_production(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let sender = partner.in_production();
    let port = partner.receiver.port();
    for url in [
        format!("http://127.0.0.1:{port}/hooks"),
        format!("https://127.0.0.1:{port}/hooks"),
        format!("https://[::ffff:127.0.0.1]:{port}/hooks"),
        format!("https://localhost:{port}/hooks"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let moved = format!("update endpoints set url = '{url}'");
        let pool = &partner.house.context.pool;
        store::testing::change(pool, moved).await.unwrap();
        partner.test().await;
        assert_eq!(sender.step().await.unwrap().failed, 1, "{url}");
        let refused = "select count(*) from deliveries where failure = 'url_refused'";
        assert_eq!(partner.house.count(refused).await, 1, "{url}");
        partner.house.tamper("delete from deliveries").await;
    }
    assert_eq!(partner.receiver.take(), []);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_redirect_is_not_followed_and_a_long_answer_is_ignored(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(307);
    partner.test().await;
    assert_eq!(partner.step().await.failed, 1);
    assert_eq!(partner.receiver.take().len(), 1);
    partner.receiver.answer(200);
    partner.receiver.answer_bytes(1 << 20);
    partner.pass(TimeDelta::seconds(5));
    assert_eq!(partner.step().await.taken, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_claim_of_a_process_that_died_runs_out(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.test().await;
    let now = partner.now();
    let mut conn = partner.house.context.pool.acquire().await.unwrap();
    let until = now + TimeDelta::minutes(1);
    let room = Room {
        limit: 10,
        per_organisation: 8,
        per_endpoint: 4,
    };
    let claimed = attempts::claim(&mut conn, now, until, room).await.unwrap();
    drop(conn);
    assert_eq!(claimed.len(), 1);
    assert!(partner.step().await.is_empty());
    // it is work again when its claim has run out, and a clock that jumps can get there
    assert_eq!(partner.due().await, (0, Some(until)));
    partner.pass(TimeDelta::minutes(1));
    assert_eq!(partner.step().await.taken, 1);
    assert_eq!(
        partner.receiver.take()[0].id,
        claimed[0].event_id.to_string()
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_loop_sends_what_is_heard_at_once_and_in_order_and_ends_when_asked(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let payouts = partner.settle().await;
    partner.end_payouts("paid").await;
    let lifecycle = partner.house.context.lifecycle.clone();
    let hearing = async {
        for payout_id in payouts.iter().copied() {
            partner.hear(&Event::PayoutPaid { payout_id }).await;
        }
        let open = "select count(*) from deliveries where state = 'pending'";
        while partner.house.count(open).await > 0 {
            tokio::task::yield_now().await;
        }
        lifecycle.stop();
    };
    let (ran, ()) = join(partner.outbound.run(), hearing).await;
    ran.unwrap();
    let mut seen = partner.receiver.take();
    assert_eq!(seen.len(), 6);
    seen.sort_by_key(|seen| seen.data()["data"]["payout_id"].to_string());
    for both in seen.chunks(2) {
        let kinds = [both[0].kind(), both[1].kind()];
        assert_eq!(kinds, ["payout.approved", "payout.paid"]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_for_a_partner_is_measured(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let metrics = partner.house.context.metrics.clone();
    partner.receiver.answer(500);
    partner.test().await;
    partner.step().await;
    partner.pass(TimeDelta::minutes(3));
    sweeps::measure(&partner.house.context).await.unwrap();
    assert!((metrics.delivery_oldest_seconds.get() - 180.0).abs() < 1.0);
    partner.receiver.answer(200);
    partner.drain().await;
    sweeps::measure(&partner.house.context).await.unwrap();
    assert!(metrics.delivery_oldest_seconds.get() < 1.0);
    let text = metrics.render();
    assert!(
        text.contains(r#"deliveries_total{outcome="answered_otherwise"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"deliveries_total{outcome="delivered"} 1"#),
        "{text}"
    );
}
