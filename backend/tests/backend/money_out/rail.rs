//! The pretend rail's own bodies through the real routes: what it acknowledges, calls back and
//! answers ends the legs it was asked to pay, once each, and the books agree.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use domain::money::Money;
use domain::payout::next_check;
use providers::Secret;
use providers::mpesa::{B2cAck, B2cRequest, Client, Config};
use sandbox::serve::Local;
use sandbox::{B2cBehaviour, CallbackSink, Credentials, PhoneSetup, World};
use sqlx::PgPool;
use store::evaluations::EvaluationState::Approved;
use store::{legs, payouts};

use super::house::{House, PAYOUT_KES, TOKEN};

struct Rail {
    client: Client,
    world: World,
    _local: Local,
}

async fn rail(house: &House, behaviour: &B2cBehaviour) -> Rail {
    let world = World::new(
        house.app.clock.clone(),
        sandbox::Settings::default(),
        CallbackSink::in_process(),
    );
    for phone in &house.season.phones {
        let setup = PhoneSetup {
            msisdn: phone.digits().to_owned(),
            b2c: Some(behaviour.clone()),
            ..PhoneSetup::default()
        };
        world.set_up_phone(setup).unwrap();
    }
    let local = sandbox::serve::local(world.clone()).await.unwrap();
    let keys = Credentials::default();
    let config = Config {
        base_url: local.url("/mpesa"),
        consumer_key: Secret::new(keys.mpesa_consumer_key),
        consumer_secret: Secret::new(keys.mpesa_consumer_secret),
        shortcode: keys.mpesa_shortcode,
        initiator_name: "initiator".to_owned(),
        security_credential: Secret::new("credential"),
        callback_root: Secret::new(format!("http://backend.invalid/api/webhooks/mpesa/{TOKEN}")),
        timeout: Config::timeout_default(),
    };
    Rail {
        client: Client::new(runtime::http::client().unwrap(), config),
        world,
        _local: local,
    }
}

impl Rail {
    /// Sends every leg; records its acknowledgement when `heard`.
    async fn send_all(&self, house: &House, heard: bool) {
        let (mut conn, now) = (house.conn().await, house.app.clock.now());
        for (id, phone) in house.legs.iter().zip(&house.season.phones) {
            legs::mark_sent(&mut conn, now, *id, next_check(now, 0))
                .await
                .unwrap();
            let (payout, leg) = legs::lock(&mut conn, *id).await.unwrap().unwrap();
            payouts::refresh(&mut conn, now, &payout).await.unwrap();
            let request = B2cRequest {
                originator_id: &leg.originator_id,
                phone,
                amount: leg.amount,
                remarks: "Crop insurance payout",
                occasion: None,
            };
            let B2cAck::Accepted { conversation_id } =
                self.client.send_b2c(&request).await.unwrap()
            else {
                panic!("taken before");
            };
            if heard {
                legs::record_acknowledgement(&mut conn, *id, &conversation_id)
                    .await
                    .unwrap();
            }
        }
    }

    /// Asks about every leg.
    async fn ask_all(&self, house: &House) {
        let mut conn = house.conn().await;
        for id in &house.legs {
            let (_, leg) = legs::lock(&mut conn, *id).await.unwrap().unwrap();
            let asked = self.client.query_status(&leg.originator_id).await.unwrap();
            legs::record_enquiry(&mut conn, *id, &asked.conversation_id)
                .await
                .unwrap();
        }
    }

    /// Lets a minute pass and delivers what the rail calls back with, each `times` times.
    async fn deliver(&self, house: &House, times: usize) {
        house.time.advance(TimeDelta::minutes(1));
        self.world.step().await;
        for callback in self.world.take_callbacks() {
            let body = String::from_utf8(callback.body.clone()).unwrap();
            for _ in 0..times {
                let (status, _) = house
                    .send("POST", callback.path(), None, body.clone())
                    .await;
                assert!(status.is_success());
                house.process().await;
            }
        }
    }
}

async fn paid_and_equal(house: &House, rail: &Rail) {
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'paid'")
            .await,
        3
    );
    let posted = "select coalesce(sum(amount_minor), 0)::bigint from ledger_entries
                  where account = 'mpesa_utility' and side = 'credit'";
    let posted = house.count(posted).await;
    assert_eq!(posted, Money::kes(PAYOUT_KES * 3).unwrap().minor);
    assert_eq!(rail.world.totals().1, posted);
    assert_eq!(
        house
            .count("select count(*) from outbox where topic = 'payout.paid.v1'")
            .await,
        3
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn results_end_the_legs_they_were_acknowledged_for(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let rail = rail(&house, &B2cBehaviour::Pay).await;
    rail.send_all(&house, true).await;
    rail.deliver(&house, 2).await;
    paid_and_equal(&house, &rail).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_status_answer_ends_the_doubt_of_a_lost_acknowledgement(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let rail = rail(&house, &B2cBehaviour::Pay).await;
    rail.send_all(&house, false).await;
    rail.deliver(&house, 1).await;
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'sent'")
            .await,
        3
    );
    rail.ask_all(&house).await;
    rail.deliver(&house, 1).await;
    paid_and_equal(&house, &rail).await;
    house.time.advance(TimeDelta::hours(1));
    house.process().await;
    let waiting = "select count(*) from provider_events where processed_at is null";
    assert_eq!(house.count(waiting).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_of_the_rail_moves_nothing(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let rail = rail(&house, &B2cBehaviour::Code("2040".to_owned())).await;
    rail.send_all(&house, true).await;
    rail.deliver(&house, 1).await;
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'refused'")
            .await,
        3
    );
    assert_eq!(rail.world.totals().1, 0);
    let pending = "select count(*) from ledger_transfers as p where kind = 'pending' and not exists
                   (select 1 from ledger_transfers as e where e.pending_id = p.id)";
    assert_eq!(house.count(pending).await, 0);
}
