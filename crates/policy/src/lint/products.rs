//! What a domain says of itself and of its products.

use weft_mesh::{Column, Domain, Fault, Table};

use super::list;

/// Tags that mark personal data, in any case of letters.
const PERSONAL: [&str; 6] = [
    "pii",
    "personal",
    "personal-data",
    "personal_data",
    "phi",
    "gdpr",
];

pub(super) fn check(domain: &Domain, found: &mut Vec<Fault>) {
    let name = &domain.name;
    if domain.owner.is_none() {
        found.push(
            Fault::warning(
                domain.span.clone(),
                "no-owner",
                format!("domain `{name}` has no owner: who is refused is told whom to ask, and there is nobody"),
            )
            .with_help("add `owner:` with a team and how to reach it"),
        );
    }
    if domain.stewards.is_empty() {
        found.push(
            Fault::warning(
                domain.span.clone(),
                "no-stewards",
                format!("domain `{name}` has no stewards: nobody but auditors may ask why others see what they see of it"),
            )
            .with_help("add `stewards: [group:…]`; it gives them no data"),
        );
    }
    for table in &domain.tables {
        check_table(domain, table, found);
    }
}

fn check_table(domain: &Domain, table: &Table, found: &mut Vec<Fault>) {
    let id = format!("{}.{}", domain.name, table.name);
    if table.description.is_none() {
        found.push(
            Fault::warning(
                table.span.clone(),
                "no-description",
                format!("`{id}` has no description: who finds it cannot tell what it holds, or what one row is"),
            )
            .with_help("add `description:` to the schema object, or `purpose` to the contract's"),
        );
    }
    let is_undescribed = |column: &&Column| column.description.is_none();
    let undescribed = table.columns.iter().filter(is_undescribed);
    let undescribed: Vec<&str> = undescribed.map(|column| column.name.as_str()).collect();
    if !undescribed.is_empty() {
        found.push(
            Fault::warning(
                table.span.clone(),
                "no-description",
                format!(
                    "columns of `{id}` have no description: {}; users in other domains have nobody beside them who knows",
                    list(&undescribed)
                ),
            )
            .with_help("add `description:` to each: unit, where the values come from, what NULL means"),
        );
    }
    if table.service_levels.is_empty() {
        found.push(
            Fault::warning(
                table.span.clone(),
                "no-service-level",
                format!("the contract of `{id}` promises no service level: who builds on it cannot know how fresh it is, or for how long it will be there"),
            )
            .with_help("add `slaProperties:`, as in `{property: freshness, value: 1, unit: d}`"),
        );
    }
    check_marks(&id, table, found);
}

/// Beside personal data a column without a mark is one that nobody has looked
/// at: guardrails go by marks, and do not see it.
fn check_marks(id: &str, table: &Table, found: &mut Vec<Fault>) {
    let Some(personal) = table.columns.iter().find(|column| is_personal(column)) else {
        return;
    };
    let unmarked = table.columns.iter().filter(|column| {
        let inside = &column.inside;
        column.tags.is_empty()
            && column.classification.is_none()
            && inside.tags.is_empty()
            && inside.classifications.is_empty()
    });
    for column in unmarked {
        found.push(
            Fault::warning(
                column.span.clone(),
                "unclassified-column",
                format!(
                    "column `{}` of `{id}` has neither tag nor classification, beside personal data in `{}`: guardrails go by these, and pass it over",
                    column.name, personal.name
                ),
            )
            .with_help("add `classification:` (public, internal, confidential, restricted) or `tags:`"),
        );
    }
}

fn is_personal(column: &Column) -> bool {
    let mut tags = column.tags.iter().chain(&column.inside.tags);
    tags.any(|tag| PERSONAL.contains(&tag.to_lowercase().as_str()))
}
