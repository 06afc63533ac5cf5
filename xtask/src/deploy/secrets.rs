//! Secrets by name: what containers ask for, what the template says, and what each way of bringing
//! them makes, must be the same names; and Vault's policies allow each role exactly what its stores
//! ask for. Never sees a value. Called by `deploy-check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::manifests::{self, Overlay, called, containers, list, pod, text};
use super::{Deploy, Row, kubernetes, tools};

/// What there is, with how to make it.
const TEMPLATE: &str = "deploy/kubernetes/base/secrets/secrets-template.yaml";
/// Vault's side.
const VAULT: &str = "deploy/security/vault";

/// Secret to its keys.
pub(super) type Keys = BTreeMap<String, BTreeSet<String>>;

/// Every row about secrets.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let overlays = deploy.overlays()?;
    let template = template(deploy)?;
    let mut rows = vec![asked(overlays, &template), brought(overlays, &template)];
    rows.push(allowed(deploy, overlays)?);
    rows.push(kubernetes::hcl(deploy, &format!("{VAULT}/policies")));
    let mut rotation = Command::new(deploy.path("deploy/security/tests/run.sh"));
    rows.push(Row::judged(
        "rotation of secrets",
        "run, against stand-ins",
        tools::judge(deploy, &mut rotation).map(|printed| tools::last_line(&printed)),
    ));
    rows.push(Row::not_run(
        "secrets sealed by seal.sh",
        "kubeseal",
        "in no package index; needs a cluster's certificate",
    ));
    rows.push(Row::not_run(
        "Vault's policies and roles, applied",
        "vault",
        "in no package index; configure.sh --print shows the commands",
    ));
    Ok(rows)
}

/// The template, read by the YAML of the tools' environment.
pub(super) fn template(deploy: &Deploy<'_>) -> anyhow::Result<Keys> {
    let bin = tools::python(deploy, "kubernetes", manifests::REQUIREMENTS)?;
    let folder = tools::scratch(deploy, "template")?;
    let mut split = Command::new(bin.join("python"));
    split
        .arg(deploy.path("deploy/kubernetes/checks/split.py"))
        .arg(deploy.path(TEMPLATE))
        .arg(&folder);
    tools::judge(deploy, &mut split)?;
    let objects: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(folder.join("objects.json"))?)?;
    Ok(objects
        .iter()
        .map(|object| {
            let keys = object["stringData"].as_object();
            let keys = keys.into_iter().flat_map(|keys| keys.keys().cloned());
            (text(object, "/metadata/name").to_owned(), keys.collect())
        })
        .collect())
}

/// Every Secret that a pod asks for is in the template, with the key it wants.
fn asked(overlays: &[Overlay], template: &Keys) -> Row {
    let mut faults = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut ask = |object: &Value, secret: &str, key: Option<&str>| {
        // made by cert-manager, not by people
        if secret.ends_with("-tls") {
            return;
        }
        seen.insert(secret.to_owned());
        match template.get(secret) {
            None => drop(faults.insert(format!("{} asks for {secret}", called(object)))),
            Some(keys) if key.is_some_and(|key| !keys.contains(key)) => {
                let key = key.unwrap_or_default();
                faults.insert(format!("{} asks for {key} of {secret}", called(object)));
            }
            Some(_) => {}
        }
    };
    for object in overlays.iter().flat_map(|overlay| &overlay.objects) {
        let Some(pod) = pod(object) else { continue };
        for container in containers(pod) {
            for from in list(container, "/envFrom") {
                let secret = text(from, "/secretRef/name");
                if !secret.is_empty() {
                    ask(object, secret, None);
                }
            }
            for variable in list(container, "/env") {
                let secret = text(variable, "/valueFrom/secretKeyRef/name");
                if !secret.is_empty() {
                    ask(
                        object,
                        secret,
                        Some(text(variable, "/valueFrom/secretKeyRef/key")),
                    );
                }
            }
        }
        for volume in list(pod, "/volumes") {
            let secret = text(volume, "/secret/secretName");
            if !secret.is_empty() {
                ask(object, secret, None);
            }
        }
    }
    for unused in template.keys().filter(|name| !seen.contains(*name)) {
        faults.insert(format!("nobody asks for {unused} of the template"));
    }
    let faults: Vec<String> = faults.into_iter().collect();
    let shown = format!("{} Secrets, all in the template", seen.len());
    Row::faultless("Secrets that pods ask for", "this program", &faults, shown)
}

/// Every ExternalSecret makes the template's keys; an overlay with some brings all that it asks for.
fn brought(overlays: &[Overlay], template: &Keys) -> Row {
    let mut faults = Vec::new();
    let mut count = 0;
    for overlay in overlays {
        let mut made = Keys::new();
        for object in overlay
            .objects
            .iter()
            .filter(|o| text(o, "/kind") == "ExternalSecret")
        {
            let templated = object.pointer("/spec/target/template/data");
            let templated = templated.and_then(Value::as_object).into_iter();
            let listed = list(object, "/spec/data").iter();
            let keys = templated
                .flat_map(|data| data.keys().cloned())
                .chain(listed.map(|entry| text(entry, "/secretKey").to_owned()));
            made.insert(text(object, "/spec/target/name").to_owned(), keys.collect());
        }
        count += made.len();
        for (secret, keys) in &made {
            if template.get(secret) != Some(keys) {
                faults.push(format!("{}: {secret} is not the template's", overlay.name));
            }
        }
        if made.is_empty() {
            continue;
        }
        for secret in needed(&overlay.objects) {
            if !made.contains_key(&secret) {
                faults.push(format!("{}: nothing brings {secret}", overlay.name));
            }
        }
    }
    let shown = format!("{count} ExternalSecrets make exactly the template's keys");
    Row::faultless(
        "Secrets from Vault and Secrets Manager",
        "this program",
        &faults,
        shown,
    )
}

/// Secrets that containers' environments come from.
fn needed(objects: &[Value]) -> BTreeSet<String> {
    let containers = objects.iter().filter_map(pod).flat_map(containers);
    containers
        .flat_map(|container| list(container, "/envFrom"))
        .map(|from| text(from, "/secretRef/name").to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// What each store reads is what its role's policy allows: no more and no less.
fn allowed(deploy: &Deploy<'_>, overlays: &[Overlay]) -> anyhow::Result<Row> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for object in overlays.iter().flat_map(|overlay| &overlay.objects) {
        let store = text(object, "/spec/secretStoreRef/name");
        if text(object, "/kind") != "ExternalSecret" || store == "aws" {
            continue;
        }
        let paths = read.entry(store.to_owned()).or_default();
        for from in list(object, "/spec/dataFrom") {
            let (key, login) = (
                text(from, "/extract/key"),
                text(from, "/sourceRef/generatorRef/name"),
            );
            if !key.is_empty() {
                paths.insert(format!("ENVIRONMENT/microcrop/data/{key}"));
            }
            if let Some(role) = login.strip_prefix("database-") {
                paths.insert(format!("ENVIRONMENT/database/creds/{role}"));
            }
        }
    }
    let mut faults = Vec::new();
    let roles = fs::read_to_string(deploy.path(VAULT).join("roles.tsv"))?;
    for (role, paths) in &read {
        let file = deploy
            .path(VAULT)
            .join("policies")
            .join(format!("{role}.hcl"));
        let policy = fs::read_to_string(&file).unwrap_or_default();
        let granted: BTreeSet<String> = policy
            .lines()
            .filter_map(|line| line.strip_prefix("path \"")?.split('"').next())
            .map(str::to_owned)
            .collect();
        for path in paths.difference(&granted) {
            faults.push(format!(
                "{role} reads {path}, which its policy does not allow"
            ));
        }
        for path in granted.difference(paths) {
            faults.push(format!("{role} may read {path} and does not"));
        }
        if !roles
            .lines()
            .any(|line| line.split('\t').next() == Some(role))
        {
            faults.push(format!("{role} is not in {VAULT}/roles.tsv"));
        }
    }
    let shown = format!("{} roles may read exactly what they do read", read.len());
    Ok(Row::faultless(
        "Vault: what each role may read",
        "this program",
        &faults,
        shown,
    ))
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

    fn keys(secret: &str, keys: &[&str]) -> Keys {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Keys::from([(secret.to_owned(), keys)])
    }

    #[test]
    fn a_key_that_the_template_does_not_know_is_found() {
        let pod = json!({"kind": "Job", "spec": {"template": {"spec": {"containers": [{"env": [
            {"valueFrom": {"secretKeyRef": {"name": "a", "key": "K"}}}]}]}}}});
        let overlays = [overlay(vec![pod])];
        assert!(
            asked(&overlays, &keys("a", &["K"]))
                .to_string()
                .contains("proven")
        );
        assert!(
            asked(&overlays, &keys("a", &["L"]))
                .to_string()
                .contains("FAILED")
        );
        assert!(
            asked(&overlays, &keys("b", &["K"]))
                .to_string()
                .contains("FAILED")
        );
    }

    #[test]
    fn a_secret_that_brings_other_keys_is_found() {
        let brings = |key: &str| {
            json!({"kind": "ExternalSecret",
                "spec": {"target": {"name": "a"}, "data": [{"secretKey": key}]}})
        };
        let template = keys("a", &["K"]);
        let row = |key: &str| brought(&[overlay(vec![brings(key)])], &template).to_string();
        assert!(row("K").contains("proven"));
        assert!(row("L").contains("FAILED"));
    }
}
