//! Free TCP ports below the kernel's ephemeral range, so that no outgoing connection takes a port
//! while its owner restarts. Never hands out a port twice in one command; servers and stack call it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

use anyhow::bail;

/// Linux gives outgoing connections 32768 and up by default; stay well below.
const FROM: u16 = 20_000;
const SPAN: u16 = 10_000;

/// 64 bits from the operating system's randomness, without a crate for it.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// `bytes` random bytes in hex.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes.saturating_mul(2) {
        let _ = write!(text, "{:016x}", random_u64());
    }
    text.truncate(bytes.saturating_mul(2));
    text
}

/// Ports given out so far by this command.
#[derive(Default)]
pub(crate) struct Ports {
    taken: HashSet<u16>,
}

impl Ports {
    /// Ports other than these, which nobody may listen on yet.
    pub(crate) fn other_than(taken: impl IntoIterator<Item = u16>) -> Self {
        Self {
            taken: taken.into_iter().collect(),
        }
    }

    /// A port nobody listens on.
    pub(crate) fn free(&mut self) -> anyhow::Result<u16> {
        // start anywhere, so that two checkouts started together do not race for the same port
        let start = u16::try_from(random_u64() % u64::from(SPAN)).unwrap_or_default();
        for step in 0..SPAN {
            let offset = (u32::from(start) + u32::from(step)) % u32::from(SPAN);
            let port = FROM + u16::try_from(offset).unwrap_or_default();
            if self.take(port) {
                return Ok(port);
            }
        }
        bail!("no free TCP port between {FROM} and {}", FROM + SPAN)
    }

    /// `wanted` if free, else the next free one above it.
    pub(crate) fn at_or_after(&mut self, wanted: u16) -> anyhow::Result<u16> {
        for port in wanted..wanted.saturating_add(200) {
            if self.take(port) {
                return Ok(port);
            }
        }
        bail!("no free TCP port in the 200 from {wanted}")
    }

    fn take(&mut self, port: u16) -> bool {
        // both addresses: processes listen on all interfaces, servers on loopback
        let free = TcpListener::bind(("0.0.0.0", port)).is_ok()
            && TcpListener::bind(("127.0.0.1", port)).is_ok();
        free && self.taken.insert(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let mut ports = Ports::default();
        let port = ports.free().unwrap();
        let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let mut other = Ports::default();
        assert!(other.at_or_after(port).unwrap() > port);
    }

    #[test]
    fn no_port_is_given_twice() {
        let mut ports = Ports::default();
        let first = ports.free().unwrap();
        assert_ne!(ports.at_or_after(first).unwrap(), first);
    }

    #[test]
    fn random_hex_has_the_length_asked_for() {
        assert_eq!(random_hex(32).len(), 64);
        assert_ne!(random_hex(32), random_hex(32));
    }
}
