//! Images from programs that are built beforehand: the stages of the Dockerfiles from their base on, with
//! the stage that compiles replaced by a folder. Never asks a registry. What each
//! program and image weighs is measured here. Called by compose-up.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::base::Bases;
use super::engine::Engine;
use crate::context::Context;
use crate::progress::print_line;

/// Our images.
const IMAGES: &str = "deploy/docker/images.tsv";
/// The one Dockerfile of our programs.
const PROD: &str = "deploy/docker/Dockerfile.prod";
/// The base that it names.
const BASE: &str = "gcr.io/distroless/cc-debian12:nonroot";
/// The servers' stand-ins, and the stages that docker-compose.yml needs under these names.
const STAND_INS: &str = "deploy/docker/stand-ins/Dockerfile";
const SERVERS: [(&str, &str); 3] = [
    ("postgres", "docker.io/library/postgres:15.10-bookworm"),
    ("redis", "docker.io/library/redis:7.2.5-bookworm"),
    ("rabbitmq", "docker.io/library/rabbitmq:3.13.7-management"),
];
/// What nginx's own Dockerfile begins with.
const NGINX: &str = "docker.io/library/nginx:1.28.0-bookworm";
/// The documents allow an image of ours so much.
const IMAGE_BYTES_MAX: u64 = 150_000_000;

/// What was built.
pub(super) struct Built {
    /// Images of our programs.
    pub(super) images: usize,
    /// The greatest of them, bytes.
    pub(super) greatest_bytes: u64,
}

/// Megabytes, as the documents count them.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Builds everything that compose runs.
pub(super) fn build(
    context: &Context,
    engine: &Engine,
    home: &Path,
    bases: &Bases,
    bin_dir: &Path,
) -> anyhow::Result<Built> {
    let root = &context.root;
    for (archive, tag) in [
        (&bases.base, BASE),
        (&bases.servers, "localhost/microcrop/servers:latest"),
    ] {
        let archive = archive.to_string_lossy();
        engine.said(&mut engine.podman(["import", "--quiet", &archive, tag]))?;
    }
    for (target, tag) in SERVERS.into_iter().chain([("nginx", NGINX)]) {
        build_one(engine, &root.join(STAND_INS), Some(target), tag, root)?;
    }
    context.say(
        "images",
        "four servers from Debian's packages, under the names compose asks for",
    );

    let folder = home.join("context");
    let prepared = folder.join("Dockerfile");
    fs::create_dir_all(folder.join("out"))?;
    let text = fs::read_to_string(root.join(PROD)).context(PROD)?;
    fs::write(&prepared, without_compiling(&text)?)?;
    let table = fs::read_to_string(root.join(IMAGES)).context(IMAGES)?;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    let mut built = Built {
        images: 0,
        greatest_bytes: 0,
    };
    for row in &rows {
        let [image, file, target, programs] = row.as_slice() else {
            anyhow::bail!("{IMAGES}: four columns are needed: {}", row.join(" "));
        };
        let tag = format!("docker.io/{image}:local");
        if *file == PROD {
            for program in programs.split(' ') {
                place(context, bin_dir, program, &folder.join("out"))?;
            }
            build_one(engine, &prepared, Some(target), &tag, &folder)?;
            let bytes = size(engine, &tag)?;
            print_line(format!(
                "{image:26} {} of {}",
                megabytes(bytes),
                megabytes(IMAGE_BYTES_MAX)
            ));
            ensure!(
                bytes <= IMAGE_BYTES_MAX,
                "{image} weighs {}, more than {} allowed",
                megabytes(bytes),
                megabytes(IMAGE_BYTES_MAX)
            );
            built.images += 1;
            built.greatest_bytes = built.greatest_bytes.max(bytes);
        } else if image.ends_with("/nginx") {
            build_one(engine, &root.join(file), None, &tag, root)?;
        }
    }
    ensure!(built.images > 0, "{IMAGES} names no image of {PROD}");
    print_line(format!(
        "{:26} {} (in each of these)",
        "their base",
        megabytes(size(engine, BASE)?)
    ));
    Ok(built)
}

/// The Dockerfile from its base on; what it copies from the stage `build` is in the folder `out`.
fn without_compiling(text: &str) -> anyhow::Result<String> {
    let name = BASE.split(':').next().unwrap_or(BASE);
    let at = text
        .find(&format!("FROM {name}"))
        .with_context(|| format!("{PROD} is not based on {name}"))?;
    let rest = text.get(at..).unwrap_or_default();
    Ok(format!("FROM scratch AS build\nCOPY out /out\n\n{rest}"))
}

/// Puts a stripped program into `out`.
fn place(context: &Context, bin_dir: &Path, program: &str, out: &Path) -> anyhow::Result<()> {
    let (from, into) = (bin_dir.join(program), out.join(program));
    ensure!(
        from.is_file(),
        "{program} is not in {}; without --bin-dir it is built",
        bin_dir.display()
    );
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&into).arg(&from);
    context.run_ok(&mut strip)?;
    let bytes = fs::metadata(&into)?.len();
    print_line(format!("  {program:24} {}", megabytes(bytes)));
    Ok(())
}

fn build_one(
    engine: &Engine,
    file: &Path,
    target: Option<&str>,
    tag: &str,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut command = engine.podman(["build", "--quiet", "--pull-never", "--format", "docker"]);
    command.arg("--file").arg(file).args(["--tag", tag]);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    command.arg(folder);
    engine.said(&mut command).map(drop)
}

fn size(engine: &Engine, tag: &str) -> anyhow::Result<u64> {
    let args = ["image", "inspect", "--format", "{{.Size}}", tag];
    let printed = engine.said(&mut engine.podman(args))?;
    printed
        .parse()
        .with_context(|| format!("podman says {tag} weighs {printed:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiling_stages_are_left_out() {
        let text = "FROM rust AS build\nRUN cargo build\nFROM gcr.io/distroless/cc-debian12:nonroot AS base\nCOPY --from=build /out/a /a\n";
        let made = without_compiling(text).unwrap();
        assert!(made.starts_with("FROM scratch AS build\nCOPY out /out\n"));
        assert!(made.contains("COPY --from=build /out/a /a") && !made.contains("cargo"));
        assert!(without_compiling("FROM alpine").is_err());
    }

    #[test]
    fn sizes_are_in_megabytes_of_a_million() {
        assert_eq!(megabytes(28_243_824), "28.2 MB");
    }
}
