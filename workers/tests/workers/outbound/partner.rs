//! A partner of the house: an organisation whose farmers the house insures, with an endpoint that a
//! receiver of its own answers. Must hold no test.

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::id::{EndpointId, OrganisationId, PayoutId};
use domain::webhook::{EventKind, Notice};
use providers::webhook::new_secret;
use runtime::broker::Message;
use runtime::config::Environment;
use store::deliveries::{self, Hearer, NewDelivery, Replay};
use store::endpoints::{self, Change, Endpoint, NewEndpoint};
use store::fixtures::Plan;
use store::legs::{self, NewLeg};
use store::organisations::{self, NewOrganisation, OrganisationKind};
use store::{Pool, testing};
use uuid::Uuid;
use workers::consumer::{Handler, Outcome};
use workers::outbound::{self, Outbound, Sent};
use workers::settings::Settings;

use super::receiver::Receiver;
use crate::support::season::House;

/// A house, one partner of it, and the partner's receiver.
pub(crate) struct Partner {
    pub(crate) house: House,
    pub(crate) outbound: Outbound,
    pub(crate) receiver: Receiver,
    pub(crate) organisation: OrganisationId,
    pub(crate) endpoint: EndpointId,
    pub(crate) secret: String,
}

impl Partner {
    /// All policies of the season are of the partner's farmers; its window has just closed.
    pub(crate) async fn open(pool: Pool) -> Self {
        let house = House::new(pool, Plan::default()).await;
        let receiver = Receiver::open().await;
        let organisation = join(&house, "Wakulima").await;
        testing::change(
            &house.context.pool,
            format!(
                "update farmers set organisation_id = '{0}';
                 update policies set organisation_id = '{0}'",
                organisation.uuid()
            ),
        )
        .await
        .unwrap();
        let mut partner = Self {
            outbound: outbound::build(&house.context).unwrap(),
            house,
            receiver,
            organisation,
            endpoint: Uuid::nil().into(),
            secret: String::new(),
        };
        let url = partner.receiver.url();
        (partner.endpoint, partner.secret) = partner.add_endpoint(organisation, &url).await;
        partner
    }

    /// An endpoint for everything, and its secret.
    pub(crate) async fn add_endpoint(
        &self,
        organisation_id: OrganisationId,
        url: &str,
    ) -> (EndpointId, String) {
        let context = &self.house.context;
        let id: EndpointId = context.ids.mint(self.now());
        let secret = new_secret(context.ids.bytes());
        let cipher = context
            .pii
            .seal(context.ids.bytes(), secret.expose().as_bytes())
            .unwrap();
        let kinds: Vec<EventKind> = EventKind::ALL
            .iter()
            .copied()
            .filter(|kind| kind.is_subscribable())
            .collect();
        let new = NewEndpoint {
            id,
            organisation_id,
            url,
            description: "",
            kinds: &kinds,
            secret_cipher: &cipher,
        };
        let mut conn = context.pool.acquire().await.unwrap();
        endpoints::insert(&mut conn, self.now(), &new)
            .await
            .unwrap();
        (id, secret.expose().to_owned())
    }

    /// A twin of the sending process, in production: it calls public addresses only.
    pub(crate) fn in_production(&self) -> Outbound {
        let mut context = self.house.context.clone();
        let mut settings = Settings::clone(&context.settings);
        settings.common.environment = Environment::Production;
        context.settings = settings.into();
        outbound::build(&context).unwrap()
    }

    /// Rings a bell with a fresh message.
    pub(crate) async fn hear(&self, event: &Event) -> Outcome {
        self.outbound.handle(&self.message(event)).await
    }

    /// A fresh message.
    pub(crate) fn message(&self, event: &Event) -> Message {
        Message {
            id: self.house.context.ids.uuid(self.now()),
            topic: event.topic().to_owned(),
            body: serde_json::to_vec(event).unwrap(),
            traceparent: None,
        }
    }

    /// Settles the season; the payouts it makes, released.
    pub(crate) async fn settle(&self) -> Vec<PayoutId> {
        self.house.settle().await;
        let ids = "select string_agg(id::text, ' ' order by id) from payouts";
        let ids = self.house.text(ids).await;
        ids.split(' ')
            .map(|id| id.parse::<Uuid>().unwrap().into())
            .collect()
    }

    /// All money has arrived now, or come back for a reason of the farmer's own.
    pub(crate) async fn end_payouts(&self, state: &str) {
        let sql = format!(
            "update payout_legs set state = '{state}', decided_at = '{now}', next_check_at = null,
                 concerns_farmer = '{state}' = 'refused'
             where state = 'planned';
             update payouts set state = '{state}', decided_at = '{now}'",
            now = self.now().to_rfc3339(),
        );
        testing::change(&self.house.context.pool, sql)
            .await
            .unwrap();
    }

    /// A person has a refused payout tried again, without a bell.
    pub(crate) async fn retry(&self, payout_id: PayoutId) {
        let (context, now) = (&self.house.context, self.now());
        let mut conn = context.pool.acquire().await.unwrap();
        let leg = legs::list(&mut conn, payout_id).await.unwrap().remove(0);
        let again = NewLeg {
            id: context.ids.mint(now),
            payout_id,
            leg: leg.leg,
            attempt: leg.attempt + 1,
            originator_id: &format!("MC{}", context.ids.base32(18)),
            amount: leg.amount,
        };
        legs::plan(&mut conn, now, &again).await.unwrap();
        legs::unflag(&mut conn, leg.id).await.unwrap();
    }

    /// The endpoint as it stands.
    pub(crate) async fn found(&self) -> Endpoint {
        let mut conn = self.house.context.pool.acquire().await.unwrap();
        endpoints::find(&mut conn, self.organisation, self.endpoint)
            .await
            .unwrap()
            .unwrap()
    }

    /// Its partner enables the endpoint, at this address.
    pub(crate) async fn enable_at(&self, url: &str) {
        let found = self.found().await;
        let change = Change {
            url,
            description: "back",
            kinds: &found.kinds,
            is_enabled: true,
        };
        let mut conn = self.house.context.pool.acquire().await.unwrap();
        endpoints::change(&mut conn, self.now(), found.id, found.version, &change)
            .await
            .unwrap();
    }

    /// Its partner has everything since then sent again, or only what was missed; how many.
    pub(crate) async fn replay(&self, since: DateTime<Utc>, with_delivered: bool) -> i64 {
        let replay = Replay {
            since,
            with_delivered,
            after: None,
            limit: 100,
        };
        let mut conn = self.house.context.pool.acquire().await.unwrap();
        let replayed = deliveries::replay_since(&mut conn, self.now(), self.endpoint, &replay);
        replayed.await.unwrap().0
    }

    /// A test of the endpoint, as its partner asks for it.
    pub(crate) async fn test(&self) {
        self.test_of(self.organisation, self.endpoint).await;
    }

    /// A test of another endpoint.
    pub(crate) async fn test_of(&self, organisation_id: OrganisationId, endpoint_id: EndpointId) {
        let (context, now) = (&self.house.context, self.now());
        let notice = Notice::of_test(context.ids.mint(now), now, endpoint_id);
        let new = NewDelivery {
            id: context.ids.mint(now),
            hearer: Hearer {
                endpoint_id,
                is_enabled: true,
            },
            organisation_id,
            notice: &notice,
        };
        let mut conn = context.pool.acquire().await.unwrap();
        assert!(deliveries::insert(&mut conn, now, &new).await.unwrap());
    }

    /// One look at what is due.
    pub(crate) async fn step(&self) -> Sent {
        self.outbound.step().await.unwrap()
    }

    /// Looks until nothing is due; how many were taken.
    pub(crate) async fn drain(&self) -> usize {
        let mut taken = 0;
        for _ in 0..100 {
            let sent = self.step().await;
            taken += sent.taken;
            if sent.is_empty() {
                return taken;
            }
        }
        panic!("it never comes to rest");
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.house.time.advance(time);
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.house.time.now()
    }

    /// Deliveries due, as who waits for rest counts them, and when the next is.
    pub(crate) async fn due(&self) -> (i64, Option<DateTime<Utc>>) {
        let mut conn = self.house.context.pool.acquire().await.unwrap();
        let idle = store::idle::look(&mut conn, self.now(), &[]).await.unwrap();
        let due = idle.work_now.get("deliveries").copied().unwrap_or(0);
        (due, idle.next_urgent)
    }
}

/// Another organisation.
pub(crate) async fn join(house: &House, name: &str) -> OrganisationId {
    let now = house.time.now();
    let id: OrganisationId = house.context.ids.mint(now);
    let new = NewOrganisation {
        id,
        name,
        kind: OrganisationKind::Cooperative,
    };
    let mut conn = house.context.pool.acquire().await.unwrap();
    assert!(organisations::insert(&mut conn, now, &new).await.unwrap());
    id
}
