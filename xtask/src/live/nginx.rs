//! The real nginx with the configuration of deploy/docker/nginx: the same files, moved from /etc/nginx to
//! a folder of ours and from the container's ports to free ones on loopback. What deployments may mount
//! over (upstreams, whom to trust) is mounted over here too; not a line else is changed.
//! Used by the live proofs and by whoever watches a season.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Ground;
use crate::environment::value;
use crate::ports::Ports;
use crate::process::{Launch, Lifetime, StopBy, is_root, which};
use crate::rows::Rows;

/// Where the configuration lives in the checkout.
const FROM: &str = "deploy/docker/nginx";
/// What of it is copied.
const FILES: [&str; 5] = [
    "nginx.conf",
    "gateways.conf",
    "trusted-proxies.conf",
    "proxy.conf",
    "headers.conf",
];
/// Whoever stands for the load balancer in front of nginx: the generator and the client, on loopback.
const BALANCER: &str = "127.0.0.1";

/// A rendered configuration.
#[derive(Clone, Debug)]
pub(crate) struct Nginx {
    home: PathBuf,
    /// The public port.
    pub(crate) door: u16,
    /// Where it tells its state.
    pub(crate) private: u16,
    /// One JSON line a request.
    pub(super) access_log: PathBuf,
}

impl Nginx {
    /// Writes the configuration under `home`/nginx, with one backend on `backend`.
    pub(crate) fn render(
        root: &Path,
        home: &Path,
        ports: &mut Ports,
        backend: u16,
    ) -> anyhow::Result<Self> {
        let home = home.join("nginx");
        for part in ["tls", "upstreams", "tmp"] {
            fs::create_dir_all(home.join(part))?;
        }
        let (door, private) = (ports.free()?, ports.free()?);
        let access_log = home.join("access.log");
        let place = home.display().to_string();
        for file in FILES {
            let path = root.join(FROM).join(file);
            let mut text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            text = text.replace("/etc/nginx/", &format!("{place}/"));
            match file {
                "nginx.conf" => {
                    for (theirs, ours) in [
                        ("listen 8080;", format!("listen 127.0.0.1:{door};")),
                        (
                            "listen 127.0.0.1:8081;",
                            format!("listen 127.0.0.1:{private};"),
                        ),
                        ("/tmp/nginx", format!("{place}/tmp/nginx")),
                        ("/dev/stderr", format!("{place}/error.log")),
                        ("/dev/stdout", access_log.display().to_string()),
                    ] {
                        text = changed(&text, theirs, &ours)?;
                    }
                }
                "trusted-proxies.conf" => {
                    text = format!("{text}\nset_real_ip_from {BALANCER}/32;\n");
                }
                _ => {}
            }
            fs::write(home.join(file), text)?;
        }
        let mime = Path::new("/etc/nginx/mime.types");
        fs::copy(mime, home.join("mime.types")).with_context(|| {
            format!(
                "cannot copy {}; the package nginx brings it",
                mime.display()
            )
        })?;
        let upstream = fs::read_to_string(root.join(FROM).join("upstreams/backend.conf"))?;
        let rendered = Self {
            home,
            door,
            private,
            access_log,
        };
        fs::write(
            rendered.upstream_file(),
            changed(&upstream, "backend:3000", &format!("127.0.0.1:{backend}"))?,
        )?;
        Ok(rendered)
    }

    /// The file that says who serves.
    pub(super) fn upstream_file(&self) -> PathBuf {
        self.home.join("upstreams/backend.conf")
    }

    /// A file beside it that nginx reads too.
    pub(super) fn add(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.home.join("upstreams").join(name), text)?)
    }

    /// What a request carries to a backend, but for where it goes.
    pub(super) fn proxy_settings(&self) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.home.join("proxy.conf"))?;
        changed(&text, "proxy_pass http://backend;", "")
    }

    fn program() -> anyhow::Result<PathBuf> {
        which("nginx").context("nginx is not installed; install the package nginx")
    }

    fn args(&self) -> Vec<String> {
        let path = |name: &str| self.home.join(name).display().to_string();
        // -e: before it has read its configuration it would write into /var/log
        vec![
            "-e".to_owned(),
            path("error.log"),
            "-p".to_owned(),
            self.home.display().to_string(),
            "-c".to_owned(),
            path("nginx.conf"),
        ]
    }

    /// How it is started: in the foreground, as in its image.
    pub(crate) fn launch(&self) -> anyhow::Result<Launch> {
        let mut args = self.args();
        // as root its workers would become somebody who may not enter a checkout under /root
        let user = if is_root() { " user root;" } else { "" };
        args.extend(["-g".to_owned(), format!("daemon off;{user}")]);
        Ok(Launch {
            name: "nginx".to_owned(),
            program: Self::program()?,
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            dir: self.home.clone(),
            user: None,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Term,
            log: self.home.join("nginx.log"),
        })
    }

    /// The command that makes it read its files again.
    pub(super) fn reload_command(&self) -> anyhow::Result<String> {
        let quoted: Vec<String> = self.args().iter().map(|arg| format!("'{arg}'")).collect();
        Ok(format!(
            "{} {} -s reload",
            Self::program()?.display(),
            quoted.join(" ")
        ))
    }

    /// Addresses of the gateways it knows.
    pub(super) fn gateways(&self) -> anyhow::Result<Vec<String>> {
        let text = fs::read_to_string(self.home.join("gateways.conf"))?;
        let found: Vec<String> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| {
                line.split_once("/32")
                    .map(|(address, _)| address.trim().to_owned())
            })
            .collect();
        ensure!(!found.is_empty(), "gateways.conf names no gateway");
        Ok(found)
    }

    /// Every request it has answered, as it logged it.
    pub(super) fn logged(&self) -> anyhow::Result<Vec<Value>> {
        let text = fs::read_to_string(&self.access_log)?;
        text.lines()
            .map(|line| {
                serde_json::from_str(line).with_context(|| format!("nginx logged {line:?}"))
            })
            .collect()
    }

    /// What it wrote down holds no token, no phone and no body.
    pub(super) fn no_secret_in_the_log(
        &self,
        ground: &Ground<'_>,
        rows: &mut Rows,
    ) -> anyhow::Result<()> {
        let (access, error) = (
            fs::read_to_string(&self.access_log)?,
            fs::read_to_string(self.home.join("error.log")).unwrap_or_default(),
        );
        let secrets = [
            value(&ground.plan.env, "AT_CALLBACK_TOKEN"),
            value(&ground.plan.env, "MPESA_CALLBACK_TOKEN"),
            "%2B2547",
            "+2547",
        ];
        let told = secrets
            .iter()
            .filter(|secret| access.contains(**secret) || error.contains(**secret))
            .count();
        rows.check(
            "nginx's log holds no token and no phone number",
            told == 0 && !access.is_empty(),
            format!("{} lines read, {told} of them told", access.lines().count()),
        );
        Ok(())
    }
}

/// `text` with `theirs` replaced; an error when it is not there, for then the file says something else.
fn changed(text: &str, theirs: &str, ours: &str) -> anyhow::Result<String> {
    ensure!(
        text.contains(theirs),
        "the configuration of nginx no longer says {theirs:?}"
    );
    Ok(text.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_moved_and_only_moved() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let theirs = fs::read_to_string(root.join(FROM).join("nginx.conf")).unwrap();
        for place in [
            "listen 8080;",
            "listen 127.0.0.1:8081;",
            "/tmp/nginx",
            "/dev/stdout",
        ] {
            let ours = changed(&theirs, place, "elsewhere").unwrap();
            assert_eq!(ours.lines().count(), theirs.lines().count());
        }
        assert!(changed(&theirs, "listen 1;", "").is_err());
    }
}
