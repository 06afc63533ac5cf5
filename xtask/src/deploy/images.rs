//! What images are made of and what runs them outside a cluster: Dockerfiles, nginx, compose, workflows
//! and the scripts that they call. Never builds an image and starts nothing that outlives it.
//! Called by `deploy-check`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::environment::{binaries, check_config, settings};
use super::files::with_extension;
use super::{Deploy, Row, manifests, tools};

/// Linters of this folder.
const REQUIREMENTS: &str = "deploy/docker/checks/requirements.txt";
/// One style of YAML for the whole of deploy/.
const YAML: &str = "deploy/kubernetes/checks/yamllint.yaml";
/// Our images, as they are built.
const IMAGES: &str = "deploy/docker/images.tsv";
/// The tags of other people's images in the cluster.
const TAGS: &str = "deploy/kubernetes/images/plain/kustomization.yaml";
/// The configuration of nginx.
const NGINX: &str = "deploy/docker/nginx/nginx.conf";
/// A farmer's screen holds this many characters, the prefix included.
const SCREEN_CHARS_MAX: usize = 150;
/// Class ceilings, and the targets of which they must be 1.2 times at least, requests a second.
const CEILINGS: [(&str, u32); 3] = [
    ("ussd_class", 500),
    ("api_class", 100),
    ("webhook_class", 50),
];
/// Folders whose shell scripts are ours here; deploy/kubernetes and deploy/security have rows of their own.
const SCRIPTS: [&str; 4] = [
    "deploy/ci-cd",
    "deploy/docker",
    "deploy/monitoring",
    "deploy/scripts",
];

/// Every row about images and what runs them.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let bin = tools::python(deploy, "docker", REQUIREMENTS)?;
    let mut rows = vec![
        dockerfiles(deploy, &bin),
        Row::judged(
            "images.tsv, Dockerfiles, toolchain",
            "this program",
            agree(deploy),
        ),
        nginx(deploy, &bin),
        Row::judged(
            "nginx: ceilings and the busy screen",
            "this program",
            limits(deploy),
        ),
    ];
    rows.extend(compose(deploy, &bin)?);
    rows.extend(workflows(deploy, &bin)?);
    rows.push(scripts(deploy, &bin));
    let mut lint = Command::new(bin.join("yamllint"));
    lint.args(["--strict", "--config-file"])
        .arg(deploy.path(YAML));
    lint.args(
        [
            "docker-compose.yml",
            ".github",
            "deploy/docker",
            "deploy/monitoring",
        ]
        .map(|part| deploy.path(part)),
    );
    rows.push(Row::judged(
        "compose, workflows, monitoring: *.yml",
        "yamllint",
        tools::judge(deploy, &mut lint).map(|_| "no fault".to_owned()),
    ));
    rows.push(rehearsal(deploy));
    for (artefact, tool, why) in [
        (
            "images built, compose up",
            "podman, docker compose",
            "minutes of work: `cargo xtask compose-up` does both",
        ),
        (
            "images scanned",
            "Trivy, Snyk",
            "their databases are not reachable",
        ),
        ("images pushed and signed", "ECR, cosign", "no registry"),
    ] {
        rows.push(Row::not_run(artefact, tool, why));
    }
    Ok(rows)
}

/// The rows of images.tsv: image, Dockerfile, target.
fn images(deploy: &Deploy<'_>) -> anyhow::Result<Vec<[String; 3]>> {
    let table = fs::read_to_string(deploy.path(IMAGES)).context(IMAGES)?;
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            let mut next = || cells.next().with_context(|| format!("{IMAGES}: {line}"));
            Ok([next()?, next()?, next()?])
        })
        .collect()
}

fn dockerfiles(deploy: &Deploy<'_>, bin: &Path) -> Row {
    let judged = images(deploy).and_then(|images| {
        let mut files: Vec<PathBuf> = images
            .iter()
            .map(|[_, file, _]| deploy.path(file))
            .collect();
        files.push(deploy.path("deploy/docker/Dockerfile.dev"));
        files.sort();
        files.dedup();
        let mut command = Command::new(bin.join("hadolint"));
        command.args(&files);
        tools::judge(deploy, &mut command)?;
        Ok(format!("{} files", files.len()))
    });
    Row::judged("Dockerfiles", "hadolint", judged)
}

/// The list of images, the Dockerfiles and the toolchain say the same; nothing that the build reads is
/// kept from it.
fn agree(deploy: &Deploy<'_>) -> anyhow::Result<String> {
    let read = |path: &str| fs::read_to_string(deploy.path(path)).with_context(|| path.to_owned());
    let toolchain = read("rust-toolchain.toml")?;
    let version = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .context("rust-toolchain.toml names no channel")?;
    let wanted = format!("ARG RUST_VERSION={version}");
    for file in [
        "deploy/docker/Dockerfile.prod",
        "deploy/docker/Dockerfile.dev",
    ] {
        ensure!(
            read(file)?.lines().any(|line| line == wanted),
            "{file} does not say `{wanted}`"
        );
    }
    let images = images(deploy)?;
    for [image, file, target] in &images {
        let text = read(file)?;
        ensure!(
            target == "-"
                || text
                    .lines()
                    .any(|line| line.ends_with(&format!(" AS {target}"))),
            "{file} has no stage `{target}` for {image}"
        );
        ensure!(
            text.lines().any(|line| line == "USER 1001:1001"),
            "{file} does not run as 1001"
        );
        ensure!(
            text.contains("HEALTHCHECK "),
            "{file} says nothing of health"
        );
    }
    let ignored = read(".dockerignore")?;
    let manifest = read("Cargo.toml")?;
    for member in manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
    {
        let top = member.split('/').next().unwrap_or(member);
        ensure!(
            ignored.lines().any(|line| line
                .strip_prefix('!')
                .is_some_and(|kept| { kept == top || kept.starts_with(&format!("{top}/")) })),
            ".dockerignore keeps the workspace's {member} from the build"
        );
    }
    Ok(format!(
        "{} images, Rust {version}, user 1001, a health check each",
        images.len()
    ))
}

fn nginx(deploy: &Deploy<'_>, bin: &Path) -> Row {
    let (artefact, tool) = ("nginx, with and without TLS", "nginx -t, gixy");
    let judged = tools::system(deploy, "nginx", "nginx").and_then(|nginx| {
        let mut command = Command::new(deploy.path("deploy/docker/nginx/check.sh"));
        command.env("NGINX", nginx).env("GIXY", bin.join("gixy"));
        tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
    });
    Row::judged(artefact, tool, judged)
}

/// The rate of a zone of nginx, requests a second.
fn rate(text: &str, zone: &str) -> Option<u32> {
    let line = text
        .lines()
        .find(|line| line.contains(&format!("zone={zone}:")))?;
    let (_, after) = line.split_once("rate=")?;
    after.split_once("r/s")?.0.parse().ok()
}

fn limits(deploy: &Deploy<'_>) -> anyhow::Result<String> {
    let text = fs::read_to_string(deploy.path(NGINX)).context(NGINX)?;
    for (zone, target) in CEILINGS {
        let found = rate(&text, zone).with_context(|| format!("{NGINX} has no zone {zone}"))?;
        ensure!(
            found * 10 >= target * 12,
            "{zone} lets {found} a second through, less than 1.2 times {target}"
        );
    }
    let screen = text
        .split_once("return 200 \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(screen, _)| screen)
        .context("nginx has no words for a farmer")?;
    let chars = screen.chars().count();
    ensure!(
        screen.starts_with("END ") && screen.is_ascii() && chars <= SCREEN_CHARS_MAX,
        "the screen has {chars} characters, begins otherwise than `END `, or is not plain"
    );
    Ok(format!(
        "each 1.2 times its target; the screen has {chars} characters"
    ))
}

/// Compose resolved in each size, held against the schema, the programs and the cluster's versions.
fn compose(deploy: &Deploy<'_>, bin: &Path) -> anyhow::Result<Vec<Row>> {
    let resolved = |files: &[&str], profiles: &[&str]| {
        let mut command = Command::new(crate::compose::program(bin)?);
        command.current_dir(&deploy.context.root);
        for file in files {
            command.args(["--file", file]);
        }
        for profile in profiles {
            command.args(["--profile", profile]);
        }
        command.args(["config", "--format", "json"]);
        let printed = tools::judge(deploy, &mut command)?;
        Ok::<Value, anyhow::Error>(serde_json::from_str(&printed)?)
    };
    let mut schema = Command::new(bin.join("check-jsonschema"));
    schema
        .args(["--builtin-schema", "vendor.compose-spec"])
        .arg(deploy.path("docker-compose.yml"));
    let mut rows = vec![Row::judged(
        "docker-compose.yml: schema",
        "check-jsonschema",
        tools::judge(deploy, &mut schema).map(|_| "compose-spec".to_owned()),
    )];
    let base = ["docker-compose.yml"];
    let whole = resolved(&base, &["app", "monitoring"])?;
    let count = |resolved: &Value| services(resolved).count();
    let judged = resolved(&base, &[]).and_then(|plain| {
        ensure!(
            count(&plain) == 3,
            "without a profile it starts more than the three servers"
        );
        resolved(
            &["docker-compose.yml", "deploy/docker/compose.dev.yml"],
            &["app"],
        )?;
        Ok(format!(
            "3, {} with both profiles, and the one for live rebuilds",
            count(&whole)
        ))
    });
    rows.push(Row::judged(
        "docker-compose.yml: resolved",
        "docker compose config",
        judged,
    ));
    rows.push(Row::judged(
        "compose: versions as in the cluster",
        "this program",
        versions(deploy, &whole),
    ));
    let programs = binaries(deploy)?;
    let mut told = 0;
    let mut faults = Vec::new();
    for (name, service) in services(&whole) {
        let image = service["image"].as_str().unwrap_or_default();
        let Some(program) = program(name, image) else {
            continue;
        };
        let known = settings(&programs, program)?;
        let env: BTreeMap<String, String> = service["environment"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        told += 1;
        faults.extend(
            env.keys()
                .filter(|variable| !known.contains(*variable))
                .map(|variable| format!("{name}: {program} does not know {variable}")),
        );
        // the sandbox has no check of its own, and a migration needs the database only
        if !matches!(name, "sandbox" | "migrate") {
            let mut env = env;
            // the clock is a file of a volume
            env.insert("TIME_MODE".to_owned(), "system".to_owned());
            if let Err(error) = check_config(&programs, program, &env) {
                faults.push(format!("{name}: {error:#}"));
            }
        }
    }
    rows.push(Row::faultless(
        "compose: variables and settings",
        "the programs' --help, check-config",
        &faults,
        format!("{told} containers are told what they know, and all they need"),
    ));
    Ok(rows)
}

fn services(resolved: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let found = resolved["services"].as_object();
    found
        .into_iter()
        .flatten()
        .map(|(name, service)| (name.as_str(), service))
}

/// The program that a service runs, if it is one of ours.
fn program<'a>(service: &'a str, image: &str) -> Option<&'a str> {
    match (service, image.starts_with("microcrop/")) {
        (_, false) | ("nginx", _) => None,
        ("migrate", _) => Some("backend"),
        (service, _) => Some(service),
    }
}

/// Other people's images have one version, here and in the cluster.
fn versions(deploy: &Deploy<'_>, whole: &Value) -> anyhow::Result<String> {
    let tags = fs::read_to_string(deploy.path(TAGS)).context(TAGS)?;
    let mut equal = 0;
    for (name, service) in services(whole) {
        let image = service["image"].as_str().unwrap_or_default();
        if image.starts_with("microcrop/") {
            continue;
        }
        let (repository, tag) = image
            .rsplit_once(':')
            .with_context(|| format!("{name}: {image} has no tag"))?;
        let line = format!("{{name: {repository}, newTag: {tag}}}");
        ensure!(
            tags.contains(&line),
            "{name} runs {image}, and {TAGS} does not say `{line}`"
        );
        equal += 1;
    }
    Ok(format!("{equal} services"))
}

fn workflows(deploy: &Deploy<'_>, bin: &Path) -> anyhow::Result<Vec<Row>> {
    let folder = deploy.path(".github/workflows");
    let files = with_extension(&folder, "yml")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut search = vec![bin.to_owned()];
    search.extend(std::env::split_paths(&path));
    // it asks the shellcheck it finds about each step
    let mut actionlint = Command::new(bin.join("actionlint"));
    actionlint
        .env("PATH", std::env::join_paths(search)?)
        .current_dir(&deploy.context.root);
    let mut zizmor = Command::new(bin.join("zizmor"));
    zizmor
        .args(["--offline", "--no-progress", "--config"])
        .arg(deploy.path(".github/zizmor.yml"))
        .arg(&folder);
    let mut schema = Command::new(bin.join("check-jsonschema"));
    schema
        .args(["--builtin-schema", "vendor.github-workflows"])
        .args(&files);
    let shown = format!("{} workflows", files.len());
    Ok([
        ("workflows: meaning", "actionlint, shellcheck", actionlint),
        ("workflows: security", "zizmor", zizmor),
        ("workflows: schema", "check-jsonschema", schema),
    ]
    .map(|(artefact, tool, mut command)| {
        let judged = tools::judge(deploy, &mut command).map(|_| shown.clone());
        Row::judged(artefact, tool, judged)
    })
    .into())
}

fn scripts(deploy: &Deploy<'_>, bin: &Path) -> Row {
    let judged = (|| {
        let mut found = vec![deploy.path("deploy/ci-cd/tests/kubectl")];
        for folder in SCRIPTS {
            found.extend(with_extension(&deploy.path(folder), "sh")?);
        }
        let mut command = Command::new(bin.join("shellcheck"));
        // as deploy/.shellcheckrc says; sourced files are named from the root
        command.current_dir(&deploy.context.root).args(&found);
        tools::judge(deploy, &mut command)?;
        Ok(format!("{} scripts", found.len()))
    })();
    Row::judged(
        "ci-cd, docker, monitoring, scripts: *.sh",
        "shellcheck",
        judged,
    )
}

/// The scripts of the pipeline, run: against stand-ins, behind the real nginx.
fn rehearsal(deploy: &Deploy<'_>) -> Row {
    let judged = (|| {
        for (program, package) in [
            ("nginx", "nginx"),
            ("curl", "curl"),
            ("jq", "jq"),
            ("wrk", "wrk"),
        ] {
            tools::system(deploy, program, package)?;
        }
        // the same kubectl that renders the overlays
        let folder = tools::python(deploy, "kubernetes", manifests::REQUIREMENTS)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let search = [folder].into_iter().chain(std::env::split_paths(&path));
        let mut command = Command::new(deploy.path("deploy/ci-cd/tests/run.sh"));
        command.env("PATH", std::env::join_paths(search)?);
        tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
    })();
    Row::judged("pipeline's scripts, run", "stand-ins, nginx, wrk", judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_zone_is_read() {
        let text = "  limit_req_zone $server_name  zone=ussd_class:1m       rate=600r/s;\n";
        assert_eq!(rate(text, "ussd_class"), Some(600));
        assert_eq!(rate(text, "api_class"), None);
    }

    #[test]
    fn a_service_of_compose_runs_the_program_of_its_name() {
        assert_eq!(program("relay", "microcrop/workers:local"), Some("relay"));
        assert_eq!(
            program("migrate", "microcrop/backend:local"),
            Some("backend")
        );
        assert_eq!(program("nginx", "microcrop/nginx:local"), None);
        assert_eq!(program("redis", "redis:7"), None);
    }
}
