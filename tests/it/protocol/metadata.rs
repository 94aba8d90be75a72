//! Metadata: what drivers ask, answered from what the principal can query.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, UInt32Type};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo, ProstMessageExt,
};
use arrow_flight::{FlightDescriptor, IpcMessage};
use prost::Message;

use super::start;
use crate::support::TestClient;

async fn column(client: &TestClient, command: &impl ProstMessageExt, name: &str) -> Vec<String> {
    let batches = client.metadata(command).await.unwrap();
    batches
        .iter()
        .flat_map(|batch| texts(batch, name))
        .collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everybody_sees_their_own_tables() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let bo = server.client("bo", "pw-bo").await;
    let cy = server.client("cy", "pw-cy").await;
    let tables = CommandGetTables {
        table_types: vec!["TABLE".to_owned()],
        ..Default::default()
    };
    let schemas = CommandGetDbSchemas::default();
    assert_eq!(column(&ana, &tables, "table_name").await, ["orders"]);
    assert_eq!(
        column(&ana, &schemas, "db_schema_name").await,
        ["sales", "system"]
    );
    assert_eq!(
        column(&bo, &tables, "table_name").await,
        ["people", "orders"]
    );
    assert_eq!(
        column(&bo, &schemas, "db_schema_name").await,
        ["hr", "sales", "system"]
    );
    assert!(column(&cy, &tables, "table_name").await.is_empty());
    assert_eq!(column(&cy, &schemas, "db_schema_name").await, ["system"]);
    for client in [&ana, &bo, &cy] {
        let catalogs = column(client, &CommandGetCatalogs {}, "catalog_name").await;
        assert_eq!(catalogs, ["acme"]);
    }
    assert_eq!(
        column(&ana, &CommandGetTableTypes {}, "table_type").await,
        ["TABLE", "VIEW"]
    );
}

#[tokio::test]
async fn filters() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (
            CommandGetTables {
                catalog: some(""),
                ..Default::default()
            },
            vec![],
        ),
        (
            CommandGetTables {
                catalog: some("acme"),
                table_types: vec!["TABLE".to_owned()],
                ..Default::default()
            },
            vec!["people", "orders"],
        ),
        (
            CommandGetTables {
                db_schema_filter_pattern: some("sal%"),
                ..Default::default()
            },
            vec!["orders"],
        ),
        (
            CommandGetTables {
                table_name_filter_pattern: some("_eople"),
                ..Default::default()
            },
            vec!["people"],
        ),
        (
            CommandGetTables {
                table_name_filter_pattern: some(r"\_eople"),
                ..Default::default()
            },
            vec![],
        ),
        (
            CommandGetTables {
                table_types: vec!["BASE TABLE".to_owned()],
                ..Default::default()
            },
            vec!["people", "orders"],
        ),
        (
            CommandGetTables {
                table_types: vec!["VIEW".to_owned()],
                table_name_filter_pattern: some("prod%"),
                ..Default::default()
            },
            vec!["products"],
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(
            column(&bo, &command, "table_name").await,
            expected,
            "{command:?}"
        );
    }
}

#[tokio::test]
async fn table_schemas_are_authorised_and_described() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let command = CommandGetTables {
        include_schema: true,
        ..Default::default()
    };
    let batches = ana.metadata(&command).await.unwrap();
    let message = batches[0]
        .column_by_name("table_schema")
        .unwrap()
        .as_binary::<i32>()
        .value(0);
    let schema = Schema::try_from(IpcMessage(message.to_vec().into())).unwrap();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["id", "region", "amount", "placed_at"]);
    assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
    let id = schema.field(0).metadata();
    assert_eq!(id["ARROW:FLIGHT:SQL:REMARKS"], "Unique.");
    assert_eq!(id["ARROW:FLIGHT:SQL:TYPE_NAME"], "BIGINT");
    assert_eq!(schema.field(2).metadata()["ARROW:FLIGHT:SQL:SCALE"], "2");
    // It is the schema of the table's rows, but for the remarks.
    let rows = ana
        .query("SELECT * FROM sales.orders LIMIT 1")
        .await
        .unwrap();
    let plain: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_metadata(Default::default()))
        .collect();
    let rows = rows[0].schema();
    let told = |field: &Field| field.clone().with_metadata(Default::default());
    let rows: Vec<_> = rows
        .fields()
        .iter()
        .map(|field| told(field.as_ref()))
        .collect();
    assert_eq!(Schema::new(plain), Schema::new(rows));
}

#[tokio::test]
async fn keys() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let ana = server.client("ana", "pw-ana").await;
    let orders = CommandGetPrimaryKeys {
        catalog: Some("acme".to_owned()),
        db_schema: Some("sales".to_owned()),
        table: "orders".to_owned(),
    };
    let batches = bo.metadata(&orders).await.unwrap();
    assert_eq!(texts(&batches[0], "column_name"), ["id"]);
    let sequence = batches[0].column_by_name("key_sequence").unwrap();
    assert_eq!(sequence.as_primitive::<Int32Type>().values(), &[1]);
    let hidden = CommandGetPrimaryKeys {
        table: "people".to_owned(),
        ..Default::default()
    };
    assert!(column(&ana, &hidden, "column_name").await.is_empty());

    let exported = CommandGetExportedKeys {
        table: "orders".to_owned(),
        ..Default::default()
    };
    let imported = CommandGetImportedKeys {
        table: "orders".to_owned(),
        ..Default::default()
    };
    let cross = CommandGetCrossReference {
        pk_table: "orders".to_owned(),
        fk_table: "people".to_owned(),
        ..Default::default()
    };
    for batches in [
        bo.metadata(&exported).await.unwrap(),
        bo.metadata(&imported).await.unwrap(),
        bo.metadata(&cross).await.unwrap(),
    ] {
        assert_eq!((batches[0].num_rows(), batches[0].num_columns()), (0, 13));
    }
}

#[tokio::test]
async fn sql_info_is_complete_and_selects() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let all = ana
        .metadata(&CommandGetSqlInfo { info: vec![] })
        .await
        .unwrap();
    let names = all[0].column(0).as_primitive::<UInt32Type>();
    assert!(names.values().is_sorted());
    for name in [0, 8, 100, 508, 517, 576] {
        assert!(names.values().contains(&name), "{name}");
    }
    let few = ana
        .metadata(&CommandGetSqlInfo {
            info: vec![0, 3, 8, 510],
        })
        .await
        .unwrap();
    let names = few[0].column(0).as_primitive::<UInt32Type>();
    assert_eq!(names.values(), &[0, 3, 8, 510]);
    assert_eq!(few[0].schema(), all[0].schema());
}

#[tokio::test]
async fn xdbc_types() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let all = column(
        &ana,
        &CommandGetXdbcTypeInfo { data_type: None },
        "type_name",
    )
    .await;
    for name in ["VARCHAR", "BIGINT", "DECIMAL", "TIMESTAMP", "BOOLEAN"] {
        assert!(all.iter().any(|found| found == name), "{name}");
    }
    let bigint = CommandGetXdbcTypeInfo {
        data_type: Some(-5),
    };
    assert_eq!(column(&ana, &bigint, "type_name").await, ["BIGINT"]);
}

#[tokio::test]
async fn every_answer_has_the_schema_that_was_told() {
    async fn check(client: &TestClient, command: impl ProstMessageExt) {
        let info = client.command(&command).await.unwrap();
        let told = Schema::try_from(IpcMessage(info.schema.clone())).unwrap();
        for batch in client.fetch(&info).await.unwrap() {
            assert_eq!(*batch.schema(), told, "{}", command.as_any().type_url);
        }
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let mut flight = client.flight.inner().clone();
        let schema = flight.get_schema(client.request(descriptor)).await.unwrap();
        assert_eq!(schema.into_inner().schema, info.schema);
    }
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    check(&bo, CommandGetCatalogs {}).await;
    check(&bo, CommandGetDbSchemas::default()).await;
    check(&bo, CommandGetTables::default()).await;
    check(
        &bo,
        CommandGetTables {
            include_schema: true,
            ..Default::default()
        },
    )
    .await;
    check(&bo, CommandGetTableTypes {}).await;
    check(
        &bo,
        CommandGetPrimaryKeys {
            table: "orders".to_owned(),
            ..Default::default()
        },
    )
    .await;
    check(&bo, CommandGetExportedKeys::default()).await;
    check(&bo, CommandGetImportedKeys::default()).await;
    check(&bo, CommandGetCrossReference::default()).await;
    check(&bo, CommandGetSqlInfo { info: vec![] }).await;
    check(&bo, CommandGetXdbcTypeInfo { data_type: None }).await;
}

#[tokio::test]
async fn a_new_grant_shows_at_once() {
    let (mesh, server) = start().await;
    let cy = server.client("cy", "pw-cy").await;
    let tables = CommandGetTables {
        table_types: vec!["TABLE".to_owned()],
        ..Default::default()
    };
    assert!(column(&cy, &tables, "table_name").await.is_empty());
    mesh.grants(
        "hr",
        "
- name: open
  to: [everyone]
  on: people
  columns: [id, name]
",
    );
    assert!(server.live.reload().await.applied);
    assert_eq!(column(&cy, &tables, "table_name").await, ["people"]);
}
