use std::time::Duration;

use super::fixture::{Fixture, MESH_YAML};
use crate::{AuditManifest, Credentials, StorageUrl, WhenUnwritable};

fn audit(yaml: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, yaml);
    fixture
}

fn sound(yaml: &str) -> AuditManifest {
    let fixture = audit(yaml);
    assert_eq!(fixture.faults(), Vec::<String>::new());
    fixture.load().mesh.unwrap().audit.unwrap()
}

#[test]
fn a_folder_is_enough() {
    let fixture = audit("audit: {url: ./audit/}\n");
    let trail = fixture.load().mesh.unwrap().audit.unwrap();
    let root = std::fs::canonicalize(fixture.path(".")).unwrap();
    let folder = root.join("audit");
    assert_eq!(
        trail.url,
        StorageUrl::Local {
            root: folder.clone()
        }
    );
    assert_eq!(trail.spool, folder);
    assert_eq!(trail.retention, None);
    assert_eq!(trail.rotate_every, Duration::from_secs(15 * 60));
    assert_eq!(trail.rotate_size, 64 << 20);
    assert_eq!(trail.when_unwritable, WhenUnwritable::Refuse);
    assert!(Fixture::new().load().mesh.unwrap().audit.is_none());
}

#[test]
fn everything_can_be_said() {
    let trail = sound(
        "audit:\n  url: s3://trail/weft/\n  spool: ./spool/\n  options: {region: eu-west-1}\n  credentials: ambient\n  \
         retention: 400d\n  rotate: {every: 30s, size: 512KiB}\n  whenUnwritable: serve\n",
    );
    let (bucket, prefix) = ("trail".to_owned(), vec!["weft".to_owned()]);
    assert_eq!(trail.url, StorageUrl::S3 { bucket, prefix });
    assert!(trail.spool.ends_with("spool"));
    assert_eq!(trail.credentials, Credentials::Ambient);
    assert_eq!(trail.options["region"], "eu-west-1");
    assert_eq!(trail.retention, Some(Duration::from_secs(400 * 86_400)));
    assert_eq!(trail.rotate_every, Duration::from_secs(30));
    assert_eq!(trail.rotate_size, 512 << 10);
    assert_eq!(trail.when_unwritable, WhenUnwritable::Serve);
}

#[test]
fn faults_have_a_place_and_help() {
    for (yaml, fault) in [
        (
            "audit: {}\n",
            "mesh.yaml:13:8: error[missing-key]: `audit` needs the key `url`\n13 | audit: {}\n   |        ^\n  = help: add `url: …`",
        ),
        (
            "audit: {url: \"s3://trail/weft/\", credentials: ambient}\n",
            "mesh.yaml:13:8: error[missing-key]: `audit` in S3 needs the key `spool`\n\
             13 | audit: {url: \"s3://trail/weft/\", credentials: ambient}\n   |        ^\n  \
             = help: name a local folder: records are written there before they are moved to `url`",
        ),
        (
            "audit: {url: ./audit/, retention: forever}\n",
            "mesh.yaml:13:35: error[wrong-value]: `retention` is `forever`, which is not a duration\n\
             13 | audit: {url: ./audit/, retention: forever}\n   |                                   ^\n  \
             = help: write a whole number and its unit: `30s`, `15m`, `12h` or `400d`",
        ),
        (
            "audit: {url: ./audit/, rotate: {size: 64MB}}\n",
            "mesh.yaml:13:39: error[wrong-value]: `size` is `64MB`, which is not a size\n\
             13 | audit: {url: ./audit/, rotate: {size: 64MB}}\n   |                                       ^\n  \
             = help: write a whole number and its unit: `512KiB`, `64MiB` or `1GiB`",
        ),
        (
            "audit: {url: ./audit/, whenUnwritable: ignore}\n",
            "mesh.yaml:13:40: error[wrong-value]: `whenUnwritable` has no value `ignore`\n\
             13 | audit: {url: ./audit/, whenUnwritable: ignore}\n   |                                        ^\n  \
             = help: write `refuse` (statements are refused) or `serve` (they run unrecorded, and are counted)",
        ),
        (
            "audit: {url: ./domains/sales/data/trail/}\n",
            "mesh.yaml:13:14: error[audit-in-storage]: storage `lake` of domain `sales` and `url` of the audit trail lie in one another\n\
             13 | audit: {url: ./domains/sales/data/trail/}\n   |              ^\n  \
             = help: keep the trail where no domain can serve it as a data product",
        ),
    ] {
        assert_eq!(audit(yaml).fault(), fault, "{yaml}");
    }
}

#[test]
fn rules() {
    for (yaml, rule) in [
        ("audit: yes\n", "wrong-type"),
        ("audit: {url: ./audit/, colour: red}\n", "unknown-key"),
        (
            "audit: {url: ./audit/, rotate: {often: 1s}}\n",
            "unknown-key",
        ),
        (
            "audit: {url: ./audit/, rotate: {every: 0s}}\n",
            "wrong-value",
        ),
        ("audit: {url: ./audit/, retention: 5}\n", "wrong-value"),
        (
            "audit: {url: ./audit/, credentials: ambient}\n",
            "wrong-value",
        ),
        ("audit: {url: ../audit/}\n", "unsafe-location"),
        ("audit: {url: \"gs://trail/\"}\n", "not-supported-yet"),
        (
            "audit: {url: ./audit/, spool: \"s3://trail/\"}\n",
            "wrong-value",
        ),
        (
            "audit: {url: ./audit/, spool: ./domains/sales/data/}\n",
            "audit-in-storage",
        ),
        ("audit: {url: ./domains/}\n", "audit-in-storage"),
        (
            "audit: {url: \"s3://trail/\", spool: ./spool/}\n",
            "missing-key",
        ),
    ] {
        let fixture = audit(yaml);
        assert_eq!(fixture.rules(), [rule], "{yaml}: {:?}", fixture.faults());
        let load = fixture.load();
        let domain = load.domains.iter().find(|it| it.domain.is_none());
        // A domain in its way is not served, all else is.
        if rule == "audit-in-storage" {
            assert!(load.mesh.is_some() && domain.is_some(), "{yaml}");
        } else {
            assert!(load.mesh.is_none() && domain.is_none(), "{yaml}");
        }
    }
}

#[test]
fn a_link_into_a_storage_is_seen_through() {
    let fixture = Fixture::new();
    let target = fixture.path("domains/sales/data");
    fixture.link("elsewhere", &target);
    fixture.append(MESH_YAML, "audit: {url: ./elsewhere/trail/}\n");
    assert_eq!(fixture.rules(), ["audit-in-storage"]);
}

#[test]
fn no_secret_is_shown() {
    let fixture = audit(
        "audit:\n  url: s3://trail/\n  spool: ./spool/\n  secrets: {access_key_id: hunter2, secret_access_key: hunter2}\n",
    );
    let faults = fixture.faults().join("\n");
    assert!(
        faults.contains("literal-secret") && !faults.contains("hunter2"),
        "{faults}"
    );
}
