//! How long an orchestrator leaves a process, read from the manifests that tell it. Types no number of
//! its own. Read by the switch and by drain.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// What a pod is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grace {
    /// How long it still serves once it has left the balancers (preStop).
    pub(super) leave: Duration,
    /// From SIGTERM to SIGKILL.
    pub(super) drain: Duration,
}

/// What the pods of `app` are left, as deploy/kubernetes/apps says.
pub(super) fn of(root: &Path, app: &str) -> anyhow::Result<Grace> {
    let file = root.join(format!("deploy/kubernetes/apps/{app}/deployment.yaml"));
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    read(&text).with_context(|| format!("{} says nothing of a grace period", file.display()))
}

fn read(manifest: &str) -> Option<Grace> {
    let whole = seconds(manifest, "terminationGracePeriodSeconds:")?;
    let leave = manifest
        .split_once("preStop:")
        .and_then(|(_, after)| seconds(after, "seconds:"))
        .unwrap_or_default();
    Some(Grace {
        leave,
        drain: whole.checked_sub(leave)?,
    })
}

/// The first value of a field.
fn seconds(manifest: &str, field: &str) -> Option<Duration> {
    let line = manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix(field))?;
    line.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_on_is_a_part_of_the_grace_period() {
        let manifest = "
      terminationGracePeriodSeconds: 35
          lifecycle:
            preStop:
              sleep:
                seconds: 5
";
        let grace = read(manifest).unwrap();
        assert_eq!((grace.leave.as_secs(), grace.drain.as_secs()), (5, 30));
        let grace = read("  terminationGracePeriodSeconds: 30\n").unwrap();
        assert_eq!((grace.leave.as_secs(), grace.drain.as_secs()), (0, 30));
        assert_eq!(read("spec: {}"), None);
    }

    #[test]
    fn every_process_drains_faster_than_its_manifest_kills_it() {
        // DRAIN_SECONDS_MAX of the lifecycle
        let longest = Duration::from_secs(25);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for app in ["backend", "workers", "data-processor"] {
            let grace = of(root, app).unwrap();
            assert!(grace.drain > longest, "{app}: {grace:?}");
        }
    }
}
