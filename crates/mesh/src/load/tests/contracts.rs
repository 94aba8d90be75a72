use arrow_schema::{DataType, Field, TimeUnit};

use super::fixture::{Fixture, MESH_YAML, ORDERS_YAML};
use crate::{Compression, CsvFormat, Format, JsonFormat, JsonLayout};

const FORMAT: &str = "    format: csv\n";
const AMOUNT: &str = "      - name: amount\n        physicalType: DECIMAL(12,2)\n";

#[test]
fn malformed_contract() {
    let fixture = Fixture::new();
    fixture.edit(
        ORDERS_YAML,
        "  - server: prod\n",
        "  - server: prod\n   type: local\n",
    );
    assert_eq!(
        fixture.fault(),
        "domains/sales/products/orders.odcs.yaml:10:4: error[yaml-syntax]: while parsing a block collection, \
         did not find expected '-' indicator\n\
         10 |    type: local\n   \
            |    ^"
    );
}

#[test]
fn a_contract_becomes_a_table() {
    let fixture = Fixture::new();
    let table = fixture.orders();
    assert_eq!(table.sql_names(), ["orders", "orders@2"]);
    assert_eq!(table.source.storage.as_str(), "lake");
    assert_eq!(table.source.location.as_str(), "orders/*.csv");
    assert_eq!(table.source.format, Format::Csv(CsvFormat::default()));
    let schema = table.arrow_schema();
    assert_eq!(
        schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect::<Vec<_>>(),
        [
            Field::new("order_id", DataType::Int64, false),
            Field::new("amount", DataType::Decimal128(12, 2), true),
        ]
    );
    assert_eq!(table.column("amount").unwrap().span.line, 19);
    let domain = fixture.sales();
    assert_eq!(table.id(&domain.name).to_string(), "sales.orders");
}

#[test]
fn columns_in_every_kind() {
    let fixture = Fixture::new();
    fixture.edit(
        ORDERS_YAML,
        AMOUNT,
        "      - {name: at, logicalType: timestamp, physicalName: ordered_at, tags: [a, b], classification: secret}\n\
         \x20     - {name: day, logicalType: date}\n\
         \x20     - {name: moment, logicalType: time}\n\
         \x20     - {name: paid, logicalType: boolean, description: Whether.}\n\
         \x20     - {name: doc, logicalType: object, physicalType: JSON}\n\
         \x20     - {name: skills, logicalType: array, items: {logicalType: string}}\n\
         \x20     - name: address\n\
         \x20       logicalType: object\n\
         \x20       properties:\n\
         \x20         - {name: street, logicalType: string}\n\
         \x20         - {name: zip, logicalType: string, required: true}\n\
         \x20     - {name: labels, logicalType: map, map: {key: {logicalType: string}, value: {logicalType: integer}}}\n\
         \x20     - {name: month, logicalType: string, partitioned: true, partitionKeyPosition: 2, primaryKey: true}\n\
         \x20     - {name: year, physicalType: INT, partitioned: true, partitionKeyPosition: 1, primaryKey: true, primaryKeyPosition: 1}\n",
    );
    let table = fixture.orders();
    let data_type = |name: &str| table.column(name).unwrap().data_type.clone();
    assert_eq!(
        data_type("at"),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
    assert_eq!(data_type("day"), DataType::Date32);
    assert_eq!(data_type("moment"), DataType::Time64(TimeUnit::Microsecond));
    assert_eq!(data_type("doc"), DataType::Utf8);
    assert_eq!(
        data_type("skills"),
        DataType::List(Field::new("item", DataType::Utf8, true).into())
    );
    assert_eq!(
        data_type("address"),
        DataType::Struct(
            vec![
                Field::new("street", DataType::Utf8, true),
                Field::new("zip", DataType::Utf8, false),
            ]
            .into()
        )
    );
    assert!(matches!(data_type("labels"), DataType::Map(_, false)));
    let at = table.column("at").unwrap();
    assert_eq!(at.physical_name, "ordered_at");
    assert_eq!(at.tags.len(), 2);
    assert_eq!(at.classification.as_deref(), Some("secret"));
    let names = |columns: Vec<&crate::Column>| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(names(table.partition_columns()), ["year", "month"]);
    assert_eq!(names(table.primary_key()), ["year", "month"]);
    assert_eq!(table.column("month").unwrap().partition, Some(2));
}

#[test]
fn every_bad_column_is_a_fault() {
    for (column, rule, message) in [
        ("{name: x}", "wrong-type-name", "column `x` has no type"),
        (
            "{name: x, physicalType: BIGNIT}",
            "wrong-type-name",
            "physical type `BIGNIT` of `x` is not a known type",
        ),
        (
            "{name: x, physicalType: DECIMAL}",
            "wrong-type-name",
            "needs a precision and a scale",
        ),
        (
            "{name: x, logicalType: text}",
            "wrong-type-name",
            "logical type `text` of `x` is not a known type",
        ),
        (
            "{name: x, logicalType: array}",
            "wrong-type-name",
            "`x` is an array without `items`",
        ),
        (
            "{name: x, logicalType: object}",
            "wrong-type-name",
            "`x` is an object without `properties`",
        ),
        (
            "{name: x, logicalType: vector}",
            "not-supported-yet",
            "logical type `vector` is not supported yet",
        ),
        (
            "{name: Order_ID, logicalType: string}",
            "duplicate-column",
            "column `Order_ID` differs from `order_id` in line 16 by case alone",
        ),
        (
            "{name: order_id, logicalType: string}",
            "duplicate-column",
            "column `order_id` is declared twice, first in line 16",
        ),
        (
            "{logicalType: string}",
            "missing-key",
            "a property needs the key `name`",
        ),
        (
            "{name: x, logicalType: string, nullable: true}",
            "unknown-key",
            "`nullable` is not a key of a property",
        ),
        (
            "{name: x, logicaltype: string}",
            "unknown-key",
            "did you mean `logicalType`?",
        ),
        (
            "{name: 7, logicalType: string}",
            "wrong-type",
            "`name` must be a string, found a number",
        ),
        (
            "{name: x, logicalType: array, items: {logicalType: string}, partitioned: true}",
            "wrong-partition",
            "which no folder's name can say",
        ),
        (
            "{name: x, logicalType: object, properties: [{name: y, logicalType: string, physicalName: z}]}",
            "not-supported-yet",
            "`physicalName` inside an object",
        ),
        (
            "{name: x, logicalType: object, properties: [{name: y, logicalType: string}, {name: Y, logicalType: string}]}",
            "duplicate-column",
            "by case alone",
        ),
        (
            "x",
            "wrong-type",
            "`properties` must be a mapping, found a string",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.append(ORDERS_YAML, &format!("      - {column}\n"));
        let faults = fixture.faults();
        assert!(fixture.rules().contains(&rule), "{column}: {faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains(message)),
            "{column}: {faults:?}"
        );
        assert!(fixture.load().domains[0].domain.is_none(), "{column}");
    }
}

#[test]
fn a_number_without_a_physical_type_is_a_warning() {
    let fixture = Fixture::new();
    fixture.append(ORDERS_YAML, "      - {name: x, logicalType: number}\n");
    assert!(
        fixture
            .fault()
            .contains("warning[inexact-number]: `x` is read as a 64-bit float, which is not exact")
    );
    assert_eq!(
        fixture.orders().column("x").unwrap().data_type,
        DataType::Float64
    );
}

#[test]
fn every_bad_contract_is_a_fault() {
    for (from, to, rule) in [
        ("apiVersion: v3.1.0", "apiVersion: v2.2.2", "wrong-kind"),
        ("apiVersion: v3.1.0", "apiVersion: v4.0.0", "wrong-kind"),
        ("kind: DataContract", "kind: DataProduct", "wrong-kind"),
        ("version: 2.1.0", "version: two", "wrong-value"),
        ("version: 2.1.0", "version: 2.1", "wrong-type"),
        ("status: active", "status: live", "wrong-value"),
        ("status: active", "stauts: active", "unknown-key"),
        ("name: Orders", "colour: red", "unknown-key"),
        ("    type: local", "    type: azure", "not-supported-yet"),
        (
            "    type: local",
            "    type: local\n    location: s3://a/b",
            "unknown-key",
        ),
        ("    path:", "    pth:", "unknown-key"),
        (FORMAT, "", "missing-key"),
        (FORMAT, "    format: xml\n", "wrong-value"),
        (FORMAT, "    format: delta\n", "not-supported-yet"),
        ("  - name: orders\n", "  - name: my-orders\n", "name"),
        (
            "  - name: orders\n",
            "  - name: orders\n    properties: []\n  - name: o2\n",
            "missing-key",
        ),
        ("servers:", "team: 7\nservers:", "wrong-type"),
        (
            "servers:",
            "slaProperties: [{property: freshness, vlaue: 1}]\nservers:",
            "unknown-key",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.edit(ORDERS_YAML, from, to);
        assert!(
            fixture.rules().contains(&rule),
            "{to}: {:?}",
            fixture.faults()
        );
        assert!(fixture.load().domains[0].domain.is_none(), "{to}");
    }
}

#[test]
fn the_whole_standard_is_read() {
    let fixture = Fixture::new();
    fixture.edit(
        ORDERS_YAML,
        "servers:",
        "tenant: acme\n\
         dataProduct: orders\n\
         tags: [finance]\n\
         contractCreatedTs: 2026-01-01T00:00:00Z\n\
         description: {purpose: p, usage: u, limitations: l, authoritativeDefinitions: [{url: u, type: t}]}\n\
         price: {priceAmount: 9.95, priceCurrency: EUR, priceUnit: megabyte}\n\
         team: [{username: ana, role: owner, dateIn: 2026-01-01}]\n\
         roles: [{role: reader, access: read, firstLevelApprovers: ana}]\n\
         support: [{channel: '#sales', tool: slack, url: 'https://x'}]\n\
         slaDefaultElement: orders.order_id\n\
         slaProperties: [{property: freshness, value: 1, unit: d, element: orders.order_id}]\n\
         authoritativeDefinitions: [{url: 'https://x', type: wiki}]\n\
         customProperties: [{property: x, value: {y: [1, 2]}}]\n\
         servers:",
    );
    fixture.edit(
        ORDERS_YAML,
        "        required: true\n",
        "        required: true\n        unique: true\n        businessName: number\n        \
         examples: [1, 2]\n        criticalDataElement: true\n        encryptedName: e\n        \
         transformSourceObjects: [a.b]\n        transformLogic: l\n        transformDescription: d\n        \
         logicalTypeOptions: {minimum: 1, format: i64}\n        \
         relationships: [{type: foreignKey, to: a.b}]\n        \
         quality: [{metric: nullValues, mustBe: 0, type: library}]\n",
    );
    let table = fixture.orders();
    assert!(table.tags.contains("finance"));
    assert_eq!(table.description.as_deref(), Some("p"));
}

#[test]
fn the_environment_picks_the_server() {
    let fixture = Fixture::new();
    fixture
        .edit(
            ORDERS_YAML,
            "schema:",
            "  - {server: dev, type: local, environment: dev, path: ./data/dev/*.json, format: json, \
             customProperties: [{property: delimiter, value: array}, {property: compression, value: gzip}]}\nschema:",
        )
        .write("domains/sales/data/dev/a.json", "[]");
    assert_eq!(fixture.orders().source.location.as_str(), "orders/*.csv");
    fixture.edit(MESH_YAML, "name: acme", "name: acme\nenvironment: dev");
    let source = fixture.orders().source;
    assert_eq!(source.location.as_str(), "dev/*.json");
    assert_eq!(
        source.format,
        Format::Json(JsonFormat {
            layout: JsonLayout::Array,
            compression: Compression::Gzip,
        })
    );
    fixture.edit(MESH_YAML, "environment: dev", "environment: prod");
    assert_eq!(fixture.rules(), ["no-such-environment"]);
}

#[test]
fn csv_options() {
    let options = |text: &str| {
        let fixture = Fixture::new();
        fixture.edit(
            ORDERS_YAML,
            FORMAT,
            &format!("{FORMAT}    customProperties: [{text}]\n"),
        );
        fixture
    };
    let fixture = options(
        "{property: header, value: false}, {property: delimiter, value: ';'}, {property: quote, value: \"'\"}, \
         {property: 'null', value: NA}, {property: compression, value: zstd}, {property: owner, value: x}",
    );
    assert_eq!(
        fixture.orders().source.format,
        Format::Csv(CsvFormat {
            header: false,
            delimiter: b';',
            quote: b'\'',
            null: Some("NA".to_owned()),
            compression: Compression::Zstd,
        })
    );
    for (text, message) in [
        (
            "{property: header, value: maybe}",
            "`header` must be `true` or `false`, found a string",
        ),
        (
            "{property: delimiter, value: ab}",
            "`delimiter` must be one ASCII character",
        ),
        (
            "{property: delimiter, value: '\"'}",
            "`delimiter` and `quote` are the same",
        ),
        (
            "{property: compression, value: rar}",
            "`compression` has no such value",
        ),
    ] {
        let fixture = options(text);
        assert!(fixture.fault().contains(message), "{}", fixture.fault());
    }
}

#[test]
fn one_contract_may_serve_several_tables() {
    let second = "  - name: returns\n    physicalName: back\n    properties: [{name: id, logicalType: integer}]\n";
    let fixture = Fixture::new();
    fixture.append(ORDERS_YAML, second);
    assert!(
        fixture
            .fault()
            .contains("error[shared-location]: 2 tables would read the same files")
    );
    fixture
        .edit(ORDERS_YAML, "data/orders/", "data/{table}/")
        .write("domains/sales/data/back/a.csv", "id\n");
    let domain = fixture.sales();
    let locations: Vec<&str> = domain
        .tables
        .iter()
        .map(|table| table.source.location.as_str())
        .collect();
    assert_eq!(locations, ["orders/*.csv", "back/*.csv"]);
    fixture.edit(ORDERS_YAML, "physicalName: back", "physicalName: ../back");
    assert!(
        fixture
            .fault()
            .contains("`../back` cannot stand for `{table}` in a location")
    );
}

#[test]
fn drafts_are_checked_but_not_served() {
    let fixture = Fixture::new();
    fixture.edit(ORDERS_YAML, "status: active", "status: draft");
    assert!(fixture.sales().tables.is_empty());
    fixture.edit(ORDERS_YAML, "version: 2.1.0", "vresion: 2.1.0");
    assert!(fixture.rules().contains(&"unknown-key"));
}

#[test]
fn aliases_are_followed_and_reported_once() {
    let fixture = Fixture::new();
    fixture.edit(
        ORDERS_YAML,
        AMOUNT,
        "      - name: a\n        logicalType: string\n        tags: &tags [1, x]\n      \
         - name: b\n        logicalType: string\n        tags: *tags\n",
    );
    assert_eq!(fixture.rules(), ["wrong-type"]);
    fixture.edit(ORDERS_YAML, "[1, x]", "[x]");
    assert!(fixture.orders().column("b").unwrap().tags.contains("x"));
}
