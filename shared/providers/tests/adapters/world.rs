//! A world with a held clock, its server and clients for it. Never shared between tests.
//! Used by every test of this crate.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::msisdn::Msisdn;
use providers::Secret;
use sandbox::serve::{Local, local};
use sandbox::{CallbackSink, Clock, PhoneSetup, Rates, Settings, World};

pub(crate) const PHONE: &str = "254711000111";
pub(crate) const ADDRESS: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
pub(crate) const CALLBACK_ROOT: &str = "http://backend.test/api/webhooks/mpesa/s3cret";

pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) server: Local,
    clock: Clock,
}

/// A world at a fixed instant with one registered phone that holds KES 5,000.
pub(crate) async fn town() -> Town {
    let start = "2026-01-20T09:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let clock = Clock::held(start);
    let settings = Settings {
        seed: 7,
        at_delivery_url: "http://backend.test/sms-delivery".to_owned(),
        ..Settings::default()
    };
    let world = World::new(clock.clone(), settings, CallbackSink::in_process());
    let server = local(world.clone()).await.unwrap();
    let town = Town {
        world,
        server,
        clock,
    };
    town.phone(|_| {});
    town
}

impl Town {
    /// Sets up the one phone.
    pub(crate) fn phone(&self, change: impl FnOnce(&mut PhoneSetup)) {
        let mut setup = PhoneSetup {
            msisdn: PHONE.to_owned(),
            balance_kes: 5_000,
            ..PhoneSetup::default()
        };
        change(&mut setup);
        self.world.set_up_phone(setup).unwrap();
    }

    /// Lets time pass and everything due happen.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.clock
            .held_handle()
            .unwrap()
            .advance(TimeDelta::seconds(seconds));
        self.world.step().await;
    }

    pub(crate) fn faults(&self, rates: Rates) {
        self.world.set_faults(None, rates).unwrap();
    }

    pub(crate) fn sms(&self) -> providers::africastalking::sms::Client {
        let config = providers::africastalking::sms::Config::new(
            &self.server.url("/at"),
            "sandbox",
            Secret::new("sandbox-at-key"),
        );
        providers::africastalking::sms::Client::new(http(), config)
    }

    pub(crate) fn swypt(&self) -> providers::swypt::Client {
        providers::swypt::Client::new(http(), self.swypt_config())
    }

    pub(crate) fn swypt_config(&self) -> providers::swypt::Config {
        providers::swypt::Config::new(
            &self.server.url("/swypt/api"),
            Secret::new("sandbox-swypt-key"),
            Secret::new("sandbox-swypt-secret"),
            ADDRESS,
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        )
    }

    pub(crate) fn mpesa(&self) -> providers::mpesa::Client {
        providers::mpesa::Client::new(http(), mpesa_config(&self.server.url("/mpesa")))
    }

    pub(crate) fn pinata(&self) -> providers::pinata::Client {
        let config = providers::pinata::Config::new(
            &self.server.url("/pinata"),
            &self.server.url("/gateway"),
            Secret::new("sandbox-pinata-jwt"),
        );
        providers::pinata::Client::new(http(), config)
    }

    /// A control request with a JSON body; the status and the answer.
    pub(crate) async fn control(&self, path: &str, body: &str) -> (u16, String) {
        let url = self.server.url(&format!("/control/{path}"));
        let answer = http().post(url).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

pub(crate) fn mpesa_config(base_url: &str) -> providers::mpesa::Config {
    providers::mpesa::Config {
        base_url: base_url.to_owned(),
        consumer_key: Secret::new("sandbox-mpesa-key"),
        consumer_secret: Secret::new("sandbox-mpesa-secret"),
        shortcode: "600992".to_owned(),
        initiator_name: "testapi".to_owned(),
        security_credential: Secret::new("credential"),
        callback_root: Secret::new(CALLBACK_ROOT),
        timeout: Duration::from_secs(5),
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) fn phone() -> Msisdn {
    Msisdn::parse(PHONE).unwrap()
}

/// Every request loses its answer after the work is done.
pub(crate) fn lost_replies() -> Rates {
    Rates {
        lost_reply: 1.0,
        ..Rates::default()
    }
}
