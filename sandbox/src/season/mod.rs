//! The season driver: lives a whole insured season over HTTP as farmers, operators and the weather
//! would, moves the clock when nothing moves any more, and judges what came of it. Never speaks
//! SQL or AMQP, and never changes what it judges. Started by the demo and by system tests.
//!
//! Steps: register wallets and weather, dial and buy, let payments arrive, let the season pass,
//! let the windows close, approve, wait until every shilling is where it belongs, close.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use domain::season::SeasonKey;

pub(crate) mod advance;
mod approve;
mod books;
pub(crate) mod chaos;
pub(crate) mod clock;
mod close;
mod dial;
mod farmer;
mod fields;
mod gather;
mod look;
pub(crate) mod net;
mod people;
mod plan;
mod recognise;
pub(crate) mod report;
pub(crate) mod say;
mod stages;
mod table;
#[cfg(test)]
mod tests;
mod weather;

/// What the sky does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The rains fail: most covers pay.
    Drought,
    /// A usual season: hardly anything is paid.
    Good,
    /// Far too much rain: a deficit cover pays nothing.
    Flood,
}

impl Scenario {
    fn name(self) -> &'static str {
        match self {
            Self::Drought => "drought",
            Self::Good => "good",
            Self::Flood => "flood",
        }
    }
}

/// Drives a whole season over HTTP and judges it.
///
/// In a replay (--weather) the date column's day D is the local day D (UTC+3) of the ward; a column
/// is used if its normalised name (letters and digits, upper case) is a ward of --county; the rest
/// are listed as unused. --points sets those wards' points first, so that each keeps a cell of its
/// own. Farmers are spread round-robin over the wards, at least one a ward, and only the rain
/// deficit cover is sold. Exit code 1 when anything is unequal, undecided or broken.
#[derive(Debug, Clone, Args)]
pub struct SeasonArgs {
    /// Root of the backend.
    #[arg(long, env = "BACKEND_URL", default_value = "http://127.0.0.1:3000")]
    pub backend: String,
    /// Root of the sandbox.
    #[arg(long, env = "SANDBOX_URL", default_value = "http://127.0.0.1:4000")]
    pub sandbox: String,
    /// Path token of the backend's Africa's Talking addresses; empty when it has none.
    #[arg(
        long,
        env = "AT_CALLBACK_TOKEN",
        default_value = "",
        hide_env_values = true
    )]
    pub at_callback_token: String,
    /// The manual clock, a file or `manual:<file>`; this driver is its one writer.
    #[arg(long, env = "TIME_MODE", default_value = "system")]
    pub clock: String,
    /// Farmers who register and buy.
    #[arg(long, default_value = "200")]
    pub farmers: NonZeroU32,
    /// Seed of farmers, weather and faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the sky does.
    #[arg(long, value_enum, default_value_t = Scenario::Drought)]
    pub scenario: Scenario,
    /// Replay this daily rain file instead: a date column, then one a ward (.csv or .csv.gz).
    #[arg(long, value_name = "FILE")]
    pub weather: Option<PathBuf>,
    /// Points of the replayed wards: name, lat, lon.
    #[arg(long, value_name = "FILE", requires = "weather")]
    pub points: Option<PathBuf>,
    /// County whose wards the columns name; the one with most matches when left out.
    #[arg(long, value_name = "NAME", requires = "weather")]
    pub county: Option<String>,
    /// The season lived, such as MAM-1984.
    #[arg(long, default_value = "MAM-2026")]
    pub season: SeasonKey,
    /// Faults in the sandbox, kills and one broker restart by the supervisor on our stdout.
    #[arg(long)]
    pub chaos: bool,
    /// Leave the vegetation of the years before in this folder and have the supervisor on our
    /// stdout import it, so that products may compare a season with it.
    #[arg(long, value_name = "FOLDER")]
    pub history: Option<PathBuf>,
    /// Name every invariant in the closing table.
    #[arg(long)]
    pub keep: bool,
    /// Live no season: fetch, judge and print what is there.
    #[arg(long)]
    pub only_close: bool,
    /// Where each evaluation's bundle is left as `<cid>.json`.
    #[arg(long, env = "EVIDENCE_DIR", default_value = "target/demo/evidence")]
    pub evidence_dir: PathBuf,
    /// Folder of product documents and wards.csv, the same as the backend's.
    #[arg(long, env = "PRODUCTS_DIR", default_value = "products")]
    pub products: PathBuf,
    /// Tokens of two operators who may approve; given twice, or joined by a comma.
    #[arg(
        long = "operator-token",
        env = "OPERATOR_TOKENS",
        value_delimiter = ',',
        required = true,
        hide_env_values = true
    )]
    pub operator_tokens: Vec<String>,
}

/// A closed season.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The closing table.
    pub lines: Vec<String>,
    /// Whether everything in it is equal, decided and whole.
    pub is_right: bool,
}

/// Judges a system as it stands, as `season --only-close` does.
pub async fn close(args: &SeasonArgs) -> anyhow::Result<Closed> {
    stages::close_only(args).await
}

/// Lives the season (or only its close) and says whether it came out right.
pub async fn run(args: SeasonArgs) -> anyhow::Result<ExitCode> {
    let is_right = match stages::live(&args).await {
        Ok(is_right) => is_right,
        Err(error) => {
            say::line(&format!("season failed: {error:#}"));
            false
        }
    };
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
