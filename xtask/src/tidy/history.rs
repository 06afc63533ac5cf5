//! Merged migrations never change: databases have run them. Compared with git, by content.
//! Never touches the index or the working tree. Called by tidy.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::Fault;

/// What could be found out.
pub(super) enum Verdict {
    /// The comparison was made.
    Faults(Vec<Fault>),
    /// There is nothing to compare with, and why.
    NoHistory(String),
}

fn git(root: &Path, args: &[&str]) -> anyhow::Result<Option<String>> {
    let out = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("cannot run git")?;
    Ok(out
        .status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned()))
}

/// The commit whose migrations count as merged: where this branch left main or, on main itself, the
/// commit before (the last one may just have added some).
fn merged(root: &Path) -> anyhow::Result<Result<String, String>> {
    let Some(head) = git(root, &["rev-parse", "--verify", "--quiet", "HEAD"])? else {
        return Ok(Err("no commit yet".to_owned()));
    };
    for main in ["origin/main", "main"] {
        let Some(base) = git(root, &["merge-base", "HEAD", main])? else {
            continue;
        };
        if base != head {
            return Ok(Ok(base));
        }
    }
    Ok(git(root, &["rev-parse", "--verify", "--quiet", "HEAD~1"])?
        .ok_or_else(|| "one commit only, or a shallow clone".to_owned()))
}

/// Compares the working tree's migrations with the merged ones.
pub(super) fn check(root: &Path) -> anyhow::Result<Verdict> {
    let base = match merged(root)? {
        Ok(base) => base,
        Err(why) => return Ok(Verdict::NoHistory(why)),
    };
    let listed = git(root, &["ls-tree", "-r", &base, "--", "migrations"])?.unwrap_or_default();
    let mut faults = Vec::new();
    let mut last_merged = String::new();
    for line in listed.lines() {
        // mode, type and hash, then a tab and the path
        let Some((facts, path)) = line.split_once('\t') else {
            continue;
        };
        let was = facts.split_whitespace().nth(2).unwrap_or_default();
        if path > last_merged.as_str() {
            path.clone_into(&mut last_merged);
        }
        let is = git(root, &["hash-object", "--", path])?;
        if is.as_deref() != Some(was) {
            faults.push(Fault::new(
                path,
                0,
                "merged migrations never change; put it back and add a new one",
            ));
        }
    }
    let merged: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once('\t').map(|(_, path)| path))
        .collect();
    for file in super::files::all(&root.join("migrations")).unwrap_or_default() {
        let path = super::inside(root, &file);
        if !merged.contains(&path.as_str()) && path < last_merged {
            faults.push(Fault::new(
                &path,
                0,
                format!("comes before the merged {last_merged}; databases that ran that one would refuse it"),
            ));
        }
    }
    Ok(Verdict::Faults(faults))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn commit(root: &Path, message: &str) {
        for args in [
            vec!["add", "-A"],
            vec![
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "commit",
                "-qm",
                message,
            ],
        ] {
            assert!(git(root, &args).unwrap().is_some(), "git {args:?}");
        }
    }

    fn faults(root: &Path) -> usize {
        match check(root).unwrap() {
            Verdict::Faults(faults) => faults.len(),
            Verdict::NoHistory(_) => panic!("there is a history"),
        }
    }

    #[test]
    fn a_changed_removed_or_late_migration_is_found() {
        let root = std::env::temp_dir().join(format!("xtask-git-{}", crate::ports::random_hex(4)));
        let migrations = root.join("migrations");
        fs::create_dir_all(&migrations).unwrap();
        git(&root, &["init", "-q", "-b", "main"]).unwrap().unwrap();
        assert!(matches!(check(&root).unwrap(), Verdict::NoHistory(_)));
        fs::write(migrations.join("0001_a.sql"), "create table a ();").unwrap();
        fs::write(migrations.join("0003_c.sql"), "create table c ();").unwrap();
        commit(&root, "first");
        fs::write(migrations.join("0004_d.sql"), "create table d ();").unwrap();
        commit(&root, "second");
        assert_eq!(faults(&root), 0);
        fs::write(migrations.join("0001_a.sql"), "create table b ();").unwrap();
        assert_eq!(faults(&root), 1);
        fs::remove_file(migrations.join("0001_a.sql")).unwrap();
        assert_eq!(faults(&root), 1);
        fs::write(migrations.join("0002_b.sql"), "create table b ();").unwrap();
        assert_eq!(faults(&root), 2);
        fs::remove_dir_all(root).unwrap();
    }
}
