//! What the simulation's tests share: servers from the environment, farmers in wards, an end.
//! Decides nothing; every expectation stands in the test that has it.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use sandbox::{PhoneSetup, StkBehaviour};
use simulation::farmer::Farmer;
use simulation::op::Op;
use simulation::system::{Servers, System};

/// Wards of the products' zones, one a farmer.
const WARDS: [&str; 4] = ["0234", "0236", "0233", "0239"];

/// Counts systems of this process, so that each has its own database.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// Runs one simulated life on a single thread: no two things happen at once.
pub(crate) fn run_async<T>(life: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(life)
}

/// A system in the middle of the sale of the long rains of 2026.
pub(crate) async fn a_system(name: &str, seed: u64, farmers: u8) -> anyhow::Result<System> {
    let number = BUILT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sim_{}_{name}_{number}", std::process::id());
    let phones = (0..farmers)
        .map(|number| {
            let ward = WARDS[usize::from(number) % WARDS.len()];
            let farmer = Farmer::new(number, ward);
            let stk = if number % 4 == 3 {
                StkBehaviour::Twice
            } else {
                StkBehaviour::Pay
            };
            let setup = PhoneSetup {
                msisdn: farmer.phone.clone(),
                balance_kes: 20_000,
                stk: Some(stk),
                late_seconds: None,
                b2c: None,
                wrong_history: None,
            };
            (farmer, setup)
        })
        .collect();
    System::build(
        &servers()?,
        &name,
        seed,
        "2026-02-01T06:00:00Z".parse()?,
        phones,
    )
    .await
}

/// Where the servers are: `cargo xtask test` starts them and says so in the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration of its own"
)]
fn servers() -> anyhow::Result<Servers> {
    let of = |name: &str| {
        std::env::var(name)
            .map_err(|_| anyhow::anyhow!("{name} is not set; run `cargo xtask test`"))
    };
    Ok(Servers {
        database_url: of("DATABASE_URL")?,
        redis_url: of("REDIS_URL")?,
    })
}

/// When collecting premiums is over: three days after the beginning.
pub(crate) fn ending() -> DateTime<Utc> {
    "2026-02-04T06:00:00Z".parse().unwrap_or_default()
}

/// Lets every farmer register and buy, and waits until the premiums are settled.
pub(crate) async fn everybody_buys(system: &mut System) -> anyhow::Result<()> {
    for farmer in 0..u8::try_from(system.farmers().len())? {
        while !system.farmers()[usize::from(farmer)].is_done() {
            system.perform(Op::Dial { farmer }).await?;
        }
    }
    system.settle(ending()).await
}
