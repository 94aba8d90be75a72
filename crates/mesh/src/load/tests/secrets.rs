use super::fixture::{Fixture, MESH_YAML, SALES_YAML};
use crate::{IdentityCredential, PasswordSource, SecretRef};

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$6PkDtv45XS4S6vzzEc/gmQ$P2XlsGaCHgxG0dQwTnVXWH45jSbW+9jiTP7YJ0mDnaE";

#[test]
fn literal_secret() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "env:ANA_HASH", "hunter2");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:10:17: error[literal-secret]: `password` is written out, or is no reference to a secret\n\
         10 | (not shown: this line may hold a secret)\n  \
         = help: give an argon2 hash (`weft hash-password` makes one), or a reference: `env:NAME` or `file:PATH`"
    );
}

#[test]
fn no_fault_shows_a_secret() {
    for (from, to) in [
        ("password: env:ANA_HASH", "password: hunter2"),
        ("password: env:ANA_HASH", "passwort: hunter2"),
        ("password: env:ANA_HASH", "PASSWORD: hunter2"),
        ("password: env:ANA_HASH", "xyz: hunter2"),
        ("password: env:ANA_HASH", "password: [hunter2]"),
        ("password: env:ANA_HASH", "password: {hunter2: hunter2}"),
        ("password: env:ANA_HASH", "password: |\n        hunter2"),
        ("password: env:ANA_HASH", "password: \"hunter2"),
        ("password: env:ANA_HASH", "password: *hunter2"),
        ("password: env:ANA_HASH", "password: env:hunter2!"),
        ("password: env:ANA_HASH", "password: $2b$hunter2"),
        ("password: env:ANA_HASH", "password: $argon2id$hunter2"),
        ("password: env:ANA_HASH", "token: hunter2"),
        (
            "password: env:ANA_HASH",
            "kind: service\n      token: hunter2",
        ),
        (
            "password: env:ANA_HASH",
            "password: a\n      password: hunter2",
        ),
        (
            "password: env:ANA_HASH",
            "password:\n        - a\n       - hunter2",
        ),
        ("      password: env:ANA_HASH", "        password: hunter2"),
        (
            "- name: ana\n      password: env:ANA_HASH",
            "- {name: ana, password: hunter2, gruops: [x]}\n    - name: ben\n      password: env:B",
        ),
        (
            "- name: ana\n      password: env:ANA_HASH",
            "- {nme: ana, password: hunter2, kind: robot}\n    - name: ben\n      password: env:B",
        ),
        ("name: acme", "name: acme\nsecret: hunter2"),
        ("name: acme", "name: acme\nsecrt: hunter2"),
        ("  users:\n", "  users: hunter2\n  usrs:\n"),
    ] {
        let fixture = Fixture::new();
        fixture.edit(MESH_YAML, from, to);
        let shown = fixture.faults().join("\n");
        assert!(!shown.is_empty(), "{to}");
        assert!(!shown.contains("hunter2"), "{to}:\n{shown}");
        assert!(fixture.load().mesh.is_none(), "{to}");
        assert!(!format!("{:?}", fixture.load().mesh).contains("hunter2"));
    }
}

#[test]
fn a_password_may_be_an_argon2_hash() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "env:ANA_HASH", &format!("\"{PHC}\""));
    let mesh = fixture.load().mesh.unwrap();
    let IdentityCredential::Password(PasswordSource::Phc(hash)) =
        &mesh.identity.users[0].credential
    else {
        panic!("no hash");
    };
    assert_eq!(hash, PHC);
    assert!(!format!("{mesh:?}").contains("argon2id"));
}

#[test]
fn a_service_has_a_token_by_reference() {
    let fixture = Fixture::new();
    fixture.edit(
        MESH_YAML,
        "      password: env:ANA_HASH\n",
        "      kind: service\n      token: file:secrets/bi\n",
    );
    let mesh = fixture.load().mesh.unwrap();
    let IdentityCredential::Token(SecretRef::File(path)) = &mesh.identity.users[0].credential
    else {
        panic!("no token");
    };
    assert!(path.is_absolute());
    assert!(path.ends_with("secrets/bi"));
}

#[test]
fn storage_secrets_are_references() {
    let s3 = "url: s3://acme-sales/lake/\n    ";
    let fixture = Fixture::new();
    fixture.edit(
        SALES_YAML,
        "url: ./data/\n",
        &format!(
            "{s3}secrets: {{access_key_id: hunter2, secret_access_key: env:KEY, token: hunter2}}\n"
        ),
    );
    let faults = fixture.faults();
    assert_eq!(
        faults[0],
        "domains/sales/domain.yaml:9:30: error[literal-secret]: `access_key_id` is written out, or is no \
         reference to a secret\n9 | (not shown: this line may hold a secret)\n  \
         = help: give a reference instead: `env:NAME` or `file:PATH`"
    );
    assert!(!faults.join("\n").contains("hunter2"));
    for (to, rule) in [
        ("secrets: {access_key_id: env:KEY}\n", "missing-key"),
        (
            "secrets: {access_key_id: env:KEY, secret_access_key: env:S, hunter2: env:X}\n",
            "unknown-key",
        ),
        ("secrets: hunter2\n", "wrong-type"),
        ("credentials: hunter2\n", "wrong-value"),
        ("\n", "missing-key"),
        (
            "credentials: ambient\n    secrets: {access_key_id: env:A, secret_access_key: env:B}\n",
            "wrong-value",
        ),
        (
            "credentials: ambient\n    options: {secret_access_key: hunter2}\n",
            "forbidden-option",
        ),
        (
            "credentials: ambient\n    options: {proxy_url: \"http://hunter2@proxy\"}\n",
            "forbidden-option",
        ),
        (
            "credentials: ambient\n    options: {endpoint: \"http://a:hunter2@b\"}\n",
            "wrong-value",
        ),
    ] {
        let fixture = Fixture::new();
        fixture
            .edit(SALES_YAML, "url: ./data/\n", &format!("{s3}{to}"))
            .edit(SALES_YAML, "[products/*.odcs.yaml]", "[]");
        let faults = fixture.faults().join("\n");
        assert_eq!(fixture.rules(), [rule], "{to}: {faults}");
        assert!(
            !faults.contains("env:X") && !faults.contains(": hunter2"),
            "{faults}"
        );
    }
}

#[test]
fn references_resolve_late_and_say_no_value() {
    let fixture = Fixture::new();
    let folder = fixture.path("");
    let file = |text: &str| {
        std::fs::write(folder.join("secret"), text).unwrap();
        SecretRef::parse("file:secret")
            .unwrap()
            .relative_to(&folder)
            .resolve()
    };
    assert_eq!(file("s3cret\n").unwrap().expose(), "s3cret");
    assert_eq!(file("s3cret\r\n").unwrap().expose(), "s3cret");
    assert_eq!(file("two\n\n").unwrap().expose(), "two\n");
    assert!(file("\n").unwrap_err().to_string().ends_with("is empty"));
    assert_eq!(format!("{:?}", file("s3cret").unwrap()), "Secret(..)");
    assert_eq!(
        SecretRef::parse("env:WEFT_NO_SUCH_VARIABLE")
            .unwrap()
            .resolve()
            .unwrap_err()
            .to_string(),
        "environment variable `WEFT_NO_SUCH_VARIABLE` is not set or not UTF-8"
    );
    let missing = SecretRef::File(folder.join("none")).resolve().unwrap_err();
    assert!(missing.to_string().contains("could not be read"));
    assert!(SecretRef::File(folder).resolve().is_err());
}

#[test]
fn names_are_unique_and_plain() {
    let user = "    - name: ana\n      password: env:X\n";
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, user);
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:13:13: error[duplicate-user]: `ana` is named twice, first in line 9\n\
         13 |     - name: ana\n   \
            |             ^\n  \
         = help: users and services share one set of names: rename one of the two"
    );
    for name in ["a:b", "a b", "\"\""] {
        let fixture = Fixture::new();
        fixture.edit(MESH_YAML, "name: ana", &format!("name: {name}"));
        assert_eq!(fixture.load().faults.len(), 1, "{name}");
        assert!(fixture.load().mesh.is_none());
    }
}
