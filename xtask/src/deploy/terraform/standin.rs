//! Stand-ins of Terraform's providers: their schemas are read from published bindings, and a small
//! program serves them to Terraform. Never a cloud, never the providers' own registry. Made once a
//! run by the check above.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::super::files::with_extension;
use super::super::{Deploy, tools};
use super::{CHECKS, FOLDER, chdir, plain};

/// A module without modules of its own that names every provider.
const NAMES_ALL: &str = "modules/edge";
/// What makes a folder one that is applied.
const BACKEND: &str = "backend.tf";
/// What says which copies of the providers are trusted.
const LOCK: &str = ".terraform.lock.hcl";
/// Where the pipeline begins.
const LOCKED: &str = "environments/production";
/// Where Terraform itself looks for providers that somebody laid there, below each mirror
/// HOST/NAMESPACE/NAME/VERSION/PLATFORM.
const MIRRORS: [&str; 3] = [
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt",
];

/// Where Terraform finds providers.
pub(super) struct Providers {
    /// Its configuration file.
    pub(super) config: PathBuf,
    /// Name, version and counts of each.
    pub(super) shown: String,
    /// Each by its address, HOST/NAMESPACE/NAME, as Terraform calls it.
    pub(super) programs: Vec<(String, PathBuf)>,
    mirror: PathBuf,
    /// `linux_amd64`
    pub(super) platform: String,
}

/// Schemas, programs and the mirror they lie in.
pub(super) fn make(
    deploy: &Deploy<'_>,
    terraform: &Path,
    platform: &str,
) -> anyhow::Result<Providers> {
    let bin = tools::python(deploy, "terraform", &format!("{CHECKS}/requirements.txt"))?;
    let bindings = bindings(deploy, &bin)?;
    let home = tools::scratch(deploy, "terraform/providers")?;
    let schemas = home.join("schemas.json");
    let mut read = Command::new(bin.join("python"));
    read.arg(deploy.path(CHECKS).join("schema.py"))
        .arg(&bindings)
        .arg(deploy.path(FOLDER))
        .arg(&schemas);
    let shown = tools::judge(deploy, &mut read)?.trim().replace('\n', "; ");
    let known: Value = serde_json::from_str(&fs::read_to_string(&schemas)?)?;
    let addresses = addresses(deploy, terraform)?;
    let mirror = home.join("mirror");
    let mut programs = Vec::new();
    for address in addresses {
        let name = address.rsplit('/').next().unwrap_or_default();
        let version = known[name]["version"]
            .as_str()
            .with_context(|| format!("the bindings say nothing of the provider {name}"))?;
        let folder = mirror.join(&address).join(version).join(platform);
        fs::create_dir_all(&folder)?;
        let program = folder.join(format!("terraform-provider-{name}_v{version}"));
        fs::write(
            &program,
            format!(
                "#!/bin/sh\nexec '{}' '{}' '{}' {name}\n",
                bin.join("python").display(),
                deploy.path(CHECKS).join("provider.py").display(),
                schemas.display()
            ),
        )?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        programs.push((address, program));
    }
    Ok(Providers {
        config: configuration(&mirror)?,
        shown,
        programs,
        mirror,
        platform: platform.to_owned(),
    })
}

impl Providers {
    /// The same, with the aws provider itself in place of its stand-in.
    pub(super) fn with_real_aws(&self, deploy: &Deploy<'_>, real: &Real) -> anyhow::Result<Self> {
        let mirror = tools::scratch(deploy, "terraform/real")?.join("mirror");
        let mut programs = Vec::new();
        for (address, stand_in) in &self.programs {
            let program = if address.ends_with("/aws") {
                &real.program
            } else {
                stand_in
            };
            // .../VERSION/PLATFORM/program
            let from = program.parent().context("a provider has no folder")?;
            let version = from.parent().and_then(Path::file_name);
            let to = mirror
                .join(address)
                .join(version.context("a provider has no version")?);
            fs::create_dir_all(&to)?;
            symlink(from, to.join(&self.platform))?;
            programs.push((address.clone(), program.clone()));
        }
        Ok(Self {
            config: configuration(&mirror)?,
            shown: self.shown.clone(),
            programs,
            mirror,
            platform: self.platform.clone(),
        })
    }
}

/// The step that locks providers, done with the stand-ins: every folder that is applied has its lock, and the
/// pipeline's way to begin accepts it.
pub(super) fn locks(
    deploy: &Deploy<'_>,
    terraform: &Path,
    providers: &Providers,
    work: &Path,
) -> anyhow::Result<String> {
    let root = work.join(FOLDER);
    let mut command = plain(&root.join("lock.sh"));
    command
        .arg(format!("-fs-mirror={}", providers.mirror.display()))
        .arg(format!("-platform={}", providers.platform));
    tools::judge(deploy, &mut command)?;
    let mut locked = 0;
    for backend in with_extension(&root, "tf")? {
        if backend.file_name().is_some_and(|name| name == BACKEND) {
            let lock = backend.with_file_name(LOCK);
            ensure!(lock.is_file(), "{} is not there", lock.display());
            locked += 1;
        }
    }
    let mut begin = plain(terraform);
    begin
        .arg(chdir(work, LOCKED))
        .args(["init", "-backend=false", "-lockfile=readonly", "-no-color"])
        .env("TF_CLI_CONFIG_FILE", &providers.config);
    tools::judge(deploy, &mut begin)?;
    Ok(format!("{locked} folders"))
}

/// A configuration of Terraform's that knows this mirror and nothing else.
fn configuration(mirror: &Path) -> anyhow::Result<PathBuf> {
    let file = mirror.with_extension("rc");
    fs::write(
        &file,
        format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            mirror.display()
        ),
    )?;
    Ok(file)
}

/// The published bindings, downloaded once.
fn bindings(deploy: &Deploy<'_>, bin: &Path) -> anyhow::Result<PathBuf> {
    let folder = deploy.path("target/deploy-tools/terraform/bindings");
    let wanted = deploy.path(CHECKS).join("bindings.txt");
    let text = fs::read_to_string(&wanted)?;
    // written last: half a download must not pass for one the next time
    let stamp = folder.join("bindings.txt");
    if fs::read_to_string(&stamp).is_ok_and(|held| held == text) {
        return Ok(folder);
    }
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    deploy
        .context
        .say("install", format!("{CHECKS}/bindings.txt, 75 MB"));
    let mut download = Command::new(bin.join("pip"));
    download
        .args(["download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&wanted);
    tools::judge(deploy, &mut download)
        .context("the bindings could not be had; a package index is needed once")?;
    fs::write(&stamp, text)?;
    Ok(folder)
}

/// What Terraform calls the providers that the files name.
fn addresses(deploy: &Deploy<'_>, terraform: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = plain(terraform);
    command
        .arg(format!(
            "-chdir={}",
            deploy.path(FOLDER).join(NAMES_ALL).display()
        ))
        .arg("providers");
    let found = named(&tools::judge(deploy, &mut command)?);
    ensure!(!found.is_empty(), "terraform names no provider");
    Ok(found)
}

fn named(printed: &str) -> Vec<String> {
    let mut found: Vec<String> = printed
        .split("provider[")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(']')?.0.to_owned()))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The aws provider itself.
pub(super) struct Real {
    pub(super) version: String,
    program: PathBuf,
}

/// The newest copy of the aws provider that lies on this machine.
pub(super) fn real_aws(platform: &str) -> Option<Real> {
    let mut bases: Vec<PathBuf> = MIRRORS.iter().map(PathBuf::from).collect();
    // whatever was unpacked there lies one deeper
    bases.extend(MIRRORS.iter().flat_map(|mirror| within(Path::new(mirror))));
    if let Some(home) = std::env::var_os("HOME") {
        bases.push(PathBuf::from(home).join(".terraform.d/plugins"));
    }
    let mut found: Vec<(Vec<u32>, String, PathBuf)> = Vec::new();
    for host in bases.iter().flat_map(|base| within(base)) {
        for version in within(&host.join("hashicorp/aws")) {
            let program = fs::read_dir(version.join(platform))
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .find(|path| path.file_name().is_some_and(is_aws));
            let name = version.file_name().and_then(OsStr::to_str);
            if let (Some(program), Some(name)) = (program, name) {
                let numbers = name.split('.').filter_map(|part| part.parse().ok());
                found.push((numbers.collect(), name.to_owned(), program));
            }
        }
    }
    found.sort();
    found
        .pop()
        .map(|(_, version, program)| Real { version, program })
}

fn is_aws(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("terraform-provider-aws")
}

/// Folders in a folder; none if it is not there.
fn within(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_called_as_terraform_calls_them() {
        let printed = "Providers required by configuration:\n.\n├── provider[host/a/aws] >= 5\n└── provider[host/c/cloudflare]\n";
        assert_eq!(named(printed), ["host/a/aws", "host/c/cloudflare"]);
        assert!(named("none").is_empty());
    }
}
