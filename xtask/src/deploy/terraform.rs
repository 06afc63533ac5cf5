//! Terraform: form, every module and environment against the providers' schemas and by its own tests,
//! and what it must agree on with the manifests. Never asks a cloud: providers are stand-ins that
//! serve a schema. Called by `deploy-check`.

mod attach;
mod contract;
mod folders;
mod interface;
mod lanes;
mod real;
mod standin;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::files::with_extension;
use super::{Deploy, Row, policy, tools};
use crate::process::which;
use attach::Attached;

/// Everything that is checked.
const FOLDER: &str = "deploy/terraform";
/// What its files read of the rest of the checkout.
const READ: [&str; 3] = [FOLDER, "deploy/kubernetes", "deploy/docker/images.tsv"];
/// Programs of this check.
const CHECKS: &str = "deploy/terraform/checks";
/// Whose outputs are held against the manifests, and the overlays of the same names.
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];
/// Oldest that knows values which no state keeps, and locks in the bucket.
const VERSION_MIN: (u32, u32) = (1, 11);

/// Terraform, the providers that it talks to, and the copy of the checkout that it may write into.
pub(super) struct Terraform<'a> {
    deploy: &'a Deploy<'a>,
    program: &'a Path,
    providers: Attached,
    work: &'a Path,
}

impl Terraform<'_> {
    /// Terraform in a folder of the copy; nothing of a developer's own settings leaks in.
    fn command(&self, folder: &str) -> Command {
        let mut command = plain(self.program);
        command
            .arg(chdir(self.work, folder))
            .env("TF_REATTACH_PROVIDERS", &self.providers.told);
        command
    }

    fn judge(&self, folder: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(folder);
        command.args(arguments);
        tools::judge(self.deploy, &mut command)
    }

    /// Providers and modules in their places.
    fn init(&self, folder: &str) -> anyhow::Result<()> {
        let arguments = ["init", "-backend=false", "-input=false", "-no-color"];
        self.judge(folder, &arguments).map(drop)
    }
}

/// The argument that makes Terraform work in a folder of the copy.
fn chdir(work: &Path, folder: &str) -> String {
    format!("-chdir={}", work.join(FOLDER).join(folder).display())
}

/// Terraform without what its environment could say to it.
fn plain(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_IN_AUTOMATION", "1");
    for name in [
        "TF_CLI_ARGS",
        "TF_CLI_CONFIG_FILE",
        "TF_DATA_DIR",
        "TF_LOG",
        "TF_PLUGIN_CACHE_DIR",
        "TF_REATTACH_PROVIDERS",
        "TF_WORKSPACE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Every row about Terraform.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let Some(program) = which("terraform") else {
        return Ok(vec![Row::not_run(
            FOLDER,
            "terraform",
            "it is not installed and in no package index; see https://developer.hashicorp.com/terraform/install",
        )]);
    };
    let platform = platform(deploy, &program)?;
    let folders = list(deploy)?;
    let mut rows = vec![
        form(deploy, &program),
        shell(deploy),
        interface::check(deploy, &folders),
    ];
    let work = copy(deploy)?;
    let providers = standin::make(deploy, &program, &platform)?;
    rows.push(Row::proven(
        "schemas of the providers",
        "published bindings",
        &providers.shown,
    ));
    rows.push(Row::judged(
        "lock.sh: which providers are trusted",
        "terraform init -lockfile",
        standin::locks(deploy, &program, &providers, &work),
    ));
    let terraform = Terraform {
        deploy,
        program: &program,
        providers: attach::start(&providers.programs)?,
        work: &work,
    };
    rows.push(Row::judged(
        "the stand-in refuses what is wrong",
        "terraform validate",
        self_check(&terraform),
    ));
    let (judged, contracts) = folders::check(&terraform, &folders);
    rows.extend(judged);
    rows.push(real::values(&terraform, &providers));
    rows.push(real::rehearsal(&terraform, &providers));
    rows.extend(contract::check(deploy, &contracts)?);
    rows.push(costs(deploy, &contracts)?);
    rows.push(policy::scan(
        deploy,
        "terraform: policy scan",
        &deploy.path(FOLDER),
        CHECKS,
    )?);
    rows.push(Row::not_run(
        "a plan and an apply in an account",
        "terraform",
        "needs an account; what the cloud says to values is for the first `dev` to show",
    ));
    Ok(rows)
}

/// `linux_amd64`, from a Terraform that is new enough.
fn platform(deploy: &Deploy<'_>, program: &Path) -> anyhow::Result<String> {
    let mut command = plain(program);
    command.args(["version", "-json"]);
    let told: Value = serde_json::from_str(&tools::judge(deploy, &mut command)?)?;
    let version = told["terraform_version"].as_str().unwrap_or_default();
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let found = (numbers.next(), numbers.next());
    let (Some(Ok(major)), Some(Ok(minor))) = found else {
        anyhow::bail!("terraform says it is version {version:?}");
    };
    ensure!(
        (major, minor) >= VERSION_MIN,
        "terraform is {version}, and {}.{} is needed",
        VERSION_MIN.0,
        VERSION_MIN.1
    );
    let platform = told["platform"].as_str();
    Ok(platform.context("terraform names no platform")?.to_owned())
}

/// Folders that Terraform is run in, below FOLDER.
fn list(deploy: &Deploy<'_>) -> anyhow::Result<Vec<String>> {
    let root = deploy.path(FOLDER);
    let mut found = Vec::new();
    for file in with_extension(&root, "tf")? {
        let folder = file
            .parent()
            .and_then(|parent| parent.strip_prefix(&root).ok());
        let Some(folder) = folder.and_then(Path::to_str) else {
            continue;
        };
        // what a developer's own Terraform keeps beside its files
        if !folder.split('/').any(|part| part.starts_with('.')) {
            found.push(folder.to_owned());
        }
    }
    found.dedup();
    Ok(found)
}

fn form(deploy: &Deploy<'_>, program: &Path) -> Row {
    let mut command = plain(program);
    command
        .args(["fmt", "-check", "-diff", "-recursive"])
        .arg(deploy.path(FOLDER));
    Row::judged(
        "deploy/terraform: *.tf, *.tftest.hcl",
        "terraform fmt",
        tools::judge(deploy, &mut command).map(|_| "formed as it wants".to_owned()),
    )
}

/// A copy that Terraform may write its locks and modules into.
fn copy(deploy: &Deploy<'_>) -> anyhow::Result<PathBuf> {
    let work = tools::scratch(deploy, "terraform/work")?;
    for from in READ {
        copy_into(&deploy.path(from), &work.join(from))?;
    }
    Ok(work)
}

fn copy_into(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_dir() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(".terraform") {
            copy_into(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

/// A check that lets anything through proves nothing: three kinds of mistakes must be found.
fn self_check(terraform: &Terraform<'_>) -> anyhow::Result<String> {
    let folder = "mistaken";
    let inside = terraform.work.join(FOLDER).join(folder);
    fs::create_dir_all(&inside)?;
    fs::copy(
        terraform
            .deploy
            .path(FOLDER)
            .join("modules/edge/versions.tf"),
        inside.join("versions.tf"),
    )?;
    let wrong = [
        (
            "An argument named \"instance_clas\" is not expected",
            "resource \"aws_db_instance\" \"misspelt\" {\n  instance_class = \"db.t4g.large\"\n  instance_clas  = \"db.t4g.large\"\n}\n",
        ),
        (
            "The argument \"instance_class\" is required",
            "resource \"aws_db_instance\" \"missing\" {}\n",
        ),
        (
            "Blocks of type \"vpc_confi\" are not expected",
            "resource \"aws_eks_cluster\" \"block\" {\n  name     = \"a\"\n  role_arn = \"b\"\n  vpc_config {\n    subnet_ids = []\n  }\n  vpc_confi {}\n}\n",
        ),
        (
            "attribute \"proxied\": a bool is required",
            "resource \"cloudflare_dns_record\" \"type\" {\n  zone_id = \"a\"\n  name    = \"b\"\n  type    = \"A\"\n  ttl     = 1\n  proxied = \"perhaps\"\n}\n",
        ),
        (
            "does not support resource type \"aws_vcp\"",
            "resource \"aws_vcp\" \"unknown\" {}\n",
        ),
    ];
    fs::write(inside.join("main.tf"), wrong.map(|(_, text)| text).concat())?;
    terraform.init(folder)?;
    let mut command = terraform.command(folder);
    let told = command.args(["validate", "-json"]).output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let details: Vec<&str> = told["diagnostics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|fault| fault["detail"].as_str())
        .collect();
    for (expected, _) in wrong {
        ensure!(
            details.iter().any(|detail| detail.contains(expected)),
            "nobody said: {expected}; said was: {}",
            details.join(" | ")
        );
    }
    Ok(format!("{} kinds of mistakes found", wrong.len()))
}

/// The scripts beside the modules.
fn shell(deploy: &Deploy<'_>) -> Row {
    let judged = tools::system(deploy, "shellcheck", "shellcheck").and_then(|shellcheck| {
        let scripts = with_extension(&deploy.path(FOLDER), "sh")?;
        let mut command = Command::new(shellcheck);
        command.args(["--severity=style"]).args(&scripts);
        tools::judge(deploy, &mut command)?;
        Ok(format!("{} scripts", scripts.len()))
    });
    Row::judged("deploy/terraform: *.sh", "shellcheck", judged)
}

/// What a month costs, from the figures that production was tested with.
fn costs(deploy: &Deploy<'_>, contracts: &[folders::Contract]) -> anyhow::Result<Row> {
    let (artefact, tool) = ("COSTS.md: a month of production", "this program");
    let production = contracts.iter().find(|(name, _)| name == "production");
    let Some((_, production)) = production else {
        return Ok(Row::judged(
            artefact,
            tool,
            Err(anyhow::anyhow!("production's tests failed: no figures")),
        ));
    };
    let folder = tools::scratch(deploy, "terraform/costs")?;
    let figures = folder.join("production.json");
    fs::write(&figures, production.to_string())?;
    let bin = tools::python(deploy, "terraform", &format!("{CHECKS}/requirements.txt"))?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(deploy.path(CHECKS).join("costs.py"))
        .arg(deploy.path(FOLDER).join("costs.json"))
        .arg(&figures)
        .arg(deploy.path(FOLDER).join("COSTS.md"));
    let judged = tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed));
    Ok(Row::judged(artefact, tool, judged))
}
