//! Everything `cargo xtask bench` runs beside the product: farmers to dial with, the floors the
//! backend is compared with, the load generator and the flame graph. Never part of the product.
//! Called by xtask, one subcommand a process; each prints one JSON line or writes one file.

mod callbacks;
mod copy;
mod flame;
mod floor;
mod http;
mod ingest;
mod load;
mod pace;
mod science;
mod season;
mod seed;
mod traffic;
mod walk;

use clap::Parser;

/// The parts of the performance table that are not the product.
#[derive(Parser)]
#[command(name = "bench")]
enum Command {
    /// Fill the database with registered farmers, one plot each, without PINs
    Seed(seed::Options),
    /// Serve the least that could answer the same requests
    Floor(floor::Options),
    /// Send one kind of traffic for a while and print what came of it
    Load(load::Options),
    /// Send one kind of traffic at a steady rate, go on when a server goes, and print what came of it
    Pace(pace::Options),
    /// Time the number work, write its inputs, compare its results
    Science(science::Options),
    /// A season of many risks: seed it, bring a night, check what came of it
    Season(season::Options),
    /// Station-days for the recording code: a twin to ask, the wait, the bare COPY
    Ingest(ingest::Options),
    /// Draw `perf script`'s output as a flame graph
    Flame(flame::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Seed(options) => seed::run(&options),
        Command::Floor(options) => floor::run(options),
        Command::Load(options) => load::run(options),
        Command::Pace(options) => pace::run(options),
        Command::Science(options) => science::run(&options),
        Command::Season(options) => season::run(&options),
        Command::Ingest(options) => ingest::run(&options),
        Command::Flame(options) => flame::run(&options),
    }
}
