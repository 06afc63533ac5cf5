//! The vegetation of the years before a season, which the season's is compared with: imported as a
//! person would, with the product's own commands. Holds no number. Called by the demo
//! and compose-up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::stack::{Plan, run_once};

/// Imports a table of Sentinel-2 and computes what every product that reads vegetation needs of it.
pub(crate) fn import(plan: &Plan, root: &Path, file: &str) -> anyhow::Result<()> {
    let import = [
        "import",
        "vegetation",
        "--sensor",
        "sentinel-2",
        "--file",
        file,
    ];
    run_once(plan, "data-processor", &import)?;
    for path in products(root)? {
        let path = path.to_string_lossy();
        run_once(
            plan,
            "data-processor",
            &["baseline", "vegetation", "--product", &path],
        )?;
    }
    Ok(())
}

/// The documents of the products that read vegetation.
pub(crate) fn products(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = root.join("products");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    found.sort();
    let mut reading = Vec::new();
    for path in found {
        let text = fs::read_to_string(&path)?;
        if text.lines().any(|line| line.trim() == "[vegetation]") {
            reading.push(path);
        }
    }
    Ok(reading)
}
