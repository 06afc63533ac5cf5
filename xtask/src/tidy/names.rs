//! Names that say nothing: a module called `util` collects what nobody thought about.
//! Looks at paths; types are looked at by `sources`. Never judges other people's tools' file names.

use super::Fault;

/// Words that may not be part of a file's or folder's name.
const EMPTY: [&str; 11] = [
    "manager",
    "managers",
    "service",
    "services",
    "helper",
    "helpers",
    "util",
    "utils",
    "utilities",
    "common",
    "misc",
];

/// Only code is named by us: Kubernetes has its `service.yaml`.
pub(super) fn check(path: &str) -> Option<Fault> {
    path.strip_suffix(".rs")?
        .split(['/', '_', '-'])
        .find(|word| EMPTY.contains(word))
        .map(|word| {
            Fault::new(
                path,
                0,
                format!("`{word}` in a name says nothing; name the noun it is about"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_in_files_and_folders() {
        for path in [
            "a/src/util.rs",
            "a/src/common/mod.rs",
            "a/src/sms_helper.rs",
        ] {
            assert!(check(path).is_some(), "{path}");
        }
        for path in ["a/src/commons.rs", "deploy/kubernetes/service.yaml"] {
            assert!(check(path).is_none(), "{path}");
        }
    }
}
