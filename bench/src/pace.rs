//! A steady stream: so many requests a second whatever the server does, every answer compared, every
//! request that got none counted. Prints one JSON line. Never hides a failure by trying again, with
//! the one exception every HTTP client makes: a connection that was open, and is closed before a byte
//! of the answer came. Those are counted too.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use crate::http::Connection;
use crate::traffic::{Job, Source, Traffic, Verdict};

/// Requests that may be sent at once to make up for a late start: more would be a burst of our own
/// making, and meet a limit that the rate never meets. What is beyond is left out, and counted.
const CATCH_UP_MAX: u64 = 16;
/// A gateway gives up by then.
const ANSWER_SECONDS_MAX: u64 = 10;

/// What to send, how often, and for how long.
#[derive(Args)]
pub struct Options {
    /// Port of the server
    #[arg(long)]
    port: u16,
    /// Requests a second
    #[arg(long)]
    rate: f64,
    /// Seconds it lasts, or lasts at most
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// End when stdin does
    #[arg(long)]
    until_stdin_ends: bool,
    /// Connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many of them are opened anew for each request
    #[arg(long, default_value_t = 0)]
    fresh: usize,
    /// Addresses for X-Forwarded-For, in turn
    #[arg(long, value_delimiter = ',')]
    forwarded_for: Vec<String>,
    #[command(subcommand)]
    traffic: Traffic,
}

struct State {
    source: Source,
    began: Instant,
    latencies_us: Vec<u32>,
    busy: u64,
    wrong: u64,
    failed: u64,
    resent: u64,
    reopened: u64,
    first_bad: Option<String>,
    /// Milliseconds after the beginning at which the first and the last request was not answered right.
    bad_ms: Option<(u128, u128)>,
}

impl State {
    fn bad(&mut self, what: impl FnOnce() -> String) {
        let now = self.began.elapsed().as_millis();
        let first = self.bad_ms.map_or(now, |(first, _)| first);
        self.bad_ms = Some((first, now));
        self.first_bad.get_or_insert_with(what);
    }

    fn judge(&mut self, job: Job, status: u16, body: &[u8], took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.latencies_us.push(micros);
        match self.source.done(job, status, body) {
            Verdict::Right => return,
            Verdict::Busy => self.busy += 1,
            Verdict::Wrong => self.wrong += 1,
        }
        self.bad(|| format!("{status} {}", String::from_utf8_lossy(body)));
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        self.bad(|| format!("{error:#}"));
    }
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
    let ended = Arc::new(AtomicBool::new(false));
    if options.until_stdin_ends {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            ended.store(true, Ordering::Relaxed);
        });
    }
    let began = Instant::now();
    let state = Rc::new(RefCell::new(State {
        source: Source::new(&options.traffic)?,
        began,
        latencies_us: Vec::with_capacity(1 << 16),
        busy: 0,
        wrong: 0,
        failed: 0,
        resent: 0,
        reopened: 0,
        first_bad: None,
        bad_ms: None,
    }));
    let slots = Rc::new(Semaphore::new(0));
    let tasks: Vec<_> = (0..options.connections)
        .map(|nth| {
            let caller = Caller {
                port: options.port,
                is_fresh: nth < options.fresh,
                // by connection: an address keeps its own, as a proxy of a gateway does
                header: match options.forwarded_for.len() {
                    0 => String::new(),
                    len => format!("X-Forwarded-For: {}\r\n", options.forwarded_for[nth % len]),
                },
                connection: None,
            };
            tokio::task::spawn_local(caller.talk(Rc::clone(&state), Rc::clone(&slots)))
        })
        .collect();
    let missed = release(&options, began, &ended, &slots).await;
    let took = began.elapsed().as_secs_f64();
    slots.close();
    for task in tasks {
        task.await?;
    }
    let mut state = state.borrow_mut();
    state.latencies_us.sort_unstable();
    let at = |share: f64| {
        let rank = (state.latencies_us.len() as f64 * share).ceil() as usize;
        state.latencies_us.get(rank.saturating_sub(1)).copied()
    };
    let requests = state.latencies_us.len() as u64 + state.failed;
    Ok(json!({
        "requests": requests,
        "seconds": took,
        "per_second": requests as f64 / took,
        "p50_us": at(0.50).unwrap_or(0),
        "p99_us": at(0.99).unwrap_or(0),
        "max_us": at(1.0).unwrap_or(0),
        "busy": state.busy,
        "wrong": state.wrong,
        "failed": state.failed,
        "resent": state.resent,
        "reopened": state.reopened,
        "missed": missed,
        "first_bad": state.first_bad,
        "bad_ms": state.bad_ms.map(|(from, until)| [from as u64, until as u64]),
    }))
}

/// Lets requests go at the rate until the time is up; returns how many could not go in time.
async fn release(options: &Options, began: Instant, ended: &AtomicBool, slots: &Semaphore) -> u64 {
    let (mut released, mut missed) = (0_u64, 0_u64);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let passed = began.elapsed().as_secs_f64();
        if passed >= options.seconds || ended.load(Ordering::Relaxed) {
            return missed;
        }
        let due = (passed * options.rate) as u64;
        let waiting = slots.available_permits() as u64;
        let now = (due - released).min(CATCH_UP_MAX.saturating_sub(waiting));
        missed += due - released - now;
        released = due;
        slots.add_permits(now as usize);
    }
}

/// One of the connections.
struct Caller {
    port: u16,
    is_fresh: bool,
    header: String,
    connection: Option<Connection>,
}

impl Caller {
    async fn talk(mut self, state: Rc<RefCell<State>>, slots: Rc<Semaphore>) {
        let mut request = Vec::with_capacity(4 * 1024);
        loop {
            tokio::select! {
                slot = slots.acquire() => match slot {
                    Ok(slot) => slot.forget(),
                    Err(_) => return,
                },
                () = hung_up(self.connection.as_ref()) => {
                    self.connection = None;
                    state.borrow_mut().reopened += 1;
                    continue;
                }
            }
            let job = state.borrow_mut().source.next(&mut request);
            // nobody left to dial
            let Some(job) = job else { return };
            insert(&mut request, &self.header);
            let limit = Duration::from_secs(ANSWER_SECONDS_MAX);
            let asked = self.ask(&state, &request, job);
            if tokio::time::timeout(limit, asked).await.is_err() {
                self.connection = None;
                let late = anyhow::anyhow!("no answer within {ANSWER_SECONDS_MAX} s");
                state.borrow_mut().fail(&late);
            }
            if self.is_fresh {
                self.connection = None;
            }
        }
    }

    async fn ask(&mut self, state: &RefCell<State>, request: &[u8], job: Job) {
        let mut was_open = self.connection.is_some();
        let began = Instant::now();
        loop {
            let connection = match self.connection.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(self.port).await,
            };
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(error) => return state.borrow_mut().fail(&error),
            };
            let error = match connection.exchange(request).await {
                Ok(answer) => {
                    let closes = answer.closes;
                    let mut state = state.borrow_mut();
                    state.judge(job, answer.status, answer.body, began.elapsed());
                    if closes {
                        state.reopened += 1;
                    } else {
                        self.connection = Some(connection);
                    }
                    return;
                }
                Err(error) => error,
            };
            if !was_open || !connection.heard_nothing() {
                return state.borrow_mut().fail(&error);
            }
            was_open = false;
            state.borrow_mut().resent += 1;
        }
    }
}

async fn hung_up(connection: Option<&Connection>) {
    match connection {
        Some(connection) => connection.hung_up().await,
        None => std::future::pending().await,
    }
}

/// Puts a header behind the request line.
fn insert(request: &mut Vec<u8>, header: &str) {
    if let Some(at) = request.windows(2).position(|two| two == b"\r\n") {
        request.splice(at + 2..at + 2, header.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_behind_the_request_line() {
        let mut request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        insert(&mut request, "X-Forwarded-For: 192.0.2.1\r\n");
        let expected = b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nHost: x\r\n\r\n";
        assert_eq!(request, expected);
    }
}
