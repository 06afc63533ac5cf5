//! Rules about SQL: it never asks the database for the time, is lower case, and each statement says
//! what it does. Looks at migrations and at the strings in shared/store. Called by tidy.

use super::Fault;
use super::lexer::Source;

/// The database's clocks. Time is an input: a replay of 1984 must not see today's date.
const CLOCKS: [&str; 9] = [
    "now()",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
];

/// Enough of SQL's words to notice shouting.
const SHOUTED: [&str; 8] = [
    "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "FROM ", "WHERE ", "CREATE ", "VALUES ",
];

const MACROS: [&str; 3] = ["query!", "query_as!", "query_scalar!"];

/// Rules for a migration.
pub(super) fn check_file(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split("--").next().unwrap_or_default();
        faults.extend(check_text(path, index + 1, code));
    }
    if path.starts_with("migrations/") && !is_numbered(path) {
        faults.push(Fault::new(
            path,
            0,
            "migrations are called NNNN_what_it_adds.sql, one concern each",
        ));
    }
    faults
}

fn is_numbered(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split_once('_').is_some_and(|(number, rest)| {
        number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()) && rest.len() > ".sql".len()
    })
}

/// Rules for the SQL inside a Rust file of the store.
pub(super) fn check_source(path: &str, source: &Source) -> Vec<Fault> {
    if !path.starts_with("shared/store/") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for string in &source.strings {
        let is_sql = string.text.trim_start().starts_with("--") || path.contains("/src/");
        if is_sql {
            faults.extend(check_text(path, string.line, &string.text));
        }
    }
    if path.contains("/tests/") {
        return faults;
    }
    let tests_from = source.tests_from().unwrap_or(usize::MAX);
    for name in MACROS {
        for at in source.words(name).filter(|at| *at < tests_from) {
            let statement = source.strings.iter().find(|string| string.offset > at);
            if !statement.is_some_and(|statement| has_title(&statement.text)) {
                faults.push(Fault::new(
                    path,
                    source.line_at(at),
                    "a statement begins with its name, as in `-- policies.activate`",
                ));
            }
        }
    }
    faults
}

/// `-- noun.verb` on the first line.
fn has_title(statement: &str) -> bool {
    let first = statement.trim_start().lines().next().unwrap_or_default();
    let first = first.split("\\n").next().unwrap_or_default();
    first
        .strip_prefix("-- ")
        .and_then(|title| title.split_whitespace().next())
        .and_then(|title| title.split_once('.'))
        .is_some_and(|(noun, verb)| !noun.is_empty() && !verb.is_empty())
}

fn check_text(path: &str, line: usize, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lower = text.to_ascii_lowercase();
    for clock in CLOCKS {
        let found = lower.match_indices(clock).find(|(at, _)| {
            let name_byte = |byte: Option<&u8>| {
                byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(byte))
            };
            let bytes = lower.as_bytes();
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + clock.len());
            !name_byte(before) && (clock.ends_with(')') || !name_byte(after))
        });
        if found.is_some() {
            faults.push(Fault::new(
                path,
                line,
                format!(
                    "`{clock}` asks the database for the time; bind the instant from the clock"
                ),
            ));
        }
    }
    if let Some(word) = SHOUTED.iter().find(|word| text.contains(**word)) {
        faults.push(Fault::new(
            path,
            line,
            format!("SQL is lower case, `{}` is not", word.trim()),
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_asks_for_the_time_is_found() {
        let text =
            "-- now() is fine in a comment\ncreate table t (at timestamptz default now());\n";
        let faults = check_file("migrations/0001_t.sql", text);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 2);
        assert!(
            check_file(
                "migrations/0001_t.sql",
                "select known_now(), t.current_date_x;"
            )
            .is_empty()
        );
        assert_eq!(
            check_file("migrations/0001_t.sql", "select CURRENT_TIMESTAMP;").len(),
            1
        );
    }

    #[test]
    fn a_migration_has_a_number_and_a_name() {
        assert!(check_file("migrations/0001_farmers.sql", "").is_empty());
        for path in [
            "migrations/farmers.sql",
            "migrations/1_farmers.sql",
            "migrations/0001_.sql",
        ] {
            assert_eq!(check_file(path, "").len(), 1, "{path}");
        }
    }

    #[test]
    fn a_statement_without_a_name_is_found() {
        let named = Source::parse("sqlx::query!(\"-- farmers.find\\nselect 1\", id)");
        assert!(check_source("shared/store/src/farmers.rs", &named).is_empty());
        let raw = Source::parse("sqlx::query_as!(Row, r#\"\n  -- farmers.find\n  select 1\"#, id)");
        assert!(check_source("shared/store/src/farmers.rs", &raw).is_empty());
        let bare = Source::parse("sqlx::query!(\"select 1\")");
        assert_eq!(check_source("shared/store/src/farmers.rs", &bare).len(), 1);
    }

    #[test]
    fn a_statement_that_asks_for_the_time_or_shouts_is_found() {
        let source = Source::parse("sqlx::query!(\"-- a.b\nselect now()\")");
        assert_eq!(check_source("shared/store/src/a.rs", &source).len(), 1);
        let source = Source::parse("sqlx::query!(\"-- a.b\nSELECT 1 FROM t\")");
        assert_eq!(check_source("shared/store/src/a.rs", &source).len(), 1);
        let source = Source::parse("clock.now(); Utc::now();");
        assert!(check_source("shared/store/src/a.rs", &source).is_empty());
    }
}
