//! Grants that give too much, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use weft_mesh::{Column, Domain, Fault, GrantManifest, Grantee, Mesh};

use super::list;
use crate::{
    ColumnMask, CompareOp, DomainPolicy, Operand, RowPredicate, domain_policy::TableGrant,
};

/// The classification that is not for everyone, beside those of which the mesh
/// requires tests.
const RESTRICTED: &str = "restricted";

/// Restricted columns that everybody sees of others.
pub(super) fn refuse_everyone(
    mesh: &Mesh,
    domain: &Domain,
    policy: &DomainPolicy,
    found: &mut Vec<Fault>,
) {
    for grant in &domain.grants {
        let Some(to) = grant.to.iter().find(|to| to.value == Grantee::Everyone) else {
            continue;
        };
        for table in &domain.tables {
            let given = policy.table(&table.id(&domain.name));
            let grants = given.iter().flat_map(|given| &given.grants);
            for given in grants.filter(|it| *it.name == *grant.name.value) {
                if given.rows.as_deref().is_some_and(is_ones_own) {
                    continue;
                }
                let shown = |at: &&usize| !is_empty(given.mask(**at));
                let columns = given.columns.iter().filter(shown);
                let columns = columns.filter_map(|at| table.columns.get(*at));
                let restricted = columns.filter(|column| is_restricted(mesh, column));
                let restricted: Vec<&str> = restricted.map(|it| it.name.as_str()).collect();
                if restricted.is_empty() {
                    continue;
                }
                let message = format!(
                    "grant `{}` gives everyone restricted columns of `{}.{}`: {}; what all may see is not restricted",
                    grant.name.value,
                    domain.name,
                    table.name,
                    list(&restricted)
                );
                found.push(
                    Fault::warning(to.span.clone(), "restricted-for-everyone", message).with_help(
                        "name a group, leave the columns out, or show each one's own rows alone: `rows: \"login = session.user\"`",
                    ),
                );
            }
        }
    }
}

fn is_restricted(mesh: &Mesh, column: &Column) -> bool {
    let required = mesh.require.access_tests.iter().map(|it| it.value.as_str());
    let words: Vec<String> = required
        .chain([RESTRICTED])
        .map(str::to_lowercase)
        .collect();
    let inside = &column.inside.classifications;
    let mut marks = column.classification.iter().chain(inside);
    marks.any(|mark| words.contains(&mark.to_lowercase()))
}

/// Whether a mask leaves nothing of the value.
fn is_empty(mask: Option<&ColumnMask>) -> bool {
    matches!(mask, Some(ColumnMask::Nullify | ColumnMask::Fixed(_)))
}

/// Whether a predicate is only TRUE on rows of whoever asks.
fn is_ones_own(rows: &RowPredicate) -> bool {
    match rows {
        RowPredicate::And(parts) => parts.iter().any(is_ones_own),
        RowPredicate::Or(parts) => parts.iter().all(is_ones_own),
        RowPredicate::Compare {
            left,
            op: CompareOp::Eq,
            right,
        } => is_user(left) != is_user(right) && (reads_row(left) || reads_row(right)),
        RowPredicate::InEntitlement { entitlement, .. } => is_ones_own(&entitlement.rows),
        RowPredicate::Literal(Some(true))
        | RowPredicate::Bool(_)
        | RowPredicate::Compare { .. }
        | RowPredicate::InList { .. }
        | RowPredicate::IsNull { .. }
        | RowPredicate::IsTruth { .. }
        | RowPredicate::Like { .. }
        | RowPredicate::StartsWith { .. }
        | RowPredicate::InGroup(_)
        | RowPredicate::Not(_) => false,
        RowPredicate::Literal(Some(false) | None) => true,
    }
}

fn is_user(operand: &Operand) -> bool {
    any_leaf(operand, |leaf| matches!(leaf, Operand::User))
}

fn reads_row(operand: &Operand) -> bool {
    any_leaf(operand, |leaf| matches!(leaf, Operand::Column { .. }))
}

fn any_leaf(operand: &Operand, is: fn(&Operand) -> bool) -> bool {
    match operand {
        Operand::Lower(inner) | Operand::Upper(inner) | Operand::Widen(inner, _) => {
            any_leaf(inner, is)
        }
        Operand::Column { .. }
        | Operand::Literal(_)
        | Operand::User
        | Operand::Purpose
        | Operand::Attr(_) => is(operand),
    }
}

/// A grant on one table, with whom it is to.
struct Given<'a> {
    grant: &'a TableGrant,
    to: BTreeSet<&'a Grantee>,
    /// In the file.
    position: usize,
}

/// Grants all of which others give as well.
pub(super) fn refuse_needless(domain: &Domain, policy: &DomainPolicy, found: &mut Vec<Fault>) {
    let manifests: BTreeMap<&str, (usize, &GrantManifest)> = domain
        .grants
        .iter()
        .enumerate()
        .map(|(position, grant)| (grant.name.value.as_str(), (position, grant)))
        .collect();
    // Of each grant that is covered on every table so far: by which others.
    let mut covered: BTreeMap<usize, Option<BTreeSet<&str>>> = BTreeMap::new();
    for table in &domain.tables {
        let Some(table) = policy.table(&table.id(&domain.name)) else {
            continue;
        };
        let given = table.grants.iter().filter_map(|grant| {
            let (position, manifest) = manifests.get(&*grant.name)?;
            Some(Given {
                grant,
                to: manifest.to.iter().map(|to| &to.value).collect(),
                position: *position,
            })
        });
        let given: Vec<Given<'_>> = given.collect();
        for one in &given {
            let covering = given.iter().find(|other| {
                let is_first = other.position < one.position || !covers(one, other);
                other.position != one.position && covers(other, one) && is_first
            });
            let so_far = covered
                .entry(one.position)
                .or_insert_with(|| Some(BTreeSet::new()));
            match (covering, so_far.as_mut()) {
                (Some(covering), Some(others)) => {
                    others.insert(&covering.grant.name);
                }
                (None, Some(_)) => *so_far = None,
                (_, None) => {}
            }
        }
    }
    for (position, others) in covered {
        let (Some(grant), Some(others)) = (domain.grants.get(position), others) else {
            continue;
        };
        let others: Vec<&str> = others.into_iter().collect();
        let message = format!(
            "grant `{}` adds nothing to {}: whoever takes it away to take access away will take away nothing",
            grant.name.value,
            list(&others)
        );
        found.push(
            Fault::warning(grant.name.span.clone(), "needless-grant", message)
                .with_help("remove it, or narrow the other"),
        );
    }
}

/// Whether `wide` gives all that `narrow` gives, to all to whom it does,
/// whenever it does.
fn covers(wide: &Given<'_>, narrow: &Given<'_>) -> bool {
    let reached = wide.to.contains(&Grantee::Everyone) || narrow.to.is_subset(&wide.to);
    reached
        && is_as_long(wide.grant, narrow.grant)
        && is_for_as_much(wide.grant, narrow.grant)
        && gives_as_much(wide.grant, narrow.grant)
}

fn is_as_long(wide: &TableGrant, narrow: &TableGrant) -> bool {
    let begins = wide
        .from
        .is_none_or(|from| narrow.from.is_some_and(|it| it >= from));
    let ends = wide
        .until
        .is_none_or(|until| narrow.until.is_some_and(|it| it <= until));
    begins && ends
}

fn is_for_as_much(wide: &TableGrant, narrow: &TableGrant) -> bool {
    let (wide, narrow) = (&wide.purposes, &narrow.purposes);
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|it| wide.contains(it)))
}

fn gives_as_much(wide: &TableGrant, narrow: &TableGrant) -> bool {
    // To be found is another thing than to be read.
    if wide.only_discovers() != narrow.only_discovers() {
        return false;
    }
    let as_clear = |at: &usize| match (wide.mask(*at), narrow.mask(*at)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one.cmp_revealing(other).is_le(),
    };
    narrow
        .columns
        .iter()
        .all(|at| wide.columns.binary_search(at).is_ok() && as_clear(at))
        && (wide.rows.is_none() || wide.rows == narrow.rows)
}
