//! Which columns of data products the columns of a result come from.
//!
//! Read off the logical plan as the statement has it, before any rule: what a
//! rule would remove, the statement still asked for.

mod expressions;
mod flow;
mod recursion;
mod sources;

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;
use weft_mesh::TableId;

use self::flow::Flow;
use crate::error::Result;

/// A column of a data product, by its name in the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceColumn {
    pub table: TableId,
    pub column: String,
}

/// What the result of a statement comes from.
///
/// ```text
/// SELECT o.region, sum(o.amount) AS total      region ← sales.orders.region
/// FROM sales.orders o                          total  ← sales.orders.amount
/// JOIN crm.customers c ON c.id = o.customer    influenced by sales.orders.customer, crm.customers.id,
/// WHERE c.segment = 'b2b' GROUP BY 1                         crm.customers.segment, sales.orders.region
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// One for each column of the result, in order.
    pub columns: Vec<ColumnLineage>,
    /// The columns that decide which rows there are, how often and in what
    /// order: of filters, joins, groups and orders, for the result as a whole.
    pub influences: BTreeSet<SourceColumn>,
}

/// What one column of a result comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLineage {
    /// Its name in the result.
    pub name: String,
    /// The columns that its values are copies of or computed from.
    pub sources: BTreeSet<SourceColumn>,
}

/// How a source takes part in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Values of the column are copies of it or computed from it.
    Direct,
    /// It decides about rows, not about values.
    Influences,
}

impl Part {
    /// `direct` or `influences`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Influences => "influences",
        }
    }
}

impl Lineage {
    /// Of a plan that is not too large.
    ///
    /// # Errors
    /// None but for a plan that the engine itself would refuse.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self> {
        if !returns_data(plan) {
            return Ok(Self::default());
        }
        let mut flow = Flow::default();
        let columns = flow.of(plan)?;
        let (sources, influences) = flow.finish();
        let fields = plan.schema().fields().iter();
        let named = fields.zip(&columns).map(|(field, found)| ColumnLineage {
            name: field.name().clone(),
            sources: sources.columns(found.iter()),
        });
        Ok(Self {
            columns: named.collect(),
            influences: sources.columns(&influences),
        })
    }

    /// Every source with what it takes part in: the position and the name of a
    /// column of the result, or `None` for the result as a whole.
    pub fn edges(&self) -> impl Iterator<Item = (Option<(usize, &str)>, Part, &SourceColumn)> {
        let direct = self.columns.iter().enumerate().flat_map(|(at, column)| {
            let output = Some((at, column.name.as_str()));
            let sources = column.sources.iter();
            sources.map(move |source| (output, Part::Direct, source))
        });
        let influences = self.influences.iter();
        direct.chain(influences.map(|source| (None, Part::Influences, source)))
    }
}

/// Whether the rows of a plan are data, not its description.
fn returns_data(plan: &LogicalPlan) -> bool {
    !matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    )
}
