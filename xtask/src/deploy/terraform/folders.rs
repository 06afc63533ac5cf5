//! Every folder of Terraform's: providers and modules in their places, every argument judged, and its
//! own tests run, several folders at once. What one prints is its own: a failure is a row with the
//! folder's name. Called by the check above.

use anyhow::ensure;
use serde_json::Value;

use super::super::Row;
use super::{Terraform, lanes};

/// Folders whose outputs are held against the manifests.
const ENVIRONMENTS: &str = "environments/";

/// An environment, and what it says of itself to the manifests.
pub(super) type Contract = (String, Value);

/// What the tests of one folder came to.
pub(super) struct Tested {
    pub(super) passed: u64,
    /// The outputs of the first run that has some.
    outputs: Option<Value>,
}

/// A row for each folder, and the contracts of those that are environments.
pub(super) fn check(terraform: &Terraform<'_>, folders: &[String]) -> (Vec<Row>, Vec<Contract>) {
    let judged = lanes::each(folders, |folder| {
        terraform.deploy.context.say("terraform", folder);
        validate(terraform, folder)?;
        // tells outputs, and with them every schema again, which takes its time
        let is_told = folder.starts_with(ENVIRONMENTS);
        test(terraform, folder, if is_told { &["-verbose"] } else { &[] })
    });
    let mut contracts = Vec::new();
    let mut rows = Vec::new();
    for (folder, judged) in folders.iter().zip(judged) {
        let contract = judged.as_ref().ok().and_then(|t| t.outputs.as_ref());
        if let (Some(name), Some(outputs)) = (folder.strip_prefix(ENVIRONMENTS), contract) {
            contracts.push((name.to_owned(), outputs["contract"]["value"].clone()));
        }
        rows.push(Row::judged(
            format!("terraform/{folder}"),
            "terraform validate, test",
            judged.map(|tested| format!("{} passed", tested.passed)),
        ));
    }
    (rows, contracts)
}

/// Providers and modules in their places, and every argument of theirs judged.
pub(super) fn validate(terraform: &Terraform<'_>, folder: &str) -> anyhow::Result<()> {
    terraform.init(folder)?;
    let arguments = ["validate", "-no-color"];
    terraform.judge(folder, &arguments).map(drop)
}

/// The folder's own tests, with whatever else Terraform is asked to tell.
pub(super) fn test(
    terraform: &Terraform<'_>,
    folder: &str,
    more: &[&str],
) -> anyhow::Result<Tested> {
    let told = terraform.judge(folder, &[&["test", "-json"], more].concat());
    if told.is_err() {
        // once more in words, which say where
        terraform.judge(folder, &["test", "-no-color"])?;
    }
    let tested = tested(&told?);
    ensure!(tested.passed > 0, "{folder} has no test");
    Ok(tested)
}

/// What Terraform tells of a run of tests, a line of JSON an event.
fn tested(told: &str) -> Tested {
    let mut found = Tested {
        passed: 0,
        outputs: None,
    };
    for event in told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        match event["type"].as_str() {
            Some("test_summary") => {
                found.passed = event["test_summary"]["passed"].as_u64().unwrap_or_default();
            }
            Some("test_state") if found.outputs.is_none() => {
                found.outputs = event["test_state"].get("outputs").cloned();
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_and_the_count_of_a_run_are_read() {
        let told = concat!(
            "not json\n",
            r#"{"type":"test_state","test_state":{"outputs":{"contract":{"value":{"region":"a"}}}}}"#,
            "\n",
            r#"{"type":"test_summary","test_summary":{"status":"pass","passed":3}}"#,
        );
        let found = tested(told);
        assert_eq!(found.passed, 3);
        assert_eq!(found.outputs.unwrap()["contract"]["value"]["region"], "a");
        assert_eq!(tested("").passed, 0);
    }
}
