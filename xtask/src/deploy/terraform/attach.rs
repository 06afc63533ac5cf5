//! Providers that run already: one of each for all folders, and Terraform is told where it listens,
//! because starting one for every step takes longer than the step. They end when this is dropped, and
//! die with us. Main thread only; called by the check above and by real.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::process::{dies_with_us, lines_of};

/// What Terraform shows every provider that it starts: without it they take whoever starts them for a person.
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);
/// A provider of several hundred MB is read from the disk first.
const START_MAX: Duration = Duration::from_mins(2);

/// The providers, and what Terraform is told of them.
pub(super) struct Attached {
    /// TF_REATTACH_PROVIDERS.
    pub(super) told: String,
    _running: Vec<Running>,
}

struct Running {
    child: Child,
    /// Where it listens, if that is a file.
    socket: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }
}

/// Starts each program and waits until it says where it listens; `programs` are by the providers' addresses.
pub(super) fn start(programs: &[(String, PathBuf)]) -> anyhow::Result<Attached> {
    let mut running = Vec::new();
    let mut told = Map::new();
    for (address, program) in programs {
        let child = dies_with_us(program)
            .env(COOKIE.0, COOKIE.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut started = Running {
            child,
            socket: None,
        };
        let said = lines_of(&mut started.child)?
            .recv_timeout(START_MAX)
            .with_context(|| format!("{} does not say where it listens", program.display()))?;
        let (listens, socket) = listens(&said, started.child.id())?;
        started.socket = socket;
        told.insert(address.clone(), listens);
        running.push(started);
    }
    Ok(Attached {
        told: Value::Object(told).to_string(),
        _running: running,
    })
}

/// `1|5|tcp|127.0.0.1:2000|grpc` as Terraform wants to be told of it, and the file if it is one.
fn listens(said: &str, pid: u32) -> anyhow::Result<(Value, Option<PathBuf>)> {
    let parts: Vec<&str> = said.trim().split('|').collect();
    let [_, protocol, network, address, "grpc", ..] = parts.as_slice() else {
        bail!("a provider says {said:?}");
    };
    let told = json!({
        "Protocol": "grpc",
        "ProtocolVersion": protocol.parse::<u32>()?,
        "Pid": pid,
        // it serves many Terraforms: none of them ends it
        "Test": true,
        "Addr": { "Network": network, "String": address },
    });
    Ok((told, (*network == "unix").then(|| PathBuf::from(address))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_provider_listens_is_read() {
        let (told, socket) = listens("1|6|tcp|127.0.0.1:2000|grpc\n", 7).unwrap();
        assert_eq!(
            (&told["ProtocolVersion"], &told["Pid"]),
            (&json!(6), &json!(7))
        );
        assert_eq!(told["Addr"]["String"], "127.0.0.1:2000");
        assert!(socket.is_none());
        let (_, socket) = listens("1|5|unix|/tmp/plugin1|grpc|", 7).unwrap();
        assert_eq!(socket, Some(PathBuf::from("/tmp/plugin1")));
        assert!(listens("Traceback", 7).is_err());
    }
}
