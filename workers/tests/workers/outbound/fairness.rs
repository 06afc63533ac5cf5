//! Who is sent to when there is more than can be sent at once: partners take turns, a slow or dead
//! receiver delays only itself, and who is suspended is not called at all.

use chrono::TimeDelta;
use domain::id::OrganisationId;
use sqlx::PgPool;
use store::attempts::{self, Claimed, Room};
use store::deliveries;

use super::partner::{self, Partner};

/// Claims this many of what is due, as the loop does, and never answers.
async fn claim(partner: &Partner, limit: i64) -> Vec<Claimed> {
    let room = Room {
        limit,
        per_organisation: 8,
        per_endpoint: 4,
    };
    let now = partner.now();
    let until = now + TimeDelta::minutes(1);
    let mut conn = partner.house.context.pool.acquire().await.unwrap();
    attempts::claim(&mut conn, now, until, room).await.unwrap()
}

/// Endpoints of an organisation, each with this many deliveries that wait for nothing.
async fn crowd(partner: &Partner, organisation: OrganisationId, endpoints: usize, each: usize) {
    for _ in 0..endpoints {
        let url = partner.receiver.url();
        let (endpoint, _) = partner.add_endpoint(organisation, &url).await;
        for _ in 0..each {
            partner.test_of(organisation, endpoint).await;
        }
    }
    // tests of one endpoint are one subject; these are to be many
    partner
        .house
        .tamper("update deliveries set subject_id = id")
        .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn one_partner_cannot_take_every_place(pool: PgPool) {
    let partner = Partner::open(pool).await;
    crowd(&partner, partner.organisation, 10, 4).await;
    partner.pass(TimeDelta::seconds(1));
    let other = partner::join(&partner.house, "Wafugaji").await;
    crowd(&partner, other, 1, 2).await;
    // who came later is not behind all of the first
    let first = claim(&partner, 4).await;
    let of_other = first
        .iter()
        .filter(|claimed| claimed.organisation_id == other);
    assert_eq!((first.len(), of_other.count()), (4, 2));
    // and the first leaves room, however often it is looked
    assert_eq!(claim(&partner, 32).await.len(), 6);
    assert_eq!(claim(&partner, 32).await.len(), 0);
    crowd(&partner, other, 1, 1).await;
    assert_eq!(claim(&partner, 32).await.len(), 1);
    // claims that were never answered do not count for ever
    partner.pass(TimeDelta::minutes(1));
    assert_eq!(claim(&partner, 32).await.len(), 11);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_endpoint_has_four_under_way_and_never_more(pool: PgPool) {
    let partner = Partner::open(pool).await;
    crowd(&partner, partner.organisation, 1, 9).await;
    assert_eq!(claim(&partner, 3).await.len(), 3);
    assert_eq!(claim(&partner, 32).await.len(), 1);
    assert_eq!(claim(&partner, 32).await.len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_for_a_suspended_partner_is_sent_when_it_is_active_again(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.test().await;
    partner
        .house
        .tamper("update organisations set state = 'suspended'")
        .await;
    assert!(partner.step().await.is_empty());
    assert_eq!(partner.due().await, (0, None));
    let mut conn = partner.house.context.pool.acquire().await.unwrap();
    let oldest = deliveries::oldest_pending_at(&mut conn).await;
    assert_eq!(oldest.unwrap(), None);
    drop(conn);
    partner
        .house
        .tamper("update organisations set state = 'active'")
        .await;
    assert_eq!(partner.drain().await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_behind_a_dead_receiver_is_not_due_and_follows_at_once_when_it_is_back(
    pool: PgPool,
) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(500);
    for _ in 0..5 {
        partner.test().await;
    }
    assert_eq!(partner.step().await.failed, 1);
    partner.test().await;
    partner.pass(TimeDelta::seconds(5));
    assert_eq!(partner.step().await.failed, 1);
    // no claim looks at any of the six before the first of them is due
    let earliest = "select extract(epoch from min(next_attempt_at))::bigint from deliveries";
    let next = partner.now() + TimeDelta::minutes(5);
    assert_eq!(partner.house.count(earliest).await, next.timestamp());
    // its partner does not want to wait so long, and asks for the first
    partner.receiver.answer(200);
    let first = partner.receiver.take().remove(0).id;
    let mut conn = partner.house.context.pool.acquire().await.unwrap();
    let id = partner
        .house
        .text("select id::text from deliveries order by sequence limit 1")
        .await;
    let id = id.parse::<uuid::Uuid>().unwrap().into();
    let replayed = deliveries::replay(&mut conn, partner.now(), partner.endpoint, id).await;
    assert!(replayed.unwrap());
    drop(conn);
    assert_eq!(partner.drain().await, 6);
    let seen = partner.receiver.take();
    assert_eq!((seen.len(), &seen[0].id), (6, &first));
}
