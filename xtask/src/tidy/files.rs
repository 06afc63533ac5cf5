//! The files that tidy looks at: everything in the checkout that git would keep.
//! Never follows a symbolic link. Called by tidy and sqlx.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Folders nothing in which is ours to judge; `bench/` holds peers the product never uses.
const SKIPPED: [&str; 5] = [".git", "target", "bench", "node_modules", ".sqlx"];

/// Every file, sorted.
pub(crate) fn all(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, &mut found)?;
    found.sort();
    Ok(found)
}

/// Every Rust file, sorted.
pub(crate) fn rust_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = all(root)?;
    files.retain(|file| file.extension().is_some_and(|ext| ext == "rs"));
    Ok(files)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_symlink() || SKIPPED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
