//! No person's data in the repository: files that look like an export of people are refused.
//! Never prints what it found in them. Called by tidy.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Fault;

/// Formats that hold tables nobody can review in a diff.
const OPAQUE: [&str; 14] = [
    "xlsx", "xls", "ods", "sqlite", "sqlite3", "db", "parquet", "dump", "sav", "dta", "bak",
    "pcap", "gz", "zip",
];
/// Formats that are looked into.
const TEXT: [&str; 6] = ["csv", "tsv", "json", "jsonl", "ndjson", "txt"];
/// Column names of people.
const PERSONAL: [&str; 10] = [
    "phone",
    "phone_number",
    "msisdn",
    "mobile",
    "national_id",
    "id_number",
    "first_name",
    "surname",
    "full_name",
    "email",
];
/// A payload recorded as a test's fixture may hold a few (made-up) numbers; an export holds many.
const PHONES_MAX: usize = 5;

/// Rules for one file that is neither Rust nor SQL.
pub(super) fn check(path: &str, extension: &str, file: &Path) -> Option<Fault> {
    let extension = extension.to_ascii_lowercase();
    if OPAQUE.contains(&extension.as_str()) {
        return Some(Fault::new(
            path,
            0,
            format!(
                "`.{extension}` cannot be reviewed and may hold people's data; keep it out of the repository"
            ),
        ));
    }
    if path == ".env" || path.ends_with("/.env") {
        // .gitignore keeps it out of commits
        return None;
    }
    if !TEXT.contains(&extension.as_str()) {
        return None;
    }
    let text = String::from_utf8_lossy(&fs::read(file).ok()?).into_owned();
    if matches!(extension.as_str(), "csv" | "tsv") {
        let header = text.lines().next().unwrap_or_default().to_ascii_lowercase();
        let personal = header
            .split([',', '\t', ';'])
            .map(|column| column.trim().trim_matches('"'))
            .find(|column| PERSONAL.contains(column));
        if let Some(column) = personal {
            return Some(Fault::new(
                path,
                1,
                format!("the column `{column}` is people's data; keep it out of the repository"),
            ));
        }
    }
    let phones = phones(&text).len();
    (phones > PHONES_MAX).then(|| {
        Fault::new(
            path,
            0,
            format!("{phones} phone numbers; people's data stay out of the repository"),
        )
    })
}

/// Distinct runs of digits that are Kenyan mobile numbers: 254, then 7 or 1, then eight more.
fn phones(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| match run.len() {
            12 => run.starts_with("2547") || run.starts_with("2541"),
            10 => run.starts_with("07") || run.starts_with("011"),
            _ => false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> Option<Fault> {
        let dir = std::env::temp_dir().join(format!("xtask-data-{}", crate::ports::random_hex(4)));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join(name);
        fs::write(&file, text).unwrap();
        let extension = name.rsplit('.').next().unwrap();
        let fault = check(name, extension, &file);
        fs::remove_dir_all(dir).unwrap();
        fault
    }

    #[test]
    fn an_export_of_people_is_found() {
        assert!(written("farmers.csv", "id,msisdn,ward\n").is_some());
        assert!(written("farmers.xlsx", "").is_some());
        let many: Vec<String> = (0..6)
            .map(|n| format!("{{\"p\":\"25470000000{n}\"}}\n"))
            .collect();
        assert!(written("farmers.jsonl", &many.concat()).is_some());
    }

    #[test]
    fn places_and_single_payloads_are_no_peoples_data() {
        assert!(
            written(
                "wards.csv",
                "code,name,lat,lon\n0001,PORT REITZ,-4.0,39.6\n"
            )
            .is_none()
        );
        assert!(written("b2c.json", "{\"PartyB\": 254708374149}").is_none());
    }
}
