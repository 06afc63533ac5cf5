//! Everybody at their handsets at once: farmers dial side by side within a bound, and what happened
//! is added up. The first thing the product did wrong ends it. Called by the stages.

use anyhow::bail;
use futures_util::StreamExt;
use futures_util::stream;

use super::advance::Driver;
use super::chaos::Stage;
use super::farmer::{AtHandset, Outcome, Tally};

/// Farmers dialling at the same time.
const DIALLING_MAX: usize = 8;

/// How a wave of calls went.
#[derive(Debug, Default)]
pub(crate) struct Wave<'a> {
    pub(crate) bought: usize,
    /// Those whose call dropped, to dial again.
    pub(crate) hung_up: Vec<AtHandset<'a>>,
    pub(crate) tally: Tally,
}

/// Lets all of them dial; progress is told at each quarter.
pub(crate) async fn dial<'a>(
    driver: &Driver,
    people: Vec<AtHandset<'a>>,
) -> anyhow::Result<Wave<'a>> {
    let total = people.len();
    let quarter = (total / 4).max(1);
    let mut wave = Wave::default();
    let mut faults = Vec::new();
    let mut ended = 0_usize;
    let calls = people.into_iter().map(|mut person| async move {
        let outcome = person.dial(&driver.net).await;
        // a kill falls while the others are in the middle of their calls
        let struck = match &outcome {
            Ok(Outcome::Bought) => driver.chaos.jumped(Stage::Dialling).await,
            _ => Ok(()),
        };
        (person, outcome, struck)
    });
    let mut calls = stream::iter(calls).buffer_unordered(DIALLING_MAX);
    while let Some((mut person, outcome, struck)) = calls.next().await {
        struck?;
        ended += 1;
        wave.tally.add(std::mem::take(&mut person.tally));
        match outcome {
            Ok(Outcome::Bought) => wave.bought += 1,
            Ok(Outcome::HungUp) => wave.hung_up.push(person),
            Err(fault) => faults.push(fault),
        }
        if total > 20 && ended.is_multiple_of(quarter) && ended < total {
            driver
                .say
                .progress("dialling", &format!("{ended} of {total} calls over"));
        }
        // one fault may be followed by many of the same; a few tell enough
        if faults.len() >= 5 {
            break;
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(wave)
}
