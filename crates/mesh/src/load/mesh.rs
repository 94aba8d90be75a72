//! `mesh.yaml`.

use std::path::PathBuf;
use std::rc::Rc;

use super::audit::{AuditDraft, read_audit};
use super::grants::{read_grantees, read_names};
use super::identity::{read_identity, read_secret};
use super::limits::read_limits;
use crate::access_test::Requirements;
use crate::fault::Spanned;
use crate::identity::Mesh;
use crate::name::MeshName;
use crate::yaml::{Fields, Node, Source, check_header};

/// What could be read, sound or not.
#[derive(Debug, Default)]
pub(crate) struct MeshDraft {
    pub(crate) mesh: Option<Mesh>,
    pub(crate) environment: Option<String>,
    /// The paths of the domains' manifests, as written.
    pub(crate) domains: Vec<Spanned<String>>,
    /// Of the trail, what later looks need.
    pub(crate) audit: Option<AuditDraft>,
    /// The path of the guardrails, as written.
    pub(crate) guardrails: Option<Spanned<String>>,
    /// The folder of personal access tokens, as written.
    pub(crate) tokens: Option<Spanned<String>>,
}

/// Reads the tree of `mesh.yaml`; `mesh` is only there if the essentials are.
pub(crate) fn read_mesh(source: &Source, root: &Rc<Node>, file: PathBuf) -> MeshDraft {
    let Some(fields) = Fields::open(source, root, "a mesh") else {
        return MeshDraft::default();
    };
    check_header(&fields, "Mesh");
    let name = fields.required_text("name").and_then(|(node, text)| {
        MeshName::parse(text)
            .map_err(|error| source.error(node, "name", error.to_string()).report())
            .ok()
    });
    let environment = fields.text("environment").map(str::to_owned);
    let domains = read_domains(source, &fields);
    let secret = fields
        .get("secret")
        .and_then(|node| read_secret(source, node, "secret"));
    let (identity, tokens) = fields
        .get("identity")
        .map(|node| read_identity(source, node))
        .unwrap_or_default();
    let auditors = fields
        .get("auditors")
        .map(|node| read_grantees(source, node, "auditors"))
        .unwrap_or_default();
    let audit = fields
        .get("audit")
        .and_then(|node| read_audit(source, node));
    let require = fields
        .get("require")
        .map(|node| read_requirements(source, node))
        .unwrap_or_default();
    let limits = fields
        .get("limits")
        .map(|node| read_limits(source, node))
        .unwrap_or_default();
    let guardrails = fields
        .get("guardrails")
        .and_then(|node| Some(source.spanned(node, source.read_text(node, "guardrails")?)));
    fields.finish();
    MeshDraft {
        mesh: name.map(|name| Mesh {
            name,
            environment: environment.clone(),
            secret,
            identity,
            auditors: auditors.into_iter().map(|it| it.value).collect(),
            audit: audit.as_ref().map(|draft| draft.manifest.clone()),
            require,
            limits,
            guardrails: Vec::new(),
            file,
        }),
        environment,
        domains,
        audit,
        guardrails,
        tokens,
    }
}

/// `require:`, what the mesh asks of its domains.
fn read_requirements(source: &Source, node: &Node) -> Requirements {
    let mut requirements = Requirements::default();
    let Some(fields) = Fields::open(source, node, "`require`") else {
        return requirements;
    };
    if let Some(node) = fields.required("accessTests")
        && let Some(tests) = Fields::open(source, node, "`accessTests`")
    {
        if let Some(node) = tests.required("classification") {
            requirements.access_tests = read_names(source, node, "classification");
        }
        tests.finish();
    }
    fields.finish();
    requirements
}

fn read_domains(source: &Source, fields: &Fields<'_>) -> Vec<Spanned<String>> {
    let Some(node) = fields.required("domains") else {
        return Vec::new();
    };
    let mut domains: Vec<Spanned<String>> = Vec::new();
    for path in source.read_texts(node, "domains") {
        let plain = |path: &str| path.strip_prefix("./").unwrap_or(path).to_owned();
        if domains
            .iter()
            .any(|other| plain(&other.value) == plain(&path.value))
        {
            source.report(
                crate::Fault::error(
                    path.span,
                    "duplicate-domain",
                    format!("`{}` is listed twice", path.value),
                )
                .with_help("keep one of the two"),
            );
        } else {
            domains.push(path);
        }
    }
    domains
}
