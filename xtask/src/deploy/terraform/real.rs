//! The aws provider itself, where a copy of it lies on this machine: it judges values, which a schema
//! cannot, and makes things in a stand-in of the cloud. Never asks Amazon. Called by the check above.

use super::super::{Row, tools};
use super::standin::Providers;
use super::{CHECKS, FOLDER, Terraform, attach, folders, lanes, plain, standin};

/// What the real provider is asked about: together they use every module.
const JUDGED_BY_THE_REAL: [&str; 4] = [
    "environments/production",
    "global",
    "state",
    "modules/rabbitmq",
];
/// What plays the cloud: the same that backups are rehearsed with.
const STAND_IN_OF_THE_CLOUD: &str = "deploy/scripts/requirements.txt";

/// The provider itself, where a copy of it lies on this machine: it also judges values.
pub(super) fn values(terraform: &Terraform<'_>, providers: &Providers) -> Row {
    let (artefact, tool) = ("values of arguments", "the aws provider itself");
    let Some(aws) = standin::real_aws(&providers.platform) else {
        return Row::not_run(
            artefact,
            tool,
            "no copy of it lies on this machine, and no package index has one",
        );
    };
    let deploy = terraform.deploy;
    let judged = (|| {
        let programs = providers.with_real_aws(deploy, &aws)?.programs;
        let real = Terraform {
            providers: attach::start(&programs)?,
            ..*terraform
        };
        let judged = lanes::each(&JUDGED_BY_THE_REAL, |folder| {
            deploy
                .context
                .say("terraform", format!("{folder}, aws {} itself", aws.version));
            folders::validate(&real, folder)
        });
        judged.into_iter().collect::<anyhow::Result<()>>()?;
        let tested = folders::test(&real, "environments/production", &[])?;
        Ok(format!(
            "{}: every module valid, production's {} tests too",
            aws.version, tested.passed
        ))
    })();
    Row::judged(artefact, tool, judged)
}

/// The first steps of an empty account, done: by the provider itself, against a stand-in of the cloud.
pub(super) fn rehearsal(terraform: &Terraform<'_>, providers: &Providers) -> Row {
    let (artefact, tool) = ("state/: applied, moved, locked", "the aws provider, moto");
    let deploy = terraform.deploy;
    if !deploy.full() {
        return Row::not_run(artefact, tool, "a minute and a half; with --full");
    }
    let Some(aws) = standin::real_aws(&providers.platform) else {
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
        let providers = providers.with_real_aws(deploy, &aws)?;
        let mut command = plain(&deploy.path(CHECKS).join("rehearse.sh"));
        command
            .arg(terraform.work.join(FOLDER))
            .arg(bin.join("moto_server"))
            .env("TF_CLI_CONFIG_FILE", &providers.config);
        tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
    })();
    Row::judged(artefact, tool, judged)
}
