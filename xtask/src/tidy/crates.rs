//! Who may know whom among our crates, and which crate may depend on which library, read from
//! `cargo metadata`. Never looks at source text. Called by tidy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Fault;
use crate::cargo::{array, members, text};

/// A crate of ours and the crates of ours it may depend on.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("store", &["domain"]),
    ("runtime", &["domain"]),
    ("providers", &["domain"]),
    ("backend", &["domain", "store", "runtime", "providers"]),
    ("workers", &["domain", "store", "runtime", "providers"]),
    (
        "data-processor",
        &["domain", "store", "runtime", "providers"],
    ),
    ("sandbox", &["domain", "runtime"]),
    (
        "simulation",
        &[
            "domain",
            "store",
            "runtime",
            "providers",
            "backend",
            "workers",
            "data-processor",
            "sandbox",
        ],
    ),
    ("xtask", &[]),
];

/// Beyond that, what a crate's tests may use: the pretend outside world. The domain's need none.
const TESTS_MAY_KNOW: [(&str, &[&str]); 5] = [
    ("store", &["sandbox"]),
    ("providers", &["sandbox"]),
    ("backend", &["sandbox"]),
    ("workers", &["sandbox"]),
    ("data-processor", &["sandbox"]),
];

/// A library and the crates that may depend on it outside their tests.
const LIBRARIES: [(&str, &[&str]); 3] = [
    ("sqlx", &["store", "simulation"]),
    ("lapin", &["runtime"]),
    (
        "reqwest",
        &["providers", "runtime", "sandbox", "simulation"],
    ),
];

/// What the pure core's whole tree is free of.
const NOT_IN_DOMAIN: [&str; 7] = ["tokio", "sqlx", "reqwest", "axum", "lapin", "redis", "rand"];

/// All rules about crates.
pub(super) fn check(metadata: &Value, root: &Path) -> Vec<Fault> {
    let bench = root.join("bench");
    let ours: Vec<&Value> = members(metadata)
        .into_iter()
        .filter(|package| !Path::new(text(package, "manifest_path")).starts_with(&bench))
        .collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| text(package, "name")).collect();
    let mut faults = Vec::new();
    for package in &ours {
        check_package(package, &names, root, &mut faults);
    }
    faults.extend(check_domain_tree(metadata, &ours));
    faults
}

fn check_package(package: &Value, ours: &BTreeSet<&str>, root: &Path, faults: &mut Vec<Fault>) {
    let name = text(package, "name");
    let manifest = super::inside(root, Path::new(text(package, "manifest_path")));
    let list = |table: &[(&str, &[&'static str])]| -> Vec<&'static str> {
        table
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, allowed)| allowed.to_vec())
            .unwrap_or_default()
    };
    if !MAY_KNOW.iter().any(|(known, _)| *known == name) {
        faults.push(Fault::new(
            &manifest,
            0,
            format!("{name} is new; say in xtask/src/tidy/crates.rs and ARCHITECTURE.md whom it may know"),
        ));
        return;
    }
    let (may, tests_may) = (list(&MAY_KNOW), list(&TESTS_MAY_KNOW));
    for dependency in array(package, "dependencies") {
        let other = text(dependency, "name");
        let for_tests = text(dependency, "kind") == "dev";
        if ours.contains(other) && other != name {
            let allowed = may.contains(&other) || (for_tests && tests_may.contains(&other));
            if !allowed {
                faults.push(Fault::new(
                    &manifest,
                    0,
                    format!("{name} may not know {other} (ARCHITECTURE.md, who may know whom)"),
                ));
            }
        }
        if for_tests {
            continue;
        }
        for (library, owners) in LIBRARIES {
            if other == library && !owners.contains(&name) {
                faults.push(Fault::new(
                    &manifest,
                    0,
                    format!("{library} is for {} only", owners.join(", ")),
                ));
            }
        }
    }
}

/// Follows the domain's ordinary and build dependencies to the end.
fn check_domain_tree(metadata: &Value, ours: &[&Value]) -> Vec<Fault> {
    let names: BTreeMap<&str, &str> = array(metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata
        .get("resolve")
        .map(|resolve| array(resolve, "nodes"))
        .unwrap_or_default()
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let Some(start) = ours
        .iter()
        .find(|package| text(package, "name") == "domain")
        .map(|package| text(package, "id"))
    else {
        return Vec::new();
    };
    // each reached crate with the one that led to it, to be able to say how
    let mut reached: BTreeMap<&str, &str> = BTreeMap::from([(start, "")]);
    let mut waiting = vec![start];
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in array(node, "deps") {
            let only_tests = array(dependency, "dep_kinds")
                .iter()
                .all(|kind| text(kind, "kind") == "dev");
            let next = text(dependency, "pkg");
            if !only_tests && !reached.contains_key(next) {
                reached.insert(next, id);
                waiting.push(next);
            }
        }
    }
    let mut faults = Vec::new();
    for id in reached.keys() {
        let name = names.get(id).copied().unwrap_or_default();
        if !NOT_IN_DOMAIN.contains(&name) {
            continue;
        }
        let mut path = vec![name];
        let mut at = *id;
        while let Some(parent) = reached.get(at).filter(|parent| !parent.is_empty()) {
            path.push(names.get(parent).copied().unwrap_or_default());
            at = parent;
        }
        path.reverse();
        faults.push(Fault::new(
            "shared/domain/Cargo.toml",
            0,
            format!("the pure core may not reach {name}: {}", path.join(" → ")),
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> = dependencies
            .iter()
            .map(|(name, kind)| json!({"name": name, "kind": kind}))
            .collect();
        json!({
            "id": name,
            "name": name,
            "manifest_path": format!("/w/{name}/Cargo.toml"),
            "dependencies": dependencies,
        })
    }

    fn workspace(packages: &[Value], edges: &[(&str, &str, Option<&str>)]) -> Value {
        let ids: Vec<&str> = packages.iter().map(|p| text(p, "id")).collect();
        let nodes: Vec<Value> = edges
            .iter()
            .map(|(from, _, _)| *from)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|id| {
                let deps: Vec<Value> = edges
                    .iter()
                    .filter(|(from, _, _)| *from == id)
                    .map(|(_, to, kind)| json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": id, "deps": deps})
            })
            .collect();
        json!({"packages": packages, "workspace_members": ids, "resolve": {"nodes": nodes}})
    }

    fn rules(packages: &[Value]) -> Vec<String> {
        check(&workspace(packages, &[]), Path::new("/w"))
            .into_iter()
            .map(|fault| fault.rule)
            .collect()
    }

    #[test]
    fn the_binaries_never_know_each_other() {
        let found = rules(&[
            package("backend", &[("store", None), ("workers", None)]),
            package("workers", &[]),
            package("store", &[("domain", None)]),
            package("domain", &[]),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("backend may not know workers"));
    }

    #[test]
    fn the_sandbox_is_for_tests_only() {
        let sandbox = package("sandbox", &[]);
        assert!(
            rules(&[
                package("providers", &[("sandbox", Some("dev"))]),
                sandbox.clone()
            ])
            .is_empty()
        );
        assert_eq!(
            rules(&[package("providers", &[("sandbox", None)]), sandbox]).len(),
            1
        );
    }

    #[test]
    fn libraries_have_owners() {
        assert_eq!(rules(&[package("backend", &[("sqlx", None)])]).len(), 1);
        assert!(rules(&[package("backend", &[("sqlx", Some("dev"))])]).is_empty());
        assert_eq!(rules(&[package("workers", &[("lapin", None)])]).len(), 1);
    }

    #[test]
    fn a_crate_nobody_placed_is_found() {
        assert_eq!(rules(&[package("extra", &[])]).len(), 1);
    }

    #[test]
    fn the_domain_reaches_no_runtime_even_through_another_crate() {
        let packages = [
            package("domain", &[("h3o", None)]),
            package("h3o", &[]),
            package("tokio", &[]),
        ];
        let mut metadata = workspace(
            &packages,
            &[("domain", "h3o", None), ("h3o", "tokio", None)],
        );
        metadata["workspace_members"] = json!(["domain"]);
        let found = check(&metadata, Path::new("/w"));
        assert_eq!(found.len(), 1);
        assert!(found[0].rule.contains("domain → h3o → tokio"));

        let mut for_tests = workspace(
            &packages,
            &[("domain", "h3o", None), ("h3o", "tokio", Some("dev"))],
        );
        for_tests["workspace_members"] = json!(["domain"]);
        assert!(check(&for_tests, Path::new("/w")).is_empty());
    }
}
