//! A disk that is full in earnest: a small file system in memory.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use tonic::Code;
use weft_audit::Kind;

use super::{archived, ended, mesh, mesh_of, records, trail};
use crate::support::TestServer;

/// A file system of its own, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this process may not mount.
    fn new(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            Ok(output) => {
                eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                eprintln!("skipped: there is no `mount`: {error}");
                None
            }
        }
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filling()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.filling()).unwrap();
    }

    fn filling(&self) -> PathBuf {
        self.0.join("filling")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn answers_again(server: &TestServer) {
    let ana = server.client("ana", "pw-of-ana").await;
    for _ in 0..200 {
        if ana.query("SELECT 'again'").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not recover");
}

fn files(folder: &Path, ending: &str) -> usize {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_statements_loses_nothing_and_recovers() {
    let mesh = mesh_of("audit: {url: ./audit/}", 30_000);
    let Some(disk) = Mounted::new(mesh.path("audit")) else {
        return;
    };
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    let mut answered = Vec::new();
    ana.query("SELECT 0").await.unwrap();
    answered.push("SELECT 0".to_owned());

    // This one begins while there is room, and ends when there is none.
    let caught = "SELECT *, repeat(region, 500) FROM sales.orders";
    let info = ana.info(caught).await.unwrap();
    let redeemed = ana.request(info.endpoint[0].ticket.clone().unwrap());
    let slow = server.client("ana", "pw-of-ana").await;
    let mut rows = slow
        .flight
        .inner()
        .clone()
        .do_get(redeemed)
        .await
        .unwrap()
        .into_inner();
    rows.next().await.unwrap().unwrap();

    disk.fill();
    let mut refused = None;
    for number in 1..2000 {
        let sql = format!("SELECT {number}");
        match ana.query(&sql).await {
            Ok(_) => answered.push(sql),
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.expect("the disk is full");
    assert_eq!(refused.code(), Code::Unavailable);
    let text = refused.message();
    assert!(
        text.starts_with("the audit trail cannot be written: no storage space"),
        "{text}"
    );
    assert!(
        !text.contains("audit/") && text.contains("operator"),
        "{text}"
    );
    for _ in 0..5 {
        assert_eq!(
            ana.fails("SELECT 'refused'").await.code(),
            Code::Unavailable
        );
        assert_eq!(ana.fails("SELEC").await.code(), Code::Unavailable);
    }
    let mut last = None;
    while let Some(message) = rows.next().await {
        last = Some(message);
    }
    let last = last.unwrap().unwrap_err();
    assert_eq!(last.code(), Code::Unavailable, "{last:?}");

    disk.empty();
    answers_again(&server).await;
    let record = ended(&server, caught, 1).await.remove(0);
    assert_eq!(record.code.as_deref(), Some("Unavailable"));
    assert!(record.rows < 20_000, "{} rows", record.rows);
    let all = records(&server).await;
    let notes = all.iter().filter(|record| record.kind == Kind::Trail);
    let notes: Vec<_> = notes.filter_map(|record| record.error.as_deref()).collect();
    assert!(
        notes[0].contains("statements were refused, 0 records were lost"),
        "{notes:?}"
    );
    trail(&server).close();
    let recorded = archived(&mesh.path("audit"));
    for sql in &answered {
        let found = (sql.clone(), "ok".to_owned());
        assert!(recorded.contains(&found), "`{sql}` was answered");
    }
    assert!(
        !recorded
            .iter()
            .any(|(sql, outcome)| sql == "SELECT 'refused'" && outcome == "ok")
    );
    assert_eq!(files(&mesh.path("audit"), ".journal"), 0);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_on_is_a_choice() {
    let mesh = mesh("audit: {url: ./audit/, whenUnwritable: serve}");
    let Some(disk) = Mounted::new(mesh.path("audit")) else {
        return;
    };
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    disk.fill();
    for _ in 0..50 {
        ana.query(&format!("SELECT 1 -- {}", "x".repeat(1000)))
            .await
            .unwrap();
    }
    disk.empty();
    for _ in 0..200 {
        if records(&server)
            .await
            .iter()
            .any(|record| record.kind == Kind::Trail)
        {
            drop(server);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing says that the trail could not be written");
}

/// What nobody finds again is not on record.
#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_is_removed_refuses_statements() {
    let mesh = mesh_of("audit: {url: ./audit/}", 10);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    ana.query("SELECT 0").await.unwrap();
    fs::remove_dir_all(mesh.path("audit")).unwrap();
    for number in 1..5 {
        let status = ana.fails(&format!("SELECT {number}")).await;
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
}
