//! A market before the season: a farmer with plots, policies that await their premium, the premium
//! and notify roles, and a pretend outside world, all in one process under one clock.
//! Must hold no test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::{DateTime, TimeDelta, Utc};
use domain::cell::PlotCell;
use domain::event::{Envelope, Event};
use domain::i18n::{Crop, Language};
use domain::id::{FarmerId, PlotId, PolicyId, ProductVersionId, QuoteId, ReceiptId};
use domain::money::Money;
use domain::msisdn::Msisdn;
use domain::policy::{PolicyState, lapses_at};
use domain::product::Product;
use domain::quote::{quote, sale_window_of};
use domain::ussd::policy_code;
use runtime::broker::{Broker, Message};
use runtime::clock::{Clock, Held};
use runtime::memory::InMemory;
use sandbox::{CallbackSink, Credentials, PhoneSetup, Rates, World, serve::Local};
use store::farmers::NewFarmer;
use store::plots::NewPlot;
use store::policies::Policy;
use store::quotes::Quoted;
use store::wards::Ward;
use store::{Pool, capacity, farmers, outbox, plots, policies, products, quotes, wards};
use workers::consumer::{Handler, Outcome};
use workers::notify::{self, Texts};
use workers::premium::{self, Premiums};
use workers::role::Context;
use workers::settings::Settings;
use workers::sweeps::{self, Swept};

/// Karare.
pub(crate) const WARD: &str = "0234";
/// 28.13 % of 3,000, up to the next shilling, in cents.
pub(crate) const PREMIUM: i64 = 84_400;

/// Everything a test of money in needs.
pub(crate) struct Market {
    pub(crate) context: Context,
    pub(crate) premiums: Premiums,
    pub(crate) texts: Texts,
    pub(crate) world: World,
    pub(crate) time: Held,
    pub(crate) farmer: FarmerId,
    pub(crate) phone: Msisdn,
    pub(crate) version: ProductVersionId,
    product: Product,
    sandbox: Local,
}

impl Market {
    /// A farmer with a wallet, on a sale day, and nothing bought.
    pub(crate) async fn open(pool: Pool) -> Self {
        let market = Self::without_wallet(pool, "0711000111").await;
        market.wallet(PhoneSetup {
            balance_kes: 50_000,
            ..PhoneSetup::default()
        });
        market
    }

    /// The same for a phone that M-Pesa does not know.
    pub(crate) async fn without_wallet(pool: Pool, phone: &str) -> Self {
        let mut context = crate::support::context(pool, Broker::InMemory(InMemory::new()));
        context.clock = Clock::held("2026-02-02T09:00:00Z".parse().unwrap());
        let time = context.clock.held_handle().unwrap();
        let seed = sandbox::Settings {
            seed: 7,
            ..sandbox::Settings::default()
        };
        let world = World::new(context.clock.clone(), seed, CallbackSink::in_process());
        let sandbox = sandbox::serve::local(world.clone()).await.unwrap();
        context.settings = settings(&sandbox.base_url).into();
        let phone = Msisdn::parse(phone).unwrap();
        let now = time.now();
        let mut conn = context.pool.acquire().await.unwrap();
        let product =
            Product::from_toml(include_str!("../../../../products/KE-MZ-PD-LR.toml")).unwrap();
        let version: ProductVersionId = context.ids.mint(now);
        products::publish(&mut conn, now, version, &product)
            .await
            .unwrap();
        wards::insert_missing(&mut conn, now, &[ward()])
            .await
            .unwrap();
        let farmer = register(&context, &phone).await;
        drop(conn);
        let (premiums, texts) = (premium::build(&context), notify::build(&context));
        Self {
            context,
            premiums,
            texts,
            world,
            time,
            farmer,
            phone,
            version,
            product,
            sandbox,
        }
    }

    /// How the farmer's phone behaves.
    pub(crate) fn wallet(&self, setup: PhoneSetup) {
        let msisdn = self.phone.digits().to_owned();
        self.world
            .set_up_phone(PhoneSetup { msisdn, ..setup })
            .unwrap();
    }

    /// What goes wrong with the providers.
    pub(crate) fn faults(&self, rates: Rates) {
        self.world.set_faults(Some(1), rates).unwrap();
    }

    /// Buys cover of KES 3,000 for a new plot; the bell is in the outbox.
    pub(crate) async fn buy(&self) -> (PolicyId, ReceiptId) {
        let (context, now) = (&self.context, self.now());
        let mut tx = context.pool.begin().await.unwrap();
        let plot_id: PlotId = context.ids.mint(now);
        let plot = NewPlot {
            id: plot_id,
            farmer_id: self.farmer,
            ward_code: WARD,
            cell: cell(),
            acres_e2: 100,
            crop: Crop::Maize,
            sown_on: None,
            intent_key: None,
        };
        plots::insert(&mut tx, now, &plot).await.unwrap();
        let sum = Money::kes(3_000).unwrap();
        let price = quote(&self.product, WARD, sum, now).unwrap();
        let id: PolicyId = context.ids.mint(now);
        let sale = sale_window_of(&self.product, price.season_year).unwrap();
        let policy = Policy {
            id,
            farmer_id: self.farmer,
            plot_id,
            version: self.version,
            season_year: price.season_year,
            zone: price.zone.clone(),
            risk_cell: cell().risk_cell(),
            accumulation_cell: cell().risk_cell().accumulation_cell(),
            risk_id: None,
            window: price.cover,
            sale_closes_at: sale.closes_at(),
            sum_insured: sum,
            premium: price.premium,
            state: PolicyState::AwaitingPremium,
            short_code: policy_code(id),
            bought_at: now,
            lapses_at: lapses_at(now),
        };
        let limit = Money::kes(self.product.capacity_kes_per_cell).unwrap();
        let row = context.ids.uuid(now);
        assert!(
            capacity::reserve(&mut tx, row, policy.exposure(), sum, limit)
                .await
                .unwrap()
        );
        let quote_id: QuoteId = context.ids.mint(now);
        let quoted = Quoted {
            id: quote_id,
            farmer_id: self.farmer,
            plot_id,
            version: self.version,
            quote: &price,
        };
        quotes::insert(&mut tx, now, quoted).await.unwrap();
        policies::insert(&mut tx, &policy, quote_id, None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        (id, self.ask(id).await.unwrap())
    }

    /// Dials again: the next asking for the premium, unless one is open.
    pub(crate) async fn ask(&self, policy_id: PolicyId) -> Option<ReceiptId> {
        let (context, now) = (&self.context, self.now());
        let mut tx = context.pool.begin().await.unwrap();
        let policy = policies::get_locked(&mut tx, policy_id).await.unwrap();
        let id: ReceiptId = context.ids.mint(now);
        let receipt_id = policies::request_premium(&mut tx, now, &policy, id)
            .await
            .unwrap()?;
        let event = Event::PremiumRequested {
            receipt_id,
            policy_id,
        };
        let envelope = Envelope {
            id: context.ids.mint(now),
            event,
            traceparent: None,
        };
        outbox::push(&mut tx, now, &envelope, now).await.unwrap();
        tx.commit().await.unwrap();
        Some(receipt_id)
    }

    /// A bell for a receipt, as the sweep rings it.
    pub(crate) async fn look(&self, receipt_id: ReceiptId) -> Outcome {
        self.premiums
            .handle(&self.message(&Event::PremiumCheckDue { receipt_id }))
            .await
    }

    /// A bell for a text's subject.
    pub(crate) async fn tell(&self, event: Event) -> Outcome {
        self.texts.handle(&self.message(&event)).await
    }

    /// An event as a message.
    pub(crate) fn message(&self, event: &Event) -> Message {
        Message {
            id: self.context.ids.uuid(self.now()),
            topic: event.topic().to_owned(),
            body: serde_json::to_vec(event).unwrap(),
            traceparent: None,
        }
    }

    /// Lets time pass; what the world was to do meanwhile is done.
    pub(crate) async fn pass(&self, time: TimeDelta) {
        self.time.advance(time);
        self.world.step().await;
    }

    /// One look at the calendar.
    pub(crate) async fn sweep(&self) -> Swept {
        let Context {
            pool, clock, ids, ..
        } = &self.context;
        sweeps::step(pool, clock, ids).await.unwrap()
    }

    /// How often the wallets' own book collects from anybody.
    pub(crate) fn collections(&self) -> usize {
        self.world.book().len()
    }

    /// Prompts that rang.
    pub(crate) fn prompts(&self) -> u64 {
        self.world.counters().get("prompts").copied().unwrap_or(0)
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.context.pool, sql)
            .await
            .unwrap()
    }

    /// One text from the database.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        store::testing::text(&self.context.pool, sql).await.unwrap()
    }

    /// Changes rows behind everybody's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        store::testing::change(&self.context.pool, sql)
            .await
            .unwrap();
    }

    /// Bells of a topic, rung or waiting.
    pub(crate) async fn bells(&self, topic: &str) -> i64 {
        let rung = self
            .text("select coalesce(string_agg(topic, ' '), '') from outbox")
            .await;
        i64::try_from(rung.split(' ').filter(|rung| *rung == topic).count()).unwrap()
    }

    /// A posted balance, debit less credit.
    pub(crate) async fn balance(&self, account: domain::ledger::Account) -> i64 {
        let mut conn = self.context.pool.acquire().await.unwrap();
        store::ledger::balance(&mut conn, account, "KES")
            .await
            .unwrap()
    }

    /// Whether every invariant holds against the wallets' own book.
    pub(crate) async fn assert_sound(&self) {
        let mut conn = self.context.pool.acquire().await.unwrap();
        let (collected, _) = self.world.totals();
        let books = domain::invariants::ProviderBooks {
            collected_minor: Some(collected),
            disbursed_minor: Some(0),
        };
        let facts = store::facts::load(&mut conn, self.now(), books)
            .await
            .unwrap();
        assert_eq!(domain::invariants::check(&facts), []);
    }

    /// Address of a sandbox path.
    pub(crate) fn url(&self, path: &str) -> String {
        self.sandbox.url(path)
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }
}

async fn register(context: &Context, phone: &Msisdn) -> FarmerId {
    let now = context.clock.now();
    let seal = |plain: &str| {
        context
            .pii
            .seal(context.ids.bytes(), plain.as_bytes())
            .unwrap()
    };
    let id: FarmerId = context.ids.mint(now);
    let farmer = NewFarmer {
        id,
        phone_index: &context.pii.phone_index(phone),
        phone_cipher: &seal(phone.digits()),
        name_cipher: &seal("Wanjiku Kamau"),
        national_id_index: &context.pii.national_id_index("12345678"),
        national_id_cipher: &seal("12345678"),
        language: Language::En,
        ward_code: WARD,
        pin_hash: None,
        consent_version: "1",
    };
    let mut conn = context.pool.acquire().await.unwrap();
    farmers::insert(&mut conn, now, &farmer).await.unwrap();
    id
}

fn cell() -> PlotCell {
    "887a5c5609fffff".parse().unwrap()
}

fn ward() -> Ward {
    Ward {
        code: WARD.to_owned(),
        name: "Karare".to_owned(),
        constituency: "Saku".to_owned(),
        county: "Marsabit".to_owned(),
        cell: cell(),
    }
}

fn settings(base: &str) -> Settings {
    let keys = Credentials::default();
    let mut flags = Vec::new();
    for (flag, value) in [
        ("--swypt-api-url", format!("{base}/swypt/api")),
        ("--swypt-api-key", keys.swypt_api_key),
        ("--swypt-secret-key", keys.swypt_secret_key),
        (
            "--swypt-user-address",
            "0x742d35cc6634c0532925a3b844bc454e4438f44e".to_owned(),
        ),
        (
            "--swypt-token-address",
            "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913".to_owned(),
        ),
        ("--at-base-url", format!("{base}/at")),
        ("--at-username", keys.at_username),
        ("--at-api-key", keys.at_api_key),
    ] {
        flags.extend([flag.to_owned(), value]);
    }
    Settings::from_flags(flags).unwrap()
}
