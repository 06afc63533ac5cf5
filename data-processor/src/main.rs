//! The data-processor binary: parses the command line and hands over. Holds no number work.
//! Started by the demo, by compose and by anyone who wants to verify a bundle.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use data_processor::process::{self, Settings};
use data_processor::verify::verify;
use data_processor::{batch, validate};

/// The number work of MicroCrop: index runs from observations, and verification of evidence.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn recorded observations into index runs, until SIGTERM. Flags are environment variables.
    Stream {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Recompute evidence bundles from nothing but their files; exit 1 when any line differs.
    ///
    /// A bundle is named by its content: the file name <cid>.json, or --cid, is compared first;
    /// then every line that follows from others is computed again, and lines that differ are named.
    Verify {
        /// Bundles, as the gateway serves them: <cid>.json.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The name the (single) file goes by, when its file name is not its CID.
        #[arg(long)]
        cid: Option<String>,
    },
    /// What a contract would have paid in every year of a daily rain file.
    Backtest(batch::backtest::Backtest),
    /// What a contract should cost: every view of the years beside every loading.
    Price(batch::price::Price),
    /// What a book of cells may lose in a year, whole years kept together.
    Portfolio(batch::portfolio::Portfolio),
    /// How well an index meets observed losses; exit 3 when it may not be published.
    BasisRisk(batch::basis_risk::BasisRisk),
    /// Read series of rain or of vegetation into the database; what is known never changes.
    Import(Box<batch::import::Import>),
    /// Compute and keep what seasons are compared with; what is known never changes.
    Baseline(Box<batch::baseline::Baseline>),
    /// What decided risks would be paid on today; reports, and changes nothing.
    Restatements(Box<batch::restatements::Restatements>),
    /// Compare the number work with published vectors and real series; exit 1 when a family misses.
    Validate(validate::Validate),
    /// Make products/wards.csv from the published tables of wards and of centroids.
    Wards {
        /// CSV: ward_code,ward,const_code,constituency,sub_county,county_code,county.
        #[arg(long)]
        hierarchy: PathBuf,
        /// CSV: entity_type,name,latitude,longitude.
        #[arg(long)]
        centroids: PathBuf,
        /// Where to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Report every fault of the configuration and exit 1 if there is one.
    CheckConfig {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Ask the running process whether it is alive: exit 0 if so, for container health checks.
    Health {
        /// Its private port.
        #[arg(long, env = "METRICS_PORT", default_value_t = 9091)]
        metrics_port: u16,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "data-processor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stream { settings } => {
            settings.check()?;
            block_on(process::run(&settings))??;
        }
        Command::Verify { files, cid } => return verify_files(&files, cid.as_deref()),
        Command::Backtest(asked) => return batch::backtest::run(&asked),
        Command::Price(asked) => return batch::price::run(&asked),
        Command::Portfolio(asked) => return batch::portfolio::run(&asked),
        Command::BasisRisk(asked) => return batch::basis_risk::run(&asked),
        Command::Import(asked) => return block_on(batch::import::run(&asked))?,
        Command::Baseline(asked) => return block_on(batch::baseline::run(&asked))?,
        Command::Restatements(asked) => return block_on(batch::restatements::run(&asked))?,
        Command::Validate(asked) => return validate::run(&asked),
        Command::Wards {
            hierarchy,
            centroids,
            out,
        } => wards(&hierarchy, &centroids, &out)?,
        Command::CheckConfig { settings } => {
            settings.check()?;
            say("data-processor: configuration is complete")?;
        }
        Command::Health { metrics_port } => {
            let url = format!("http://127.0.0.1:{metrics_port}/health/live");
            let is_alive = block_on(runtime::http::is_healthy(&url))?;
            anyhow::ensure!(is_alive, "{url} does not answer that it is alive");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn verify_files(files: &[PathBuf], cid: Option<&str>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        cid.is_none() || files.len() == 1,
        "--cid names one file; give one, or files named <cid>.json"
    );
    let mut refused = 0_usize;
    for path in files {
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let verdict = verify(&read(path)?, cid.or(stem.as_deref()));
        let payout = verdict.payout.as_deref().unwrap_or("unknown");
        if verdict.agrees() {
            say(&format!("ok {} payout={payout}", verdict.cid))?;
            continue;
        }
        refused += 1;
        say(&format!(
            "REFUSED {} stated payout={payout}",
            path.display()
        ))?;
        for difference in &verdict.differences {
            let (line, stated, found) =
                (&difference.line, &difference.stated, &difference.recomputed);
            say(&format!(
                "  {line}: the file says {stated}, recomputed {found}"
            ))?;
        }
    }
    say(&format!(
        "verify: {} agreed, {refused} refused",
        files.len() - refused
    ))?;
    Ok(if refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wards(hierarchy: &Path, centroids: &Path, out: &Path) -> anyhow::Result<()> {
    let text = |path: &Path| -> anyhow::Result<String> { Ok(String::from_utf8(read(path)?)?) };
    let table = data_processor::wards::generate(&text(hierarchy)?, &text(centroids)?)?;
    std::fs::write(out, &table).with_context(|| format!("cannot write {}", out.display()))?;
    say(&format!(
        "{} wards",
        table.lines().count().saturating_sub(1)
    ))
}
