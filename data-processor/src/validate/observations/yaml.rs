//! The little of YAML that titanlib's cases are written in: nested maps and lists by indentation,
//! lists in brackets, numbers, `.NAN`, words. Not a YAML reader: what is beyond that is an error.
//! Used for titanlib's files only.

use anyhow::{Context, bail};
use serde_json::{Map, Number, Value};

/// A line: how far it is indented and what it says.
type Line<'a> = (usize, &'a str);

/// Reads a document; `.NAN` becomes null.
pub(super) fn parse(text: &str) -> anyhow::Result<Value> {
    let lines: Vec<Line<'_>> = text
        .lines()
        .map(|line| {
            (
                line.len().saturating_sub(line.trim_start().len()),
                line.trim(),
            )
        })
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let (value, rest) = block(&lines)?;
    match rest.first() {
        None => Ok(value),
        Some((_, line)) => bail!("unexpected indentation before `{line}`"),
    }
}

/// A list or a map: the lines as far indented as the first, with what is indented further.
fn block<'a, 'b>(lines: &'b [Line<'a>]) -> anyhow::Result<(Value, &'b [Line<'a>])> {
    let Some((indent, first)) = lines.first().copied() else {
        return Ok((Value::Null, lines));
    };
    let (mut list, mut map) = (Vec::new(), Map::new());
    let is_list = first.starts_with("- ");
    let mut rest = lines;
    while let Some((at, line)) = rest.first().copied().filter(|(at, _)| *at == indent) {
        if is_list {
            let item = line.strip_prefix("- ").context("a list ends in a map")?;
            // the item is a block of its own, which begins where its text does
            let begins = at.saturating_add(line.len().saturating_sub(item.trim_start().len()));
            let until = 1_usize.saturating_add(deeper(rest.get(1..), indent));
            let mut inner = rest.get(..until).unwrap_or_default().to_vec();
            if let Some(head) = inner.first_mut() {
                *head = (begins, item.trim_start());
            }
            let (value, left) = block(&inner)?;
            if let Some((_, line)) = left.first() {
                bail!("unexpected indentation before `{line}`");
            }
            list.push(value);
            rest = rest.get(until..).unwrap_or_default();
        } else {
            let (key, value) = line
                .split_once(':')
                .with_context(|| format!("`{line}` has no colon"))?;
            rest = rest.get(1..).unwrap_or_default();
            let value = if value.trim().is_empty() {
                let inner = rest.get(..deeper(Some(rest), indent)).unwrap_or_default();
                let (value, left) = block(inner)?;
                if let Some((_, line)) = left.first() {
                    bail!("unexpected indentation before `{line}`");
                }
                rest = rest.get(inner.len()..).unwrap_or_default();
                value
            } else {
                flow(value.trim())?
            };
            map.insert(key.trim().to_owned(), value);
        }
    }
    let value = if is_list {
        Value::Array(list)
    } else {
        Value::Object(map)
    };
    Ok((value, rest))
}

/// How many lines follow that are indented further.
fn deeper(lines: Option<&[Line<'_>]>, indent: usize) -> usize {
    let lines = lines.unwrap_or_default();
    lines.iter().take_while(|(at, _)| *at > indent).count()
}

fn flow(text: &str) -> anyhow::Result<Value> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok(scalar(text));
    };
    let inner = inner
        .strip_suffix(']')
        .with_context(|| format!("`{text}` has no end"))?;
    let items = inner.split(',').map(str::trim).filter(|i| !i.is_empty());
    Ok(Value::Array(items.map(scalar).collect()))
}

fn scalar(text: &str) -> Value {
    match text {
        ".NAN" | ".nan" | ".NaN" => Value::Null,
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        _ => text
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_titanlib_writes_is_read() {
        let text = "- description: A set\n  dataset:\n     lats: [0, .NAN]\n     name: x\n  tests:\n      - args:\n            min: [0.5]\n            on: True\n        expected: []\n      - expected: [1]\n- description: Another\n";
        let expected = json!([
            {
                "description": "A set",
                "dataset": {"lats": [0.0, null], "name": "x"},
                "tests": [
                    {"args": {"min": [0.5], "on": true}, "expected": []},
                    {"expected": [1.0]},
                ],
            },
            {"description": "Another"},
        ]);
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_it_does_not_write_is_refused() {
        for text in ["- a: [1, 2", "a", "a: 1\n   b: 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
