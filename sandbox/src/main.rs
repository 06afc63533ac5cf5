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
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve(args) => {
            sandbox::serve::run(*args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Season(args) => sandbox::season::run(*args).await,
    }
}
