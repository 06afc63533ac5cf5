//! Where the backend's time goes during a hop: `perf` on the running process, folded and drawn by
//! the bench's own flame graph. Without perf the page says so. Called by the USSD row.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Ground;
use super::contestant::Contestant;
use super::table::Outcome;
use crate::process::{dies_with_us, which};

/// Samples a second; not a divisor of the timers' 100 or 1,000.
const SAMPLES_PER_SECOND: u32 = 499;
/// Bytes of stack copied at a sample, the most perf takes: axum's and tokio's stacks are deep.
const STACK_BYTES: u32 = 65_528;
/// A picture larger than this does not belong in the repository, bytes.
const PICTURE_BYTES_MAX: u64 = 300 * 1_024;

/// What came of profiling.
#[derive(Clone, Debug)]
pub(super) enum Profile {
    /// Shares of the samples by purpose, and the picture.
    Drawn {
        /// Samples taken.
        samples: u64,
        /// Purpose and share, largest first.
        shares: Vec<(String, f64)>,
        /// Where the picture is.
        svg: PathBuf,
    },
    /// Why there is none.
    None(String),
}

#[derive(Deserialize)]
struct Drawn {
    samples: u64,
    shares: Vec<(String, f64)>,
}

/// One more window against the backend, sampled. Its rate is not counted: sampling costs.
pub(super) fn record(
    ground: &Ground,
    backend: &mut Contestant,
    traffic: &[String],
) -> anyhow::Result<Profile> {
    let Some(perf) = which("perf") else {
        let why = "perf is not installed (Debian: linux-perf)".to_owned();
        ground.say("profile", &why);
        return Ok(Profile::None(why));
    };
    let (data, script, svg) = (
        ground.home.join("perf.data"),
        ground.home.join("perf.txt"),
        ground.home.join("ussd.svg"),
    );
    let seconds = ground.effort.seconds.max(5);
    let child = backend.start_load(ground, seconds.saturating_add(2), traffic)?;
    let mut recording = dies_with_us(&perf);
    recording
        .args([
            "record",
            "-q",
            "-e",
            "cpu-clock",
            "-F",
            &SAMPLES_PER_SECOND.to_string(),
        ])
        .args(["--call-graph", &format!("dwarf,{STACK_BYTES}")])
        .args(["-p", &backend.pid().to_string(), "-o"])
        .arg(&data)
        // the generator warms up first; a little late is early enough
        .args(["--", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let recorded = ground.context.run(&mut recording)?;
    backend.finish_load(ground, child)?;
    if !recorded.success() {
        let why = format!("perf could not record ({recorded}); see kernel.perf_event_paranoid");
        ground.say("profile", &why);
        return Ok(Profile::None(why));
    }
    ground.say("profile", "reading the stacks");
    let mut reading = dies_with_us(&perf);
    reading
        .args(["script", "--no-inline", "-i"])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&script)?)
        .stderr(Stdio::null());
    ground.context.run_ok(&mut reading)?;
    let out = Command::new(ground.bin_dir.join("bench"))
        .arg("flame")
        .arg(&script)
        .arg(&svg)
        .args(["--title", "backend during USSD hops, CPU time"])
        .output()
        .context("cannot draw the flame graph")?;
    ensure!(
        out.status.success(),
        "the flame graph failed: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    fs::remove_file(&data)?;
    fs::remove_file(&script)?;
    let drawn: Drawn = serde_json::from_slice(&out.stdout)?;
    ground.say(
        "profile",
        format!("{} samples, {}", drawn.samples, svg.display()),
    );
    Ok(Profile::Drawn {
        samples: drawn.samples,
        shares: drawn.shares,
        svg,
    })
}

/// Puts the picture beside the page, if it is small enough.
pub(super) fn publish(ground: &Ground, outcome: &Outcome) -> anyhow::Result<()> {
    if let Some(Profile::Drawn { svg, .. }) = &outcome.profile {
        let bytes = fs::metadata(svg)?.len();
        ensure!(
            bytes <= PICTURE_BYTES_MAX,
            "{} has {bytes} bytes; raise SHARE_MIN in bench/src/flame.rs",
            svg.display()
        );
        fs::copy(svg, ground.context.root.join("docs/bench-ussd.svg"))?;
    }
    Ok(())
}
