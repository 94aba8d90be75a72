//! A mesh in a temporary folder.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use tempfile::TempDir;

/// Manifests and data of a mesh. Every builder call writes its files at once, so
/// the folder is a mesh at any time; it goes away when dropped.
#[derive(Debug)]
pub(crate) struct MeshDir {
    folder: TempDir,
    name: String,
    head: String,
    users: String,
    domains: Vec<String>,
}

impl MeshDir {
    /// An empty mesh; `name` is the SQL catalog.
    pub(crate) fn new(name: &str) -> Self {
        let mesh = Self {
            folder: TempDir::new().unwrap(),
            name: name.to_owned(),
            head: String::new(),
            users: String::new(),
            domains: Vec::new(),
        };
        mesh.write_mesh();
        mesh
    }

    /// Adds top-level keys to `mesh.yaml`: `environment`, `secret`.
    pub(crate) fn with_head(mut self, yaml: &str) -> Self {
        self.head.push_str(yaml);
        self.head.push('\n');
        self.write_mesh();
        self
    }

    /// A person who logs in with `password`, hashed as fast as argon2 allows.
    pub(crate) fn user(
        self,
        name: &str,
        password: &str,
        groups: &[&str],
        attributes: &[(&str, &str)],
    ) -> Self {
        let credential = format!("password: {:?}", quick_phc(password));
        self.identity(name, &credential, groups, attributes)
    }

    /// A service with a bearer token, kept in a file beside the mesh.
    pub(crate) fn service(
        self,
        name: &str,
        token: &str,
        groups: &[&str],
        attributes: &[(&str, &str)],
    ) -> Self {
        self.service_for(name, token, groups, attributes, &[])
    }

    /// A service that may act for the members of groups.
    pub(crate) fn service_for(
        self,
        name: &str,
        token: &str,
        groups: &[&str],
        attributes: &[(&str, &str)],
        impersonates: &[&str],
    ) -> Self {
        let file = format!("secrets/{name}.token");
        self.write(&file, token);
        let path = self.path(&file);
        let mut credential = format!("kind: service\n      token: \"file:{}\"", path.display());
        if !impersonates.is_empty() {
            let groups: Vec<_> = impersonates
                .iter()
                .map(|group| format!("\"group:{group}\""))
                .collect();
            write!(credential, "\n      impersonates: [{}]", groups.join(", ")).unwrap();
        }
        self.identity(name, &credential, groups, attributes)
    }

    /// Replaces text in a file of the mesh that has it.
    pub(crate) fn change(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "`{relative}` has no `{from}`:\n{text}");
        self.write(relative, &text.replace(from, to));
    }

    /// Replaces the guardrails, which `with_head("guardrails: guardrails.yaml")` names.
    pub(crate) fn guardrails(&self, items: &str) {
        let items = if items.trim().is_empty() {
            " []".to_owned()
        } else {
            format!("\n{}", indented(items))
        };
        let manifest = format!("apiVersion: weft/v1\nkind: Guardrails\nguardrails:{items}\n");
        self.write("guardrails.yaml", &manifest);
    }

    /// A domain with one local storage `files` at `domains/<name>/data`.
    pub(crate) fn domain(self, name: &str, grants: &str, contracts: &[&str]) -> Self {
        self.domain_on(name, "- {name: files, url: ./data/}", grants, contracts)
    }

    /// A domain with its own list of storages, as YAML. `grants` are the items of
    /// `grants:`, contracts are whole ODCS documents.
    pub(crate) fn domain_on(
        mut self,
        name: &str,
        storage: &str,
        grants: &str,
        contracts: &[&str],
    ) -> Self {
        let folder = format!("domains/{name}");
        fs::create_dir_all(self.data(name)).unwrap();
        fs::create_dir_all(self.path(&format!("{folder}/products"))).unwrap();
        let manifest = format!(
            "apiVersion: weft/v1\nkind: Domain\nname: {name}\nstorage:\n{}\nproducts: [products/*.odcs.yaml]\ngrants: grants.yaml\n",
            indented(storage)
        );
        self.write(&format!("{folder}/domain.yaml"), &manifest);
        for (number, contract) in contracts.iter().enumerate() {
            self.write(&format!("{folder}/products/{number}.odcs.yaml"), contract);
        }
        self.grants(name, grants);
        self.domains.push(name.to_owned());
        self.write_mesh();
        self
    }

    /// Replaces the grants of a domain, for tests of reloading.
    pub(crate) fn grants(&self, domain: &str, grants: &str) {
        let items = if grants.trim().is_empty() {
            " []".to_owned()
        } else {
            format!("\n{}", indented(grants))
        };
        let manifest =
            format!("apiVersion: weft/v1\nkind: Grants\ndomain: {domain}\ngrants:{items}\n");
        self.write(&format!("domains/{domain}/grants.yaml"), &manifest);
    }

    /// Replaces `mesh.yaml`.
    pub(crate) fn mesh_yaml(&self, text: &str) {
        self.write("mesh.yaml", text);
    }

    /// Writes a file of the mesh, through a rename: a watcher never reads half.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let draft = path.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &path).unwrap();
    }

    /// A path inside the mesh's folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Where the domain's own data lies.
    pub(crate) fn data(&self, domain: &str) -> PathBuf {
        self.path(&format!("domains/{domain}/data"))
    }

    /// The manifest that a server is started with.
    pub(crate) fn mesh_file(&self) -> PathBuf {
        self.path("mesh.yaml")
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    fn identity(
        mut self,
        name: &str,
        credential: &str,
        groups: &[&str],
        attributes: &[(&str, &str)],
    ) -> Self {
        let groups = groups.join(", ");
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| format!("{key}: {value:?}"))
            .collect();
        let attributes = attributes.join(", ");
        writeln!(
            self.users,
            "    - name: {name}\n      {credential}\n      groups: [{groups}]\n      attributes: {{{attributes}}}"
        )
        .unwrap();
        self.write_mesh();
        self
    }

    fn write_mesh(&self) {
        let mut text = format!(
            "apiVersion: weft/v1\nkind: Mesh\nname: {}\n{}",
            self.name, self.head
        );
        text.push_str(if self.domains.is_empty() {
            "domains: []\n"
        } else {
            "domains:\n"
        });
        for domain in &self.domains {
            writeln!(text, "  - domains/{domain}/domain.yaml").unwrap();
        }
        if !self.users.is_empty() {
            write!(text, "identity:\n  users:\n{}", self.users).unwrap();
        }
        self.mesh_yaml(&text);
    }
}

/// An ODCS contract of one table, served from `path` under the domain's folder
/// or from an `s3://` location. `columns` are the items of `properties`.
pub(crate) fn contract(table: &str, format: &str, place: &str, columns: &str) -> String {
    let server = if place.starts_with("s3://") {
        format!("{{server: here, type: s3, location: {place:?}, format: {format}}}")
    } else {
        format!("{{server: here, type: local, path: {place:?}, format: {format}}}")
    };
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {table}\nname: {table}\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - {server}\nschema:\n  - name: {table}\n    logicalType: object\n    properties:\n{}\n",
        indent(columns, 6)
    )
}

fn indented(yaml: &str) -> String {
    indent(yaml, 2)
}

/// Moves a block of YAML so that its least indented line has `width` spaces.
fn indent(yaml: &str, width: usize) -> String {
    let lines: Vec<&str> = yaml
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let least = lines.iter().map(|line| depth(line)).min().unwrap_or(0);
    lines
        .iter()
        .map(|line| format!("{}{}", " ".repeat(width), &line[least..]))
        .collect::<Vec<_>>()
        .join("\n")
}

fn quick_phc(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"test-salt-16-byt").unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .unwrap()
        .to_string()
}
