//! Passwords, tokens, and credentials that cannot be used.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, SaltString},
};
use weft_mesh::{Identity, IdentityCredential, IdentityUser, PasswordSource, SecretRef};

use super::spanned;
use crate::{Authenticator, PrincipalId, PrincipalKind};

fn phc(password: &str) -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"a salt of tests").unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .unwrap()
        .to_string()
}

fn identity(name: &str, credential: IdentityCredential) -> IdentityUser {
    IdentityUser {
        impersonates: std::collections::BTreeSet::new(),
        name: spanned(name.to_owned()),
        credential,
        groups: ["analysts".to_owned()].into(),
        attributes: [("region".to_owned(), "EU".to_owned())].into(),
    }
}

fn person(name: &str, phc: String) -> IdentityUser {
    identity(name, IdentityCredential::Password(PasswordSource::Phc(phc)))
}

/// A service whose token is in a file.
fn service(folder: &std::path::Path, name: &str, token: &str) -> IdentityUser {
    let file = folder.join(name);
    std::fs::write(&file, format!("{token}\n")).unwrap();
    identity(name, IdentityCredential::Token(SecretRef::File(file)))
}

fn resolve(users: Vec<IdentityUser>) -> (Authenticator, Vec<String>) {
    let (authenticator, faults) = Authenticator::resolve(&Identity {
        users,
        ..Identity::default()
    });
    assert!(faults.iter().all(|fault| !fault.is_error()));
    (
        authenticator,
        faults.into_iter().map(|fault| fault.message).collect(),
    )
}

#[test]
fn passwords() {
    let (authenticator, faults) = resolve(vec![
        person("ana", phc("correct horse")),
        person("ben", phc("x")),
    ]);
    assert_eq!(faults, [""; 0]);
    let ana = authenticator
        .verify_password("ana", "correct horse")
        .unwrap();
    assert_eq!(ana.id().to_string(), "user:ana");
    assert!(ana.is_in("analysts"));
    assert_eq!(ana.attribute("region"), Some("EU"));
    for (user, password) in [
        ("ana", "x"),
        ("ana", ""),
        ("ben", "correct horse"),
        ("nobody", "x"),
        ("", ""),
        ("ANA", "correct horse"),
    ] {
        assert_eq!(
            authenticator.verify_password(user, password),
            None,
            "{user} {password}"
        );
    }
    assert_eq!(
        authenticator.verify_password("ana", &"x".repeat(1 << 20)),
        None
    );
    assert_eq!(authenticator.verify_token("correct horse"), None);
}

#[test]
fn a_password_too_long_is_never_right() {
    let long = "x".repeat(5000);
    let (authenticator, _) = resolve(vec![person("ana", phc(&long)), person("ben", phc(""))]);
    assert_eq!(authenticator.verify_password("ana", &long), None);
    assert_eq!(authenticator.verify_password("ben", &long), None);
}

#[test]
fn tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (authenticator, faults) = resolve(vec![
        service(folder.path(), "bi", "token-of-bi"),
        service(folder.path(), "etl", "token-of-etl"),
    ]);
    assert_eq!(faults, [""; 0]);
    let verified = |token: &str| {
        authenticator
            .verify_token(token)
            .map(|it| it.id().to_string())
    };
    assert_eq!(verified("token-of-bi").unwrap(), "service:bi");
    assert_eq!(verified("token-of-etl").unwrap(), "service:etl");
    for token in ["", "token-of", "token-of-bi ", "token-of-bi\n"] {
        assert_eq!(verified(token), None);
    }
    assert_eq!(authenticator.verify_password("bi", "token-of-bi"), None);
    let id = PrincipalId {
        kind: PrincipalKind::Service,
        name: "bi".to_owned(),
    };
    assert_eq!(authenticator.principal(&id).unwrap().id(), &id);
    assert_eq!(authenticator.principal(&PrincipalId::user("bi")), None);
}

#[test]
fn unusable_credentials_are_warnings_and_nobody_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SecretRef::File(folder.path().join("missing"));
    let costly = |params: &str| {
        format!(
            "$argon2id$v=19${params}$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        )
    };
    let (authenticator, faults) = resolve(vec![
        identity("a", IdentityCredential::Token(missing.clone())),
        identity(
            "b",
            IdentityCredential::Password(PasswordSource::Ref(missing)),
        ),
        person("c", "hunter2".to_owned()),
        person("d", costly("m=4194304,t=1,p=1")),
        person("e", costly("m=19456,t=11,p=1")),
        person("f", costly("m=19456,t=2,p=9")),
        service(folder.path(), "g", "shared"),
        service(folder.path(), "h", "shared"),
        person("i", phc("fine").replace("$argon2id", "$scrypt")),
    ]);
    let starts = [
        "service:a cannot log in: secret file",
        "user:b cannot log in: secret file",
        "user:c cannot log in: its password: it is not an argon2 hash in PHC form",
        "user:d cannot log in: its password: its cost m=4194304,t=1,p=1 is above the limit m=262144,t=10,p=8",
        "user:e cannot log in: its password: its cost m=19456,t=11,p=1 is above",
        "user:f cannot log in: its password: its cost m=19456,t=2,p=9 is above",
        "user:i cannot log in: its password: it is not an argon2 hash",
        "service:g cannot log in: its token is that of service:h",
        "service:h cannot log in: its token is that of service:g",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}");
        assert!(!fault.contains("hunter2"));
    }
    assert_eq!(authenticator.verify_token("shared"), None);
    assert_eq!(authenticator.verify_password("d", "x"), None);
    assert_eq!(authenticator.credential_tag(&PrincipalId::user("d")), None);
    assert!(authenticator.principal(&PrincipalId::user("d")).is_some());
}

#[test]
fn a_credential_tag_changes_with_the_credential() {
    let folder = tempfile::tempdir().unwrap();
    let tags = |password: &str, token: &str| {
        let (authenticator, _) = resolve(vec![
            person("ana", phc(password)),
            service(folder.path(), "bi", token),
        ]);
        [PrincipalId::user("ana"), PrincipalId::service("bi")]
            .map(|id| authenticator.credential_tag(&id).unwrap())
    };
    let [ana, bi] = tags("a", "t");
    assert_ne!(ana, bi);
    assert_eq!(tags("a", "t"), [ana, bi]);
    let [other_ana, other_bi] = tags("b", "u");
    assert!(other_ana != ana && other_bi != bi);
}

#[test]
fn nothing_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let hash = phc("correct horse");
    let (authenticator, _) = resolve(vec![
        person("ana", hash.clone()),
        service(folder.path(), "bi", "token-of-bi"),
    ]);
    let printed = format!("{authenticator:?}");
    assert!(printed.contains("ana") && !printed.contains("argon2") && !printed.contains("token"));
    assert!(!printed.contains(hash.rsplit('$').next().unwrap()));
}
