//! `system.audit`, `system.consumers` and `system.lineage`: who sees what of the trail.

use tonic::Code;

use super::{HERE, mesh};
use crate::support::{MeshDir, TestServer, contract, csv};

const AUDIT: &str = "SELECT principal, outcome, coalesce(sql, 'withheld'), array_to_string(domains, ' ') \
    FROM system.audit WHERE outcome <> 'running' AND NOT sql LIKE '%system.%' OR sql IS NULL ORDER BY started_at";

/// Two domains, each with a steward, and an auditor.
fn two_domains() -> MeshDir {
    let notes = contract(
        "notes",
        "csv",
        "data/notes/*.csv",
        "- {name: id, logicalType: integer, required: true}",
    );
    let mesh = mesh(&format!("{HERE}\nauditors: [\"user:aud\"]"))
        .user("aud", "pw", &[], &[])
        .user("sam", "pw", &[], &[])
        .user("nel", "pw", &[], &[])
        .domain(
            "notes",
            "- {name: all, to: [group:analysts], on: notes, columns: '*'}",
            &[&notes],
        );
    for (domain, steward) in [("sales", "sam"), ("notes", "nel")] {
        let steward = format!("stewards: [\"user:{steward}\"]\nstorage:");
        mesh.change(
            &format!("domains/{domain}/domain.yaml"),
            "storage:",
            &steward,
        );
    }
    let ids: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int64Array::from(vec![1]));
    let rows = arrow::array::RecordBatch::try_from_iter([("id", ids)]).unwrap();
    csv(&mesh.data("notes").join("notes/0.csv"), &[rows]);
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_what_is_theirs_to_see() {
    let mesh = two_domains();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    let bo = server.client("bo", "pw-of-bo").await;
    ana.query("SELECT id FROM sales.orders").await.unwrap();
    ana.query("SELECT n.id FROM notes.notes n, sales.orders o")
        .await
        .unwrap();
    ana.query("SELECT 1").await.unwrap();
    bo.query("SELECT id FROM notes.notes").await.unwrap();
    assert_eq!(
        bo.fails("SELECT * FROM sales.hidden").await.code(),
        Code::NotFound
    );
    let as_user = async |name: &str, sql: &str| server.client(name, "pw").await.rows(sql).await;

    let all = [
        "user:ana|ok|SELECT id FROM sales.orders|sales",
        "user:ana|ok|SELECT n.id FROM notes.notes n, sales.orders o|notes sales",
        "user:ana|ok|SELECT 1|",
        "user:bo|ok|SELECT id FROM notes.notes|notes",
        "user:bo|refused|SELECT * FROM sales.hidden|sales",
    ];
    assert_eq!(as_user("aud", AUDIT).await, all);
    assert_eq!(ana.rows(AUDIT).await, all[..3]);
    assert_eq!(bo.rows(AUDIT).await, all[3..]);
    assert_eq!(
        as_user("sam", AUDIT).await,
        [all[0], "user:ana|ok|withheld|sales", all[4]]
    );
    assert_eq!(
        as_user("nel", AUDIT).await,
        ["user:ana|ok|withheld|notes", all[3]]
    );
    assert_eq!(
        server.client("cy", "pw-of-cy").await.rows(AUDIT).await,
        [""; 0]
    );

    // Nothing of sales is anywhere in what the steward of notes reads of others.
    let everything = "SELECT * FROM system.audit WHERE principal <> 'user:nel'";
    let told = as_user("nel", everything).await.join("\n");
    for hidden in ["sales", "orders", "own-region", "hidden"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }

    let consumers =
        "SELECT domain, table_name, principal, statements FROM system.consumers ORDER BY 1, 2, 3";
    assert_eq!(
        as_user("aud", consumers).await,
        [
            "notes|notes|user:ana|1",
            "notes|notes|user:bo|1",
            "sales|orders|user:ana|2",
        ]
    );
    assert_eq!(
        as_user("nel", consumers).await,
        ["notes|notes|user:ana|1", "notes|notes|user:bo|1"]
    );
    assert_eq!(bo.rows(consumers).await, ["notes|notes|user:bo|1"]);
    let lineage = "SELECT principal, coalesce(output_column, '∅'), part, domain, table_name, column_name FROM system.lineage \
         WHERE domain <> 'system' ORDER BY started_at, 2, 3, 4, 5, 6";
    let of_ana = [
        "user:ana|id|direct|sales|orders|id",
        "user:ana|id|direct|notes|notes|id",
    ];
    let of_bo = "user:bo|id|direct|notes|notes|id";
    assert_eq!(ana.rows(lineage).await, of_ana);
    assert_eq!(bo.rows(lineage).await, [of_bo]);
    assert_eq!(as_user("aud", lineage).await, [of_ana[0], of_ana[1], of_bo]);
    // Of a statement that read other domains as well a steward does not know what it was.
    assert_eq!(as_user("sam", lineage).await, [of_ana[0]]);
    assert_eq!(as_user("nel", lineage).await, [of_bo]);
    let lineage = "SELECT lineage FROM system.audit WHERE sql = 'SELECT id FROM sales.orders'";
    assert_eq!(
        ana.rows(lineage).await,
        [r#"[{"output":"id","part":"direct","table":"sales.orders","column":"id"}]"#]
    );

    // A statement tells of what it names and does not read as well.
    let unused =
        "WITH o AS (SELECT * FROM sales.orders WHERE region = 'told') SELECT id FROM notes.notes";
    ana.query(unused).await.unwrap();
    let told = as_user("nel", "SELECT coalesce(sql, 'withheld') FROM system.audit WHERE principal = 'user:ana' ORDER BY started_at DESC LIMIT 1").await;
    assert_eq!(told, ["withheld"]);
}
