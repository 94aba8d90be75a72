//! The access model, read from manifests a row at a time: what decisions are
//! held against. It knows nothing of how they are made.

use std::cmp::Ordering;

use datafusion_common::ScalarValue;
use weft_mesh::{
    ColumnSelection, Domain, GrantManifest, Grantee, GuardrailEffect, GuardrailManifest,
    GuardrailTarget, Spanned, Table,
};

use super::interpreter::{Cell, eval};
use crate::{ColumnMask, PrincipalKind, RowPredicate, Viewer, predicate::Entitlements};

/// All cells of a row: `None` where it is hidden, or the column does not exist.
pub(crate) type Seen = Option<Vec<Option<Cell>>>;

/// What `viewer` sees of a row of the domain's first table.
pub(crate) fn expected(
    domain: &Domain,
    guardrails: &[GuardrailManifest],
    viewer: &Viewer,
    row: &[ScalarValue],
) -> Seen {
    let table = &domain.tables[0];
    let binding: Vec<&GuardrailEffect> = guardrails
        .iter()
        .filter(|it| !names(&it.except, viewer))
        .map(|it| &it.effect)
        .collect();
    let active: Vec<&GrantManifest> = domain
        .grants
        .iter()
        .filter(|it| is_active(it, viewer))
        .collect();
    let holding: Vec<&GrantManifest> = active
        .iter()
        .copied()
        .filter(|it| {
            it.rows
                .as_ref()
                .is_none_or(|rows| holds(rows, domain, viewer, row))
        })
        .collect();

    // 1. Row.
    let passes = |effect: &&GuardrailEffect| match effect {
        GuardrailEffect::Rows { on, rows } => {
            !touched(on, domain, table).contains(&true) || holds(rows, domain, viewer, row)
        }
        _ => true,
    };
    if holding.is_empty() || !binding.iter().all(passes) {
        return None;
    }
    // 3. Schema, and 2. Cell.
    let cells = (0..table.columns.len()).map(|at| {
        let denied = |effect: &&GuardrailEffect| match effect {
            GuardrailEffect::Deny { on } => touched(on, domain, table)[at],
            GuardrailEffect::RequirePurpose { on } => {
                viewer.purpose.is_none() && touched(on, domain, table)[at]
            }
            _ => false,
        };
        if binding.iter().any(denied) || !active.iter().any(|it| gives(it, table, at).is_some()) {
            return None;
        }
        let shown = holding.iter().filter_map(|it| gives(it, table, at));
        let granted = shown.max_by(amount_shown).unwrap_or(Cell::Hidden);
        let floors = binding.iter().filter_map(|effect| match effect {
            GuardrailEffect::Mask { on, mask } if touched(on, domain, table)[at] => {
                let mask = ColumnMask::parse(&mask.value, &table.columns[at]);
                Some(Cell::Masked(mask.unwrap_or(ColumnMask::Nullify)))
            }
            _ => None,
        });
        floors.chain([granted]).min_by(amount_shown)
    });
    let cells: Vec<Option<Cell>> = cells.collect();
    // 5. Table.
    cells.iter().any(Option::is_some).then_some(cells)
}

/// How much of a cell is shown; more is greater.
pub(crate) fn amount_shown(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Masked(a), Cell::Masked(b)) => b.cmp_revealing(a),
        (a, b) => {
            let rank = |cell: &Cell| match cell {
                Cell::Hidden => 0,
                Cell::Masked(_) => 1,
                Cell::Clear => 2,
            };
            rank(a).cmp(&rank(b))
        }
    }
}

/// Whether the viewer is one of these.
pub(crate) fn names(grantees: &[Spanned<Grantee>], viewer: &Viewer) -> bool {
    let (kind, name) = (viewer.principal.id().kind, viewer.principal.name());
    grantees.iter().any(|it| match &it.value {
        Grantee::User(user) => kind == PrincipalKind::User && user == name,
        Grantee::Service(service) => kind == PrincipalKind::Service && service == name,
        Grantee::Group(group) => viewer.principal.is_in(group),
        Grantee::Everyone => true,
    })
}

pub(crate) fn is_active(grant: &GrantManifest, viewer: &Viewer) -> bool {
    let purposes: Vec<_> = grant.purposes.iter().map(|it| &it.value).collect();
    names(&grant.to, viewer)
        && grant.from.is_none_or(|from| from <= viewer.now)
        && grant.until.is_none_or(|until| viewer.now < until)
        && (purposes.is_empty() || viewer.purpose.iter().any(|it| purposes.contains(&it)))
}

/// What a grant shows of a column on rows where it holds.
pub(crate) fn gives(grant: &GrantManifest, table: &Table, at: usize) -> Option<Cell> {
    let ColumnSelection::Only(given) = &grant.columns else {
        panic!("only lists are generated")
    };
    let column = &table.columns[at];
    given.iter().find(|name| name.value == column.name)?;
    let mut masks = grant.masks.iter();
    Some(match masks.find(|(name, _)| name.value == column.name) {
        Some((_, mask)) => Cell::Masked(ColumnMask::parse(&mask.value, column).unwrap()),
        None => Cell::Clear,
    })
}

/// Whether a predicate is TRUE; one that does not fit the table never is.
pub(crate) fn holds(
    rows: &Spanned<String>,
    domain: &Domain,
    viewer: &Viewer,
    row: &[ScalarValue],
) -> bool {
    let entitlements = Entitlements {
        reader: None,
        domains: &[domain],
    };
    RowPredicate::parse(&rows.value, &rows.span, &domain.tables[0], entitlements)
        .is_ok_and(|predicate| eval(&predicate, row, viewer) == Some(true))
}

/// Which columns a guardrail is on: those that every given key matches; all,
/// where it names the table and a column that the table has not.
fn touched(on: &GuardrailTarget, domain: &Domain, table: &Table) -> Vec<bool> {
    let any = |given: &[Spanned<String>], is: &dyn Fn(&str) -> bool| {
        given.is_empty() || given.iter().any(|it| is(&it.value))
    };
    let names_table = |pattern: &str| ["sales.orders", "sales.orders@1"].contains(&pattern);
    let patterns: Vec<String> = on.tables.iter().map(|it| it.value.to_string()).collect();
    let covered = any(&on.domains, &|name| name == domain.name.as_str())
        && (patterns.is_empty() || patterns.iter().any(|it| it == "sales.*" || names_table(it)));
    let lacks = patterns.iter().any(|it| names_table(it))
        && on
            .columns
            .iter()
            .any(|name| table.column(&name.value).is_none());
    let columns = table.columns.iter().map(|column| {
        any(&on.columns, &|name| name == column.name)
            && any(&on.tags, &|tag| {
                [&column.tags, &column.inside.tags, &table.tags]
                    .iter()
                    .any(|it| it.contains(tag))
            })
            && any(&on.classification, &|class| {
                column.classification.as_deref() == Some(class)
                    || column.inside.classifications.contains(class)
            })
    });
    columns
        .map(|matches| covered && (lacks || matches))
        .collect()
}
