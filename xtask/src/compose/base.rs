//! Root file systems for images, from Debian's packages: the base of our own images, which holds what
//! the published one holds, and one with the servers' programs. Made once, kept as archives in
//! target/deploy-tools/compose. Never taken from a registry of images. Called by compose-up.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::context::Context;
use crate::process::{dies_with_us, search_path};
use crate::progress::tail;
use crate::servers::install;

/// The release that the Dockerfiles name.
const RELEASE: &str = "bookworm";
/// What docker-compose.yml runs beside our own processes, and what their checks need.
const SERVERS: &str = "ca-certificates,curl,libgomp1,libssl3,netbase,nginx,postgresql-15,\
rabbitmq-server,redis-server,tzdata";
/// What the published base holds (distroless cc-debian12), by its own list of packages.
const BASE: [&str; 9] = [
    "base-files",
    "ca-certificates",
    "libc6",
    "libgcc-s1",
    "libgomp1",
    "libssl3",
    "libstdc++6",
    "netbase",
    "tzdata",
];
/// Its users; the Dockerfiles run as 1001, which needs no name.
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";

/// Two minutes on a mirror nearby; beyond this nobody answers.
const LIMIT: Duration = Duration::from_mins(40);

/// The two archives.
pub(super) struct Bases {
    /// Of our own images.
    pub(super) base: PathBuf,
    /// Of the servers' stand-ins.
    pub(super) servers: PathBuf,
}

/// The archives, made if they are not there.
pub(super) fn ensure_made(context: &Context, home: &Path) -> anyhow::Result<Bases> {
    let bases = Bases {
        base: home.join("base.tar"),
        servers: home.join("servers.tar"),
    };
    if bases.base.is_file() && bases.servers.is_file() {
        return Ok(bases);
    }
    fs::create_dir_all(home)?;
    let root = home.join("rootfs");
    if root.exists() {
        // one that was ended half-way may still have the kernel's own file systems in it
        unmount_below(&root)?;
        fs::remove_dir_all(&root)?;
    }
    let mirror = mirror(context)?;
    context.say(
        "base",
        format!("Debian {RELEASE} with the servers, by debootstrap"),
    );
    let log = home.join("debootstrap.log");
    let out = fs::File::create(&log)?;
    let mut command = dies_with_us("debootstrap");
    command
        .args(["--variant=minbase", "--include", SERVERS, RELEASE])
        .arg(&root)
        .arg(&mirror)
        // it calls chroot
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out);
    context
        .run_long("base", &mut command, LIMIT)
        .with_context(|| format!("its log ends:\n{}", tail(&log, 10)))?;
    context.say(
        "base",
        "two archives of it, for target/deploy-tools/compose",
    );
    base(context, &root, &bases.base)?;
    let mut all = tar(&root, &bases.servers);
    all.args(["--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists"]);
    all.args([
        "--exclude=./var/lib/postgresql/15",
        "--exclude=./dev/*",
        ".",
    ]);
    finish(context, &mut all, &bases.servers)?;
    fs::remove_dir_all(&root)?;
    Ok(bases)
}

/// Where this machine's own packages come from: a mirror of Debian holds its earlier releases too.
fn mirror(context: &Context) -> anyhow::Result<String> {
    let listed = || -> anyhow::Result<String> {
        let mut command = Command::new("apt-get");
        command.args([
            "indextargets",
            "--format",
            "$(CREATED_BY) $(CODENAME) $(REPO_URI)",
        ]);
        let out = context
            .output(&mut command, Duration::from_mins(1))
            .context("cannot ask apt-get for this machine's mirror")?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let own = own_release(&fs::read_to_string("/etc/os-release").unwrap_or_default())?;
    if let Some(found) = mirror_in(&listed()?, &own) {
        return Ok(found);
    }
    // it names only what it has lists of
    install::update(context)?;
    mirror_in(&listed()?, &own)
        .with_context(|| format!("apt-get names no mirror of Debian {RELEASE} or {own}"))
}

/// The name of this machine's release, if it is one of Debian.
fn own_release(os_release: &str) -> anyhow::Result<String> {
    let value = |name: &str| {
        let mut lines = os_release.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    ensure!(
        value("ID") == Some("debian"),
        "not run here: the images are made from the packages of a Debian machine"
    );
    let name = value("VERSION_CODENAME").context("/etc/os-release names no release")?;
    Ok(name.to_owned())
}

/// The address of the release that is wanted, else of the machine's own.
fn mirror_in(listed: &str, own: &str) -> Option<String> {
    [RELEASE, own].into_iter().find_map(|release| {
        let start = format!("Packages {release} ");
        let address = listed.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(address.trim_end_matches('/').to_owned())
    })
}

/// Ends whatever is mounted below a folder.
fn unmount_below(folder: &Path) -> anyhow::Result<()> {
    let folder = format!("{}/", fs::canonicalize(folder)?.display());
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let inside: Vec<&str> = places
        .by_ref()
        .filter(|at| at.starts_with(&folder))
        .collect();
    // the innermost first
    for place in inside.iter().rev() {
        let status = Command::new("umount").arg(place).status()?;
        ensure!(status.success(), "cannot unmount {place}");
    }
    Ok(())
}

/// An archive of some of the files of `root`, which appears under its name when it is whole.
fn tar(root: &Path, into: &Path) -> Command {
    let mut command = dies_with_us("tar");
    command
        .arg("--directory")
        .arg(root)
        .args(["--numeric-owner", "--create", "--file"])
        .arg(into.with_extension("part"))
        .stdin(Stdio::null());
    command
}

fn finish(context: &Context, tar: &mut Command, into: &Path) -> anyhow::Result<()> {
    context.run_long("base", tar, LIMIT)?;
    fs::rename(into.with_extension("part"), into)?;
    Ok(())
}

/// Where a package's file really is: packages still say /lib for what is in /usr/lib.
fn at_home(path: &str) -> String {
    let inside = path.trim_start_matches('/');
    let merged = ["bin/", "lib/", "lib64/", "sbin/"];
    if merged.iter().any(|top| inside.starts_with(top)) {
        format!("usr/{inside}")
    } else {
        inside.to_owned()
    }
}

/// The files of the base's packages and nothing else: no shell, no package manager.
fn base(context: &Context, root: &Path, into: &Path) -> anyhow::Result<()> {
    // a file twice would be a link to itself
    let mut list = BTreeSet::new();
    for package in BASE {
        let info = root.join("var/lib/dpkg/info");
        // a library may be installed for several architectures
        let found = [format!("{package}.list"), format!("{package}:amd64.list")]
            .into_iter()
            .map(|name| info.join(name))
            .find(|file| file.is_file())
            .with_context(|| format!("Debian {RELEASE} has no files of {package}"))?;
        for line in fs::read_to_string(found)?.lines() {
            let inside = at_home(line);
            let whole = root.join(&inside);
            let is_kept = !inside.is_empty()
                && inside != "."
                && !inside.starts_with("usr/share/doc/")
                && !inside.starts_with("usr/share/man/");
            if is_kept && whole.symlink_metadata().is_ok_and(|is| !is.is_dir()) {
                list.insert(format!("./{inside}"));
            }
        }
    }
    ensure!(list.len() > 100, "the base would be nearly empty");
    // made by a script of its package
    list.insert("./etc/ssl/certs/ca-certificates.crt".to_owned());
    // programs find their libraries through these
    list.extend(["./bin", "./lib", "./lib64", "./sbin"].map(str::to_owned));
    fs::write(root.join("etc/passwd.base"), PASSWD)?;
    list.insert("./etc/passwd.base".to_owned());
    let names = into.with_extension("list");
    let mut file = fs::File::create(&names)?;
    for line in &list {
        writeln!(file, "{line}")?;
    }
    let mut some = tar(root, into);
    some.args([
        "--no-recursion",
        "--transform",
        "s,etc/passwd.base$,etc/passwd,",
    ]);
    some.arg("--files-from").arg(&names);
    finish(context, &mut some, into)?;
    fs::remove_file(root.join("etc/passwd.base"))?;
    fs::remove_file(names)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_release_comes_from_the_machines_own_mirror() {
        let listed = "Packages trixie-security http://s/\nPackages trixie http://mirror/debian/\n";
        let mirror = Some("http://mirror/debian".to_owned());
        assert_eq!(mirror_in(listed, "trixie"), mirror);
        assert_eq!(
            mirror_in("Packages bookworm http://mirror/debian/", "trixie"),
            mirror
        );
        assert_eq!(mirror_in("", "trixie"), None);
        let release = "ID=debian\nVERSION_CODENAME=trixie\n";
        assert_eq!(own_release(release).unwrap(), "trixie");
        assert!(own_release("ID=other\n").is_err());
    }

    #[test]
    fn a_file_is_where_its_folder_really_is() {
        assert_eq!(
            at_home("/lib/x86_64-linux-gnu/libc.so.6"),
            "usr/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(at_home("/etc/debian_version"), "etc/debian_version");
    }
}
