//! Entitlements inside the seal: membership in another table as one join.
//!
//! ```text
//! WHERE id IN (SELECT k FROM sales.e WHERE u = 'ana') OR region = 'EU'
//!
//! FilterExec: member.key IS NOT NULL OR region = 'EU'
//!   HashJoinExec: Right, key = id
//!     AggregateExec: DISTINCT k         the entitlement, read as the system
//!       FilterExec: u = 'ana'
//!     DataSourceExec: the raw table, streamed
//! ```
//!
//! The keys are distinct and none is NULL, so a raw row meets at most one and
//! the join neither drops nor repeats rows; equality of keys is total.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlanBuilder, lit};
use weft_policy::{ColumnAccess, Entitlement, Exposure, Operand, RowPredicate, TableAccess};

use super::lower::{self, RAW};
use super::unparsed;
use crate::mesh_snapshot::MeshSnapshot;
use crate::product::ProductTable;

/// The tables that an access looks membership up in. One that the mesh does
/// not hold, or holds without the key, has no members.
#[derive(Clone, Default)]
pub(crate) struct EntitlementTables(Vec<Arc<ProductTable>>);

impl EntitlementTables {
    /// Every table that `access` may ask.
    pub(crate) fn of(access: &TableAccess, snapshot: &MeshSnapshot) -> Self {
        let mut tables: Vec<Arc<ProductTable>> = Vec::new();
        for_each(
            access.rows.as_ref(),
            &access.columns,
            &mut |_, entitlement| {
                if let Some(product) = snapshot.product(&entitlement.table)
                    && !tables.iter().any(|known| Arc::ptr_eq(known, product))
                {
                    tables.push(Arc::clone(product));
                }
            },
        );
        Self(tables)
    }

    pub(crate) fn products(&self) -> &[Arc<ProductTable>] {
        &self.0
    }

    /// Equal for equal files of all of them.
    pub(crate) fn listings(&self) -> Vec<Option<u64>> {
        let listing = |it: &Arc<ProductTable>| Some(it.data().ok()?.id());
        self.0.iter().map(listing).collect()
    }

    fn holding(&self, entitlement: &Entitlement) -> Option<&Arc<ProductTable>> {
        let product = self.0.iter().find(|it| *it.id() == entitlement.table)?;
        let mut read = vec![&entitlement.key];
        entitlement.rows.for_each_leaf(&mut |leaf| read.push(leaf));
        read.into_iter()
            .all(|leaf| is_held(leaf, product))
            .then_some(product)
    }

    /// `plan` with a column for each entitlement that the rows and these
    /// columns ask: NULL where the row is not a member.
    pub(crate) fn join<'a>(
        &self,
        mut plan: LogicalPlanBuilder,
        rows: Option<&'a RowPredicate>,
        columns: impl IntoIterator<Item = &'a ColumnAccess>,
    ) -> Result<LogicalPlanBuilder> {
        let mut lookups: Vec<(String, &Operand, &Entitlement)> = Vec::new();
        for_each(rows, columns, &mut |operand, entitlement| {
            let name = name(operand, entitlement);
            if !lookups.iter().any(|(known, ..)| *known == name) {
                lookups.push((name, operand, entitlement));
            }
        });
        for (name, operand, entitlement) in lookups {
            let Some(product) = self.holding(entitlement) else {
                continue;
            };
            let keys = keys(product, entitlement, &name)?;
            let on = (
                vec![member(operand, entitlement)],
                vec![lower::operand(operand)],
            );
            plan = keys.join_with_expr_keys(plan.build()?, JoinType::Right, on, None)?;
        }
        Ok(plan)
    }

    /// Whether the row is a member, as an expression over a plan of
    /// [`Self::join`].
    pub(crate) fn is_member(&self, operand: &Operand, entitlement: &Entitlement) -> Expr {
        match self.holding(entitlement) {
            Some(_) => member(operand, entitlement).is_not_null(),
            None => lit(ScalarValue::Boolean(Some(false))),
        }
    }
}

/// The distinct keys of the entitlement's rows, under the name of the lookup.
fn keys(
    product: &Arc<ProductTable>,
    entitlement: &Entitlement,
    name: &str,
) -> Result<LogicalPlanBuilder> {
    let source = provider_as_source(Arc::clone(product) as Arc<dyn TableProvider>);
    let key = lower::operand(&entitlement.key);
    // There are no entitlements within one.
    let rows = lower::predicate(&entitlement.rows, &EntitlementTables::default());
    let rows = unparsed::guarded(rows, &product.schema())?;
    LogicalPlanBuilder::scan(RAW, source, None)?
        .filter(rows.and(key.clone().is_not_null()))?
        .project([key.alias(KEY)])?
        .distinct()?
        .alias(name)
}

/// No column of a contract is called so: it has a control character.
const KEY: &str = "member\u{1}key";

fn member(operand: &Operand, entitlement: &Entitlement) -> Expr {
    Expr::Column(Column::new(Some(name(operand, entitlement)), KEY))
}

/// One lookup, one name, wherever it is asked.
fn name(operand: &Operand, entitlement: &Entitlement) -> String {
    let digest = entitlement.digest(operand);
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("member_{hex}")
}

/// Whether the listing has the column as the policy read it in the contract.
fn is_held(leaf: &Operand, product: &ProductTable) -> bool {
    match leaf {
        Operand::Column {
            name, data_type, ..
        } => product
            .table()
            .column(name)
            .is_some_and(|column| column.data_type == *data_type),
        Operand::Widen(inner, _) | Operand::Lower(inner) | Operand::Upper(inner) => {
            is_held(inner, product)
        }
        Operand::Literal(_) | Operand::User | Operand::Purpose | Operand::Attr(_) => true,
    }
}

fn for_each<'a>(
    rows: Option<&'a RowPredicate>,
    columns: impl IntoIterator<Item = &'a ColumnAccess>,
    visit: &mut impl FnMut(&'a Operand, &'a Entitlement),
) {
    if let Some(rows) = rows {
        rows.for_each_entitlement(visit);
    }
    for column in columns {
        if let Exposure::Cells(rules) = &column.exposure {
            for when in rules.iter().filter_map(|rule| rule.when.as_ref()) {
                when.for_each_entitlement(visit);
            }
        }
    }
}
