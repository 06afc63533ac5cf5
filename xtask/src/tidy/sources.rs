//! Rules about single Rust files: length, header, who may name which library, what may not be left
//! behind. Never looks at formatting or lints, which have tools of their own. Called by tidy.

use super::Fault;
use super::lexer::Source;

const LINES_MAX: usize = 500;
const HEADER_LINES_MIN: usize = 2;

/// A library and the only places that may name it, by the beginning of the path.
const OWNED: [(&str, &[&str], &str); 3] = [
    (
        "sqlx::",
        &["shared/store/"],
        "`sqlx` only in shared/store; add a store function",
    ),
    (
        "lapin",
        &["shared/runtime/src/amqp.rs", "shared/runtime/src/amqp/"],
        "`lapin` only in amqp of shared/runtime; use the broker of runtime",
    ),
    (
        "reqwest",
        &[
            "shared/providers/",
            "shared/runtime/src/http.rs",
            "sandbox/src/season",
            "sandbox/simulation/",
        ],
        "`reqwest` only in providers, runtime/src/http.rs and the season driver; take a client by value",
    ),
];

/// Type names that say nothing, by their ending.
const EMPTY_TYPES: [&str; 4] = ["Manager", "Helper", "Helpers", "Utils"];

/// All rules for one file.
pub(super) fn check(path: &str, raw: &str, source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = raw.lines().count();
    if lines > LINES_MAX {
        faults.push(Fault::new(
            path,
            lines,
            format!("{lines} lines; split it by noun, {LINES_MAX} is the most"),
        ));
    }
    let header = raw
        .lines()
        .skip_while(|line| line.trim().is_empty() || line.starts_with("#!["))
        .take_while(|line| line.starts_with("//!"))
        .filter(|line| line.len() > 4)
        .count();
    if header < HEADER_LINES_MIN {
        faults.push(Fault::new(
            path,
            1,
            format!("begin with at least {HEADER_LINES_MIN} `//!` lines: what it is for, what it must never do, who calls it"),
        ));
    }
    libraries(path, source, &mut faults);
    leftovers(path, source, &mut faults);
    types(path, source, &mut faults);
    faults
}

fn libraries(path: &str, source: &Source, faults: &mut Vec<Fault>) {
    if path.starts_with("xtask/") {
        // it names libraries in its rules, and depends on none of them
        return;
    }
    for (word, places, rule) in OWNED {
        if places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for at in source.words(word) {
            if word == "sqlx::" && is_test_setup(path, source, at) {
                continue;
            }
            faults.push(Fault::new(path, source.line_at(at), rule));
        }
    }
}

/// Tests outside the store may ask for a database of their own and look into it: a test that asked
/// the function it tests would prove nothing. Queries stay compile-checked (clippy sees to that).
fn is_test_setup(path: &str, source: &Source, at: usize) -> bool {
    let in_tests = path.contains("/tests/")
        || source
            .tests_from()
            .is_some_and(|tests_from| at > tests_from);
    let after = source.code.get(at..).unwrap_or_default();
    in_tests
        && [
            "sqlx::test",
            "sqlx::PgPool",
            "sqlx::PgConnection",
            "sqlx::postgres::",
            "sqlx::query!",
            "sqlx::query_as!",
            "sqlx::query_scalar!",
        ]
        .iter()
        .any(|allowed| after.starts_with(allowed))
}

fn leftovers(path: &str, source: &Source, faults: &mut Vec<Fault>) {
    for (word, rule) in [
        ("todo!", "finish it or leave it out"),
        ("unimplemented!", "finish it or leave it out"),
    ] {
        for at in source.words(word) {
            faults.push(Fault::new(path, source.line_at(at), rule));
        }
    }
    for (at, _) in source.code.match_indices("#[ignore") {
        faults.push(Fault::new(
            path,
            source.line_at(at),
            "no test is ignored; make it run or remove it",
        ));
    }
    if path.starts_with("xtask/src/tidy/") {
        // this very rule has to name what it forbids
        return;
    }
    for comment in &source.comments {
        for word in ["TODO", "FIXME", "XXX"] {
            if comment.text.contains(word) {
                faults.push(Fault::new(
                    path,
                    comment.line,
                    format!("`{word}` belongs in the issue tracker"),
                ));
            }
        }
    }
}

fn types(path: &str, source: &Source, faults: &mut Vec<Fault>) {
    for keyword in ["struct", "enum", "trait"] {
        for at in source.words(keyword) {
            let after = source.code.get(at + keyword.len()..).unwrap_or_default();
            let name: String = after
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if let Some(ending) = EMPTY_TYPES.iter().find(|ending| name.ends_with(**ending)) {
                faults.push(Fault::new(
                    path,
                    source.line_at(at),
                    format!("`{ending}` in `{name}` says nothing; name the noun it is about"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "//! What it is for and who calls it.\n//! What it must never do.\n";

    fn rules(path: &str, body: &str) -> Vec<String> {
        let raw = format!("{HEADER}{body}");
        check(path, &raw, &Source::parse(&raw))
            .into_iter()
            .map(|fault| format!("{}:{}", fault.line, fault.rule))
            .collect()
    }

    #[test]
    fn a_file_without_a_header_or_too_long_is_found() {
        let raw = "//! One line only.\nfn a() {}\n";
        assert_eq!(check("a/src/b.rs", raw, &Source::parse(raw)).len(), 1);
        assert_eq!(rules("a/src/b.rs", &"\n".repeat(499)).len(), 1);
        assert!(rules("a/src/b.rs", &"\n".repeat(498)).is_empty());
    }

    #[test]
    fn sql_outside_the_store_is_found() {
        let found = rules("backend/src/a.rs", "use sqlx::PgPool;\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("3:`sqlx` only"));
        assert!(rules("shared/store/src/a.rs", "use sqlx::PgPool;\n").is_empty());
    }

    #[test]
    fn a_test_may_have_a_database_and_look_into_it_but_only_by_checked_queries() {
        let test =
            "#[sqlx::test(migrations = \"../migrations\")]\nasync fn t(pool: sqlx::PgPool) {}\n";
        assert!(rules("backend/tests/a.rs", test).is_empty());
        assert!(rules("backend/tests/a.rs", "sqlx::query_scalar!(\"x\");\n").is_empty());
        assert_eq!(
            rules("backend/tests/a.rs", "sqlx::raw_sql(\"x\");\n").len(),
            1
        );
        let module = format!("#[cfg(test)]\nmod tests {{ {test} }}");
        assert!(rules("backend/src/a.rs", &module).is_empty());
        assert_eq!(rules("backend/src/a.rs", test).len(), 2);
    }

    #[test]
    fn brokers_and_clients_have_one_home() {
        assert_eq!(rules("workers/src/a.rs", "use lapin::Channel;\n").len(), 1);
        assert!(rules("shared/runtime/src/amqp.rs", "use lapin::Channel;\n").is_empty());
        assert_eq!(rules("backend/src/a.rs", "reqwest::get(url)\n").len(), 1);
        assert!(rules("sandbox/src/season/http.rs", "reqwest::get(url)\n").is_empty());
    }

    #[test]
    fn a_library_in_a_comment_or_string_is_no_fault() {
        assert!(
            rules(
                "workers/src/a.rs",
                "// lapin does\nlet a = \"sqlx::query\";\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn leftovers_are_found() {
        assert_eq!(rules("a/src/b.rs", "// TODO: later\n").len(), 1);
        assert_eq!(rules("a/src/b.rs", "fn f() { todo!() }\n").len(), 1);
        assert_eq!(
            rules("a/src/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn t() {}\n").len(),
            1
        );
    }

    #[test]
    fn types_that_say_nothing_are_found() {
        assert_eq!(rules("a/src/b.rs", "pub struct PolicyManager;\n").len(), 1);
        assert!(rules("a/src/b.rs", "pub struct Managed;\n").is_empty());
    }
}
