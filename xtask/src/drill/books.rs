//! What a restore must bring back, read from the database and from the product's own commands: every
//! table's rows and their content, the trial balance, the audit chain, the evidence. Never writes.
//! Called by the drill before the disaster and after each restore.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::servers::database::query;
use crate::stack::{Plan, run_once};

/// Every table of ours with what it holds. A month of observations is counted with its parent.
const TABLES: &str = "select relname from pg_class where relnamespace = 'public'::regnamespace \
     and relkind in ('r', 'p') and not relispartition order by relname";

/// Both sides of every account.
const TRIAL_BALANCE: &str = "select account, currency, \
     coalesce(sum(amount_minor) filter (where side = 'debit'), 0), \
     coalesce(sum(amount_minor) filter (where side = 'credit'), 0) \
     from ledger_entries group by 1, 2 order by 1, 2";

/// What a person wants to know of the books, in one line.
const SHOWN: &str = "select (select count(*) from policies) || ' policies, ' || \
     (select count(*) || ' insured for KES ' || (sum(premium_minor) / 100)::bigint \
      from policies where state in ('active', 'settled')) || ', ' || \
     (select count(*) || ' payouts KES ' || (coalesce(sum(amount_minor), 0) / 100)::bigint \
      from payouts where state = 'paid') || ', ' || \
     (select count(*) from evaluations) || ' evidence bundles'";

/// The state of one database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Books {
    /// Table to `rows digest`.
    tables: BTreeMap<String, String>,
    trial_balance: String,
}

impl Books {
    /// Reads them; debits must equal credits.
    pub(super) fn read(url: &str) -> anyhow::Result<Self> {
        let names = query(url, TABLES)?;
        let each: Vec<String> = names
            .lines()
            .map(|name| {
                format!(
                    "select '{name}', count(*), \
                     md5(coalesce(string_agg(t::text, chr(10) order by t::text collate \"C\"), '')) \
                     from public.\"{name}\" t"
                )
            })
            .collect();
        ensure!(!each.is_empty(), "the database has no table");
        let tables = query(url, &each.join(" union all "))?
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(name, held)| (name.to_owned(), held.replace('|', " ")))
            .collect();
        let trial_balance = query(url, TRIAL_BALANCE)?;
        let [debits, credits] = totals(&trial_balance)?;
        ensure!(
            debits == credits && debits > 0,
            "the trial balance is {debits} to {credits}"
        );
        Ok(Self {
            tables,
            trial_balance,
        })
    }

    /// Rows of all tables.
    fn rows(&self) -> u64 {
        self.tables
            .values()
            .filter_map(|held| held.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// An error naming what differs from `before`; else how much was compared.
    pub(super) fn equal(&self, before: &Self) -> anyhow::Result<String> {
        let names = before.tables.keys().chain(self.tables.keys());
        let differing: BTreeSet<&str> = names
            .filter(|name| before.tables.get(*name) != self.tables.get(*name))
            .map(String::as_str)
            .collect();
        let differing: Vec<&str> = differing.into_iter().collect();
        ensure!(
            differing.is_empty(),
            "tables differ: {}",
            differing.join(", ")
        );
        ensure!(
            self.trial_balance == before.trial_balance,
            "the trial balance differs:\n{}\nwas\n{}",
            self.trial_balance,
            before.trial_balance
        );
        let [debits, credits] = totals(&self.trial_balance)?;
        Ok(format!(
            "{} tables, {} rows equal in number and content; {} accounts, debits {} = credits {}",
            self.tables.len(),
            self.rows(),
            self.trial_balance.lines().count(),
            money(debits),
            money(credits)
        ))
    }
}

/// In words: how much was insured, paid and proven.
pub(super) fn shown(url: &str) -> anyhow::Result<String> {
    query(url, SHOWN)
}

/// Sums of both sides over all lines `account|currency|debit|credit`.
fn totals(trial_balance: &str) -> anyhow::Result<[u64; 2]> {
    let mut sums = [0_u64; 2];
    for line in trial_balance.lines() {
        let mut fields = line.rsplit('|');
        for sum in [1, 0] {
            let minor: u64 = fields
                .next()
                .and_then(|text| text.parse().ok())
                .with_context(|| format!("{line:?} is no line of a trial balance"))?;
            if let Some(sum) = sums.get_mut(sum) {
                *sum = sum.checked_add(minor).context("sums too large")?;
            }
        }
    }
    Ok(sums)
}

fn money(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// The audit chain as the product's own command sees it, by the login that owns nothing.
pub(super) fn audit(plan: &Plan) -> anyhow::Result<String> {
    run_once(plan, "backend", &["audit", "verify"])
}

/// Recomputes bundles that were kept apart from the database; answers what was said, line by line.
pub(super) fn recomputed(plan: &Plan, bundles: &[PathBuf]) -> anyhow::Result<String> {
    let files: Vec<String> = bundles
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut args = vec!["verify"];
    args.extend(files.iter().map(String::as_str));
    run_once(plan, "data-processor", &args)
}

/// Whether the database names exactly these bundles and holds them byte for byte; answers how many.
pub(super) fn holds_bundles(url: &str, bundles: &[PathBuf]) -> anyhow::Result<usize> {
    let held: usize = query(url, "select count(*) from evaluations")?.parse()?;
    ensure!(
        held == bundles.len() && held > 0,
        "{held} evaluations, {} bundles kept",
        bundles.len()
    );
    for file in bundles {
        let cid = file.file_stem().unwrap_or_default().to_string_lossy();
        ensure!(
            cid.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{cid:?} is no name of a bundle"
        );
        let question =
            format!("select convert_from(bundle, 'UTF8') from evaluations where cid = '{cid}'");
        let kept = fs::read_to_string(file)?;
        ensure!(
            query(url, &question)? == kept.trim(),
            "the evaluation does not hold the bundle {cid}"
        );
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(rows: &str, trial_balance: &str) -> Books {
        Books {
            tables: BTreeMap::from([("policies".to_owned(), rows.to_owned())]),
            trial_balance: trial_balance.to_owned(),
        }
    }

    #[test]
    fn a_table_whose_content_differs_is_named_though_its_rows_are_as_many() {
        let before = books("2 aa", "cash|KES|100|0\npremiums|KES|0|100");
        let same = books("2 aa", "cash|KES|100|0\npremiums|KES|0|100");
        assert!(
            same.equal(&before)
                .is_ok_and(|said| said.contains("1.00 = credits 1.00"))
        );
        let other = books("2 ab", "cash|KES|100|0\npremiums|KES|0|100");
        let error = other.equal(&before).unwrap_err().to_string();
        assert_eq!(error, "tables differ: policies");
        let moved = books("2 aa", "cash|KES|90|0\npremiums|KES|0|90");
        assert!(moved.equal(&before).is_err());
    }

    #[test]
    fn a_trial_balance_is_summed_by_side() {
        assert_eq!(totals("a|KES|5|1\nb|KES|2|6").unwrap(), [7, 7]);
        assert!(totals("nonsense").is_err());
    }
}
