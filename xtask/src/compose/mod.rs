//! `cargo xtask compose-up`: docker-compose.yml for real, on a machine that has no engine and reaches
//! no registry: images from built programs on a base made here, the stack up and healthy, a season
//! played against its ports, and everything gone. Never leaves a container. Called by main.

mod base;
mod engine;
mod images;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::cargo::{PRODUCT, release};
use crate::context::Context;
use crate::home::Home;
use crate::http;
use crate::ports::Ports;
use crate::process::is_root;
use crate::progress::{print_line, tail};
use crate::season::{Driver, Supervisor};
use crate::tools::python_packages;
use engine::Engine;

/// What Docker Compose itself comes with.
const REQUIREMENTS: &str = "deploy/docker/checks/requirements.txt";
/// Services and the ports that they publish: the documented one is taken if it is free.
const PORTS: [(&str, u16, u16); 6] = [
    ("postgres", 5432, 5432),
    ("redis", 6379, 6379),
    ("rabbitmq", 5672, 5672),
    ("sandbox", 4000, 4000),
    ("backend", 3000, 3000),
    ("nginx", 8080, 8080),
];
/// A stack that is not healthy by then never will be: RabbitMQ takes half a minute on two busy cores.
const HEALTHY_SECONDS_MAX: u64 = 300;

/// What a person may ask of compose-up.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Use the release programs in this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    /// Farmers who register and buy
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    farmers: u32,
    /// Build and weigh the images, and start nothing
    #[arg(long)]
    images_only: bool,
}

/// Where the stack answers on this machine.
struct Published(Vec<(&'static str, u16)>);

impl Published {
    fn of(&self, service: &str) -> u16 {
        let mut all = self.0.iter();
        all.find(|(name, _)| *name == service)
            .map_or(0, |(_, port)| *port)
    }
}

/// Builds, starts, plays, ends.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    ensure!(
        is_root(),
        "not run here: an engine of containers with networks needs root"
    );
    let held = Home::fresh(context, "compose", &["logs", "evidence"])?;
    let home = fs::canonicalize(&held.dir)?;
    // before minutes are spent on a build
    engine::ensure_installed(context)?;
    let tools = context.root.join("target/deploy-tools");
    let bin = python_packages(
        context,
        &context.root.join(REQUIREMENTS),
        &tools.join("docker"),
    )?;
    let bases = base::ensure_made(context, &tools.join("compose"))?;
    let bin_dir = release(context, options.bin_dir.as_ref(), &PRODUCT)?;
    let engine = Engine::start(context, &home, program(&bin)?)?;
    let published = publish(&home)?;
    let built = images::build(context, &engine, &home, &bases, &bin_dir)?;
    let weighed = format!(
        "{} images of at most {}",
        built.images,
        images::megabytes(built.greatest_bytes)
    );
    if options.images_only {
        drop(engine);
        print_line(format!("compose-up: {weighed}; nothing was started"));
        return Ok(());
    }
    let played = up(context, &engine, &home).and_then(|healthy| {
        play(context, &engine, &home, &published, options)?;
        page(context, &engine, &published)?;
        Ok(healthy)
    });
    if played.is_err() {
        keep_logs(context, &engine, &home);
    }
    let healthy = played?;
    context.say("compose", "down");
    engine.down()?;
    drop(engine);
    ensure!(
        http::status(published.of("backend"), "/health/live").is_none(),
        "something still answers on the backend's port"
    );
    ensure!(
        !home.join("storage").exists(),
        "{} could not be removed; is something mounted in it?",
        home.join("storage").display()
    );
    print_line(format!(
        "compose-up: {healthy} containers up, a season of {} farmers came out right, {weighed}; all removed",
        options.farmers
    ));
    Ok(())
}

/// Docker Compose itself, in the environment whose folder of programs is `bin`: the script there of
/// the same name runs it and always says that all went well.
pub(crate) fn program(bin: &Path) -> anyhow::Result<PathBuf> {
    let libraries = bin.with_file_name("lib");
    let entries =
        fs::read_dir(&libraries).with_context(|| format!("no {}", libraries.display()))?;
    entries
        .flatten()
        .map(|python| {
            let inside = "site-packages/compose/docker-compose";
            python.path().join(inside)
        })
        .find(|file| file.is_file())
        .with_context(|| format!("no Docker Compose in {}", libraries.display()))
}

/// Chooses ports and writes them, with the ceilings of a demo, beside docker-compose.yml.
fn publish(home: &Path) -> anyhow::Result<Published> {
    let mut ports = Ports::default();
    let mut chosen = Vec::new();
    let mut text = "# made by `cargo xtask compose-up`\nservices:\n".to_owned();
    for (service, inside, wanted) in PORTS {
        let port = ports.at_or_after(wanted)?;
        chosen.push((service, port));
        let _ = writeln!(
            text,
            "  {service}:\n    ports: !override [\"127.0.0.1:{port}:{inside}\"]"
        );
        if service == "backend" {
            // the one phone gateway is the driver, which types faster than a county
            text.push_str("    environment:\n");
            for class in ["USSD", "API", "WEBHOOK"] {
                for kind in ["PER_SECOND", "BURST"] {
                    let _ = writeln!(text, "      {class}_RATE_{kind}: \"5000\"");
                }
            }
        }
    }
    fs::write(home.join("ports.yml"), text)?;
    Ok(Published(chosen))
}

/// `docker compose up --wait`, with the health checks that nobody else would make; answers how many
/// containers run.
fn up(context: &Context, engine: &Engine, home: &Path) -> anyhow::Result<usize> {
    context.say("compose", "up; every service waits for those it needs");
    let log = home.join("logs/up.log");
    let out = fs::File::create(&log)?;
    let mut child = engine
        .compose(["up", "--detach", "--wait", "--no-build", "--pull", "never"])
        .stdout(out.try_clone()?)
        .stderr(out)
        .stdin(Stdio::null())
        .spawn()
        .context("cannot run Docker Compose")?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let asked = engine.ask_health().and_then(|()| {
            ensure!(
                began.elapsed() < Duration::from_secs(HEALTHY_SECONDS_MAX),
                "the stack is not healthy after {HEALTHY_SECONDS_MAX} s; compose said:\n{}",
                tail(&log, 15)
            );
            context.interrupt.sleep(Duration::from_millis(500))
        });
        if let Err(error) = asked {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    ensure!(
        status.success(),
        "`docker compose up` ended with {status}:\n{}",
        tail(&log, 15)
    );
    let running = engine.said(&mut engine.podman(["ps", "--quiet"]))?;
    let count = running.lines().count();
    let seconds = began.elapsed().as_secs();
    context.say(
        "compose",
        format!("{count} containers healthy after {seconds} s"),
    );
    Ok(count)
}

/// A season against the published ports, the clock in the stack's own volume.
fn play(
    context: &Context,
    engine: &Engine,
    home: &Path,
    published: &Published,
    options: &Options,
) -> anyhow::Result<()> {
    let nginx = http::status(published.of("nginx"), "/health/live");
    ensure!(
        nginx == Some(200),
        "through nginx the backend answers {nginx:?}"
    );
    let args = [
        "volume",
        "inspect",
        "--format",
        "{{.Mountpoint}}",
        "microcrop_clock",
    ];
    let volume = engine.said(&mut engine.podman(args))?;
    let mut tokens = Vec::new();
    for name in ["Asha", "Brian"] {
        let printed = engine.said(engine.compose(["exec", "-T", "backend"]).args([
            "/usr/local/bin/backend",
            "operator",
            "token",
            "--name",
            name,
            "--role",
            "approver",
        ]))?;
        tokens.push(printed.lines().last().unwrap_or_default().to_owned());
    }
    let address = |service| format!("http://127.0.0.1:{}", published.of(service));
    let env = [
        ("BACKEND_URL", address("backend")),
        ("SANDBOX_URL", address("sandbox")),
        // docker-compose.yml's own, which is throwaway
        ("AT_CALLBACK_TOKEN", "compose-at-callback-token".to_owned()),
        ("TIME_MODE", format!("manual:{volume}/now")),
        ("EVIDENCE_DIR", home.join("evidence").display().to_string()),
        ("OPERATOR_TOKENS", tokens.join(",")),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let driver = Driver {
        program: &home.join("context/out/sandbox"),
        args: vec![
            "--farmers".into(),
            options.farmers.to_string().into(),
            "--seed".into(),
            "1".into(),
        ],
        env: &env,
        log_dir: &home.join("logs"),
    };
    driver.play(context, &mut Containers { context, engine })
}

/// The stack while a season is played on it. It is looked at, and not killed: chaos is the demo's.
struct Containers<'a> {
    context: &'a Context,
    engine: &'a Engine,
}

impl Supervisor for Containers<'_> {
    fn serve(&mut self, request: &str) -> anyhow::Result<()> {
        let file = request
            .strip_prefix("import ")
            .with_context(|| format!("the driver asked for `@{request}`, which is for chaos"))?;
        import(self.context, self.engine, file)
    }

    fn look(&mut self) -> anyhow::Result<()> {
        alive(self.engine)
    }
}

/// The page with phones, as a person opens it.
fn page(context: &Context, engine: &Engine, published: &Published) -> anyhow::Result<()> {
    engine.said(&mut engine.script("deploy/docker/page.sh"))?;
    let began = Instant::now();
    while http::status(published.of("sandbox"), "/") != Some(200) {
        ensure!(
            began.elapsed() < Duration::from_secs(30),
            "deploy/docker/page.sh ran, and the page does not answer"
        );
        context.interrupt.sleep(Duration::from_millis(100))?;
    }
    context.say(
        "compose",
        "the page with phones answers, by deploy/docker/page.sh",
    );
    Ok(())
}

/// Brings the vegetation of the years before into the stack, as a person would.
fn import(context: &Context, engine: &Engine, file: &str) -> anyhow::Result<()> {
    let products = context.root.join("products");
    let mounts = [
        format!("{file}:/import/vegetation.csv:ro"),
        format!("{}:/import/products:ro", products.display()),
    ];
    let run = |args: &[&str]| {
        let mut command = engine.compose(["run", "--rm", "--no-deps", "-T"]);
        for mount in &mounts {
            command.args(["--volume", mount]);
        }
        engine
            .said(command.arg("data-processor").args(args))
            .map(drop)
    };
    let import = ["import", "vegetation", "--sensor", "sentinel-2", "--file"];
    run(&[&import[..], &["/import/vegetation.csv"]].concat())?;
    for product in crate::vegetation::products(&context.root)? {
        let name = product.file_name().context("a product without a name")?;
        let inside = format!("/import/products/{}", name.to_string_lossy());
        run(&["baseline", "vegetation", "--product", &inside])?;
    }
    Ok(())
}

/// An error when a container that should run does not.
fn alive(engine: &Engine) -> anyhow::Result<()> {
    let args = [
        "ps",
        "--all",
        "--filter",
        "status=exited",
        "--format",
        "{{.Names}} {{.Status}}",
    ];
    let ended = engine.said(&mut engine.podman(args))?;
    for line in ended.lines() {
        // the two that are there to end, and what an import runs
        let is_meant = ["-clock-", "-migrate-", "-run-"]
            .iter()
            .any(|part| line.contains(part));
        if !is_meant {
            bail!("a container ended: {line}");
        }
    }
    Ok(())
}

/// What the containers said, for whoever looks for the cause.
fn keep_logs(context: &Context, engine: &Engine, home: &Path) {
    let kept = home.join("logs/containers.log");
    let said = engine.said(&mut engine.compose(["logs", "--no-color", "--tail", "200"]));
    if let Ok(said) = said
        && fs::write(&kept, said).is_ok()
    {
        context.say(
            "compose",
            format!("the containers' logs are in {}", kept.display()),
        );
    }
}
