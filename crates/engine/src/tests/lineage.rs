//! What the columns of a result come from.

use super::mesh::Mesh;

/// `sales.orders(id, region, amount)` and `sales.lines(order_id, sku, tags)`.
async fn mesh() -> Mesh {
    Mesh::of(&FILES, |config| config).await
}

const FILES: [(&str, &str); 6] = [
    (
        "mesh.yaml",
        "apiVersion: weft/v1\nkind: Mesh\nname: acme\ndomains:\n  - sales/domain.yaml\nidentity:\n  users: []\n",
    ),
    (
        "sales/domain.yaml",
        "apiVersion: weft/v1\nkind: Domain\nname: sales\nstorage:\n  - name: local\n    url: ./data/\nproducts: [all.odcs.yaml]\ngrants: grants.yaml\n",
    ),
    (
        "sales/grants.yaml",
        "apiVersion: weft/v1\nkind: Grants\ndomain: sales\ngrants:\n  - name: all\n    to: [user:ana]\n    on: \"*\"\n    columns: \"*\"\n",
    ),
    (
        "sales/all.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: all
name: all
version: 1.0.0
status: active
servers:
  - {server: dev, type: local, path: './data/{table}.json', format: json}
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: region, logicalType: string}
      - {name: amount, logicalType: integer}
      - {name: parent, logicalType: integer}
  - name: lines
    logicalType: object
    properties:
      - {name: order_id, logicalType: integer}
      - {name: sku, logicalType: string}
      - {name: tags, logicalType: array, items: {logicalType: string}}
",
    ),
    (
        "sales/data/orders.json",
        "{\"id\": 1, \"region\": \"EU\", \"amount\": 1, \"parent\": null}\n",
    ),
    (
        "sales/data/lines.json",
        "{\"order_id\": 1, \"sku\": \"a\", \"tags\": [\"x\"]}\n",
    ),
];

/// `name←sources` for each column, then `…←influences`, without the domain.
async fn lineage(mesh: &Mesh, sql: &str) -> Vec<String> {
    let query = match mesh.session().plan(sql).await {
        Ok(query) => query,
        Err(error) => panic!("{sql}: {error}"),
    };
    let lineage = query.lineage();
    let text = |sources: &std::collections::BTreeSet<crate::SourceColumn>| {
        let each = sources.iter();
        let each = each.map(|it| format!("{}.{}", it.table.table, it.column));
        each.collect::<Vec<_>>().join(" ")
    };
    let columns = lineage.columns.iter();
    let mut lines: Vec<_> = columns
        .map(|column| format!("{}←{}", column.name, text(&column.sources)))
        .collect();
    lines.push(format!("…←{}", text(&lineage.influences)));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_passes_on_what_it_reads() {
    let mesh = mesh().await;
    for (sql, expected) in [
        ("SELECT 1 AS one", &["one←", "…←"][..]),
        (
            "SELECT id, region AS r FROM sales.orders",
            &["id←orders.id", "r←orders.region", "…←"],
        ),
        (
            "SELECT * FROM sales.lines",
            &[
                "order_id←lines.order_id",
                "sku←lines.sku",
                "tags←lines.tags",
                "…←",
            ],
        ),
        (
            "SELECT id + amount AS x, upper(region) || 'a' AS y FROM sales.orders",
            &["x←orders.id orders.amount", "y←orders.region", "…←"],
        ),
        (
            "SELECT id FROM sales.orders WHERE amount > 1 ORDER BY region LIMIT 1",
            &["id←orders.id", "…←orders.amount orders.region"],
        ),
        (
            "SELECT CASE WHEN amount > 1 THEN region END AS x FROM sales.orders",
            &["x←orders.amount orders.region", "…←"],
        ),
        (
            "SELECT region, sum(amount) AS s, count(*) AS n FROM sales.orders GROUP BY region HAVING max(id) > 1",
            &[
                "region←orders.region",
                "s←orders.amount",
                "n←",
                "…←orders.id orders.region",
            ],
        ),
        (
            "SELECT sum(amount) FILTER (WHERE id > 1) AS s FROM sales.orders",
            &["s←orders.amount orders.id", "…←"],
        ),
        (
            "SELECT region, parent, sum(amount) AS s FROM sales.orders GROUP BY ROLLUP (region, parent)",
            &[
                "region←orders.region",
                "parent←orders.parent",
                "s←orders.amount",
                "…←orders.parent orders.region",
            ],
        ),
        (
            "SELECT grouping(region) AS g FROM sales.orders GROUP BY CUBE (region)",
            &["g←orders.region", "…←orders.region"],
        ),
        (
            "SELECT id, row_number() OVER (PARTITION BY region ORDER BY amount) AS n FROM sales.orders",
            &["id←orders.id", "n←orders.amount orders.region", "…←"],
        ),
        (
            "SELECT o.region, l.sku FROM sales.orders o JOIN sales.lines l ON o.id = l.order_id AND o.amount > 1",
            &[
                "region←orders.region",
                "sku←lines.sku",
                "…←lines.order_id orders.amount orders.id",
            ],
        ),
        (
            "SELECT a.id, b.region FROM sales.orders a LEFT JOIN sales.orders b USING (parent)",
            &["id←orders.id", "region←orders.region", "…←orders.parent"],
        ),
        (
            "SELECT * FROM sales.orders a LEFT SEMI JOIN sales.lines b ON a.id = b.order_id",
            &[
                "id←orders.id",
                "region←orders.region",
                "amount←orders.amount",
                "parent←orders.parent",
                "…←lines.order_id orders.id",
            ],
        ),
        (
            "SELECT sku FROM sales.orders RIGHT ANTI JOIN sales.lines ON id = order_id",
            &["sku←lines.sku", "…←lines.order_id orders.id"],
        ),
        (
            "SELECT id AS x, region AS y FROM sales.orders UNION ALL SELECT order_id, sku FROM sales.lines",
            &[
                "x←lines.order_id orders.id",
                "y←lines.sku orders.region",
                "…←",
            ],
        ),
        (
            "SELECT region AS x FROM sales.orders UNION SELECT sku FROM sales.lines",
            &["x←lines.sku orders.region", "…←lines.sku orders.region"],
        ),
        (
            "SELECT DISTINCT region FROM sales.orders",
            &["region←orders.region", "…←orders.region"],
        ),
        (
            "SELECT DISTINCT ON (region) id, amount FROM sales.orders ORDER BY region, parent",
            &[
                "id←orders.id",
                "amount←orders.amount",
                "…←orders.parent orders.region",
            ],
        ),
        (
            "SELECT sku, unnest(tags) AS t FROM sales.lines",
            &["sku←lines.sku", "t←lines.tags", "…←lines.tags"],
        ),
        (
            "SELECT region FROM sales.orders INTERSECT SELECT sku FROM sales.lines",
            &["region←orders.region", "…←lines.sku orders.region"],
        ),
        (
            "SELECT cell_hidden(amount) AS h FROM sales.orders",
            &["h←orders.amount", "…←"],
        ),
        ("SELECT column1 AS x FROM (VALUES (1), (2))", &["x←", "…←"]),
        (
            "SELECT table_name FROM information_schema.tables",
            &["table_name←", "…←"],
        ),
        (
            "SELECT table_name, id FROM system.products JOIN sales.orders ON region = domain",
            &["table_name←", "id←orders.id", "…←orders.region"],
        ),
        ("EXPLAIN SELECT id FROM sales.orders", &["…←"]),
        ("DESCRIBE sales.orders", &["…←"]),
    ] {
        check(&mesh, sql, expected).await;
    }
}

async fn check(mesh: &Mesh, sql: &str, expected: &[&str]) {
    let mut found = lineage(mesh, sql).await;
    let mut expected: Vec<_> = expected.iter().map(|it| (*it).to_owned()).collect();
    for lines in [&mut found, &mut expected] {
        lines.iter_mut().for_each(sort_sources);
    }
    assert_eq!(found, expected, "{sql}");
}

/// Sources by name.
fn sort_sources(line: &mut String) {
    let (name, sources) = line.split_once('←').unwrap();
    let mut sources: Vec<_> = sources.split_whitespace().collect();
    sources.sort_unstable();
    *line = format!("{name}←{}", sources.join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_through_ctes_and_subqueries() {
    let mesh = mesh().await;
    for (sql, expected) in [
        (
            "WITH t AS (SELECT region AS r, amount * 2 AS a FROM sales.orders WHERE id > 1) SELECT r, max(a) AS m FROM t GROUP BY r",
            &[
                "r←orders.region",
                "m←orders.amount",
                "…←orders.id orders.region",
            ][..],
        ),
        (
            "WITH a AS (SELECT id AS x FROM sales.orders), b AS (SELECT x AS y FROM a) SELECT p.y, q.x FROM b p, a q",
            &["y←orders.id", "x←orders.id", "…←"],
        ),
        (
            "SELECT x.y FROM (SELECT sku AS y FROM sales.lines ORDER BY order_id LIMIT 5) x",
            &["y←lines.sku", "…←lines.order_id"],
        ),
        (
            "SELECT id, (SELECT max(sku) FROM sales.lines) AS s FROM sales.orders",
            &["id←orders.id", "s←lines.sku", "…←"],
        ),
        (
            "SELECT id, (SELECT max(sku) FROM sales.lines l WHERE l.order_id = o.id) AS s FROM sales.orders o",
            &["id←orders.id", "s←lines.sku", "…←lines.order_id orders.id"],
        ),
        (
            "SELECT region FROM sales.orders WHERE id IN (SELECT order_id FROM sales.lines WHERE sku = 'a')",
            &[
                "region←orders.region",
                "…←lines.order_id lines.sku orders.id",
            ],
        ),
        (
            "SELECT region FROM sales.orders o WHERE EXISTS (SELECT 1 FROM sales.lines l WHERE l.order_id = o.id)",
            &["region←orders.region", "…←lines.order_id orders.id"],
        ),
        (
            "SELECT region FROM sales.orders o WHERE amount > (SELECT count(*) FROM sales.lines l WHERE EXISTS (SELECT 1 FROM sales.orders p WHERE p.parent = l.order_id))",
            &[
                "region←orders.region",
                "…←lines.order_id orders.amount orders.parent",
            ],
        ),
        (
            "SELECT o.id, x.m FROM sales.orders o CROSS JOIN LATERAL (SELECT max(sku) AS m FROM sales.lines l WHERE l.order_id = o.id) x",
            &["id←orders.id", "m←lines.sku", "…←lines.order_id orders.id"],
        ),
        (
            "SELECT id FROM sales.orders ORDER BY (SELECT max(sku) FROM sales.lines)",
            &["id←orders.id", "…←lines.sku"],
        ),
    ] {
        check(&mesh, sql, expected).await;
    }
}

/// A column may come from one that only a later step brings in.
#[tokio::test(flavor = "multi_thread")]
async fn it_closes_recursive_queries() {
    let mesh = mesh().await;
    for (sql, expected) in [
        (
            "WITH RECURSIVE t AS (SELECT id, parent FROM sales.orders UNION ALL SELECT o.id, o.parent FROM sales.orders o JOIN t ON o.parent = t.id) SELECT id FROM t",
            &["id←orders.id", "…←orders.id orders.parent"][..],
        ),
        (
            "WITH RECURSIVE t(a, b, c) AS (SELECT id, amount, parent FROM sales.orders UNION ALL SELECT b, c, a FROM t WHERE a < 9) SELECT a FROM t",
            &[
                "a←orders.amount orders.id orders.parent",
                "…←orders.amount orders.id orders.parent",
            ],
        ),
        (
            "WITH RECURSIVE t(a, b) AS (SELECT 1, 2 UNION ALL SELECT t.b, o.amount FROM t JOIN sales.orders o ON o.id = t.a) SELECT a, b FROM t",
            &[
                "a←orders.amount",
                "b←orders.amount",
                "…←orders.amount orders.id",
            ],
        ),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < (SELECT max(amount) FROM sales.orders)) SELECT n FROM t",
            &["n←", "…←orders.amount"],
        ),
    ] {
        check(&mesh, sql, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_query_keeps_it_and_edges_list_it() {
    let mesh = mesh().await;
    let sql = "SELECT region FROM sales.orders WHERE id = $1";
    let query = mesh.session().plan(sql).await.unwrap();
    let before = query.lineage().as_ref().clone();
    let one = datafusion::common::ScalarValue::Int64(Some(1));
    let bound = query.bind(&[one]).await.unwrap();
    assert_eq!(*bound.lineage().as_ref(), before);
    let edges: Vec<_> = before
        .edges()
        .map(|(output, part, source)| {
            let output = output.map_or("*", |(_, name)| name);
            format!(
                "{output} {} {}.{}",
                part.as_str(),
                source.table,
                source.column
            )
        })
        .collect();
    assert_eq!(
        edges,
        [
            "region direct sales.orders.region",
            "* influences sales.orders.id"
        ]
    );
}
