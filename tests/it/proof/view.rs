//! The control: the policy in the way of a view, over the raw rows.
//!
//! What fails here and has an answer on the copy has met a hidden value. A
//! proof whose queries a view would pass could not tell a seal from one.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::files;
use super::interpreter::lens;
use super::model::{Effect, GROUP, Grant, MEMBERS, Pred, REGION, Table, USER, Value, World};
use super::run::Plain;

/// Every visible table as a view; masked cells are NULL.
#[expect(clippy::disallowed_methods, reason = "the leaky way on purpose")]
pub(super) async fn open(world: &World) -> Plain {
    let config = SessionConfig::new()
        .with_target_partitions(world.partitions)
        .with_batch_size(world.batch_size)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("acme", "");
    let context = SessionContext::new_with_config(config);
    let catalog = MemoryCatalogProvider::new();
    for domain in ["d0", "d1", "raw"] {
        let schema = Arc::new(MemorySchemaProvider::new());
        catalog.register_schema(domain, schema).unwrap();
    }
    let catalog = Arc::new(catalog);
    context.register_catalog("acme", Arc::clone(&catalog) as Arc<dyn CatalogProvider>);
    for table in &world.tables {
        let columns: Vec<_> = table.columns.iter().map(|it| (it.name, it.of)).collect();
        let batch: RecordBatch = files::batch(&columns, &table.rows, true);
        let held = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        let register = |schema: &str, it| {
            let schema = catalog.schema(schema).unwrap();
            schema.register_table(table.name.to_owned(), it).unwrap();
        };
        register("raw", Arc::new(held));
        if let Some(sql) = definition(world, table) {
            register(table.domain, context.sql(&sql).await.unwrap().into_view());
        }
    }
    Plain::of(context)
}

fn definition(world: &World, table: &Table) -> Option<String> {
    let lens = lens(world, table)?;
    let rows = |grant: &&&Grant| {
        grant
            .rows
            .as_ref()
            .map_or_else(|| "true".to_owned(), |it| bound(world, it))
    };
    let all: Vec<String> = lens.grants().iter().map(|it| rows(&it)).collect();
    let mut filters = vec![format!("({})", all.join(" OR "))];
    for rail in lens.row_rails() {
        if let Effect::Rows(pred) = &rail.effect {
            filters.push(format!("({})", bound(world, pred)));
        }
    }
    let items = lens.shown().iter().map(|(name, of)| {
        let clear = lens.clear_grants(name);
        let raw = table.columns.iter().find(|it| it.name == *name).unwrap().of;
        let value = if raw == *of {
            (*name).to_owned()
        } else {
            format!("CAST({name} AS VARCHAR)")
        };
        if clear.len() == lens.grants().len() {
            return format!("{value} AS {name}");
        }
        let clear: Vec<String> = clear.iter().map(|it| rows(&it)).collect();
        let when = if clear.is_empty() {
            "false".to_owned()
        } else {
            clear.join(" OR ")
        };
        format!("CASE WHEN {when} THEN {value} END AS {name}")
    });
    let items: Vec<String> = items.collect();
    Some(format!(
        "SELECT {} FROM raw.{} WHERE {}",
        items.join(", "),
        table.name,
        filters.join(" AND ")
    ))
}

/// A predicate with the session's values in it.
fn bound(world: &World, pred: &Pred) -> String {
    let joined = |parts: &[Pred], word: &str| {
        let parts: Vec<_> = parts
            .iter()
            .map(|it| format!("({})", bound(world, it)))
            .collect();
        parts.join(word)
    };
    match pred {
        Pred::Attr(column, "region") => format!("{column} = '{REGION}'"),
        Pred::Attr(..) => "CAST(NULL AS BOOLEAN)".to_owned(),
        Pred::InGroup(group) => (*group == GROUP).to_string(),
        Pred::Purpose(purpose) => (world.purpose == Some(*purpose)).to_string(),
        Pred::Member(column, _) => {
            let members = world.tables.iter().find(|it| it.name == MEMBERS);
            let keys: Vec<String> = members
                .into_iter()
                .flat_map(|it| &it.rows)
                .filter(|row| row[0] == Value::Text(USER.to_owned()) && row[1] != Value::Null)
                .map(|row| row[1].to_string())
                .collect();
            if keys.is_empty() {
                "false".to_owned()
            } else {
                format!("{column} IN ({})", keys.join(", "))
            }
        }
        Pred::Not(inner) => format!("NOT ({})", bound(world, inner)),
        Pred::And(parts) => joined(parts, " AND "),
        Pred::Or(parts) => joined(parts, " OR "),
        plain => plain.to_string(),
    }
}
