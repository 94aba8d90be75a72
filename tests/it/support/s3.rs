//! S3 in this process: signatures and rights enforced, requests counted, faults on demand.
//!
//! `s3s-fs` keeps the objects. What it lacks is added here: `If-Match` on reads,
//! and ETags in listings.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    DeleteObjectsInput, DeleteObjectsOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    PutObjectInput, PutObjectOutput,
};
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// May do everything, everywhere.
pub(crate) const OWNER: Key = Key {
    id: "OWNERKEYID",
    secret: "owner-secret-access-key",
    places: &[""],
};

/// An access key and where it may list and read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    /// `bucket/` or `bucket/prefix/`.
    pub(crate) places: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    List,
    Get,
    Head,
    Other,
}

/// One request with a known access key, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// `bucket/key`, of a listing `bucket/prefix`.
    pub(crate) place: String,
    pub(crate) key_id: String,
}

/// How many requests of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) list: usize,
    pub(crate) get: usize,
    pub(crate) head: usize,
}

/// What befalls a request in place of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// 503.
    Unavailable,
    /// The connection is closed.
    Dropped,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct TestS3 {
    address: SocketAddr,
    root: TempDir,
    shared: Arc<Shared>,
    service: S3Service,
    /// Its own: a test that blocks does not stop it, and killing it closes every connection.
    runtime: Option<Runtime>,
}

impl TestS3 {
    /// Starts on a free port of this machine with `buckets`, and `keys` that reach into them.
    pub(crate) fn start(buckets: &[&str], keys: &[Key]) -> Self {
        let root = TempDir::new().unwrap();
        let shared = Arc::new(Shared {
            keys: keys.iter().chain([&OWNER]).copied().collect(),
            tags: Mutex::default(),
            folders: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
            closing: watch::Sender::new(()),
        });
        let mut builder = S3ServiceBuilder::new(Store {
            files: FileSystem::new(root.path()).unwrap(),
            shared: Arc::clone(&shared),
        });
        // Access is checked only where signatures are.
        builder.set_auth(Guard(Arc::clone(&shared)));
        builder.set_access(Guard(Arc::clone(&shared)));
        let mut server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            root,
            shared,
            service: builder.build(),
            runtime: None,
        };
        for bucket in buckets {
            std::fs::create_dir(server.root.path().join(bucket)).unwrap();
        }
        server.revive();
        server
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn buckets(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Gives every object of every bucket one time of change.
    pub(crate) fn set_equal_times(&self) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    File::open(path).unwrap().set_modified(time).unwrap();
                }
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes the port and every connection.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Opens the port of the start again, over the same objects.
    pub(crate) fn revive(&mut self) {
        assert!(self.runtime.is_none(), "it is alive");
        let listener = (0..100)
            .find_map(|_| {
                let listener = std::net::TcpListener::bind(self.address).ok();
                if listener.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                listener
            })
            .unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (service, shared) = (self.service.clone(), Arc::clone(&self.shared));
        drop(runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (service, mut closing) = (service.clone(), shared.closing.subscribe());
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    let connection = server.serve_connection(TokioIo::new(socket), service);
                    tokio::select! {
                        _ = connection => {}
                        _ = closing.changed() => {}
                    }
                });
            }
        }));
        self.runtime = Some(runtime);
    }

    /// The next `times` requests of a kind meet with `fault`.
    pub(crate) fn fail(&self, operation: Operation, fault: Fault, times: usize) {
        let mut faults = self.shared.faults.lock().unwrap();
        faults
            .pending
            .extend(std::iter::repeat_n((operation, fault), times));
    }

    /// Every answer from now on waits this long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.faults.lock().unwrap().delay = delay;
    }

    /// Requests since the start or the last [`Self::forget_requests`], retries too.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log().clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        let log = self.log();
        let of = |operation| log.iter().filter(|r| r.operation == operation).count();
        Counts {
            list: of(Operation::List),
            get: of(Operation::Get),
            head: of(Operation::Head),
        }
    }

    pub(crate) fn forget_requests(&self) {
        self.log().clear();
    }

    fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        self.shared.log.lock().unwrap()
    }

    /// A client of `bucket` with the rights of `key`.
    pub(crate) fn client(&self, bucket: &str, key: &Key) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_region("eu-west-1")
            .with_bucket_name(bucket)
            .with_access_key_id(key.id)
            .with_secret_access_key(key.secret)
            .build()
            .unwrap()
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.put_all(bucket, [(key.to_owned(), body.into())]).await;
    }

    /// Puts many objects as the owner, some at a time.
    pub(crate) async fn put_all(
        &self,
        bucket: &str,
        objects: impl IntoIterator<Item = (String, Bytes)>,
    ) {
        let client = &self.client(bucket, &OWNER);
        futures::stream::iter(objects)
            .map(|(key, body)| async move {
                let path = Path::parse(key).unwrap();
                client.put(&path, PutPayload::from_bytes(body)).await
            })
            .buffer_unordered(16)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
    }

    /// An empty object with a slash at the end of its key, as consoles put them. It is only listed.
    pub(crate) fn put_folder(&self, bucket: &str, key: &str) {
        let mut folders = self.shared.folders.lock().unwrap();
        folders.push((bucket.to_owned(), key.to_owned()));
    }

    pub(crate) async fn delete(&self, bucket: &str, key: &str) {
        let path = Path::parse(key).unwrap();
        self.client(bucket, &OWNER).delete(&path).await.unwrap();
    }
}

impl Drop for TestS3 {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Debug)]
struct Shared {
    keys: Vec<Key>,
    /// By bucket and key, as their PUT returned them.
    tags: Mutex<HashMap<(String, String), ETag>>,
    /// Bucket and key of empty objects that stand for folders.
    folders: Mutex<Vec<(String, String)>>,
    log: Mutex<Vec<Request>>,
    faults: Mutex<Faults>,
    /// Connections end when it changes.
    closing: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Faults {
    pending: Vec<(Operation, Fault)>,
    delay: Duration,
}

impl Shared {
    fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    fn next_fault(&self, operation: Operation) -> (Option<Fault>, Duration) {
        let mut faults = self.faults.lock().unwrap();
        let place = faults.pending.iter().position(|(of, _)| *of == operation);
        let fault = place.map(|place| faults.pending.remove(place).1);
        (fault, faults.delay)
    }
}

/// Who calls, and whether they may.
struct Guard(Arc<Shared>);

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = self.0.key(access_key);
        key.map(|key| SecretKey::from(key.secret))
            .ok_or_else(|| s3_error!(InvalidAccessKeyId))
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let credentials = cx.credentials();
        let key = credentials.and_then(|credentials| self.0.key(&credentials.access_key));
        let key = *key.ok_or_else(|| s3_error!(AccessDenied))?;
        let operation = match cx.s3_op().name() {
            "ListObjectsV2" => Operation::List,
            "GetObject" => Operation::Get,
            "HeadObject" => Operation::Head,
            _ => Operation::Other,
        };
        let place = match cx.s3_path() {
            S3Path::Root => String::new(),
            S3Path::Bucket { bucket } => format!("{bucket}/"),
            S3Path::Object { bucket, key } => format!("{bucket}/{key}"),
        };
        if key.id != OWNER.id {
            let prefix = listed_prefix(cx.uri().query().unwrap_or_default());
            self.0.log.lock().unwrap().push(Request {
                operation,
                place: format!("{place}{prefix}"),
                key_id: key.id.to_owned(),
            });
            let (fault, delay) = self.0.next_fault(operation);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match fault {
                Some(Fault::Unavailable) => return Err(s3_error!(ServiceUnavailable)),
                Some(Fault::Dropped) => {
                    self.0.closing.send_replace(());
                    return std::future::pending().await;
                }
                None => {}
            }
        }
        let allowed = match operation {
            // Where it may list depends on the prefix, see below.
            Operation::List => true,
            Operation::Get | Operation::Head => may(&key, &place),
            Operation::Other => key.id == OWNER.id,
        };
        if allowed {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied))
        }
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let prefix = request.input.prefix.as_deref().unwrap_or_default();
        let place = format!("{}/{prefix}", request.input.bucket);
        let id = request.credentials.as_ref().map(|c| c.access_key.as_str());
        match id.and_then(|id| self.0.key(id)) {
            Some(key) if may(key, &place) => Ok(()),
            _ => Err(s3_error!(AccessDenied)),
        }
    }
}

fn listed_prefix(query: &str) -> String {
    let prefix = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="));
    prefix.unwrap_or_default().replace("%2F", "/")
}

fn may(key: &Key, place: &str) -> bool {
    key.places.iter().any(|own| place.starts_with(own))
}

struct Store {
    files: FileSystem,
    shared: Arc<Shared>,
}

impl Store {
    fn tag(&self, bucket: &str, key: &str) -> Option<ETag> {
        let tags = self.shared.tags.lock().unwrap();
        tags.get(&(bucket.to_owned(), key.to_owned())).cloned()
    }
}

fn check_match(wanted: Option<&ETagCondition>, found: Option<&ETag>) -> S3Result<()> {
    match (wanted, found) {
        (Some(ETagCondition::ETag(wanted)), Some(found)) if !wanted.strong_cmp(found) => {
            Err(s3_error!(PreconditionFailed))
        }
        _ => Ok(()),
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let wanted = request.input.if_match.clone();
        let response = self.files.get_object(request).await?;
        check_match(wanted.as_ref(), response.output.e_tag.as_ref())?;
        Ok(response)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        // The files have folders, which are no objects.
        if self
            .tag(&request.input.bucket, &request.input.key)
            .is_none()
        {
            return Err(s3_error!(NoSuchKey));
        }
        let wanted = request.input.if_match.clone();
        let response = self.files.head_object(request).await?;
        check_match(wanted.as_ref(), response.output.e_tag.as_ref())?;
        Ok(response)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = request.input.bucket.clone();
        let prefix = request.input.prefix.clone().unwrap_or_default();
        let is_first_page = request.input.continuation_token.is_none();
        let mut response = self.files.list_objects_v2(request).await?;
        if is_first_page {
            let folders = self.shared.folders.lock().unwrap();
            let folders = folders
                .iter()
                .filter(|(at, key)| *at == bucket && key.starts_with(&prefix));
            let contents = response.output.contents.get_or_insert_default();
            contents.extend(folders.map(|(_, key)| Object {
                key: Some(key.clone()),
                size: Some(0),
                last_modified: Some(SystemTime::UNIX_EPOCH.into()),
                ..Object::default()
            }));
        }
        for object in response.output.contents.iter_mut().flatten() {
            object.e_tag = object.key.as_deref().and_then(|key| self.tag(&bucket, key));
        }
        Ok(response)
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let place = (request.input.bucket.clone(), request.input.key.clone());
        let response = self.files.put_object(request).await?;
        let tag = response.output.e_tag.clone().unwrap();
        self.shared.tags.lock().unwrap().insert(place, tag);
        Ok(response)
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        let keys: Vec<_> = request
            .input
            .delete
            .objects
            .iter()
            .map(|object| object.key.clone())
            .collect();
        let response = self.files.delete_objects(request).await?;
        let mut tags = self.shared.tags.lock().unwrap();
        for key in keys {
            tags.remove(&(bucket.clone(), key));
        }
        Ok(response)
    }
}
