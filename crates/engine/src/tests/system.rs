//! A scan of `system` is for one viewer on one snapshot, and makes no row before
//! it runs.

use std::{sync::Arc, time::Duration};

use datafusion::{catalog::SchemaProvider, physical_plan::ExecutionPlan, prelude::SessionContext};
use weft_mesh::Purpose;
use weft_policy::Viewer;

use super::mesh::Mesh;
use crate::{GovernedSession, SessionOptions, functions::Caps, system, verify::verify};

async fn scan(session: &GovernedSession, table: &str) -> Arc<dyn ExecutionPlan> {
    let schema = system::SystemSchema::new(
        system::SystemTables::new(&[]),
        Arc::clone(session.snapshot()),
        session.viewer().clone(),
    );
    let provider = schema.table(table).await.unwrap().unwrap();
    let caps = Arc::new(Caps::new(Duration::from_secs(60)));
    let (state, _) = session.state(&caps);
    provider.scan(&state, None, &[], None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_another_viewer_or_snapshot_is_refused() {
    let mesh = Mesh::open().await;
    let session = mesh.session();
    let (snapshot, viewer) = (session.snapshot(), session.viewer());
    for table in ["products", "columns", "grants"] {
        let plan = scan(&session, table).await;
        assert_eq!(verify(&plan, snapshot, viewer), Ok(()));
        let refused = |viewer: &Viewer| verify(&plan, snapshot, viewer).unwrap_err();
        // A session of its own looks at an instant of its own.
        assert!(refused(mesh.session().viewer()).contains("another viewer"));
        let purpose = Purpose::parse("audit").ok();
        let with_purpose = viewer.clone().with_purpose(purpose);
        assert!(refused(&with_purpose).contains("another viewer"));
        let other = Mesh::open().await;
        let elsewhere = verify(&plan, other.session().snapshot(), viewer);
        assert!(elsewhere.unwrap_err().contains("another snapshot"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_as_small_as_is_asked() {
    let mesh = Mesh::with(|config| crate::EngineConfig {
        batch_size: 2,
        ..config
    })
    .await;
    let session = mesh.session_with(SessionOptions::default()).unwrap();
    let plan = scan(&session, "columns").await;
    let caps = Arc::new(Caps::new(Duration::from_secs(60)));
    let context = SessionContext::new_with_state(session.state(&caps).0).task_ctx();
    let batches = datafusion::physical_plan::collect(plan, context).await;
    let rows: Vec<_> = batches.unwrap().iter().map(|it| it.num_rows()).collect();
    assert_eq!(rows, [2, 1]);
}
