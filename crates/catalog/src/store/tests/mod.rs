//! The mesh's store over folders in a temporary directory.

mod blocks;

use std::fs;
use std::path::Path as FsPath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};
use tempfile::TempDir;
use weft_mesh::{Credentials, StorageName, StorageUrl};

use super::traffic::{DomainReads, DomainTraffic};
use super::{MeshStore, PinnedStore, ReadOnly, Reads, Storage, StorageKey};

pub(crate) fn local_storage(domain: &str, storage: &str, root: &FsPath) -> Arc<Storage> {
    let manifest = weft_mesh::Storage {
        name: StorageName::parse(storage).unwrap(),
        url: StorageUrl::Local {
            root: root.to_owned(),
        },
        options: Default::default(),
        credentials: Credentials::None,
        cache: true,
    };
    let key = StorageKey {
        domain: domain.to_owned(),
        storage: storage.to_owned(),
    };
    Arc::new(Storage::open(key, &manifest))
}

struct Fixture {
    root: TempDir,
    store: ReadOnly<MeshStore>,
    sales: Arc<Storage>,
}

/// `sales.lake` and `sales.lake2` over `lake/` and `lake2/`, `crm.lake` over `crm/`.
fn fixture() -> Fixture {
    let root = TempDir::new().unwrap();
    for (file, text) in [
        ("lake/orders/a.txt", "first"),
        ("lake/orders/b.txt", "second"),
        ("lake/day=1%2F2/sp ace.txt", "odd"),
        ("lake2/orders/a.txt", "another"),
        ("crm/secret.txt", "secret"),
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sales = local_storage("sales", "lake", &root.path().join("lake"));
    let storages = [
        Arc::clone(&sales),
        local_storage("sales", "lake2", &root.path().join("lake2")),
        local_storage("crm", "lake", &root.path().join("crm")),
    ];
    Fixture {
        store: ReadOnly::new(MeshStore::new(storages)),
        sales,
        root,
    }
}

impl Fixture {
    async fn list(&self, prefix: &str) -> object_store::Result<Vec<ObjectMeta>> {
        let mut found: Vec<_> = self.store.list(Some(&path(prefix))).try_collect().await?;
        found.sort_by(|a: &ObjectMeta, b| a.location.cmp(&b.location));
        Ok(found)
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        self.list(prefix)
            .await
            .unwrap()
            .into_iter()
            .map(|o| o.location.to_string())
            .collect()
    }

    async fn text(&self, location: &str) -> object_store::Result<String> {
        let bytes = self.store.get(&path(location)).await?.bytes().await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn path(raw: &str) -> Path {
    Path::parse(raw).unwrap()
}

#[tokio::test]
async fn a_path_leads_to_its_own_storage() {
    let mesh = fixture();
    assert_eq!(mesh.text("sales/lake/orders/a.txt").await.unwrap(), "first");
    assert_eq!(
        mesh.text("sales/lake2/orders/a.txt").await.unwrap(),
        "another"
    );
    assert_eq!(mesh.text("crm/lake/secret.txt").await.unwrap(), "secret");
    for nowhere in [
        "sales/lak/orders/a.txt",
        "sales/lake3/orders/a.txt",
        "hr/lake/orders/a.txt",
        "sales",
        "",
    ] {
        assert!(
            matches!(mesh.text(nowhere).await, Err(Error::NotFound { .. })),
            "{nowhere}"
        );
    }
}

#[tokio::test]
async fn what_is_listed_can_be_read_under_the_same_name() {
    let mesh = fixture();
    let listed = mesh.names("sales/lake").await;
    assert_eq!(
        listed,
        [
            "sales/lake/day=1%2F2/sp ace.txt",
            "sales/lake/orders/a.txt",
            "sales/lake/orders/b.txt"
        ]
    );
    assert_eq!(mesh.text(&listed[0]).await.unwrap(), "odd");
    assert_eq!(mesh.names("sales/lake/orders").await.len(), 2);
    // A prefix is a folder, not the beginning of a name.
    assert!(mesh.names("sales/lake/ord").await.is_empty());
    let after: Vec<ObjectMeta> = mesh
        .store
        .list_with_offset(
            Some(&path("sales/lake/orders")),
            &path("sales/lake/orders/a.txt"),
        )
        .try_collect()
        .await
        .unwrap();
    assert_eq!(after.len(), 1);
}

#[tokio::test]
async fn errors_name_the_path_that_was_asked_for() {
    let mesh = fixture();
    let error = mesh.text("sales/lake/orders/none.txt").await.unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { path, .. } if path == "sales/lake/orders/none.txt"),
        "{error}"
    );
    let options = GetOptions {
        if_match: Some("old".to_owned()),
        ..GetOptions::default()
    };
    let error = mesh
        .store
        .get_opts(&path("sales/lake/orders/a.txt"), options)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Precondition { path, .. } if path == "sales/lake/orders/a.txt"),
        "{error}"
    );
}

#[tokio::test]
async fn the_whole_mesh_is_not_listed() {
    let mesh = fixture();
    let all: Result<Vec<_>, _> = mesh.store.list(None).try_collect::<Vec<_>>().await;
    assert!(matches!(all, Err(Error::NotSupported { .. })));
    assert!(mesh.list("sales").await.is_err());
}

#[tokio::test]
async fn nothing_is_written() {
    let mesh = fixture();
    let (a, b) = (
        path("sales/lake/orders/a.txt"),
        path("sales/lake/orders/c.txt"),
    );
    let store = &mesh.store;
    let refused = [
        store.put(&b, PutPayload::from_static(b"x")).await.err(),
        store.put_multipart(&b).await.err(),
        store.delete(&a).await.err(),
        store.copy(&a, &b).await.err(),
        store.copy_if_not_exists(&a, &b).await.err(),
        store.rename(&a, &b).await.err(),
        store.rename_if_not_exists(&a, &b).await.err(),
    ];
    for error in refused {
        assert!(
            matches!(error, Some(Error::NotSupported { .. })),
            "{error:?}"
        );
    }
    assert_eq!(mesh.text("sales/lake/orders/a.txt").await.unwrap(), "first");
}

#[tokio::test]
async fn ranges_and_heads() {
    let mesh = fixture();
    let at = path("sales/lake/orders/b.txt");
    assert_eq!(mesh.store.get_range(&at, 1..4).await.unwrap(), "eco");
    assert_eq!(
        mesh.store
            .get_ranges(&at, &[0..1, 5..6, 2..3])
            .await
            .unwrap(),
        ["s", "d", "c"]
    );
    let suffix = GetOptions {
        range: Some(GetRange::Suffix(2)),
        ..GetOptions::default()
    };
    assert_eq!(
        mesh.store
            .get_opts(&at, suffix)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "nd"
    );
    let head = mesh.store.head(&at).await.unwrap();
    assert_eq!((head.size, head.location), (6, at));
    assert!(head.e_tag.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_out_of_the_root_is_refused_when_listed_and_when_opened() {
    use std::os::unix::fs::symlink;
    let mesh = fixture();
    let lake = mesh.root.path().join("lake");
    symlink("b.txt", lake.join("orders/inside.txt")).unwrap();
    assert_eq!(
        mesh.text("sales/lake/orders/inside.txt").await.unwrap(),
        "second"
    );
    assert_eq!(mesh.names("sales/lake/orders").await.len(), 3);

    symlink(mesh.root.path().join("crm"), lake.join("crm")).unwrap();
    symlink(
        mesh.root.path().join("crm/secret.txt"),
        lake.join("orders/out.txt"),
    )
    .unwrap();
    for outside in ["sales/lake/crm/secret.txt", "sales/lake/orders/out.txt"] {
        let error = mesh.text(outside).await.unwrap_err();
        assert!(
            matches!(&error, Error::PermissionDenied { path, .. } if path == outside),
            "{error}"
        );
    }
    for prefix in ["sales/lake", "sales/lake/orders", "sales/lake/crm"] {
        let error = mesh.list(prefix).await.unwrap_err();
        assert!(
            error.to_string().contains("leaves the storage's folder"),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_regular_files_are_opened() {
    let mesh = fixture();
    // A socket stands for devices and pipes, which a test cannot make without help.
    let socket = mesh.root.path().join("lake/orders/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(mesh.text("sales/lake/orders/socket").await.is_err());
    assert!(mesh.text("sales/lake/orders").await.is_err());
    assert_eq!(mesh.names("sales/lake/orders").await.len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn folders_that_link_to_themselves_are_an_error() {
    let mesh = fixture();
    std::os::unix::fs::symlink("..", mesh.root.path().join("lake/orders/up")).unwrap();
    let error = mesh.list("sales/lake").await.unwrap_err();
    assert!(error.to_string().contains("loop"), "{error}");
}

#[tokio::test]
async fn requests_are_counted() {
    let mesh = fixture();
    let before = mesh.sales.requests();
    mesh.names("sales/lake").await;
    mesh.text("sales/lake/orders/a.txt").await.unwrap();
    let _ = mesh.text("sales/lake/orders/none.txt").await;
    mesh.text("crm/lake/secret.txt").await.unwrap();
    let after = mesh.sales.requests();
    assert_eq!((after.list - before.list, after.get - before.get), (1, 2));
}

#[tokio::test]
async fn a_pinned_store_reads_its_files_as_they_were() {
    let mesh = fixture();
    let listed = mesh.list("sales/lake/orders").await.unwrap();
    let pinned = ReadOnly::new(PinnedStore::new(&mesh.sales, listed));
    let a = path("sales/lake/orders/a.txt");
    assert_eq!(
        pinned.get_ranges(&a, &[0..2, 3..5]).await.unwrap(),
        ["fi", "st"]
    );

    for other in [
        "sales/lake/day=1%2F2/sp ace.txt",
        "crm/lake/secret.txt",
        "sales/lake2/orders/a.txt",
    ] {
        assert!(
            matches!(
                pinned.get(&path(other)).await,
                Err(Error::PermissionDenied { .. })
            ),
            "{other}"
        );
    }
    assert!(
        pinned
            .0
            .list(Some(&path("sales/lake")), None)
            .try_collect::<Vec<_>>()
            .await
            .is_err()
    );

    fs::write(mesh.root.path().join("lake/orders/a.txt"), "FIRST").unwrap();
    assert!(matches!(
        pinned.get(&a).await,
        Err(Error::Precondition { .. })
    ));
    assert!(matches!(
        pinned.get_range(&a, 0..2).await,
        Err(Error::Precondition { .. })
    ));
    assert!(matches!(
        pinned.head(&a).await,
        Err(Error::Precondition { .. })
    ));
    fs::remove_file(mesh.root.path().join("lake/orders/b.txt")).unwrap();
    assert!(matches!(
        pinned.get(&path("sales/lake/orders/b.txt")).await,
        Err(Error::Precondition { .. })
    ));
}

#[tokio::test]
async fn a_large_file_is_read_in_parts() {
    let mesh = fixture();
    let text: Vec<u8> = (0..20_000_000_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2])
        .collect();
    fs::write(mesh.root.path().join("lake/orders/large.bin"), &text).unwrap();
    let listed = mesh.list("sales/lake/orders").await.unwrap();
    let pinned = ReadOnly::new(PinnedStore::new(&mesh.sales, listed));
    let before = mesh.sales.requests().get;
    let read = pinned
        .get(&path("sales/lake/orders/large.bin"))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(read == text);
    assert_eq!(mesh.sales.requests().get - before, 3);
}

#[tokio::test]
async fn a_storage_is_a_prefix_of_whole_segments() {
    let bucket = Arc::new(object_store::memory::InMemory::new());
    for key in ["acme/lake/t/a", "acme/lake2/t/a", "acme/t/a", "t/a"] {
        bucket
            .put(&path(key), PutPayload::from_static(b"x"))
            .await
            .unwrap();
    }
    let manifest = weft_mesh::Storage {
        name: StorageName::parse("lake").unwrap(),
        url: StorageUrl::S3 {
            bucket: "b".to_owned(),
            prefix: vec!["acme".to_owned(), "lake".to_owned()],
        },
        options: Default::default(),
        credentials: Credentials::Anonymous,
        cache: true,
    };
    let key = StorageKey {
        domain: "sales".to_owned(),
        storage: "lake".to_owned(),
    };
    let storage = Arc::new(Storage::over(key, &manifest, bucket, "acme/lake"));
    let store = ReadOnly::new(MeshStore::new([storage]));
    for prefix in ["sales/lake", "sales/lake/t"] {
        let found: Vec<ObjectMeta> = store.list(Some(&path(prefix))).try_collect().await.unwrap();
        let found: Vec<_> = found.iter().map(|o| o.location.as_ref()).collect();
        assert_eq!(found, ["sales/lake/t/a"]);
    }
    assert!(store.get(&path("sales/lake/t/a")).await.is_ok());
    assert!(matches!(
        store.get(&path("sales/lake/a")).await,
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn a_storage_without_its_secrets_says_why() {
    let manifest = |credentials| weft_mesh::Storage {
        name: StorageName::parse("lake").unwrap(),
        url: StorageUrl::S3 {
            bucket: "b".to_owned(),
            prefix: vec![],
        },
        options: Default::default(),
        credentials,
        cache: true,
    };
    let key = || StorageKey {
        domain: "sales".to_owned(),
        storage: "lake".to_owned(),
    };
    let unset = weft_mesh::SecretRef::Env("WEFT_TEST_IS_NOT_SET".to_owned());
    let missing = Credentials::Secrets([("access_key_id".to_owned(), unset)].into());
    let none = Credentials::Secrets(Default::default());
    for (credentials, reason) in [
        (missing, "WEFT_TEST_IS_NOT_SET"),
        (none, "`aws_access_key_id` is missing"),
        (Credentials::None, "no credentials"),
    ] {
        let manifest = manifest(credentials);
        let storage = Storage::open(key(), &manifest);
        assert!(!storage.is_current(&manifest));
        let error = storage.why_closed().unwrap();
        assert!(error.contains(reason), "{error}");
    }
    let anonymous = manifest(Credentials::Anonymous);
    let storage = Storage::open(key(), &anonymous);
    assert!(storage.is_current(&anonymous));
    let elsewhere = weft_mesh::Storage {
        options: [("region".to_owned(), "x".to_owned())].into(),
        ..anonymous
    };
    assert!(!storage.is_current(&elsewhere));
}

#[tokio::test]
async fn reads_are_counted_for_the_domain_whichever_storage_gives() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("a.txt"), "first").unwrap();
    let traffic = DomainTraffic::default();
    for name in ["lake", "lake2"] {
        let storage = Arc::into_inner(local_storage("sales", name, root.path())).unwrap();
        let storage = storage.counted_in(traffic.of("sales"));
        let key = Path::from("a.txt");
        storage.get(&key, GetOptions::default()).await.unwrap();
        let listed: Vec<ObjectMeta> = storage
            .list(&Path::default(), None)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed.len(), 1);
    }
    let expected = DomainReads {
        domain: "sales".to_owned(),
        gets: 2,
        lists: 2,
        bytes: 10,
    };
    assert_eq!(traffic.reads(), [expected]);
}
