//! The sandbox binary: a pretend outside world as a process. Parses the command line and nothing
//! else; never a provider's rule. Started by the demo, by compose and by hand.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use sandbox::season::SeasonArgs;
use sandbox::serve::ServeArgs;

/// A pretend outside world for MicroCrop.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves every provider and the control API.
    Serve(Box<ServeArgs>),
    /// Drives a whole season over HTTP and judges it.
    Season(Box<SeasonArgs>),
    /// Asks the running process whether it is alive: exit 0 if so, for container health checks.
    Health {
        /// Its private port.
        #[arg(long, env = "METRICS_PORT", default_value_t = 9098)]
        metrics_port: u16,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve(args) => {
            sandbox::serve::run(*args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Season(args) => sandbox::season::run(*args).await,
        Command::Health { metrics_port } => {
            let url = format!("http://127.0.0.1:{metrics_port}/health/live");
            anyhow::ensure!(
                runtime::http::is_healthy(&url).await,
                "{url} does not answer that it is alive"
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}
