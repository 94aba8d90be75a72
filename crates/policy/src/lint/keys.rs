//! Keys that join products across domains.

use std::collections::BTreeMap;

use weft_mesh::{Column, Domain, Fault, Table};

/// A column that is the whole key of one product should have its type wherever
/// it goes. A name that is the key of several products (`id`) is none of theirs.
pub(super) fn check(domains: &[&Domain], found: &mut Vec<Fault>) {
    let tables = || {
        let tables = domains.iter().copied();
        tables.flat_map(|domain| domain.tables.iter().map(move |table| (domain, table)))
    };
    let mut keys: BTreeMap<&str, Vec<(&Domain, &Table, &Column)>> = BTreeMap::new();
    for (domain, table) in tables().filter(|(_, table)| table.newest) {
        if let [key] = table.primary_key().as_slice() {
            keys.entry(&key.name)
                .or_default()
                .push((domain, table, key));
        }
    }
    for (domain, table) in tables() {
        for column in &table.columns {
            let Some([(owner, product, key)]) = keys.get(column.name.as_str()).map(Vec::as_slice)
            else {
                continue;
            };
            let is_own = owner.name == domain.name && product.name == table.name;
            if is_own || column.data_type == key.data_type {
                continue;
            }
            found.push(
                Fault::warning(
                    column.span.clone(),
                    "key-type",
                    format!(
                        "`{}.{}.{}` is {}, and the key `{}.{}.{}` is {}: who joins the two has to convert one, and values that do not fit never meet",
                        domain.name,
                        table.name,
                        column.name,
                        column.data_type,
                        owner.name,
                        product.name,
                        key.name,
                        key.data_type,
                    ),
                )
                .with_help("give both the same `physicalType`, or the column another name if it is another thing"),
            );
        }
    }
}
