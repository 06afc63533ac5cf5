//! A private RabbitMQ node: no epmd, own home and cookie, only the plugins it needs, loopback only.
//! Never shares a cookie, a port or a daemon with another node. Called by `private`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::given::rabbitmq_answers;
use super::private::{Plan, hand_over, numbers};
use crate::context::Context;
use crate::ports::{Ports, random_hex};
use crate::process::{Launch, Lifetime, StopBy, is_root};

/// Name in progress lines and records.
pub(super) const NAME: &str = "rabbitmq";

/// The user the Debian package makes.
const SYSTEM_USER: &str = "rabbitmq";

/// Places of the inner start script. The outer `/usr/sbin/rabbitmq-server` insists on its own user.
const SCRIPTS: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/local/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
];

/// Libraries beside the broker that only other plugins need; each costs module loading at boot.
const NOT_NEEDED: [&str; 14] = [
    "README",
    "accept",
    "amqp10_client",
    "amqp_client",
    "base64url",
    "cowboy",
    "cowlib",
    "eetcd",
    "gun",
    "jose",
    "prometheus",
    "quantile_estimator",
    "osiris_client",
    "rabbitmq_aws",
];

/// The installed start script.
pub(super) fn script() -> Option<PathBuf> {
    SCRIPTS
        .iter()
        .map(PathBuf::from)
        .find(|file| file.is_file())
}

/// The folder of the installed plugins, which also carries the version in its path.
fn plugins() -> Option<PathBuf> {
    for parent in ["/usr/lib/rabbitmq/lib", "/usr/local/lib/rabbitmq/lib"] {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            let dir = entry.path().join("plugins");
            if dir.is_dir() {
                return Some(dir);
            }
        }
    }
    Some(PathBuf::from("/opt/rabbitmq/plugins")).filter(|dir| dir.is_dir())
}

/// What telling metrics needs besides; the client since 4.0, of which Debian 13 has one.
const FOR_METRICS: [&str; 9] = [
    "accept",
    "amqp_client",
    "cowboy",
    "cowlib",
    "prometheus",
    "quantile_estimator",
    "rabbitmq_management_agent",
    "rabbitmq_prometheus",
    "rabbitmq_web_dispatch",
];

/// Whether the broker itself needs the plugin folder's entry of this name.
fn is_needed(entry: &str) -> bool {
    let name = entry.split('-').next().unwrap_or(entry);
    if name.starts_with("rabbitmq_") {
        return name == "rabbitmq_prelaunch";
    }
    !NOT_NEEDED.contains(&name)
}

fn link_plugins(from: &Path, to: &Path, watched: bool) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let plain = text.split('-').next().unwrap_or_default();
        if is_needed(&text) || (watched && FOR_METRICS.contains(&plain)) {
            std::os::unix::fs::symlink(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Writes the node's folder and says how to start it, and its URL.
pub(super) fn plan(
    context: &Context,
    dir: &Path,
    lifetime: Lifetime,
    ports: &mut Ports,
    (id, metrics): (&str, Option<u16>),
) -> anyhow::Result<(Plan, String)> {
    let script = script().context("RabbitMQ is not installed")?;
    let home = dir.join("rabbitmq");
    for part in ["home", "mnesia", "log"] {
        fs::create_dir_all(home.join(part))?;
    }
    let (port, dist_port) = (ports.free()?, ports.free()?);
    let telling = metrics.map_or_else(String::new, |port| {
        format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n")
    });
    fs::write(
        home.join("rabbitmq.conf"),
        format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\n\
             log.console = true\n\
             log.console.level = warning\n\
             log.file = false\n\
             disk_free_limit.absolute = 100MB\n\
             vm_memory_high_watermark.absolute = 512MB\n\
             {telling}"
        ),
    )?;
    let enabled = metrics.map_or("", |_| "rabbitmq_prometheus");
    fs::write(home.join("enabled_plugins"), format!("[{enabled}].\n"))?;
    // in a file, where other users cannot read it as they could a command line
    let cookie = home.join("home/.erlang.cookie");
    fs::write(&cookie, random_hex(16))?;
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;

    let at = |part: &str| home.join(part).display().to_string();
    let mut env: Vec<(String, String)> = [
        ("HOME", at("home")),
        ("LANG", "C.UTF-8".to_owned()),
        ("RABBITMQ_NODENAME", format!("microcrop-{id}@localhost")),
        ("RABBITMQ_DIST_PORT", dist_port.to_string()),
        ("RABBITMQ_MNESIA_BASE", at("mnesia")),
        ("RABBITMQ_LOG_BASE", at("log")),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
        ("RABBITMQ_PID_FILE", at("pid")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        // makes the script exec the virtual machine, so that the pid we hold is the broker's
        ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            format!(
                "+S 2:2 +sbwt none -start_epmd false -erl_epmd_port {dist_port} \
                 -kernel inet_dist_use_interface {{127,0,0,1}}"
            ),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    let mut version = String::new();
    if let Some(all) = plugins() {
        let few = home.join("plugins");
        link_plugins(&all, &few, metrics.is_some())?;
        env.push(("RABBITMQ_PLUGINS_DIR".to_owned(), few.display().to_string()));
        if let Some((major, minor)) = numbers(&all.display().to_string()) {
            version = format!("{major}.{minor}, ");
            if (major, minor) < (3, 10) {
                context.say(
                    NAME,
                    format!("{major}.{minor} is older than 3.10, the oldest tested"),
                );
            }
        }
    }
    let user = is_root().then(|| SYSTEM_USER.to_owned());
    if let Some(user) = &user {
        hand_over(&home, user)?;
    }
    let plan = Plan {
        launch: Launch {
            name: NAME.to_owned(),
            program: script,
            args: Vec::new(),
            env,
            dir: home,
            user,
            lifetime,
            stop: StopBy::Term,
            log: dir.join("rabbitmq.log"),
        },
        probe: Box::new(move || rabbitmq_answers("127.0.0.1", port).is_ok()),
        about: format!("{version}127.0.0.1:{port}"),
    };
    Ok((plan, format!("amqp://guest:guest@127.0.0.1:{port}/%2f")))
}

#[cfg(test)]
mod tests {
    use super::is_needed;

    #[test]
    fn only_the_brokers_own_plugins_are_linked() {
        for needed in ["rabbit-3.10.8", "rabbitmq_prelaunch-3.10.8", "ra-2.2.0"] {
            assert!(is_needed(needed), "{needed}");
        }
        for other in ["rabbitmq_management-3.10.8", "cowboy-2.8.0", "README"] {
            assert!(!is_needed(other), "{other}");
        }
    }
}
