//! The folder of a command under `target/`: what an earlier run left in it is removed, and a second
//! run of the same command in this checkout is kept out. Never removes what it is not told to.
//! Called by every command that plays or proves something.

use std::fs;
use std::path::PathBuf;

use anyhow::ensure;

use crate::context::Context;

/// A command's folder, its own until this is dropped.
pub(crate) struct Home {
    /// `target/NAME`.
    pub(crate) dir: PathBuf,
    _lock: fs::File,
}

impl Home {
    /// `target/NAME` with these parts in it, empty.
    pub(crate) fn fresh(context: &Context, name: &str, parts: &[&str]) -> anyhow::Result<Self> {
        let dir = context.root.join("target").join(name);
        fs::create_dir_all(&dir)?;
        let lock = fs::File::create(dir.join("lock"))?;
        ensure!(
            lock.try_lock().is_ok(),
            "another `{name}` is running in this checkout; wait for it or end it with Ctrl-C"
        );
        for part in parts {
            let part = dir.join(part);
            if part.exists() {
                fs::remove_dir_all(&part)?;
            }
            fs::create_dir_all(&part)?;
        }
        Ok(Self { dir, _lock: lock })
    }
}
