//! Statements: what a client is told is what it gets.

use std::time::Duration;

use arrow::datatypes::{DataType, Schema};
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{CommandStatementQuery, CommandStatementUpdate, ProstMessageExt};
use arrow_flight::{FlightData, FlightDescriptor, IpcMessage, Ticket};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::Code;

use super::{ENDLESS, start};
use crate::support::pretty;

#[tokio::test]
async fn a_statement_comes_back_with_its_rows() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let rows = ana
        .query(
            "SELECT region, count(*) AS n, sum(amount) AS total FROM sales.orders GROUP BY region",
        )
        .await
        .unwrap();
    assert_eq!(
        pretty(&rows),
        "\
+--------+-----+-----------+
| region | n   | total     |
+--------+-----+-----------+
| EU     | 500 | 213716.00 |
+--------+-----+-----------+"
    );
    assert_eq!(
        ana.value("SELECT count(*) FROM acme.sales.orders").await,
        "500"
    );
}

#[tokio::test]
async fn the_flight_info_says_what_the_stream_is() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    for sql in [
        "SELECT * FROM sales.orders",
        "SELECT count(*), min(id), max(region), sum(amount), avg(amount) FROM sales.orders",
        "SELECT region, max(placed_at) FROM sales.orders GROUP BY region ORDER BY region",
        "SELECT id, row_number() OVER (ORDER BY id) FROM sales.orders",
        "SELECT o.id, p.name FROM sales.orders o LEFT JOIN hr.people p ON o.id = p.id",
        "SELECT coalesce(note, 'x'), upper(region), NULL AS nothing FROM sales.orders",
        "SELECT arrow_cast(region, 'Dictionary(Int32, Utf8)'), arrow_cast(id, 'Float16'), [note], {'a': note} FROM sales.orders LIMIT 3",
        "SELECT arrow_cast(note, 'LargeUtf8'), arrow_cast(note, 'BinaryView') FROM sales.orders LIMIT 3",
        "SELECT id FROM sales.orders WHERE false",
        "SELECT id FROM sales.orders UNION ALL SELECT salary FROM hr.people",
        "SELECT table_name FROM information_schema.tables",
        "EXPLAIN SELECT id FROM sales.orders",
        "SHOW TABLES",
    ] {
        let info = bo
            .info(sql)
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        let told = Schema::try_from(IpcMessage(info.schema.clone())).unwrap();
        let rows = bo
            .fetch(&info)
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        for batch in &rows {
            assert_eq!(*batch.schema(), told, "{sql}");
        }
        let mut flight = bo.flight.inner().clone();
        let command = CommandStatementQuery {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let schema = flight
            .get_schema(bo.request(descriptor))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(schema.schema, info.schema, "{sql}");
        for field in told.fields() {
            assert_wire(field.data_type(), sql);
            // JDBC looks there for the digits of decimals.
            let is_decimal = matches!(field.data_type(), DataType::Decimal128(_, _));
            let keys = if is_decimal { 2 } else { 0 };
            assert_eq!(field.metadata().len(), keys, "{sql}");
        }
    }
}

fn assert_wire(data_type: &DataType, sql: &str) {
    let nested: Vec<&DataType> = match data_type {
        DataType::List(item) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(_, _)
        | DataType::Timestamp(_, _) => vec![],
        other => panic!("{sql}: {other} on the wire"),
    };
    for inner in nested {
        assert_wire(inner, sql);
    }
}

#[tokio::test]
async fn the_flight_info_has_one_endpoint_here() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let info = ana
        .info("SELECT id FROM sales.orders ORDER BY id")
        .await
        .unwrap();
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    assert!(info.endpoint[0].expiration_time.is_some());
    assert_eq!((info.total_records, info.total_bytes), (-1, -1));
    assert!(info.ordered);
    assert_eq!(std::str::from_utf8(&info.app_metadata).unwrap().len(), 36);
    assert_eq!(
        info.flight_descriptor.as_ref().unwrap().r#type(),
        DescriptorType::Cmd
    );
    let unordered = ana.info("SELECT id FROM sales.orders").await.unwrap();
    assert!(!unordered.ordered);

    // A ticket may be redeemed again.
    let first = ana.fetch(&info).await.unwrap();
    assert_eq!(pretty(&first), pretty(&ana.fetch(&info).await.unwrap()));
}

#[tokio::test]
async fn polling_is_complete_at_once() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let command = CommandStatementQuery {
        query: "SELECT count(*) FROM sales.orders".to_owned(),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let mut flight = ana.flight.inner().clone();
    let poll = flight
        .poll_flight_info(ana.request(descriptor))
        .await
        .unwrap()
        .into_inner();
    assert!(poll.flight_descriptor.is_none());
    let rows = ana.fetch(&poll.info.unwrap()).await.unwrap();
    assert_eq!(rows[0].num_rows(), 1);
}

#[tokio::test]
async fn large_results_come_in_small_messages() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo
        .info("SELECT o.*, p.id AS i FROM sales.orders o CROSS JOIN hr.people p CROSS JOIN (SELECT id FROM sales.orders LIMIT 40) x")
        .await
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let stream = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    let messages: Vec<FlightData> = stream.try_collect().await.unwrap();
    assert!(messages.len() > 5, "{} messages", messages.len());
    for message in &messages {
        assert!(message.encoded_len() < 2 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_few_rows_of_wide_text_make_a_small_message() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo
        .info("SELECT id, note, sum(amount) AS s FROM sales.orders GROUP BY id, note ORDER BY s DESC NULLS LAST LIMIT 20")
        .await
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let stream = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    let messages: Vec<FlightData> = stream.try_collect().await.unwrap();
    let bytes: usize = messages.iter().map(Message::encoded_len).sum();
    assert!(bytes < 10_000, "{bytes} bytes for twenty rows");
}

#[tokio::test]
async fn one_row_may_be_big_and_not_too_big() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let joined = |rows: u32| {
        format!(
            "SELECT string_agg(repeat(note, 100), '') AS t FROM (SELECT note FROM sales.orders LIMIT {rows})"
        )
    };
    let big = bo.query(&joined(1_000)).await.unwrap();
    assert_eq!(big.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
    let status = bo
        .fails("SELECT string_agg(repeat(note, 100), '') AS t FROM sales.orders, generate_series(1, 14)")
        .await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
}

#[tokio::test]
async fn causes_have_their_codes() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    for (sql, code, text) in [
        ("SELEC 1", Code::InvalidArgument, "line 1, column 1"),
        (
            "SELECT nope FROM sales.orders",
            Code::InvalidArgument,
            "nope",
        ),
        (
            "SELECT note FROM sales.orders",
            Code::InvalidArgument,
            "note",
        ),
        ("SELECT nope(1)", Code::InvalidArgument, "nope"),
        ("SELECT 1/0", Code::InvalidArgument, "ivide by zero"),
        (
            "SELECT * FROM sales.nothing",
            Code::NotFound,
            "sales.nothing",
        ),
        ("SELECT * FROM hr.people", Code::NotFound, "hr.people"),
        (
            "DELETE FROM sales.orders",
            Code::PermissionDenied,
            "read-only",
        ),
        (
            "CREATE TABLE t (a INT)",
            Code::PermissionDenied,
            "read-only",
        ),
        ("SELECT 1; SELECT 2", Code::InvalidArgument, "one statement"),
        ("", Code::InvalidArgument, "no statement"),
    ] {
        let status = ana.fails(sql).await;
        assert_eq!(status.code(), code, "{sql}: {status:?}");
        assert!(
            status.message().contains(text),
            "{sql}: {}",
            status.message()
        );
        assert!(status.message().len() < 2048);
    }
    let missing = ana.fails("SELECT * FROM hr.peopl").await;
    let hidden = ana.fails("SELECT * FROM hr.people").await;
    assert_eq!(
        missing.message().replace("hr.peopl`", "hr.people`"),
        hidden.message()
    );
}

#[tokio::test]
async fn runtime_errors_carry_the_query_id() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo
        .info("SELECT 1 / (id - 999) FROM sales.orders")
        .await
        .unwrap();
    let query_id = String::from_utf8(info.app_metadata.to_vec()).unwrap();
    let status = bo.fetch(&info).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(&query_id), "{}", status.message());
}

#[tokio::test]
async fn what_weft_does_not_do_is_said() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let mut flight = ana.flight.inner().clone();

    let update = CommandStatementUpdate {
        query: "DELETE FROM sales.orders".to_owned(),
        transaction_id: None,
    };
    let message = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(update.as_any().encode_to_vec())),
        ..FlightData::default()
    };
    let put = flight.do_put(ana.request(stream::iter([message]))).await;
    assert_eq!(put.err().unwrap().code(), Code::PermissionDenied);

    let listed = flight
        .list_flights(ana.request(arrow_flight::Criteria::default()))
        .await;
    assert_eq!(listed.err().unwrap().code(), Code::Unimplemented);
    let exchanged = flight.do_exchange(ana.request(stream::empty())).await;
    assert_eq!(exchanged.err().unwrap().code(), Code::Unimplemented);

    let in_transaction = CommandStatementQuery {
        query: "SELECT 1".to_owned(),
        transaction_id: Some(b"t".to_vec().into()),
    };
    let status = ana.command(&in_transaction).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let path = FlightDescriptor::new_path(vec!["sales".to_owned()]);
    let status = flight.get_flight_info(ana.request(path)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let garbage = FlightDescriptor::new_cmd("SELECT 1");
    let status = flight
        .get_flight_info(ana.request(garbage))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = ana
        .redeem(Ticket::new(b"garbage".to_vec()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_query() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo.info(ENDLESS).await.unwrap();
    let query_id = std::str::from_utf8(&info.app_metadata)
        .unwrap()
        .parse()
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut rows = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        rows.next().await.unwrap().unwrap();
    }
    drop(rows);
    let owner = weft_policy::PrincipalId::user("bo").into();
    for _ in 0..100 {
        if !server.engine.cancel(query_id, &owner) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the query runs on");
}

#[tokio::test]
async fn large_statements_are_refused_and_the_server_lives_on() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    // Not before it is known who asks.
    let long = format!("SELECT '{}'", "x".repeat(10 << 20));
    assert_eq!(ana.fails(&long).await.code(), Code::ResourceExhausted);
    assert_eq!(ana.value("SELECT 1").await, "1");
    let status = ana.fails(&long).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let status = ana.fails(&deep).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let huge = ana.fails("SELECT repeat('x', 1000000000)").await;
    assert!(
        matches!(huge.code(), Code::ResourceExhausted | Code::InvalidArgument),
        "{huge:?}"
    );
    assert_eq!(ana.value("SELECT 1").await, "1");
}

/// DataFusion says of such a column that it is never null.
#[tokio::test]
async fn a_subquery_without_a_row_is_null() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    for (sql, rows) in [
        (
            "SELECT id, (SELECT a FROM (SELECT 1 AS a) WHERE a = p.id) FROM hr.people p ORDER BY id",
            ["1|1", "2|∅"],
        ),
        (
            "SELECT id, (SELECT count(*) FROM hr.people q WHERE q.id = p.id HAVING count(*) > 1) + 1 \
             FROM hr.people p ORDER BY id",
            ["1|∅", "2|∅"],
        ),
    ] {
        assert_eq!(bo.rows(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn small_values_of_odd_types_are_answered() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    for (sql, row) in [
        ("SELECT MAP {}", "{}"),
        (
            "SELECT arrow_cast([1, 2], 'FixedSizeList(2, Int64)')",
            "[1, 2]",
        ),
        ("SELECT arrow_cast(X'0102', 'FixedSizeBinary(2)')", "0102"),
        (
            "SELECT user FROM (VALUES ('eva')) t(user) WHERE user <> 'bo'",
            "eva",
        ),
    ] {
        assert_eq!(bo.rows(sql).await, [row], "{sql}");
    }
}
