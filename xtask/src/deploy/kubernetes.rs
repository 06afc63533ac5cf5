//! The manifests through the tools that know them: kustomize, the schemas of Kubernetes and of the
//! operators, the cluster's own admission rules, a policy scan; and what they must agree on among
//! themselves: images, ports, time to drain. Never asks a cluster. Called by `deploy-check`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::files::with_extension;
use super::manifests::{self, Overlay, called, containers, image_name, list, pod, text};
use super::{Deploy, Row, capacity, policy, reach, tools};
use crate::process::which;

/// The schemas that objects are held against: the version of the clusters (deploy/terraform).
pub(super) const KUBERNETES: &str = "1.33";
/// Where the programs of this check are.
const CHECKS: &str = "deploy/kubernetes/checks";
/// The cluster's own rules, and objects that they must refuse.
const POLICY: &str = "deploy/security/policies/workloads.yaml";
const REFUSED: &str = "deploy/security/policies/tests/refused.yaml";
/// Our images, as they are built.
const IMAGES: &str = "deploy/docker/images.tsv";
/// The nginx list of gateways.
const GATEWAYS: &str = "deploy/docker/nginx/gateways.conf";
/// Says how long a process drains at most.
const LIFECYCLE: &str = "shared/runtime/src/lifecycle.rs";

/// Every row about manifests.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let overlays = deploy.overlays()?;
    let bin = tools::python(deploy, "kubernetes", manifests::REQUIREMENTS)?;
    let mut rows = Vec::new();
    for overlay in overlays {
        rows.push(Row::proven(
            format!("overlay {}", overlay.name),
            "kubectl kustomize",
            format!("{} objects (Kubernetes' + operators')", overlay.counted),
        ));
        let mut validate = Command::new(bin.join("kubernetes-validate"));
        validate
            .args(["--strict", "--quiet", "-k", KUBERNETES])
            .arg(overlay.folder.join("core.yaml"));
        rows.push(Row::judged(
            format!("overlay {}: schemas", overlay.name),
            "kubernetes-validate",
            tools::judge(deploy, &mut validate).map(|_| format!("strict, Kubernetes {KUBERNETES}")),
        ));
    }
    let files =
        |name: &str| -> Vec<PathBuf> { overlays.iter().map(|o| o.folder.join(name)).collect() };
    rows.push(Row::judged(
        "operators' objects: schemas",
        "@kubernetes-models, tsc",
        custom(deploy, &files("custom.json")),
    ));
    let mut admission = Command::new(bin.join("python"));
    admission
        .arg(deploy.path(CHECKS).join("admission.py"))
        .args([deploy.path(POLICY), deploy.path(REFUSED)])
        .args(files("objects.json"));
    rows.push(Row::judged(
        "admission rules over every workload",
        "CEL runtime",
        tools::judge(deploy, &mut admission).map(|printed| tools::last_line(&printed)),
    ));
    rows.push(scan(deploy, overlays)?);
    let mut lint = Command::new(bin.join("yamllint"));
    lint.args(["--strict", "--config-file"])
        .arg(deploy.path(CHECKS).join("yamllint.yaml"))
        .args([
            deploy.path("deploy/kubernetes"),
            deploy.path("deploy/security"),
        ]);
    rows.push(Row::judged(
        "deploy/kubernetes, deploy/security: *.yaml",
        "yamllint",
        tools::judge(deploy, &mut lint).map(|_| "no fault".to_owned()),
    ));
    rows.push(shell(deploy));
    rows.push(images(deploy, overlays)?);
    rows.push(Row::faultless(
        "ports of pods, probes and services",
        "this program",
        &over(overlays, ports),
        "no two containers on one port, every name known",
    ));
    rows.push(reach::check(deploy)?);
    rows.push(capacity::check(overlays));
    rows.push(drain(deploy, overlays)?);
    rows.push(gateways(deploy, overlays)?);
    Ok(rows)
}

/// What `judge` finds in each overlay, with the overlay's name, each once.
fn over(overlays: &[Overlay], judge: fn(&[Value]) -> Vec<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for overlay in overlays {
        let found = judge(&overlay.objects);
        faults.extend(found.into_iter().map(|f| format!("{}: {f}", overlay.name)));
    }
    faults
}

fn custom(deploy: &Deploy<'_>, files: &[PathBuf]) -> anyhow::Result<String> {
    let home = tools::node(deploy, "custom-resources", CHECKS)?;
    let mut command = Command::new("node");
    command
        .arg(deploy.path(CHECKS).join("custom.mjs"))
        .arg(home)
        .args(files);
    tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
}

/// Checkov over what is rendered.
fn scan(deploy: &Deploy<'_>, overlays: &[Overlay]) -> anyhow::Result<Row> {
    let artefact = "overlays: policy scan";
    let folder = tools::scratch(deploy, "scan")?;
    for overlay in overlays {
        let name = format!("{}.yaml", overlay.name.replace('/', "-"));
        fs::copy(overlay.folder.join("rendered.yaml"), folder.join(name))?;
    }
    policy::scan(deploy, artefact, &folder, CHECKS)
}

/// The shell scripts of the two folders, by shellcheck.
fn shell(deploy: &Deploy<'_>) -> Row {
    let judged = tools::system(deploy, "shellcheck", "shellcheck").and_then(|shellcheck| {
        let mut scripts = Vec::new();
        for folder in ["deploy/kubernetes", "deploy/security"] {
            scripts.extend(with_extension(&deploy.path(folder), "sh")?);
        }
        let mut command = Command::new(shellcheck);
        command
            .args(["--severity=style", "--shell=bash"])
            .args(&scripts);
        tools::judge(deploy, &mut command)?;
        Ok(format!("{} scripts", scripts.len()))
    });
    Row::judged(
        "deploy/kubernetes, deploy/security: *.sh",
        "shellcheck",
        judged,
    )
}

/// Ours are exactly those that are built, and each has a tag.
fn images(deploy: &Deploy<'_>, overlays: &[Overlay]) -> anyhow::Result<Row> {
    let built = fs::read_to_string(deploy.path(IMAGES))?;
    let built: BTreeSet<&str> = built
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .filter(|name| !name.is_empty())
        .collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for overlay in overlays {
        for object in &overlay.objects {
            for container in pod(object).into_iter().flat_map(containers) {
                let (image, name) = (text(container, "/image"), image_name(container));
                let tagged = image
                    .rsplit('/')
                    .next()
                    .is_some_and(|last| last.contains(':'));
                if !tagged {
                    faults.push(format!("{}: {image} has no tag", called(object)));
                }
                if name.starts_with("microcrop/") && !built.contains(name) {
                    faults.push(format!("{}: {name} is not in {IMAGES}", called(object)));
                }
                seen.insert(name);
            }
        }
    }
    let shown = format!("{} images, ours are those of {IMAGES}", seen.len());
    Ok(Row::faultless(
        "images of pods",
        "this program",
        &faults,
        shown,
    ))
}

/// No two containers of a pod on one port; every port that is named by a probe or a Service exists.
fn ports(objects: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for object in objects {
        let Some(pod) = pod(object) else { continue };
        let mut taken = BTreeSet::new();
        for container in list(pod, "/containers") {
            let mut names = BTreeSet::new();
            for port in list(container, "/ports") {
                names.insert(text(port, "/name"));
                if !taken.insert(port["containerPort"].as_u64()) {
                    let port = &port["containerPort"];
                    faults.push(format!("{}: {port} is taken twice", called(object)));
                }
            }
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                for kind in ["httpGet", "tcpSocket"] {
                    let named = text(container, &format!("/{probe}/{kind}/port"));
                    if !named.is_empty() && !names.contains(named) {
                        faults.push(format!(
                            "{}: {probe} asks port `{named}`, which {} has not",
                            called(object),
                            text(container, "/name")
                        ));
                    }
                }
            }
        }
    }
    for service in objects.iter().filter(|o| text(o, "/kind") == "Service") {
        faults.extend(target_ports(service, objects));
    }
    faults
}

fn target_ports(service: &Value, objects: &[Value]) -> Vec<String> {
    let Some(wanted) = service.pointer("/spec/selector").and_then(Value::as_object) else {
        return Vec::new();
    };
    let namespace = text(service, "/metadata/namespace");
    let chosen: Vec<&Value> = objects
        .iter()
        .filter(|o| text(o, "/metadata/namespace") == namespace && pod(o).is_some())
        .filter(|o| {
            let labels = o.pointer("/spec/template/metadata/labels");
            labels.is_some_and(|labels| {
                wanted
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value))
            })
        })
        .collect();
    if chosen.is_empty() {
        return vec![format!("{} selects no pod", called(service))];
    }
    let has = |object: &Value, name: &str| {
        let containers = pod(object).map_or(&[][..], |pod| list(pod, "/containers"));
        let mut ports = containers.iter().flat_map(|c| list(c, "/ports"));
        ports.any(|port| text(port, "/name") == name)
    };
    list(service, "/spec/ports")
        .iter()
        .map(|port| text(port, "/targetPort"))
        .filter(|name| !chosen.iter().any(|object| has(object, name)))
        .map(|name| {
            format!(
                "{} sends to port `{name}`, which no pod has",
                called(service)
            )
        })
        .collect()
}

/// A pod of ours may be killed only after it could drain.
fn drain(deploy: &Deploy<'_>, overlays: &[Overlay]) -> anyhow::Result<Row> {
    let source = fs::read_to_string(deploy.path(LIFECYCLE))?;
    let longest: u64 = source
        .split_once("DRAIN_SECONDS_MAX: u64 = ")
        .and_then(|(_, rest)| rest.split_once(';'))
        .and_then(|(number, _)| number.parse().ok())
        .with_context(|| format!("{LIFECYCLE} no longer says DRAIN_SECONDS_MAX"))?;
    let (mut faults, mut count) = (Vec::new(), 0);
    for object in overlays.iter().flat_map(|overlay| &overlay.objects) {
        let Some(pod) = pod(object) else { continue };
        let ours = |c: &Value| image_name(c).starts_with("microcrop/");
        if !containers(pod).any(ours) {
            continue;
        }
        count += 1;
        let waits = containers(pod)
            .filter_map(|c| c.pointer("/lifecycle/preStop/sleep/seconds")?.as_u64())
            .max();
        let needed = longest + waits.unwrap_or_default();
        let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        if given <= needed {
            faults.push(format!(
                "{} is killed after {given} s, needs {needed}",
                called(object)
            ));
        }
    }
    let shown = format!("{count} pods outlive their drain of {longest} s");
    Ok(Row::faultless(
        "time to drain",
        "this program",
        &faults,
        shown,
    ))
}

/// The ingress exempts the gateways that nginx exempts.
fn gateways(deploy: &Deploy<'_>, overlays: &[Overlay]) -> anyhow::Result<Row> {
    let file = fs::read_to_string(deploy.path(GATEWAYS))?;
    let known: BTreeSet<&str> = file
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut faults = Vec::new();
    for object in overlays.iter().flat_map(|overlay| &overlay.objects) {
        if text(object, "/kind") != "Ingress" {
            continue;
        }
        let exempt = text(
            object,
            "/metadata/annotations/nginx.ingress.kubernetes.io~1limit-whitelist",
        );
        if exempt.split(',').collect::<BTreeSet<_>>() != known {
            faults.push(format!("{} exempts others than {GATEWAYS}", called(object)));
        }
    }
    let shown = format!("{} ranges, as in {GATEWAYS}", known.len());
    Ok(Row::faultless(
        "gateways that no limit counts",
        "this program",
        &faults,
        shown,
    ))
}

/// Vault's policies are HCL, which Terraform's formatter reads; found, not installed.
pub(super) fn hcl(deploy: &Deploy<'_>, folder: &str) -> Row {
    let (artefact, tool) = (format!("{folder}/*.hcl"), "terraform fmt");
    let Some(terraform) = which("terraform") else {
        return Row::not_run(artefact, tool, "terraform is not installed");
    };
    let judged = with_extension(&deploy.path(folder), "hcl").and_then(|files| {
        // `fmt` reads files called *.tf only
        let copies = tools::scratch(deploy, "hcl")?;
        for file in &files {
            let name = file.file_stem().unwrap_or_default();
            fs::copy(file, copies.join(name).with_extension("tf"))?;
        }
        let mut command = Command::new(terraform);
        command
            .args(["fmt", "-check", "-diff"])
            .arg(&copies)
            .env("CHECKPOINT_DISABLE", "1");
        tools::judge(deploy, &mut command)?;
        Ok(format!("{} policies parse and are formatted", files.len()))
    });
    Row::judged(artefact, tool, judged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(containers: &Value) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {
            "metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers}}}})
    }

    #[test]
    fn a_port_that_two_containers_take_is_found() {
        let one = json!({"name": "a", "ports": [{"name": "x", "containerPort": 9090}]});
        let two = json!({"name": "b", "ports": [{"name": "y", "containerPort": 9090}]});
        assert!(ports(&[deployment(&json!([one.clone()]))]).is_empty());
        assert_eq!(ports(&[deployment(&json!([one, two]))]).len(), 1);
    }

    #[test]
    fn a_probe_or_a_service_that_names_no_port_is_found() {
        let container = json!({"name": "a", "ports": [{"name": "x", "containerPort": 1}],
            "livenessProbe": {"httpGet": {"port": "z"}}});
        let service = |app: &str, port: &str| {
            json!({"kind": "Service", "metadata": {"name": "s"}, "spec":
                {"selector": {"app": app}, "ports": [{"targetPort": port}]}})
        };
        let pod = deployment(&json!([container]));
        assert_eq!(ports(std::slice::from_ref(&pod)).len(), 1);
        assert_eq!(ports(&[pod.clone(), service("d", "x")]).len(), 1);
        assert_eq!(ports(&[pod.clone(), service("d", "y")]).len(), 2);
        assert_eq!(ports(&[pod, service("e", "x")]).len(), 2);
    }
}
