//! Rooms keep their walls: which crate may import which, read from `cargo metadata`.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

struct Room {
    name: &'static str,
    /// All of ours that it may import.
    ours: &'static [&'static str],
    /// What it must never import, by prefix.
    never: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room {
        name: "weft-mesh",
        ours: &[],
        never: &[
            "datafusion",
            "tokio",
            "tonic",
            "arrow-flight",
            "object_store",
        ],
    },
    Room {
        name: "weft-policy",
        ours: &["weft-mesh"],
        never: &[
            "datafusion",
            "tokio",
            "tonic",
            "arrow-flight",
            "object_store",
        ],
    },
    Room {
        name: "weft-audit",
        ours: &["weft-mesh", "weft-policy"],
        never: &["datafusion", "tonic", "arrow-flight"],
    },
    Room {
        name: "weft-catalog",
        ours: &["weft-mesh", "weft-policy"],
        never: &["tonic", "arrow-flight"],
    },
    Room {
        name: "weft-engine",
        ours: &["weft-mesh", "weft-policy", "weft-audit", "weft-catalog"],
        never: &["tonic", "arrow-flight"],
    },
    Room {
        name: "weft-server",
        ours: &["weft-mesh", "weft-policy", "weft-audit", "weft-engine"],
        never: &[
            "object_store",
            "parquet",
            "arrow-csv",
            "arrow-json",
            "datafusion-datasource",
        ],
    },
];

/// `datafusion-common` (scalars) and `datafusion-expr` (expressions) run nothing.
const EXPRESSIONS_ONLY: &[&str] = &["datafusion-common", "datafusion-expr"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        // Imports stand in the manifests; the packages of other platforms are
        // not on this machine.
        .no_deps()
        .exec()
        .expect("cargo metadata")
}

/// What the shipped code of a package imports; tests may import more.
fn imports(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

fn is_forbidden(room: &Room, import: &str) -> bool {
    if room.name == "weft-mesh" || !EXPRESSIONS_ONLY.contains(&import) {
        return room.never.iter().any(|forbidden| {
            import == *forbidden
                || import
                    .strip_prefix(forbidden)
                    .is_some_and(|rest| rest.starts_with(['-', '_']))
        });
    }
    false
}

#[test]
fn no_crate_imports_what_its_room_forbids() {
    let metadata = metadata();
    for room in ROOMS {
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name == room.name)
            .unwrap_or_else(|| panic!("no crate `{}`", room.name));
        for import in imports(package) {
            let allowed = if import.starts_with("weft-") {
                room.ours.contains(&import)
            } else {
                !is_forbidden(room, import)
            };
            assert!(allowed, "`{}` must not import `{import}`", room.name);
        }
    }
}

#[test]
fn every_crate_has_a_room() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .filter(|name| *name != "weft")
        .collect();
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|room| room.name).collect();
    assert_eq!(
        ours, rooms,
        "a new crate gets a room here and in ARCHITECTURE.md"
    );
}

#[test]
fn a_prefix_forbids_a_family_and_nothing_that_only_begins_like_it() {
    let [mesh, policy, ..] = ROOMS else {
        panic!("two rooms")
    };
    assert!(is_forbidden(policy, "datafusion"));
    assert!(is_forbidden(policy, "datafusion-physical-plan"));
    assert!(!is_forbidden(policy, "datafusion-common"));
    assert!(is_forbidden(mesh, "datafusion-common"));
    assert!(is_forbidden(mesh, "tokio-util"));
    assert!(!is_forbidden(mesh, "tokiomancy"));
}
