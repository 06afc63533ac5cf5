//! The offline query cache `.sqlx`: made, and checked for freshness, without sqlx-cli, by expanding
//! the queries against a freshly migrated database with `SQLX_OFFLINE_DIR` set.
//! Never writes into `.sqlx` while checking. Called by `sqlx` and `check`.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cargo::{CLIPPY, cargo, members, metadata, text};
use crate::context::Context;
use crate::servers::{Servers, Wanted, database};
use crate::tidy::files::rust_files;
use crate::tidy::lexer::Source;

/// The macros whose expansion writes one file each.
const MACROS: [&str; 6] = [
    "query!",
    "query_as!",
    "query_scalar!",
    "query_unchecked!",
    "query_as_unchecked!",
    "query_scalar_unchecked!",
];

/// File name to contents.
type Cache = BTreeMap<String, String>;

/// Writes `.sqlx` anew.
pub(crate) fn regenerate(context: &Context) -> anyhow::Result<()> {
    let (fresh, _) = prepare(context, &["check", "--workspace", "--all-targets"], &[])?;
    let dir = context.root.join(".sqlx");
    fs::create_dir_all(&dir)?;
    let old = read(&dir)?;
    for name in old.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, contents) in &fresh {
        if old.get(name) != Some(contents) {
            fs::write(dir.join(name), contents)?;
        }
    }
    context.say(
        "sqlx",
        format!("{} queries in .sqlx ({} before)", fresh.len(), old.len()),
    );
    Ok(())
}

/// An error if `.sqlx` differs from what the code and the migrations give. The queries are expanded
/// by clippy: gives back the settings under which it has just passed, none if it was not needed.
pub(crate) fn check(context: &Context) -> anyhow::Result<Vec<String>> {
    let state = context.state_dir().join("sqlx-checked");
    let key = key(context)?;
    if fs::read_to_string(&state).is_ok_and(|known| known == key) {
        context.say("sqlx", "unchanged since it was last found fresh");
        return Ok(Vec::new());
    }
    let [before, after] = CLIPPY;
    let (fresh, settings) = prepare(context, before, after)?;
    let known = read(&context.root.join(".sqlx"))?;
    let stale: Vec<&String> = known.keys().filter(|n| !fresh.contains_key(*n)).collect();
    let missing: Vec<&String> = fresh
        .iter()
        .filter(|(name, contents)| known.get(*name) != Some(contents))
        .map(|(name, _)| name)
        .collect();
    if !stale.is_empty() || !missing.is_empty() {
        bail!(
            ".sqlx is not fresh: {} missing or different, {} no longer used; run `cargo xtask sqlx` and commit it",
            missing.len(),
            stale.len()
        );
    }
    fs::create_dir_all(context.state_dir())?;
    fs::write(state, key)?;
    context.say("sqlx", format!("{} queries fresh", fresh.len()));
    Ok(settings)
}

/// Expands every query against a migrated database by cargo with these words before and after its
/// settings; returns what that wrote, and the settings.
fn prepare(
    context: &Context,
    before: &[&str],
    after: &[&str],
) -> anyhow::Result<(Cache, Vec<String>)> {
    let packages = packages_with_queries(context)?;
    if packages.is_empty() {
        return Ok((Cache::new(), Vec::new()));
    }
    let mut servers = Servers::for_command(context, Wanted::POSTGRES)?;
    let url = servers.fresh_database("sqlx")?;
    let migrations = database::migrate(&url, &context.root.join("migrations"))?;
    context.say(
        "sqlx",
        format!(
            "{migrations} migrations applied; compiling {}",
            packages.join(", ")
        ),
    );
    let out = context.state_dir().join("sqlx");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    // A query is written only when its macro is expanded, so the crates must be compiled anew. A
    // profile setting that means nothing to `check` gives them a fingerprint of their own: nothing
    // in the tree is touched and nobody's build is thrown away.
    let nonce = 1_000 + crate::ports::random_u64() % 1_000_000;
    let settings: Vec<String> = packages
        .iter()
        .map(|package| format!("--config=profile.dev.package.{package}.codegen-units={nonce}"))
        .collect();
    let mut command = cargo(context);
    command.args(before).args(&settings).args(after);
    command
        .env("DATABASE_URL", &url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &out);
    let expanded = context.run_ok(&mut command);
    servers.drop_database(&url)?;
    expanded.context("the queries are known only of code that compiles cleanly")?;
    Ok((read(&out)?, settings))
}

fn packages_with_queries(context: &Context) -> anyhow::Result<Vec<String>> {
    let metadata = metadata(&context.root)?;
    let mut folders: Vec<(PathBuf, String)> = members(&metadata)
        .into_iter()
        .filter_map(|package| {
            let manifest = PathBuf::from(text(package, "manifest_path"));
            Some((
                manifest.parent()?.to_path_buf(),
                text(package, "name").to_owned(),
            ))
        })
        .collect();
    // innermost first: sandbox/simulation lies inside sandbox
    folders.sort_by_key(|(dir, _)| std::cmp::Reverse(dir.components().count()));
    let mut packages: Vec<String> = Vec::new();
    for file in files_with_queries(&context.root)? {
        if let Some((_, name)) = folders.iter().find(|(dir, _)| file.starts_with(dir))
            && !packages.contains(name)
        {
            packages.push(name.clone());
        }
    }
    packages.sort();
    Ok(packages)
}

fn files_with_queries(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in rust_files(root)? {
        let raw = fs::read_to_string(&file)?;
        if !MACROS.iter().any(|name| raw.contains(name)) {
            continue;
        }
        let source = Source::parse(&raw);
        if MACROS.iter().any(|name| source.code.contains(name)) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn read(dir: &Path) -> anyhow::Result<Cache> {
    let mut cache = Cache::new();
    if !dir.is_dir() {
        return Ok(cache);
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let (name, path) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        );
        if name.starts_with("query-") && path.extension().is_some_and(|ext| ext == "json") {
            let contents = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            cache.insert(name, contents);
        }
    }
    Ok(cache)
}

/// Changes whenever the answer of `check` could: queries, migrations, cache.
fn key(context: &Context) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut files = files_with_queries(&context.root)?;
    for dir in ["migrations", ".sqlx"] {
        let mut inside: Vec<PathBuf> = fs::read_dir(context.root.join(dir))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        inside.sort();
        files.append(&mut inside);
    }
    files.push(context.root.join("Cargo.lock"));
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file).unwrap_or_default().hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
