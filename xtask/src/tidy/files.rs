//! The files that tidy looks at: everything in the checkout that git would keep.
//! Never follows a symbolic link. Called by tidy and sqlx.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Folders nothing in which is ours to judge.
const SKIPPED: [&str; 4] = [".git", "target", "node_modules", ".sqlx"];
/// The same, at the root only: floors and peers the product never uses. The bench's part of xtask is
/// looked at like everything else.
const SKIPPED_AT_ROOT: &str = "bench";

/// Every file, sorted.
pub(crate) fn all(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, root, &mut found)?;
    found.sort();
    Ok(found)
}

/// Every Rust file, sorted.
pub(crate) fn rust_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = all(root)?;
    files.retain(|file| file.extension().is_some_and(|ext| ext == "rs"));
    Ok(files)
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let is_skipped = SKIPPED.iter().any(|skipped| name == *skipped)
            || (dir == root && name == SKIPPED_AT_ROOT);
        if kind.is_symlink() || is_skipped {
            continue;
        }
        if kind.is_dir() {
            walk(root, &entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_folder_is_skipped_at_the_root_only() {
        let root =
            std::env::temp_dir().join(format!("xtask-files-{}", crate::ports::random_hex(4)));
        for dir in ["bench/src", "xtask/src/bench", "target"] {
            fs::create_dir_all(root.join(dir)).unwrap();
            fs::write(root.join(dir).join("a.rs"), "").unwrap();
        }
        assert_eq!(all(&root).unwrap(), [root.join("xtask/src/bench/a.rs")]);
        fs::remove_dir_all(root).unwrap();
    }
}
