//! Loading: from `mesh.yaml` to a validated mesh, with every fault at once.

mod access_tests;
mod audit;
mod contract;
mod domain;
mod files;
mod grants;
mod guardrails;
mod identity;
mod limits;
mod local;
mod measures;
mod mesh;
mod oidc;
mod options;
mod storage;
#[cfg(test)]
mod tests;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::access_tests::{AccessTestsLoad, load_access_tests};
use self::audit::refuse_shared_places;
use self::domain::{DomainDraft, cannot_read, read_domain};
use self::files::Files;
pub use self::files::fingerprint;
use self::guardrails::read_guardrails;
use self::mesh::{MeshDraft, read_mesh};
use self::tokens::load_tokens;
use crate::domain::Domain;
use crate::fault::{Fault, Span, Spanned};
use crate::guardrail::GuardrailManifest;
use crate::identity::Mesh;
use crate::name::DomainName;
use crate::yaml::{Source, SourceText, parse};

/// What came of a load.
#[derive(Debug)]
pub struct LoadReport {
    /// `None` where `mesh.yaml` itself has an error.
    pub mesh: Option<Mesh>,
    /// In the order of `mesh.yaml`.
    pub domains: Vec<DomainLoad>,
    /// All faults, warnings included, sorted by place; those of the domains as well.
    pub faults: Vec<Fault>,
    /// Every file read and every folder searched, absolute: what a watcher should watch.
    pub files: Vec<PathBuf>,
    /// Where personal access tokens are kept, absolute; known even where `mesh.yaml` has
    /// an error elsewhere.
    pub token_folder: Option<PathBuf>,
    texts: Vec<SourceText>,
}

/// What came of one domain.
#[derive(Debug)]
pub struct DomainLoad {
    /// `domain.yaml`, absolute.
    pub manifest: PathBuf,
    /// The domain's name as far as it could be read, so that a domain with a
    /// fault can be told from one that is gone.
    pub name: Option<DomainName>,
    /// `None` where any of its manifests has an error.
    pub domain: Option<Arc<Domain>>,
    pub faults: Vec<Fault>,
}

impl LoadReport {
    /// Whether any fault is an error.
    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(Fault::is_error)
    }

    /// Adds the source line to a fault that was found later, at a place of these manifests.
    pub fn annotate(&self, mut fault: Fault) -> Fault {
        annotate(&self.texts, &mut fault);
        fault
    }
}

/// Loads the mesh whose manifest is at `mesh_yaml`. Never panics, and never
/// stops at the first fault: all of them are in the report.
///
/// ```
/// let report = weft_mesh::load(std::path::Path::new("no/such/mesh.yaml"));
/// assert!(report.mesh.is_none());
/// assert_eq!(
///     report.faults[0].to_string(),
///     "no/such/mesh.yaml: error[missing-file]: `no/such/mesh.yaml` does not exist\n  \
///      = help: create it, or correct the path; it is relative to the file that names it"
/// );
/// ```
pub fn load(mesh_yaml: &Path) -> LoadReport {
    let mut files = Files::default();
    let absolute = std::path::absolute(mesh_yaml).unwrap_or_else(|_| mesh_yaml.to_owned());
    let folder = absolute.parent().unwrap_or(&absolute);
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let shown_folder = mesh_yaml.parent().unwrap_or_else(|| Path::new(""));

    let mut texts = Vec::new();
    let (mut draft, mut mesh_faults) = match files.read(&absolute) {
        Err(reason) => {
            let name = mesh_yaml.display().to_string();
            let fault = cannot_read(&Span::of_file(mesh_yaml), &name, &reason);
            (MeshDraft::default(), vec![fault])
        }
        Ok(text) => {
            let source = Source::new(Arc::from(mesh_yaml), folder.clone(), text, true);
            let draft = parse(&source)
                .map(|root| read_mesh(&source, &root, absolute.clone()))
                .unwrap_or_default();
            let (text, faults) = source.finish();
            texts.push(text);
            (draft, faults)
        }
    };

    if let Some(named) = draft.guardrails.take() {
        let (guardrails, mut faults) =
            load_guardrails(&mut files, &folder, shown_folder, &named, &mut texts);
        mesh_faults.append(&mut faults);
        if let Some(mesh) = &mut draft.mesh {
            mesh.guardrails = guardrails;
        }
    }

    let tokens = draft.tokens.take();
    let token_folder = tokens.as_ref().map(|named| folder.join(&named.value));
    if let Some(named) = tokens {
        let (tokens, mut faults) =
            load_tokens(&mut files, &folder, shown_folder, &named, &mut texts);
        mesh_faults.append(&mut faults);
        if let Some(mesh) = &mut draft.mesh {
            mesh.identity.tokens = tokens;
        }
    }

    let mut drafts: Vec<(PathBuf, DomainDraft)> = Vec::new();
    for named in &draft.domains {
        let (manifest, draft) = load_domain(
            &mut files,
            &folder,
            shown_folder,
            named,
            draft.environment.as_deref(),
        );
        drafts.push((manifest, draft));
    }
    refuse_equal_names(&mut drafts);
    if let Some(audit) = &draft.audit {
        for (_, draft) in &mut drafts {
            let shared = draft.domain.as_ref();
            let shared = shared.map(|domain| refuse_shared_places(audit, domain));
            draft.faults.extend(shared.unwrap_or_default());
        }
    }

    for (_, draft) in &mut drafts {
        texts.append(&mut draft.texts);
    }
    let mut domains = Vec::new();
    let mut faults = Vec::new();
    for (manifest, mut draft) in drafts {
        settle(&texts, &mut draft.faults);
        faults.extend(draft.faults.iter().cloned());
        let sound = !draft.faults.iter().any(Fault::is_error);
        domains.push(DomainLoad {
            manifest,
            name: draft.name.map(|(name, _)| name),
            domain: draft.domain.filter(|_| sound).map(Arc::new),
            faults: draft.faults,
        });
    }
    settle(&texts, &mut mesh_faults);
    if mesh_faults.iter().any(Fault::is_error) {
        draft.mesh = None;
    }
    faults.append(&mut mesh_faults);
    settle(&texts, &mut faults);
    LoadReport {
        mesh: draft.mesh,
        domains,
        faults,
        files: files.into_paths(),
        token_folder,
        texts,
    }
}

/// A fault here is one of the mesh: without its limits nothing is served.
fn load_guardrails(
    files: &mut Files,
    folder: &Path,
    shown_folder: &Path,
    named: &Spanned<String>,
    texts: &mut Vec<SourceText>,
) -> (Vec<GuardrailManifest>, Vec<Fault>) {
    let located = files.locate(folder, &named.value);
    let read = located.and_then(|relative| {
        let text = files.read(&folder.join(&relative))?;
        Ok((relative, text))
    });
    match read {
        Ok((relative, text)) => {
            let shown = Arc::from(shown_folder.join(relative));
            let source = Source::new(shown, folder.to_owned(), text, false);
            let guardrails = parse(&source)
                .map(|root| read_guardrails(&source, &root))
                .unwrap_or_default();
            let (text, faults) = source.finish();
            texts.push(text);
            (guardrails, faults)
        }
        Err(reason) => {
            let fault = cannot_read(&named.span, &named.value, &reason);
            (Vec::new(), vec![fault])
        }
    }
}

fn load_domain(
    files: &mut Files,
    folder: &Path,
    shown_folder: &Path,
    named: &Spanned<String>,
    environment: Option<&str>,
) -> (PathBuf, DomainDraft) {
    match files.locate(folder, &named.value) {
        Ok(relative) => {
            let path = folder.join(&relative);
            let shown = shown_folder.join(&relative);
            let draft = read_domain(files, &path, &shown, &named.span, environment);
            (path, draft)
        }
        Err(reason) => {
            let draft = DomainDraft {
                faults: vec![cannot_read(&named.span, &named.value, &reason)],
                ..DomainDraft::default()
            };
            (folder.join(&named.value), draft)
        }
    }
}

/// Of two domains of one name the later is refused: whoever comes to a mesh
/// cannot put out who is there.
fn refuse_equal_names(drafts: &mut [(PathBuf, DomainDraft)]) {
    let mut seen: Vec<(DomainName, Span)> = Vec::new();
    for (_, draft) in drafts {
        let Some((name, span)) = draft.name.clone() else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            draft.faults.push(
                Fault::error(
                    span,
                    "duplicate-domain",
                    format!("domain `{name}` is named twice, first in {first}"),
                )
                .with_help("rename one of the two"),
            );
            draft.name = None;
        } else {
            seen.push((name, span));
        }
    }
}

/// Sorts faults by place and shows their source lines.
fn settle(texts: &[SourceText], faults: &mut [Fault]) {
    for fault in faults.iter_mut() {
        annotate(texts, fault);
    }
    faults.sort_by(|a, b| (&a.span, a.severity, a.rule).cmp(&(&b.span, b.severity, b.rule)));
}

fn annotate(texts: &[SourceText], fault: &mut Fault) {
    if let Some(text) = texts.iter().find(|text| **text.name() == *fault.span.file) {
        text.annotate(fault);
    }
}
