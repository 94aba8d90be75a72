//! `domain.yaml`, and every manifest that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::contract::{Surroundings, TableDraft, read_contract, settle_versions};
use super::files::{Files, Unreadable};
use super::grants::{read_grantees, read_grants, read_names};
use super::storage::read_storages;
use crate::domain::Domain;
use crate::fault::{Fault, Span, Spanned};
use crate::name::DomainName;
use crate::yaml::{Fields, Kind, Node, Source, SourceText, check_header, parse};

/// A domain's manifests, read.
#[derive(Debug, Default)]
pub(crate) struct DomainDraft {
    pub(crate) name: Option<(DomainName, Span)>,
    /// Sound as far as it is there: whether it takes effect, the faults say.
    pub(crate) domain: Option<Domain>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) texts: Vec<SourceText>,
}

/// Reads `domain.yaml` at `path`, shown as `shown`, and all that it names.
pub(crate) fn read_domain(
    files: &mut Files,
    path: &Path,
    shown: &Path,
    named_at: &Span,
    environment: Option<&str>,
) -> DomainDraft {
    let mut draft = DomainDraft::default();
    let text = match files.read(path) {
        Ok(text) => text,
        Err(reason) => {
            let name = shown.display().to_string();
            draft.faults.push(cannot_read(named_at, &name, &reason));
            return draft;
        }
    };
    let folder = path.parent().unwrap_or(path);
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let source = Source::new(Arc::from(shown), folder.clone(), text, true);
    let Some(root) = parse(&source) else {
        draft.take(source);
        return draft;
    };
    let mut reader = Reader {
        files,
        folder: &folder,
        shown_folder: shown.parent().unwrap_or_else(|| Path::new("")),
        environment,
        draft: &mut draft,
    };
    reader.read(&source, &root);
    draft.take(source);
    draft
}

impl DomainDraft {
    fn take(&mut self, source: Source) {
        let (text, faults) = source.finish();
        self.texts.push(text);
        self.faults.extend(faults);
    }
}

struct Reader<'a> {
    files: &'a mut Files,
    folder: &'a Path,
    shown_folder: &'a Path,
    environment: Option<&'a str>,
    draft: &'a mut DomainDraft,
}

impl Reader<'_> {
    fn read(&mut self, source: &Source, root: &Rc<Node>) {
        let Some(fields) = Fields::open(source, root, "a domain") else {
            return;
        };
        check_header(&fields, "Domain");
        let name = fields.required_text("name").and_then(|(node, text)| {
            DomainName::parse(text)
                .map_err(|error| source.error(node, "name", error.to_string()).report())
                .map(|name| (name, source.span(node)))
                .ok()
        });
        let owner = fields.text("owner").map(str::to_owned);
        let stewards = fields
            .get("stewards")
            .map(|node| read_grantees(source, node, "stewards"))
            .unwrap_or_default();
        let (storages, complete) = read_storages(source, &fields);
        let surroundings = Surroundings {
            storages: &storages,
            complete,
            folder: self.folder,
        };
        let domain_name = name.as_ref().map(|(name, _)| name);
        let tables = match fields.required("products") {
            Some(node) => self.products(source, node, domain_name, &surroundings),
            None => Vec::new(),
        };
        let (tables, conflicts) = settle_versions(tables);
        self.draft.faults.extend(conflicts);
        let grants = fields
            .get("grants")
            .and_then(|node| Some((node, source.read_text(node, "grants")?)))
            .map(|(node, text)| {
                let manifest = self.open(source, node, text)?;
                let grants = parse(&manifest)
                    .map(|root| read_grants(&manifest, &root, domain_name))
                    .unwrap_or_default();
                self.draft.take(manifest);
                Some(grants)
            });
        let entitlements = fields
            .get("entitlements")
            .map(|node| read_names(source, node, "entitlements"))
            .unwrap_or_default();
        for name in &entitlements {
            if !tables.iter().any(|table| table.is_called(&name.value)) {
                source.report(
                    Fault::error(
                        name.span.clone(),
                        "unknown-table",
                        format!("table `{}` is not in this domain", name.value),
                    )
                    .with_help("name tables of this domain that others may look members up in"),
                );
            }
        }
        let access_tests = fields
            .get("accessTests")
            .map(|node| read_patterns(source, node, "accessTests"))
            .unwrap_or_default();
        fields.finish();
        let grants = match grants {
            None => Vec::new(),
            Some(grants) => grants.unwrap_or_default(),
        };
        self.draft.name.clone_from(&name);
        self.draft.domain = name.map(|(name, span)| Domain {
            name,
            span,
            owner,
            stewards: stewards.into_iter().map(|grantee| grantee.value).collect(),
            storages: storages.into_iter().map(|draft| draft.storage).collect(),
            tables,
            grants,
            entitlements,
            access_tests,
        });
    }

    /// Reads every contract that the globs of `products` match.
    fn products(
        &mut self,
        source: &Source,
        node: &Node,
        domain: Option<&DomainName>,
        surroundings: &Surroundings<'_>,
    ) -> Vec<TableDraft> {
        let mut tables = Vec::new();
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        for item in source.read_list(node, "products").unwrap_or_default() {
            let Some(text) = source.read_text(item, "products") else {
                continue;
            };
            let globbed = match self.files.glob(self.folder, text) {
                Ok(globbed) => globbed,
                Err(reason) => {
                    source.report(cannot_read(&source.span(item), text, &reason));
                    continue;
                }
            };
            if globbed.found.is_empty() && globbed.refused.is_empty() {
                source
                    .warning(item, "no-files", format!("`{text}` matches no contract"))
                    .help("add a contract, or remove the pattern")
                    .report();
            }
            for (path, reason) in &globbed.refused {
                let name = path.display().to_string();
                source.report(cannot_read(&source.span(item), &name, reason));
            }
            for path in globbed.found {
                if !seen.insert(path.clone()) {
                    source
                        .error(
                            item,
                            "duplicate-product",
                            format!("`{text}` matches `{}` a second time", path.display()),
                        )
                        .help("let each contract match one pattern")
                        .report();
                    continue;
                }
                tables.extend(self.contract(source, item, &path, domain, surroundings));
            }
        }
        tables
    }

    fn contract(
        &mut self,
        source: &Source,
        node: &Node,
        path: &Path,
        domain: Option<&DomainName>,
        surroundings: &Surroundings<'_>,
    ) -> Vec<TableDraft> {
        let Some(manifest) = self.open_located(source, node, path) else {
            return Vec::new();
        };
        let tables = parse(&manifest)
            .map(|root| read_contract(&manifest, &root, domain, self.environment, surroundings))
            .unwrap_or_default();
        self.draft.take(manifest);
        tables
    }

    /// Opens the file that `node` names, or reports there why not.
    fn open(&mut self, source: &Source, node: &Node, text: &str) -> Option<Source> {
        match self.files.locate(self.folder, text) {
            Ok(path) => self.open_located(source, node, &path),
            Err(reason) => {
                source.report(cannot_read(&source.span(node), text, &reason));
                None
            }
        }
    }

    fn open_located(&mut self, source: &Source, node: &Node, relative: &Path) -> Option<Source> {
        match self.files.read(&self.folder.join(relative)) {
            Ok(text) => Some(Source::new(
                Arc::from(self.shown_folder.join(relative)),
                self.folder.to_owned(),
                text,
                false,
            )),
            Err(reason) => {
                let name = relative.display().to_string();
                source.report(cannot_read(&source.span(node), &name, &reason));
                None
            }
        }
    }
}

/// One path or glob, or a list of them.
fn read_patterns(source: &Source, node: &Node, what: &'static str) -> Vec<Spanned<String>> {
    if node.kind() == Kind::Text {
        let text = source.read_text(node, what);
        return text
            .map(|text| source.spanned(node, text))
            .into_iter()
            .collect();
    }
    source.read_texts(node, what)
}

/// The fault of a file that cannot be read, at the place that names it.
pub(crate) fn cannot_read(span: &Span, name: &str, reason: &Unreadable) -> Fault {
    let help = match reason.rule {
        "missing-file" => {
            "create it, or correct the path; it is relative to the file that names it"
        }
        "symlink-escape" => "copy the file into the folder",
        "unsafe-path" => "name a file below the folder of the file that names it",
        _ => "make it a readable text file",
    };
    Fault::error(
        span.clone(),
        reason.rule,
        format!("`{name}` {}", reason.reason),
    )
    .with_help(help)
}
