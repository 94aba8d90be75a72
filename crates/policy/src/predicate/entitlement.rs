//! `column IN (SELECT key FROM domain.table WHERE …)`: membership in another
//! table, which is read as the system and not as the principal.

use arrow_schema::DataType;
use sha2::{Digest, Sha256};
use sqlparser::ast::{Expr, ObjectNamePart, Query, SelectItem, SetExpr, TableFactor};
use weft_mesh::{Domain, DomainName, Table, TableId};

use super::{
    Operand, RowPredicate,
    parse::{Scope, condition},
    syntax::{Problem, location},
    values::{Term, describe, term, widen},
};
use crate::{canonical::Canonical, scalar_type::common_type, suggest::did_you_mean};

/// The keys of a table's rows. Only whether a value is among them is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entitlement {
    /// The table, of which no decision is made: it is read whole.
    pub table: TableId,
    /// The key: a column of that table, widened to the type of what is looked
    /// up. Of a type whose equality is exact, so no float.
    pub key: Operand,
    /// Which rows count: those where it is TRUE.
    pub rows: Box<RowPredicate>,
}

/// The tables that a predicate may look membership up in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entitlements<'a> {
    /// Whose predicate it is; `None` is the mesh, which may read any domain.
    pub(crate) reader: Option<&'a DomainName>,
    pub(crate) domains: &'a [&'a Domain],
}

impl<'a> Entitlements<'a> {
    /// A domain reads its own tables and those that another lends it: with
    /// any other, it could learn its content by granting itself rows.
    fn resolve(&self, domain: &str, name: &str) -> Result<(TableId, &'a Table), Problem> {
        let spelt = format!("{domain}.{name}");
        let unknown = |help: Option<String>| {
            let problem = Problem::new("unknown-table", format!("there is no table `{spelt}`"));
            match help {
                Some(help) => problem.with_help(help),
                None => problem,
            }
        };
        let Some(owner) = self.domains.iter().find(|it| it.name.as_str() == domain) else {
            let names = self.domains.iter().map(|it| it.name.as_str());
            return Err(unknown(did_you_mean(domain, names)));
        };
        let Some(table) = owner.table(name) else {
            let names = owner.tables.iter().map(|it| it.name.as_str());
            return Err(unknown(did_you_mean(name, names)));
        };
        let own = self.reader.is_none_or(|reader| *reader == owner.name);
        let lent = || {
            owner
                .entitlements
                .iter()
                .any(|lent| table.is_called(&lent.value))
        };
        if !own && !lent() {
            return Err(Problem::new(
                "entitlement-not-lent",
                format!("domain `{domain}` does not lend `{spelt}` to predicates of others"),
            )
            .with_help(format!(
                "its owner may add `entitlements: [{name}]` to its domain.yaml"
            )));
        }
        Ok((table.id(&owner.name), table))
    }
}

/// Reads `expr IN (subquery)`.
pub(super) fn in_subquery(
    expr: &Expr,
    subquery: &Query,
    negated: bool,
    scope: Scope<'_>,
    depth: usize,
) -> Result<RowPredicate, Vec<Problem>> {
    let at = |problem: Problem| vec![problem.at(location(expr))];
    let refused = |message: &str, help: &str| {
        at(Problem::new("predicate-not-allowed", message).with_help(help))
    };
    if negated || !scope.positive {
        return Err(refused(
            "`IN (SELECT …)` is allowed where it lets rows in, not under NOT or IS",
            "say what is let in: a table of those who may not is easily incomplete",
        ));
    }
    let Some(entitlements) = scope.entitlements else {
        return Err(refused(
            "`IN (SELECT …)` inside of another is not allowed",
            "keep one table that says it all",
        ));
    };
    let Some((domain, name, key, rows)) = parts(subquery) else {
        return Err(refused(
            "the subquery of IN is not `SELECT column FROM domain.table WHERE condition`",
            "write exactly that: one column, one table with its domain, and no other clause",
        ));
    };
    let (id, table) = entitlements.resolve(domain, name).map_err(at)?;
    let inner = Scope {
        table,
        entitlements: None,
        positive: true,
    };
    let rows = match rows {
        Some(rows) => condition(rows, inner, depth + 1)?,
        None => RowPredicate::Literal(Some(true)),
    };
    let typed = |expr: &Expr, table: &Table| match term(expr, table) {
        Ok(Term::Typed(operand)) if operand.reads_row() => Ok(operand),
        Ok(_) => Err(refused(
            "IN (SELECT …) takes a column on both sides",
            "compare session values inside: `WHERE user = session.user`",
        )),
        Err(problem) => Err(vec![problem]),
    };
    let (operand, key) = (typed(expr, scope.table)?, typed(key, table)?);
    let common = common_type(&operand.data_type(), &key.data_type());
    let Some(common) = common.filter(|common| !is_float(common)) else {
        return Err(at(Problem::new(
            "predicate-type",
            format!("{}, but {} of `{id}`", describe(&operand), describe(&key)),
        )
        .with_help("look up a column of the same type, and not a float")));
    };
    let entitlement = Entitlement {
        table: id,
        key: widen(key, &common),
        rows: Box::new(rows),
    };
    Ok(RowPredicate::InEntitlement {
        operand: widen(operand, &common),
        entitlement: Box::new(entitlement),
    })
}

/// Domain, table, column and condition, if the query has nothing else.
fn parts(query: &Query) -> Option<(&str, &str, &Expr, Option<&Expr>)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [SelectItem::UnnamedExpr(key @ Expr::Identifier(_))] = select.projection.as_slice() else {
        return None;
    };
    let [from] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::Table { name, .. } = &from.relation else {
        return None;
    };
    let [
        ObjectNamePart::Identifier(domain),
        ObjectNamePart::Identifier(table),
    ] = name.0.as_slice()
    else {
        return None;
    };
    // Whatever else the query says would be in its text.
    let mut plain = format!("SELECT {key} FROM {name}");
    if let Some(rows) = &select.selection {
        plain.push_str(&format!(" WHERE {rows}"));
    }
    (query.to_string() == plain).then_some(())?;
    Some((&domain.value, &table.value, key, select.selection.as_ref()))
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

impl Entitlement {
    /// SHA-256 of this lookup of `operand`: equal lookups have equal digests.
    pub fn digest(&self, operand: &Operand) -> [u8; 32] {
        let mut out = Canonical::new("weft entitlement v1");
        operand.encode(&mut out);
        self.encode(&mut out);
        Sha256::digest(out.as_bytes()).into()
    }

    pub(super) fn encode(&self, out: &mut Canonical) {
        out.text(&self.table.to_string());
        out.number(self.table.major);
        self.key.encode(out);
        self.rows.encode(out);
    }
}
