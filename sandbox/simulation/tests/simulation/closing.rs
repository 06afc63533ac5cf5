//! The closing table can fail: a whole season is lived, judged right by its real report and the
//! wallets' real books, and judged wrong as soon as one row of either is altered.

use chrono::{DateTime, Utc};
use clap::Parser;
use sandbox::season::{Closed, SeasonArgs, close};
use simulation::system::System;

use crate::support::{a_system, everybody_buys, run_async};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    season: SeasonArgs,
}

/// A month after the window closed.
fn long_after() -> DateTime<Utc> {
    "2026-06-30T00:00:00Z".parse().unwrap_or_default()
}

/// What `season --only-close` says of the system now.
async fn judged(system: &System) -> anyhow::Result<Closed> {
    let (backend, _tasks) = system.serve().await?;
    let evidence = std::env::temp_dir().join(format!("closing-{}", std::process::id()));
    let tokens = system.operator_tokens().await?.join(",");
    let flags = [
        ("--backend", backend.as_str()),
        ("--sandbox", system.sandbox_url()),
        ("--operator-token", &tokens),
        ("--evidence-dir", &evidence.to_string_lossy()),
    ];
    let flags = flags.iter().flat_map(|(name, value)| [*name, *value]);
    let cli = Cli::try_parse_from(["season", "--only-close"].into_iter().chain(flags))?;
    let closed = close(&cli.season).await;
    std::fs::remove_dir_all(&evidence).or_else(|error| {
        // refused before anything was saved
        (error.kind() == std::io::ErrorKind::NotFound)
            .then_some(())
            .ok_or(error)
    })?;
    closed
}

/// Fails unless the table is wrong and says so in `line`.
async fn must_show(system: &System, altered: &str, line: &str) -> anyhow::Result<()> {
    let closed = judged(system).await?;
    let table = closed.lines.join("\n");
    anyhow::ensure!(
        !closed.is_right,
        "{altered} altered, and all is right: {table}"
    );
    let ends = |shown: &String| shown.ends_with(line);
    anyhow::ensure!(closed.lines.iter().any(ends), "no {line:?}: {table}");
    Ok(())
}

#[test]
fn one_altered_row_of_wallets_ledger_or_payouts_fails_the_close() {
    run_async(async {
        let mut system = a_system("closing", 7, 4).await?;
        system.set_weather("drought", 7).await?;
        everybody_buys(&mut system).await?;
        system.settle(long_after()).await?;
        let whole = judged(&system).await?;
        anyhow::ensure!(whole.is_right, "{}", whole.lines.join("\n"));
        for line in ["trial balance: 0", "wallets = ledger: yes"] {
            anyhow::ensure!(whole.lines.iter().any(|shown| shown == line), "no {line}");
        }

        let msisdn = system.farmers()[0].phone.clone();
        for (cents, line) in [(100, Some("wallets = ledger: no")), (-100, None)] {
            system.adjust_wallet(&msisdn, cents).await?;
            if let Some(line) = line {
                must_show(&system, "a wallet", line).await?;
            }
        }

        let guarded = |sql: &str| {
            format!(
                "set session_replication_role = replica; {sql};
                 set session_replication_role = origin;"
            )
        };
        let one = |table: &str, key: &str, more: &str| {
            guarded(&format!(
                "update {table} set amount_minor = amount_minor {more}
                 where ctid = (select ctid from {table} order by {key} limit 1)"
            ))
        };
        for (table, key, line) in [
            ("ledger_transfers", "kind <> 'posted', id", "1 broken"),
            ("ledger_entries", "transfer_id, side", "trial balance: 100"),
            ("payouts", "id", "wallets = ledger: no"),
        ] {
            store::testing::change(system.pool(), one(table, key, "+ 100")).await?;
            must_show(&system, table, line).await?;
            store::testing::change(system.pool(), one(table, key, "- 100")).await?;
        }
        let again = judged(&system).await?;
        anyhow::ensure!(again.is_right, "{}", again.lines.join("\n"));
        system.discard().await
    })
    .expect("an altered row is noticed");
}
