//! How a seal shows in plans and logs: as the principal may read it.

use std::fmt;

use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType};

use super::GovernedScanExec;

/// Hand-written: the policy, the raw columns and the files stay out of it.
impl fmt::Debug for GovernedScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedScanExec")
            .field("table", &self.identity.table.to_string())
            .field("schema", self.properties.eq_properties.schema())
            .finish_non_exhaustive()
    }
}

impl DisplayAs for GovernedScanExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.properties.eq_properties.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|c| c.name().as_str()).collect();
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(
                    f,
                    "GovernedScanExec: table={}, projection=[{}]",
                    self.identity.table,
                    columns.join(", ")
                )?;
                if !self.pushed.is_empty() {
                    write!(f, ", pushed=[{}]", self.pushed.join(", "))?;
                }
                if let Some(limit) = self.limit {
                    write!(f, ", limit={limit}")?;
                }
                if !self.dynamic_filters.is_empty() {
                    // Names only: the values in a dynamic filter come from the other side of a join.
                    write!(f, ", dynamic=[{}]", self.dynamic_columns().join(", "))?;
                }
                Ok(())
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={}", self.identity.table)?;
                writeln!(f, "columns={}", columns.join(", "))?;
                if !self.pushed.is_empty() {
                    writeln!(f, "pushed={}", self.pushed.join(", "))?;
                }
                Ok(())
            }
        }
    }
}

impl GovernedScanExec {
    fn dynamic_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .dynamic_filters
            .iter()
            .flat_map(|f| {
                f.children()
                    .into_iter()
                    .filter_map(|c| c.downcast_ref::<Column>())
                    .map(|c| c.name().to_owned())
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
