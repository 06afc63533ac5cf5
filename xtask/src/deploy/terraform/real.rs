//! The aws provider itself, where a copy of it lies on this machine: it judges values, which a schema
//! cannot, and makes things in a stand-in of the cloud. Never asks Amazon. Called by the check above.

use std::fs;

use super::super::{Row, tools};
use super::{CHECKS, FOLDER, Terraform, plain, standin};

/// What the real provider is asked about: together they use every module.
const JUDGED_BY_THE_REAL: [&str; 5] = [
    "state",
    "global",
    "environments/production",
    "second-region",
    "modules/rabbitmq",
];
/// What plays the cloud: the same that backups are rehearsed with.
const STAND_IN_OF_THE_CLOUD: &str = "deploy/scripts/requirements.txt";

/// The provider itself, where a copy of it lies on this machine: it also judges values.
pub(super) fn values(terraform: &Terraform<'_>, platform: &str) -> Row {
    let (artefact, tool) = ("values of arguments", "the aws provider itself");
    let Some((version, folder)) = standin::real_aws(platform) else {
        return Row::not_run(
            artefact,
            tool,
            "no copy of it lies on this machine, and no package index has one",
        );
    };
    let judged = (|| {
        let real = Terraform {
            deploy: terraform.deploy,
            program: terraform.program.clone(),
            providers: terraform.providers.with_real_aws(
                terraform.deploy,
                &version,
                platform,
                &folder,
            )?,
            work: terraform.work.clone(),
        };
        for folder in JUDGED_BY_THE_REAL {
            terraform
                .deploy
                .context
                .say("terraform", format!("{folder}, aws {version} itself"));
            // the stand-in's version is what the lock remembers
            let lock = real
                .work
                .join(FOLDER)
                .join(folder)
                .join(".terraform.lock.hcl");
            if lock.is_file() {
                fs::remove_file(lock)?;
            }
            real.validate(folder)?;
        }
        let tested = real.test("environments/production")?;
        Ok(format!(
            "{version}: every module valid, production's {} tests too",
            tested.passed
        ))
    })();
    Row::judged(artefact, tool, judged)
}

/// The first steps of an empty account, done: by the provider itself, against a stand-in of the cloud.
pub(super) fn rehearsal(terraform: &Terraform<'_>, platform: &str) -> Row {
    let (artefact, tool) = ("state/: applied, moved, locked", "the aws provider, moto");
    let deploy = terraform.deploy;
    if !deploy.full() {
        return Row::not_run(artefact, tool, "a minute and a half; with --full");
    }
    let Some((version, folder)) = standin::real_aws(platform) else {
        return Row::not_run(
            artefact,
            tool,
            "needs the aws provider itself, which is not on this machine",
        );
    };
    let judged = (|| {
        tools::system(deploy, "curl", "curl")?;
        let bin = tools::python(deploy, "s3", STAND_IN_OF_THE_CLOUD)?;
        deploy.context.say("terraform", "state, against moto");
        let providers = terraform
            .providers
            .with_real_aws(deploy, &version, platform, &folder)?;
        let mut command = plain(&deploy.path(CHECKS).join("rehearse.sh"));
        command
            .arg(terraform.work.join(FOLDER))
            .arg(bin.join("moto_server"))
            .env("TF_CLI_CONFIG_FILE", &providers.config);
        tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
    })();
    Row::judged(artefact, tool, judged)
}
