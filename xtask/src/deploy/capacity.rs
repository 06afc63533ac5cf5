//! Whether numbers of pods fit what surrounds them: every quota holds the largest state that autoscalers,
//! roll-outs and the second slot may reach, and every disruption budget leaves a pod that may be moved.
//! Never asks a cluster. Called by `deploy-check`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::Row;
use super::manifests::{Overlay, called, list, pod, text};

/// What a quota may bound, and where a container says it.
const BOUNDS: [(&str, &str); 4] = [
    ("requests.cpu", "/resources/requests/cpu"),
    ("requests.memory", "/resources/requests/memory"),
    ("limits.cpu", "/resources/limits/cpu"),
    ("limits.memory", "/resources/limits/memory"),
];
/// Which of two Deployments a pod belongs to; both may run at full size while one is watched.
const SLOT: &str = "/spec/template/metadata/labels/microcrop.io~1slot";

/// The row about quotas and disruption budgets.
pub(super) fn check(overlays: &[Overlay]) -> Row {
    let (mut faults, mut quotas, mut budgets) = (Vec::new(), 0, 0);
    for overlay in overlays {
        for object in &overlay.objects {
            let found = match text(object, "/kind") {
                "ResourceQuota" => {
                    quotas += 1;
                    quota(object, &overlay.objects)
                }
                "PodDisruptionBudget" => {
                    budgets += 1;
                    Ok(budget(object, &overlay.objects))
                }
                _ => continue,
            };
            let found = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
            faults.extend(found.into_iter().map(|f| format!("{}: {f}", overlay.name)));
        }
    }
    Row::faultless(
        "quotas and disruption budgets",
        "this program",
        &faults,
        format!("{quotas} quotas hold the largest state, {budgets} budgets let a pod be moved"),
    )
}

/// What of a quota is too little for all workloads of its namespace at their largest.
fn quota(object: &Value, objects: &[Value]) -> anyhow::Result<Vec<String>> {
    let mut needed: BTreeMap<&str, u64> = BTreeMap::new();
    let namespace = text(object, "/metadata/namespace");
    for workload in objects
        .iter()
        .filter(|o| text(o, "/metadata/namespace") == namespace)
    {
        let Some(pod) = pod(workload) else { continue };
        let (_, most) = pods(workload, objects);
        // in thousandths, as quantities are
        *needed.entry("pods").or_default() += most * 1000;
        for (name, pointer) in BOUNDS {
            let sum = |path: &str, fold: fn(u64, u64) -> u64| {
                list(pod, path).iter().try_fold(0, |all, container| {
                    let asked = quantity(text(container, pointer));
                    asked
                        .map(|asked| fold(all, asked))
                        .with_context(|| format!("{}: {pointer}", called(workload)))
                })
            };
            // containers run together, those that prepare one after the other
            let together = sum("/containers", |all, one| all + one)?;
            let one = together.max(sum("/initContainers", u64::max)?);
            *needed.entry(name).or_default() += one * most;
        }
    }
    let mut faults = Vec::new();
    for (name, needed) in needed {
        let hard = quantity(object["spec"]["hard"][name].as_str().unwrap_or_default());
        let hard = hard.with_context(|| format!("{}: {name}", called(object)))?;
        if needed > hard {
            faults.push(format!(
                "{}: {name} is {} thousandths, {needed} may be needed",
                called(object),
                hard
            ));
        }
    }
    Ok(faults)
}

/// A budget that never lets its least number of pods be fewer by one would keep a machine for ever.
fn budget(object: &Value, objects: &[Value]) -> Vec<String> {
    let Some(stays) = object["spec"]["minAvailable"].as_u64() else {
        return Vec::new();
    };
    let wanted = object
        .pointer("/spec/selector/matchLabels")
        .and_then(Value::as_object);
    let meant = |workload: &&Value| {
        let labels = workload.pointer("/spec/template/metadata/labels");
        labels.is_some_and(|labels| {
            wanted
                .into_iter()
                .flatten()
                .all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let namespace = text(object, "/metadata/namespace");
    let mut found = objects
        .iter()
        .filter(|o| text(o, "/metadata/namespace") == namespace && pod(o).is_some())
        .filter(meant)
        .peekable();
    if found.peek().is_none() {
        return vec![format!("{} is about no pod", called(object))];
    }
    found
        .map(|workload| (called(workload), pods(workload, objects).0))
        .filter(|(_, least)| *least <= stays)
        .map(|(name, least)| format!("{}: {stays} of {least} of {name} must stay", called(object)))
        .collect()
}

/// The least and the most pods that a workload may have at once.
fn pods(workload: &Value, objects: &[Value]) -> (u64, u64) {
    let own = workload["spec"]["replicas"].as_u64().unwrap_or(1);
    if !matches!(text(workload, "/kind"), "Deployment" | "StatefulSet") {
        return (1, 1);
    }
    let scaler = objects.iter().find(|o| {
        matches!(text(o, "/kind"), "HorizontalPodAutoscaler" | "ScaledObject")
            && text(o, "/metadata/namespace") == text(workload, "/metadata/namespace")
            && text(o, "/spec/scaleTargetRef/name") == text(workload, "/metadata/name")
    });
    let bound = |names: [&str; 2]| {
        let found = names
            .iter()
            .find_map(|name| scaler?["spec"][*name].as_u64());
        found.unwrap_or(own)
    };
    let (least, most) = (
        bound(["minReplicas", "minReplicaCount"]),
        bound(["maxReplicas", "maxReplicaCount"]),
    );
    let slots = if workload.pointer(SLOT).is_some() {
        2
    } else {
        1
    };
    let surge = workload.pointer("/spec/strategy/rollingUpdate/maxSurge");
    let surge = surge.and_then(Value::as_u64).unwrap_or_default();
    (least, most * slots + surge)
}

/// `200m`, `4`, `256Mi`, `1Gi`, in thousandths.
fn quantity(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text.strip_prefix(digits)? {
        "m" => 1,
        "" => 1000,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects(slot: bool) -> Vec<Value> {
        let labels = if slot {
            json!({"app": "d", "microcrop.io/slot": "blue"})
        } else {
            json!({"app": "d"})
        };
        let resources = json!({"requests": {"cpu": "100m", "memory": "1Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"}});
        vec![
            json!({"kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": {
                "strategy": {"rollingUpdate": {"maxSurge": 1}},
                "template": {"metadata": {"labels": labels},
                    "spec": {"containers": [{"resources": resources}]}}}}),
            json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "namespace": "n"},
                "spec": {"scaleTargetRef": {"name": "d"}, "minReplicas": 2, "maxReplicas": 4}}),
        ]
    }

    #[test]
    fn a_quota_holds_autoscaler_roll_out_and_both_slots() {
        let quota_of = |cpu: &str| {
            json!({"kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "n"}, "spec": {"hard": {
                "pods": "9", "requests.cpu": cpu, "requests.memory": "9Mi",
                "limits.cpu": "9", "limits.memory": "9Gi"}}})
        };
        assert_eq!(quota(&quota_of("500m"), &objects(false)).unwrap(), [""; 0]);
        assert_eq!(quota(&quota_of("499m"), &objects(false)).unwrap().len(), 1);
        assert_eq!(quota(&quota_of("900m"), &objects(true)).unwrap(), [""; 0]);
        assert_eq!(quota(&quota_of("899m"), &objects(true)).unwrap().len(), 1);
        assert!(quota(&quota_of("many"), &objects(true)).is_err());
    }

    #[test]
    fn a_budget_lets_one_pod_be_moved_and_is_about_something() {
        let budget_of = |stays: u64, app: &str| {
            json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "n"},
                "spec": {"minAvailable": stays, "selector": {"matchLabels": {"app": app}}}})
        };
        assert_eq!(budget(&budget_of(1, "d"), &objects(false)), [""; 0]);
        assert_eq!(budget(&budget_of(2, "d"), &objects(false)).len(), 1);
        assert_eq!(budget(&budget_of(1, "e"), &objects(false)).len(), 1);
    }

    #[test]
    fn quantities_are_read_in_thousandths() {
        assert_eq!(quantity("200m"), Some(200));
        assert_eq!(quantity("4"), Some(4000));
        assert_eq!(quantity("1Gi"), quantity("1024Mi"));
        assert_eq!(quantity("1T"), None);
        assert_eq!(quantity(""), None);
    }
}
