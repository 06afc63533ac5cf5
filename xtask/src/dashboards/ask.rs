//! Questions to Prometheus' HTTP API, as Grafana asks them. Never writes anything there.
//! Called by `dashboards`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::http;

/// Seconds between two answers of a range, and between two scrapes (prometheus/compose.yml).
pub(crate) const STEP_SECONDS: u32 = 5;
/// What Grafana puts for `$__rate_interval`: four times the interval of scrapes.
const RATE_SECONDS: u32 = 4 * STEP_SECONDS;

/// How often a question is asked that is not answered within two seconds.
const TRIES: u32 = 5;

/// The numbers of one series; what is not a number (a share of nothing) is left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Unix seconds and value, in order.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Seconds of Unix time by Prometheus' own clock.
pub(crate) fn time(port: u16) -> anyhow::Result<f64> {
    let answer = get(port, "/api/v1/query?query=time()")?;
    answer
        .pointer("/data/result/0")
        .and_then(Value::as_f64)
        .context("Prometheus does not know what time it is")
}

/// The one number of an expression now, if it has one.
pub(crate) fn number(port: u16, expr: &str) -> anyhow::Result<Option<f64>> {
    let answer = get(port, &format!("/api/v1/query?query={}", encoded(expr)))?;
    let pair = answer.pointer("/data/result/0/value");
    Ok(pair.and_then(point).map(|(_, value)| value))
}

/// An expression over a range, with Grafana's variables filled in.
pub(crate) fn range(port: u16, expr: &str, from: f64, to: f64) -> anyhow::Result<Vec<Series>> {
    let plain = expr
        .replace("$__rate_interval", &format!("{RATE_SECONDS}s"))
        .replace("$namespace", ".*");
    let path = format!(
        "/api/v1/query_range?query={}&start={from:.3}&end={to:.3}&step={STEP_SECONDS}",
        encoded(&plain)
    );
    let answer = get(port, &path).with_context(|| plain.clone())?;
    Ok(series(&answer))
}

fn get(port: u16, path: &str) -> anyhow::Result<Value> {
    // on a busy machine an answer over a whole season may take longer than is waited for once
    let (status, body) = (0..TRIES)
        .find_map(|_| http::answer(port, path))
        .context("Prometheus does not answer")?;
    if status != 200 {
        bail!("Prometheus answers {status}: {}", body.trim());
    }
    serde_json::from_str(&body).context("Prometheus' answer is not JSON")
}

fn series(answer: &Value) -> Vec<Series> {
    let results = answer.pointer("/data/result").and_then(Value::as_array);
    results
        .into_iter()
        .flatten()
        .map(|result| {
            let labels = result.get("metric").and_then(Value::as_object);
            let values = result.get("values").and_then(Value::as_array);
            Series {
                labels: labels
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| {
                        (name.clone(), value.as_str().unwrap_or_default().to_owned())
                    })
                    .collect(),
                points: values.into_iter().flatten().filter_map(point).collect(),
            }
        })
        .filter(|series| !series.points.is_empty())
        .collect()
}

/// `[seconds, "value"]`, if the value is a number.
fn point(pair: &Value) -> Option<(f64, f64)> {
    let at = pair.get(0)?.as_f64()?;
    let value: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    value.is_finite().then_some((at, value))
}

/// A text inside an address.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_survives_an_address() {
        assert_eq!(encoded("sum(up{a=\"b\"})"), "sum%28up%7Ba%3D%22b%22%7D%29");
    }

    #[test]
    fn a_share_of_nothing_is_no_answer() {
        let answer = serde_json::json!({"data": {"result": [
            {"metric": {"state": "held"}, "values": [[10.0, "0"], [15.0, "NaN"]]},
            {"metric": {}, "values": [[10.0, "NaN"]]},
        ]}});
        let found = series(&answer);
        assert_eq!(found.len(), 1);
        let held = found.first().unwrap();
        assert_eq!(held.points, [(10.0, 0.0)]);
        assert_eq!(held.labels.get("state").map(String::as_str), Some("held"));
    }
}
