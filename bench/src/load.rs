//! A closed loop: a fixed number of connections, each with one request under way, every answer
//! compared. Prints one JSON line for the window after the warm-up. One thread, pinned by whoever
//! starts it. Never judges a figure; that is the table's work.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::http::Connection;
use crate::traffic::{Source, Traffic, Verdict};

/// What to send, how, and for how long.
#[derive(Args)]
pub struct Options {
    /// Port of the contestant
    #[arg(long)]
    port: u16,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds before anything is counted, and longer until all sessions are open
    #[arg(long, default_value_t = 1.0)]
    warm_seconds: f64,
    /// Seconds that are counted
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The contestant's process, for its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    #[command(subcommand)]
    traffic: Traffic,
}

struct State {
    source: Source,
    measuring: bool,
    stopped: bool,
    latencies_us: Vec<u32>,
    busy: u64,
    wrong: u64,
    first_wrong: Option<String>,
    failed: Option<anyhow::Error>,
}

/// Sends and prints.
pub fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let line = LocalSet::new().block_on(&runtime, drive(options))?;
    println!("{line}");
    Ok(())
}

async fn drive(options: Options) -> anyhow::Result<serde_json::Value> {
    let state = Rc::new(RefCell::new(State {
        source: Source::new(&options.traffic)?,
        measuring: false,
        stopped: false,
        latencies_us: Vec::with_capacity(1 << 20),
        busy: 0,
        wrong: 0,
        first_wrong: None,
        failed: None,
    }));
    let over = Rc::new(Notify::new());
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let connection = Connection::open(options.port).await?;
        let (state, over) = (Rc::clone(&state), Rc::clone(&over));
        tasks.push(tokio::task::spawn_local(async move {
            if let Err(error) = talk(connection, &state, &over).await {
                let mut state = state.borrow_mut();
                state.failed.get_or_insert(error);
                state.stopped = true;
                over.notify_one();
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs_f64(options.warm_seconds)).await;
    while !state.borrow().source.is_full() && !state.borrow().stopped {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = options.pid.map(Usage::of).transpose()?;
    let cores_before = busy_ticks()?;
    let began = Instant::now();
    state.borrow_mut().measuring = true;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(options.seconds)) => {}
        () = over.notified() => {}
    }
    let took = began.elapsed().as_secs_f64();
    state.borrow_mut().measuring = false;
    let cores_after = busy_ticks()?;
    let after = options.pid.map(Usage::of).transpose()?;
    state.borrow_mut().stopped = true;
    for task in tasks {
        task.await?;
    }
    let mut state = state.borrow_mut();
    if let Some(error) = state.failed.take() {
        return Err(error);
    }
    let requests = state.latencies_us.len();
    state.latencies_us.sort_unstable();
    let at = |share: f64| percentile(&state.latencies_us, share);
    let per_request = |ticks: u64| {
        let micros = ticks as f64 * 1e6 / TICKS_PER_SECOND;
        micros / requests.max(1) as f64
    };
    let cores: Vec<f64> = cores_before
        .iter()
        .zip(&cores_after)
        .map(|(before, after)| after.saturating_sub(*before) as f64 / TICKS_PER_SECOND / took)
        .collect();
    Ok(json!({
        "requests": requests,
        "seconds": took,
        "per_second": requests as f64 / took,
        "p50_us": at(0.50),
        "p99_us": at(0.99),
        "busy": state.busy,
        "wrong": state.wrong,
        "first_wrong": state.first_wrong,
        "cpu_us_per_request": before.as_ref().zip(after.as_ref())
            .map(|(before, after)| per_request(after.cpu_ticks - before.cpu_ticks)),
        "rss_kib": after.as_ref().map(|usage| usage.rss_kib),
        "peak_kib": after.as_ref().map(|usage| usage.peak_kib),
        "cores_busy": cores,
    }))
}

async fn talk(
    mut connection: Connection,
    state: &RefCell<State>,
    over: &Notify,
) -> anyhow::Result<()> {
    let mut request = Vec::with_capacity(4 * 1024);
    while !state.borrow().stopped {
        let Some(job) = state.borrow_mut().source.next(&mut request) else {
            // nobody left to dial: the window ends for everybody
            state.borrow_mut().stopped = true;
            over.notify_one();
            break;
        };
        let began = Instant::now();
        let answer = connection.exchange(&request).await?;
        let took = began.elapsed();
        let mut state = state.borrow_mut();
        let state = &mut *state;
        let verdict = state.source.done(job, answer.status, answer.body);
        match verdict {
            Verdict::Right => {}
            Verdict::Busy => state.busy += 1,
            Verdict::Wrong => {
                state.wrong += 1;
                state.first_wrong.get_or_insert_with(|| {
                    format!("{} {}", answer.status, String::from_utf8_lossy(answer.body))
                });
            }
        }
        if state.measuring {
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            state.latencies_us.push(micros);
        }
    }
    Ok(())
}

/// The value that `share` of the sorted values do not exceed.
fn percentile(sorted: &[u32], share: f64) -> u32 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Linux counts CPU time in hundredths of a second on every architecture it is built for here.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
struct Usage {
    cpu_ticks: u64,
    rss_kib: u64,
    peak_kib: u64,
}

impl Usage {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let gone = || anyhow!("the contestant (pid {pid}) has ended");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| gone())?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, after)| after.split_whitespace().collect())
            .unwrap_or_default();
        // fields 14 and 15 of the line; the first here is field 3
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        let cpu_ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| gone())?;
        let kib = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Ok(Self {
            cpu_ticks: cpu_ticks.with_context(gone)?,
            rss_kib: kib("VmRSS:").with_context(gone)?,
            peak_kib: kib("VmHWM:").with_context(gone)?,
        })
    }
}

/// Ticks each core was busy since boot.
fn busy_ticks() -> anyhow::Result<Vec<u64>> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    Ok(stat
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
        .map(|line| {
            let numbers = line.split_whitespace().skip(1);
            let ticks: Vec<u64> = numbers.filter_map(|text| text.parse().ok()).collect();
            // all but idle and waiting for a disk; a guest's time is in user's already
            ticks.iter().take(8).sum::<u64>() - ticks.iter().skip(3).take(2).sum::<u64>()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 0.50), 100);
        assert_eq!(percentile(&sorted, 0.99), 198);
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn our_own_process_can_be_watched() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_kib > 0 && usage.peak_kib >= usage.rss_kib);
        assert!(!busy_ticks().unwrap().is_empty());
    }
}
