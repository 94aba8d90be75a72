//! `tokens:` of `identity`: a folder with one file for each personal access token,
//! so that making one and taking it back is making and removing a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cannot_read;
use super::files::Files;
use super::grants::read_moment;
use crate::fault::{Fault, Severity, Span, Spanned};
use crate::grant::Grantee;
use crate::token::{AccessToken, is_token_id};
use crate::yaml::{Fields, Node, Source, SourceText, check_header, parse};

/// Reads all tokens of the folder that the mesh names. A file with a fault lets nobody
/// in, and holds nothing else back: its faults are warnings.
pub(crate) fn load_tokens(
    files: &mut Files,
    folder: &Path,
    shown_folder: &Path,
    named: &Spanned<String>,
    texts: &mut Vec<SourceText>,
) -> (Vec<AccessToken>, Vec<Fault>) {
    let pattern = format!("{}/*.yaml", named.value.trim_end_matches('/'));
    let globbed = match files.glob(folder, &pattern) {
        Ok(globbed) => globbed,
        Err(reason) => {
            return (
                Vec::new(),
                vec![cannot_read(&named.span, &named.value, &reason)],
            );
        }
    };
    let (mut tokens, mut faults) = (Vec::new(), Vec::new());
    let refused = globbed.refused.iter();
    faults.extend(refused.map(|(path, reason)| {
        let path = path.display().to_string();
        cannot_read(&named.span, &path, reason)
    }));
    for relative in globbed.found {
        let shown = shown_folder.join(&relative);
        let file = folder.join(&relative);
        let text = match files.read(&file) {
            Ok(text) => text,
            Err(reason) => {
                let name = relative.display().to_string();
                faults.push(cannot_read(&Span::of_file(&shown), &name, &reason));
                continue;
            }
        };
        let id = relative.file_stem().and_then(|stem| stem.to_str());
        let id = Spanned::new(id.unwrap_or_default().to_owned(), Span::of_file(&shown));
        let source = Source::new(Arc::from(shown), folder.to_owned(), text, true);
        let token = parse(&source).and_then(|root| read_token(&source, &root, id, file));
        let (text, found) = source.finish();
        texts.push(text);
        if !found.iter().any(Fault::is_error) {
            tokens.extend(token);
        }
        faults.extend(found);
    }
    for fault in &mut faults {
        if fault.is_error() {
            fault.severity = Severity::Warning;
            fault.message = format!("a token lets nobody in: {}", fault.message);
        }
    }
    (tokens, faults)
}

fn read_token(
    source: &Source,
    root: &Node,
    id: Spanned<String>,
    file: PathBuf,
) -> Option<AccessToken> {
    let fields = Fields::open(source, root, "a token")?;
    check_header(&fields, "Token");
    if !is_token_id(&id.value) {
        let message = format!("`{}` is not the name of a token", id.value);
        source.report(
            Fault::error(id.span.clone(), "name", message)
                .with_help("leave the file's name as `weft token create` made it"),
        );
    }
    let user = fields
        .required_text("for")
        .and_then(|(node, text)| match Grantee::parse(text) {
            Ok(Grantee::User(name)) => Some(name),
            Ok(Grantee::Group(_) | Grantee::Service(_) | Grantee::Everyone) | Err(_) => {
                source
                    .error(node, "grantee", format!("`{text}` is not a user"))
                    .help("a token is for one person: `user:NAME`")
                    .report();
                None
            }
        });
    let name = fields.text("name").unwrap_or(&id.value).to_owned();
    let digest = fields.required_text("digest").and_then(|(node, text)| {
        let digest = text.strip_prefix("sha256:").and_then(digest_of);
        if digest.is_none() {
            source.hide(node);
            source
                .error(
                    node,
                    "wrong-value",
                    "`digest` is not `sha256:` and 64 hex digits",
                )
                .help("make a token with `weft token create`; the token itself is kept nowhere")
                .report();
        }
        digest
    });
    read_moment(&fields, "created");
    let expires = fields
        .required("expires")
        .and_then(|_| read_moment(&fields, "expires"));
    fields.finish();
    Some(AccessToken {
        id,
        user: user?,
        name,
        digest: digest?,
        expires: expires?.value,
        file,
    })
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}
