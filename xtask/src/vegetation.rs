//! The vegetation of the years before a season, which the season's is compared with: imported as a
//! person would, with the product's own commands. Holds no number. Called by the demo.

use std::fs;
use std::path::Path;

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
    let folder = root.join("products");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut products: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    products.sort();
    for path in products {
        let reads_vegetation = fs::read_to_string(&path)?
            .lines()
            .any(|line| line.trim() == "[vegetation]");
        if reads_vegetation {
            let path = path.to_string_lossy();
            run_once(
                plan,
                "data-processor",
                &["baseline", "vegetation", "--product", &path],
            )?;
        }
    }
    Ok(())
}
