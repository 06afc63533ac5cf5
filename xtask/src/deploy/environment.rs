//! What containers of our images are told, held against the programs themselves: every variable is one
//! that the program knows, every command one that it has, and `check-config` finds nothing missing.
//! Never starts a process that serves. Called by `deploy-check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use super::manifests::{called, containers, image_name, list, pod, text};
use super::secrets::{self, Keys};
use super::{Deploy, Row};
use crate::cargo::build_binaries;

/// Which image holds which programs.
const IMAGES: &str = "deploy/docker/images.tsv";
/// Scripts of the backup's image, which read variables too.
const SCRIPTS: &str = "deploy/scripts";
/// Commands whose help lists settings, beside those that containers run.
const HELPS: [&[&str]; 4] = [
    &["--help"],
    &["serve", "--help"],
    &["stream", "--help"],
    &["migrate", "--help"],
];

/// A container of one of our images.
struct Container<'a> {
    shown: String,
    program: String,
    args: Vec<&'a str>,
    /// Variables of its own, with their values; those of Secrets have samples.
    own: BTreeMap<String, String>,
    /// What comes from ConfigMaps as a whole.
    config: BTreeMap<String, String>,
}

impl Container<'_> {
    /// Whether it serves, and so needs its whole configuration.
    fn serves(&self) -> bool {
        match self.args.first() {
            None => true,
            Some(first) => matches!(*first, "serve" | "stream"),
        }
    }
}

/// Every row about variables.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let bin = binaries(deploy)?;
    let template = secrets::template(deploy)?;
    let mut rows = Vec::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for overlay in deploy.overlays()? {
        let found = ours(deploy, &overlay.objects, &template)?;
        for container in &found {
            if !known.contains_key(&container.program) {
                known.insert(
                    container.program.clone(),
                    settings(&bin, &container.program)?,
                );
            }
        }
        let names = unknown(&found, &known);
        rows.push(Row::faultless(
            format!("overlay {}: variables", overlay.name),
            "the programs' --help",
            &names,
            format!("{} containers are told what they know", found.len()),
        ));
        let mut faults = commands(&bin, &found);
        let serving: Vec<&Container<'_>> = found.iter().filter(|c| c.serves()).collect();
        faults.extend(missing(&bin, &serving));
        rows.push(Row::faultless(
            format!("overlay {}: settings", overlay.name),
            "the programs' check-config",
            &faults,
            format!(
                "{} configurations complete, all commands known",
                serving.len()
            ),
        ));
    }
    rows.push(placeholders(&bin, &template));
    rows.push(scripts(deploy, &template)?);
    Ok(rows)
}

/// Where the programs are: given, else built.
pub(super) fn binaries(deploy: &Deploy<'_>) -> anyhow::Result<PathBuf> {
    match &deploy.options.binaries {
        Some(folder) => Ok(folder.clone()),
        None => build_binaries(deploy.context),
    }
}

/// The variables that a program knows, from its own help.
pub(super) fn settings(bin: &Path, program: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for args in HELPS {
        // not every program has every command
        if let Ok(help) = ask(bin, program, args, &BTreeMap::new()) {
            found.extend(variables(&help));
        }
    }
    anyhow::ensure!(!found.is_empty(), "{program} names no variable in its help");
    Ok(found)
}

/// `[env: NAME=value]` in a help text.
fn variables(help: &str) -> impl Iterator<Item = String> {
    help.split("[env: ").skip(1).map(|rest| {
        let name = rest.split(['=', ']']).next().unwrap_or_default();
        name.trim().to_owned()
    })
}

/// Containers of our images, with what they are told.
fn ours<'a>(
    deploy: &Deploy<'_>,
    objects: &'a [Value],
    template: &Keys,
) -> anyhow::Result<Vec<Container<'a>>> {
    let programs = programs(&fs::read_to_string(deploy.path(IMAGES))?);
    let mut found = Vec::new();
    for object in objects {
        for container in pod(object).into_iter().flat_map(containers) {
            let Some(inside) = programs.get(image_name(container)) else {
                continue;
            };
            let of_command = list(container, "/command").first().and_then(Value::as_str);
            let of_command = of_command.and_then(|path| path.rsplit('/').next());
            let first = inside.first().map(String::as_str);
            let program = of_command.or(first).unwrap_or_default();
            // the backup's image runs scripts, which `scripts` looks at
            if program.is_empty()
                || !inside.iter().any(|name| name == program)
                || program.contains('.')
            {
                continue;
            }
            let args = list(container, "/args").iter().filter_map(Value::as_str);
            let shown = format!("{} {}", called(object), text(container, "/name"));
            let (own, config) = told(&shown, container, objects, template)?;
            found.push(Container {
                shown,
                program: program.to_owned(),
                args: args.collect(),
                own,
                config,
            });
        }
    }
    Ok(found)
}

/// Image to the programs in it.
fn programs(table: &str) -> BTreeMap<String, Vec<String>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (image, inside) = (cells.next()?, cells.nth(2)?);
            Some((
                image.to_owned(),
                inside.split(' ').map(str::to_owned).collect(),
            ))
        })
        .collect()
}

type Told = (BTreeMap<String, String>, BTreeMap<String, String>);

fn told(
    shown: &str,
    container: &Value,
    objects: &[Value],
    template: &Keys,
) -> anyhow::Result<Told> {
    let config_map = |name: &str| {
        let found = objects
            .iter()
            .find(|o| text(o, "/kind") == "ConfigMap" && text(o, "/metadata/name") == name);
        found
            .and_then(|object| object["data"].as_object())
            .with_context(|| format!("{shown}: there is no ConfigMap {name}"))
    };
    let value = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (mut own, mut config) = (BTreeMap::new(), BTreeMap::new());
    for from in list(container, "/envFrom") {
        let (map, secret) = (
            text(from, "/configMapRef/name"),
            text(from, "/secretRef/name"),
        );
        if !map.is_empty() {
            config.extend(
                config_map(map)?
                    .iter()
                    .map(|(key, v)| (key.clone(), value(v))),
            );
        }
        for key in template.get(secret).into_iter().flatten() {
            own.insert(key.clone(), sample(key));
        }
    }
    for variable in list(container, "/env") {
        let name = text(variable, "/name").to_owned();
        let from = text(variable, "/valueFrom/configMapKeyRef/name");
        let text = if !from.is_empty() {
            let key = text(variable, "/valueFrom/configMapKeyRef/key");
            config_map(from)?.get(key).map(value).unwrap_or_default()
        } else if variable.get("valueFrom").is_some() {
            sample(&name)
        } else {
            value(&variable["value"])
        };
        own.insert(name, text);
    }
    Ok((own, config))
}

/// A value of the right shape, so that `check-config` complains of what is absent only.
fn sample(name: &str) -> String {
    match name {
        "DATABASE_URL" | "MIGRATE_DATABASE_URL" => {
            "postgres://user:word@postgres:5432/microcrop".to_owned()
        }
        "REDIS_URL" => "rediss://:word@redis:6379/0".to_owned(),
        "RABBITMQ_URL" => "amqp://user:word@rabbitmq:5672/%2f".to_owned(),
        "ENCRYPTION_KEY" => "0f".repeat(32),
        "PII_INDEX_KEY" => "f0".repeat(32),
        _ => "sample-".repeat(6),
    }
}

/// Names that the program does not know; a ConfigMap that several read may hold what one of them knows.
fn unknown(found: &[Container<'_>], known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let everybody: BTreeSet<&String> = found
        .iter()
        .filter_map(|container| known.get(&container.program))
        .flatten()
        .collect();
    let mut faults = BTreeSet::new();
    for container in found {
        let knows = known.get(&container.program);
        for name in container.own.keys() {
            if !knows.is_some_and(|knows| knows.contains(name)) {
                faults.insert(format!(
                    "{}: {} does not know {name}",
                    container.shown, container.program
                ));
            }
        }
        for name in container
            .config
            .keys()
            .filter(|name| !everybody.contains(name))
        {
            faults.insert(format!("no program knows {name} of the ConfigMap"));
        }
    }
    faults.into_iter().collect()
}

/// Commands that the program does not have.
fn commands(bin: &Path, found: &[Container<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    for container in found.iter().filter(|container| !container.args.is_empty()) {
        let mut args = container.args.clone();
        args.push("--help");
        if let Err(error) = ask(bin, &container.program, &args, &BTreeMap::new()) {
            faults.push(format!("{}: {error:#}", container.shown));
        }
    }
    faults
}

/// What `check-config` of each finds missing.
fn missing(bin: &Path, serving: &[&Container<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    for container in serving {
        // refuses nothing but production, and has no check of its own
        if container.program == "sandbox" {
            continue;
        }
        let mut env = container.config.clone();
        env.extend(container.own.clone());
        if let Err(error) = ask(bin, &container.program, &["check-config"], &env) {
            faults.push(format!("{}: {error:#}", container.shown));
        }
    }
    faults
}

/// The template as it is, applied by mistake, must not start anything.
fn placeholders(bin: &Path, template: &Keys) -> Row {
    let started: Vec<String> = [
        ("backend", "backend-secrets"),
        ("payout", "workers-secrets"),
        ("data-processor", "data-processor-secrets"),
    ]
    .into_iter()
    .filter(|(program, secret)| {
        let keys = template.get(*secret).into_iter().flatten();
        let env = keys
            .map(|key| (key.clone(), "CHANGE_ME".to_owned()))
            .collect();
        ask(bin, program, &["check-config"], &env).is_ok()
    })
    .map(|(program, _)| format!("{program} starts with the template's own values"))
    .collect();
    Row::faultless(
        "the template's placeholders",
        "the programs' check-config",
        &started,
        "refused",
    )
}

/// What the backup's scripts are told, they read.
fn scripts(deploy: &Deploy<'_>, template: &Keys) -> anyhow::Result<Row> {
    let mut text_of_all = String::new();
    for script in super::files::with_extension(&deploy.path(SCRIPTS), "sh")? {
        text_of_all.push_str(&fs::read_to_string(script)?);
    }
    let mut names: BTreeSet<String> = template.get("backup-secrets").cloned().unwrap_or_default();
    for object in deploy
        .overlays()?
        .iter()
        .flat_map(|overlay| &overlay.objects)
    {
        if text(object, "/metadata/name").starts_with("backup-config") {
            names.extend(
                object["data"]
                    .as_object()
                    .into_iter()
                    .flat_map(|d| d.keys().cloned()),
            );
        }
    }
    let faults: Vec<String> = names
        .iter()
        .filter(|name| !text_of_all.contains(name.as_str()))
        .map(|name| format!("no script of {SCRIPTS} reads {name}"))
        .collect();
    Ok(Row::faultless(
        "backup: variables",
        "its scripts",
        &faults,
        format!("{} variables, all read", names.len()),
    ))
}

/// Whether a program finds a configuration complete.
pub(super) fn check_config(
    bin: &Path,
    program: &str,
    env: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    ask(bin, program, &["check-config"], env).map(drop)
}

fn ask(
    bin: &Path,
    program: &str,
    args: &[&str],
    env: &BTreeMap<String, String>,
) -> anyhow::Result<String> {
    let out = Command::new(bin.join(program))
        .args(args)
        // help shows the value of a set variable, and a developer's own must not pass for a manifest's
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program} of {}", bin.display()))?;
    anyhow::ensure!(
        out.status.success(),
        "`{program} {}`: {}",
        args.join(" "),
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_from_help() {
        let help = "--port <PORT>\n  [env: PORT=]\n  [default: 3000]\n --key [env: SECRET_KEY]\n";
        assert_eq!(variables(help).collect::<Vec<_>>(), ["PORT", "SECRET_KEY"]);
    }

    #[test]
    fn a_table_of_images_names_the_programs_in_each() {
        let table = "# head\nmicrocrop/workers\tDockerfile\tworkers\tweather relay\n";
        let found = programs(table);
        assert_eq!(found["microcrop/workers"], ["weather", "relay"]);
    }

    #[test]
    fn a_variable_that_nobody_knows_is_found() {
        let container = |own: &str, config: &str| Container {
            shown: "d".to_owned(),
            program: "p".to_owned(),
            args: Vec::new(),
            own: BTreeMap::from([(own.to_owned(), String::new())]),
            config: BTreeMap::from([(config.to_owned(), String::new())]),
        };
        let known = BTreeMap::from([("p".to_owned(), BTreeSet::from(["A".to_owned()]))]);
        assert!(unknown(&[container("A", "A")], &known).is_empty());
        assert_eq!(unknown(&[container("B", "A")], &known).len(), 1);
        assert_eq!(unknown(&[container("A", "B")], &known).len(), 1);
    }
}
