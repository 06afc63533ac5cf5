//! What Terraform makes and what the manifests expect must be the same: networks, regions, buckets,
//! roles, pools of machines, secrets. Compares the outputs of the environments' tests with the
//! rendered overlays; never reads a value twice from one place. Called by the check above.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;

use super::super::manifests::{Overlay, called, list, pod, text};
use super::super::{Deploy, Row, kubernetes};
use super::ENVIRONMENTS;

/// The overlay that asks Secrets Manager, and the environment it stands for.
const SECRETS: (&str, &str) = ("variants/aws-secrets", "production");
/// Annotation that says which role of the cloud an identity may take.
const ROLE: &str = "eks.amazonaws.com~1role-arn";

/// A row an environment and one about secrets.
pub(super) fn check(
    deploy: &Deploy<'_>,
    contracts: &[(String, Value)],
) -> anyhow::Result<Vec<Row>> {
    let overlays = deploy.overlays()?;
    let named = |name: &str| {
        overlays
            .iter()
            .find(|overlay| overlay.name == name)
            .with_context(|| format!("there is no overlay {name}"))
    };
    let mut rows = Vec::new();
    for name in ENVIRONMENTS {
        let artefact = format!("terraform and overlay {name}");
        let Some((_, contract)) = contracts.iter().find(|(found, _)| found == name) else {
            rows.push(Row::judged(
                artefact,
                "this program",
                Err(anyhow::anyhow!("its tests failed: nothing to compare")),
            ));
            continue;
        };
        let mut agreed = Agreed::default();
        facts(&mut agreed, contract, named(name)?);
        pools(&mut agreed, contract, named(name)?);
        servers(&mut agreed, contract, named(name)?);
        rows.push(agreed.row(artefact));
        if name == SECRETS.1 {
            let mut agreed = Agreed::default();
            secrets(&mut agreed, contract, named(SECRETS.0)?);
            rows.push(agreed.row(format!("terraform and overlay {}", SECRETS.0)));
        }
    }
    Ok(rows)
}

/// What was found equal, and what was not.
#[derive(Default)]
struct Agreed {
    equal: usize,
    faults: Vec<String>,
}

impl Agreed {
    fn same(&mut self, what: &str, terraform: &str, manifests: &str) {
        if terraform == manifests && !terraform.is_empty() {
            self.equal += 1;
        } else {
            self.faults.push(format!(
                "{what}: Terraform says {terraform:?}, the manifests {manifests:?}"
            ));
        }
    }

    fn holds(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            self.equal += 1;
        } else {
            self.faults.push(otherwise());
        }
    }

    fn row(self, artefact: String) -> Row {
        let shown = format!("{} facts equal", self.equal);
        Row::faultless(artefact, "this program", &self.faults, shown)
    }
}

/// The object of a kind whose name is, or begins with, a name (generated ones end in a digest).
fn object<'a>(overlay: &'a Overlay, kind: &str, name: &str) -> Option<&'a Value> {
    overlay.objects.iter().find(|object| {
        let found = text(object, "/metadata/name");
        text(object, "/kind") == kind && (found == name || found.starts_with(&format!("{name}-")))
    })
}

/// A text of the object of a kind and name; empty, and so unequal to anything, if it is not there.
fn of<'a>(overlay: &'a Overlay, kind: &str, name: &str, pointer: &str) -> &'a str {
    object(overlay, kind, name).map_or("", |object| text(object, pointer))
}

fn facts(agreed: &mut Agreed, contract: &Value, overlay: &Overlay) {
    let says = |pointer: &str| text(contract, pointer);
    agreed.same(
        "Kubernetes",
        says("/kubernetes_version"),
        kubernetes::KUBERNETES,
    );
    let settings = |key: &str| of(overlay, "ConfigMap", "microcrop-config", key);
    agreed.same(
        "environment",
        says("/environment"),
        settings("/data/ENVIRONMENT"),
    );
    let url = format!("https://{}", says("/host"));
    agreed.same("public address", &url, settings("/data/PUBLIC_BASE_URL"));
    let host = of(
        overlay,
        "Ingress",
        "microcrop-ingress",
        "/spec/rules/0/host",
    );
    agreed.same("host of the ingress", says("/host"), host);
    let namespace = of(
        overlay,
        "Deployment",
        "microcrop-workers",
        "/metadata/namespace",
    );
    agreed.same("namespace", says("/namespace"), namespace);
    let network = "/spec/egress/0/to/0/ipBlock/cidr";
    for policy in ["cluster-api", "postgres-clients", "redis-clients"] {
        // in development the servers are inside, and no policy leads to the cloud's
        let cidr = of(overlay, "NetworkPolicy", policy, network);
        if policy == "cluster-api" || !cidr.is_empty() {
            agreed.same(&format!("network of {policy}"), says("/vpc_cidr"), cidr);
        }
    }
    let backup = |key: &str| of(overlay, "ConfigMap", "backup-config", key);
    agreed.same("bucket", says("/backup/bucket"), backup("/data/S3_BUCKET"));
    agreed.same("its region", says("/region"), backup("/data/S3_REGION"));
    agreed.same(
        "second bucket",
        says("/backup/dr_bucket"),
        backup("/data/S3_DR_BUCKET"),
    );
    agreed.same(
        "its region",
        says("/backup/dr_region"),
        backup("/data/S3_DR_REGION"),
    );
    let topic: Vec<&str> = backup("/data/SNS_TOPIC_ARN").split(':').collect();
    agreed.same(
        "topic",
        says("/backup/topic"),
        topic.get(5).copied().unwrap_or_default(),
    );
    agreed.same(
        "its region",
        says("/region"),
        topic.get(3).copied().unwrap_or_default(),
    );
    let role = of(
        overlay,
        "ServiceAccount",
        "backup",
        &format!("/metadata/annotations/{ROLE}"),
    );
    let role = role.split_once("role/").map_or("", |(_, role)| role);
    agreed.same("role of the backup", says("/backup/role"), role);
}

/// Pods ask for pools that there are and tolerate those that are kept for somebody.
fn pools(agreed: &mut Agreed, contract: &Value, overlay: &Overlay) {
    let key = text(contract, "/pool_key");
    let pools: BTreeMap<&str, bool> = contract["pools"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, pool)| (name.as_str(), pool["tainted"].as_bool().unwrap_or_default()))
        .collect();
    let mut tolerated = BTreeSet::new();
    for object in &overlay.objects {
        let Some(pod) = pod(object) else { continue };
        for toleration in list(pod, "/tolerations") {
            if text(toleration, "/key") == key {
                let pool = text(toleration, "/value");
                tolerated.insert(pool);
                agreed.holds(pools.get(pool) == Some(&true), || {
                    format!(
                        "{} tolerates the pool {pool:?}, which nobody taints",
                        called(object)
                    )
                });
            }
        }
        let preferred = "/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution";
        for preference in list(pod, preferred) {
            for expression in list(preference, "/preference/matchExpressions") {
                for value in list(expression, "/values") {
                    let pool = value.as_str().unwrap_or_default();
                    agreed.holds(
                        text(expression, "/key") == key && pools.contains_key(pool),
                        || {
                            format!(
                                "{} prefers machines that nobody labels: {expression}",
                                called(object)
                            )
                        },
                    );
                }
            }
        }
    }
    for (pool, tainted) in pools {
        agreed.holds(!tainted || tolerated.contains(pool), || {
            format!("the machines of {pool} are kept for nobody")
        });
    }
}

/// A server is the cloud's or the cluster's, and allows as many connections as there may be.
fn servers(agreed: &mut Agreed, contract: &Value, overlay: &Overlay) {
    for (server, managed) in [("postgres", "database"), ("redis", "cache")] {
        let inside = object(overlay, "StatefulSet", server).is_some();
        agreed.holds(contract[managed].is_null() == inside, || {
            format!("{server} is both the cloud's and the cluster's, or nobody's")
        });
    }
    if let Some(connections) = contract["database"]["max_connections"].as_u64() {
        let needed = connections_needed(overlay);
        agreed.holds(connections >= needed, || {
            format!("PostgreSQL allows {connections} connections, processes may open {needed}")
        });
    }
}

/// What all processes may open at once: pods at most and one more for a roll-out, each process its pool.
fn connections_needed(overlay: &Overlay) -> u64 {
    let pool = |object: &Value, container: &Value| -> u64 {
        let own = list(container, "/env")
            .iter()
            .find(|variable| text(variable, "/name") == "DB_POOL_MAX");
        let shared = of(
            overlay,
            "ConfigMap",
            "microcrop-config",
            "/data/DB_POOL_MAX",
        );
        let own = own.map_or(shared, |variable| text(variable, "/value"));
        let is_client = ["/spec/template", "/spec/jobTemplate/spec/template"]
            .iter()
            .any(|at| {
                let label = format!("{at}/metadata/labels/microcrop.io~1postgres");
                text(object, &label) == "client"
            });
        if is_client {
            own.parse().unwrap_or_default()
        } else {
            0
        }
    };
    overlay
        .objects
        .iter()
        .map(|object| {
            let name = text(object, "/metadata/name");
            let scaled = overlay.objects.iter().find(|scaler| {
                text(scaler, "/kind") == "HorizontalPodAutoscaler"
                    && text(scaler, "/spec/scaleTargetRef/name") == name
            });
            let pods = scaled
                .and_then(|scaler| scaler["spec"]["maxReplicas"].as_u64())
                .or_else(|| object["spec"]["replicas"].as_u64())
                .unwrap_or(1);
            let extra = u64::from(text(object, "/kind") == "Deployment");
            let each: u64 = pod(object)
                .into_iter()
                .flat_map(|pod| list(pod, "/containers"))
                .map(|container| pool(object, container))
                .sum();
            (pods + extra) * each
        })
        .sum()
}

/// What is asked of Secrets Manager is made there, and nothing else is; from the right region.
fn secrets(agreed: &mut Agreed, contract: &Value, overlay: &Overlay) {
    let mut asked = BTreeSet::new();
    for external in overlay
        .objects
        .iter()
        .filter(|object| text(object, "/kind") == "ExternalSecret")
    {
        for entry in list(external, "/spec/data") {
            asked.insert(text(entry, "/remoteRef/key").to_owned());
        }
    }
    let made: BTreeSet<String> = list(contract, "/secrets")
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    for name in made.union(&asked) {
        agreed.holds(made.contains(name) && asked.contains(name), || {
            format!(
                "{name}: made by Terraform {}, asked for by the cluster {}",
                made.contains(name),
                asked.contains(name)
            )
        });
    }
    let region = of(overlay, "SecretStore", "aws", "/spec/provider/aws/region");
    agreed.same("region of the secrets", text(contract, "/region"), region);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn overlay(objects: Vec<Value>) -> Overlay {
        Overlay {
            name: "test",
            folder: std::path::PathBuf::new(),
            objects,
            counted: String::new(),
        }
    }

    #[test]
    fn a_pool_that_nobody_makes_is_found() {
        let contract = json!({"pool_key": "pool", "pools": {"workers": {"tainted": true}}});
        let asks = |value: &str| {
            overlay(vec![
                json!({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec":
                {"tolerations": [{"key": "pool", "value": value}]}}}}),
            ])
        };
        let mut agreed = Agreed::default();
        pools(&mut agreed, &contract, &asks("workers"));
        assert!(agreed.faults.is_empty() && agreed.equal == 2);
        pools(&mut agreed, &contract, &asks("spot"));
        assert_eq!(agreed.faults.len(), 2);
    }

    #[test]
    fn connections_are_pods_at_most_times_their_pools() {
        let objects = overlay(vec![
            json!({"kind": "ConfigMap", "metadata": {"name": "microcrop-config-x"}, "data": {"DB_POOL_MAX": "10"}}),
            json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
                "spec": {"maxReplicas": 20, "scaleTargetRef": {"name": "b"}}}),
            json!({"kind": "Deployment", "metadata": {"name": "b"}, "spec": {"template":
                {"metadata": {"labels": {"microcrop.io/postgres": "client"}}, "spec": {"containers": [{"name": "b"}]}}}}),
            json!({"kind": "Deployment", "metadata": {"name": "w"}, "spec": {"replicas": 2, "template":
                {"metadata": {"labels": {"microcrop.io/postgres": "client"}}, "spec": {"containers": [
                    {"name": "x", "env": [{"name": "DB_POOL_MAX", "value": "5"}]},
                    {"name": "y", "env": [{"name": "DB_POOL_MAX", "value": "5"}]}]}}}}),
        ]);
        assert_eq!(connections_needed(&objects), 210 + 30);
    }

    #[test]
    fn a_secret_that_is_asked_for_and_not_made_is_found() {
        let asks = overlay(vec![
            json!({"kind": "ExternalSecret", "spec": {"data": [{"remoteRef": {"key": "microcrop/a/b"}}]}}),
            json!({"kind": "SecretStore", "metadata": {"name": "aws"}, "spec": {"provider": {"aws": {"region": "r"}}}}),
        ]);
        let mut agreed = Agreed::default();
        secrets(
            &mut agreed,
            &json!({"region": "r", "secrets": ["microcrop/a/b"]}),
            &asks,
        );
        assert!(agreed.faults.is_empty() && agreed.equal == 2);
        secrets(
            &mut agreed,
            &json!({"region": "r", "secrets": ["microcrop/a/c"]}),
            &asks,
        );
        assert_eq!(agreed.faults.len(), 2);
    }
}
