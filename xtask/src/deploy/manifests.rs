//! The manifests as a cluster would be given them: every overlay rendered once by kustomize and read
//! as JSON. Never judges them. Used by the checks of this folder that look at objects.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context as _;
use serde_json::Value;

use super::Deploy;
use super::tools;

/// Where the overlays are.
const OVERLAYS: &str = "deploy/kubernetes/overlays";
/// Every kustomization that somebody may apply.
pub(super) const NAMES: [&str; 8] = [
    "dev",
    "staging",
    "production",
    "production/green",
    "variants/aws-secrets",
    "variants/sealed-secrets",
    "variants/keda",
    "variants/operator",
];
/// Programs and schemas, at fixed versions.
pub(super) const REQUIREMENTS: &str = "deploy/kubernetes/checks/requirements.txt";

/// One rendered overlay.
pub(super) struct Overlay {
    /// Its folder under overlays/.
    pub(super) name: &'static str,
    /// Where core.yaml, custom.json and objects.json are.
    pub(super) folder: PathBuf,
    /// Every object.
    pub(super) objects: Vec<Value>,
    /// How many are of Kubernetes itself, and how many of operators: as the renderer counted them.
    pub(super) counted: String,
}

/// All overlays, rendered when first asked for.
#[derive(Default)]
pub(super) struct Rendered(OnceLock<Vec<Overlay>>);

impl Deploy<'_> {
    /// Every overlay, rendered.
    pub(super) fn overlays(&self) -> anyhow::Result<&[Overlay]> {
        if let Some(held) = self.manifests.0.get() {
            return Ok(held);
        }
        let mut overlays = Vec::new();
        for name in NAMES {
            overlays.push(render(self, name).with_context(|| format!("overlay {name}"))?);
        }
        Ok(self.manifests.0.get_or_init(|| overlays))
    }
}

fn render(deploy: &Deploy<'_>, name: &'static str) -> anyhow::Result<Overlay> {
    let bin = tools::python(deploy, "kubernetes", REQUIREMENTS)?;
    let folder = tools::scratch(deploy, &format!("manifests/{}", name.replace('/', "-")))?;
    let mut build = Command::new(bin.join("kubectl"));
    build.arg("kustomize").arg(deploy.path(OVERLAYS).join(name));
    let rendered = folder.join("rendered.yaml");
    fs::write(&rendered, tools::judge(deploy, &mut build)?)?;
    let mut split = Command::new(bin.join("python"));
    split
        .arg(deploy.path("deploy/kubernetes/checks/split.py"))
        .arg(&rendered)
        .arg(&folder);
    let counted = tools::judge(deploy, &mut split)?;
    let objects = serde_json::from_str(&fs::read_to_string(folder.join("objects.json"))?)?;
    Ok(Overlay {
        name,
        folder,
        objects,
        counted: counted.trim().replace(' ', " + "),
    })
}

/// `Deployment microcrop-backend`.
pub(super) fn called(object: &Value) -> String {
    format!(
        "{} {}",
        text(object, "/kind"),
        text(object, "/metadata/name")
    )
}

/// A text by JSON pointer, empty if absent.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A list by JSON pointer, empty if absent.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The pod that an object makes, if it makes one.
pub(super) fn pod(object: &Value) -> Option<&Value> {
    let pointer = match text(object, "/kind") {
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => "/spec/template/spec",
        _ => return None,
    };
    object.pointer(pointer)
}

/// Containers of a pod, those that prepare it first.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/initContainers")
        .iter()
        .chain(list(pod, "/containers"))
}

/// The image without registry, tag and digest: `microcrop/backend`.
pub(super) fn image_name(container: &Value) -> &str {
    let image = text(container, "/image");
    let image = image.split('@').next().unwrap_or_default();
    let (path, _) = image.rsplit_once(':').unwrap_or((image, ""));
    path.find("microcrop/")
        .and_then(|at| path.get(at..))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_is_named_without_registry_tag_and_digest() {
        for image in [
            "microcrop/backend:0.1.0",
            "123456789012.dkr.ecr.af-south-1.amazonaws.com/microcrop/backend:abc@sha256:00",
        ] {
            assert_eq!(image_name(&json!({ "image": image })), "microcrop/backend");
        }
        assert_eq!(image_name(&json!({ "image": "postgres:15" })), "postgres");
    }

    #[test]
    fn the_pod_of_a_cron_job_lies_deeper() {
        let job = json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template":
            {"spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "b"}]}}}}}});
        let names: Vec<&str> = containers(pod(&job).unwrap())
            .map(|c| text(c, "/name"))
            .collect();
        assert_eq!(names, ["b", "a"]);
        assert!(pod(&json!({"kind": "Service"})).is_none());
    }
}
