//! One table as one principal sees it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, DFSchema, Result};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use weft_mesh::{Table, TableId};
use weft_policy::{ColumnAccess, Exposure, PrincipalId, TableAccess};

use super::above;
use super::entitlement::EntitlementTables;
use super::estimate::{self, Estimate};
use super::leakproof::ClearColumns;
use super::lower::{self, RAW};
use super::partitions;
use super::private_session::private_state;
use super::scan::{GovernedScanExec, Seal, SealIdentity};
use super::unparsed;
use super::visible_rows::{Filters, VisibleRows};
use crate::error::redact;
use crate::mask::MaskKeys;
use crate::mesh_snapshot::{Epoch, MeshSnapshot};
use crate::product::ProductTable;

/// Which filters of a user run inside of a seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserPushdown {
    /// Total and silent ones on clear columns, so that files are pruned by them.
    #[default]
    Leakproof,
    /// None: slower, and how long a query takes tells less of what is hidden.
    None,
}

/// A data product behind the access of one principal: its schema, its filters
/// and its scans are those of the authorised table.
pub struct GovernedTable {
    product: Arc<ProductTable>,
    access: Arc<TableAccess>,
    principal: PrincipalId,
    epoch: Epoch,
    keys: Arc<MaskKeys>,
    members: EntitlementTables,
    pushdown: UserPushdown,
    /// Positions in the access's columns that have a flag, behind the columns:
    /// whether policy hides the cell.
    flags: Vec<usize>,
    schema: SchemaRef,
    identity: Vec<bool>,
}

impl GovernedTable {
    pub(crate) fn new(
        product: Arc<ProductTable>,
        access: Arc<TableAccess>,
        principal: PrincipalId,
        snapshot: &MeshSnapshot,
        pushdown: UserPushdown,
    ) -> Self {
        let schema = Arc::new(authorised_schema(&product.schema(), &access));
        let identity = access
            .columns
            .iter()
            .map(|c| matches!(c.exposure, Exposure::Clear))
            .collect();
        Self {
            members: EntitlementTables::of(&access, snapshot),
            product,
            access,
            principal,
            epoch: snapshot.epoch(),
            keys: Arc::clone(snapshot.mask_keys()),
            pushdown,
            flags: Vec::new(),
            schema,
            identity,
        }
    }

    /// The table's name in the mesh.
    pub fn id(&self) -> &TableId {
        &self.access.table
    }

    /// The grants that gave access, by name.
    pub fn grants(&self) -> impl Iterator<Item = &str> {
        self.access
            .grants
            .iter()
            .map(|reason| reason.grant.as_str())
    }

    /// The guardrails that took something of it, by name.
    pub fn guardrails(&self) -> impl Iterator<Item = &str> {
        let reasons = self.access.guardrails.iter();
        reasons.map(|reason| reason.guardrail.as_str())
    }

    /// Whether it reads what it would read in `snapshot`, which is governed as its own was.
    pub fn is_of(&self, snapshot: &MeshSnapshot) -> bool {
        let mut read = self.members.products().iter().chain([&self.product]);
        self.epoch == snapshot.epoch() && read.all(|product| snapshot.holds(product))
    }

    /// What the access takes in memory, in bytes, or somewhat more.
    pub fn access_size(&self) -> usize {
        const TIMES: usize = 8;
        self.access.written_size().saturating_mul(TIMES)
    }

    /// The files that it is read from.
    pub fn files(&self) -> usize {
        self.product.data().map_or(0, |data| data.files().len())
    }

    /// Equal for equal files; `None` where they could not be listed.
    pub fn listing(&self) -> Option<u64> {
        Some(self.product.data().ok()?.id())
    }

    /// The same table with a Boolean column `flag` more: TRUE where policy
    /// hides the cell of `column`, whatever the data is. `None` for a column
    /// that is not visible.
    pub fn with_hidden_flag(&self, column: &str, flag: &str) -> Option<Self> {
        let mut columns = self.access.columns.iter();
        let position = columns.position(|visible| visible.name == column)?;
        let mut table = Self {
            product: Arc::clone(&self.product),
            access: Arc::clone(&self.access),
            principal: self.principal.clone(),
            epoch: self.epoch,
            keys: Arc::clone(&self.keys),
            members: self.members.clone(),
            pushdown: self.pushdown,
            flags: self.flags.clone(),
            schema: Arc::clone(&self.schema),
            identity: self.identity.clone(),
        };
        if !table.flags.contains(&position) {
            let flag = Arc::new(Field::new(flag, DataType::Boolean, false));
            let fields = table.schema.fields().iter().cloned().chain([flag]);
            table.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            table.flags.push(position);
            table.identity.push(false);
        }
        Some(table)
    }

    /// The contract's column that a column of the schema shows, or tells of.
    pub fn source_column(&self, index: usize) -> Option<&str> {
        Some(self.column_of(index)?.name.as_str())
    }

    /// The column of the access that an output column shows, or tells of.
    fn column_of(&self, index: usize) -> Option<&ColumnAccess> {
        let columns = &self.access.columns;
        columns.get(index).or_else(|| {
            let flag = self.flags.get(index.checked_sub(columns.len())?)?;
            columns.get(*flag)
        })
    }

    /// The contract's key, where all of it is clear: a masked or partly hidden
    /// column identifies nothing.
    pub(crate) fn primary_key(&self, contract: &Table) -> Vec<String> {
        let mut key: Vec<_> = contract
            .columns
            .iter()
            .filter_map(|c| Some((c.primary_key?, &c.name)))
            .collect();
        key.sort();
        let clear = |name: &str| {
            self.schema
                .index_of(name)
                .is_ok_and(|i| self.identity.get(i).copied().unwrap_or(false))
        };
        if key.iter().all(|(_, name)| clear(name)) {
            key.into_iter().map(|(_, n)| n.clone()).collect()
        } else {
            vec![]
        }
    }

    /// The governed plan over the columns `wanted` (positions in the authorised
    /// schema): scan, policy and safe filters, masks, limit. Behind them come the
    /// markers of [`Self::marked`].
    fn inner_plan(
        &self,
        wanted: &[usize],
        safe: &[Expr],
        limit: Option<usize>,
    ) -> Result<LogicalPlan> {
        let base = provider_as_source(Arc::clone(&self.product) as Arc<dyn TableProvider>);
        let mut plan = LogicalPlanBuilder::scan(RAW, base, None)?;
        let rows = self.access.rows.as_ref();
        let read = wanted.iter().filter_map(|index| self.column_of(*index));
        plan = self.members.join(plan, rows, read)?;
        let raw = self.product.schema();
        let policy = rows.map(|rows| lower::predicate(rows, &self.members));
        let policy = policy.map(|p| unparsed::guarded(p, &raw)).transpose()?;
        // The user's first: they let fewer rows through, and a policy of many grants takes longer.
        let safe = safe.iter().cloned().map(lower::onto_raw);
        let filters = safe.chain(policy.map(Ok)).collect::<Result<Vec<_>>>()?;
        if let Some(filter) = conjunction(filters) {
            plan = plan.filter(filter)?;
        }
        let mut columns = Vec::with_capacity(wanted.len());
        for index in wanted {
            let (Some(column), Some(field)) =
                (self.column_of(*index), self.schema.fields().get(*index))
            else {
                return datafusion::common::internal_err!("no column {index} in a governed table");
            };
            if *index >= self.access.columns.len() {
                columns.push(lower::hidden(column, &raw, &self.members)?.alias(field.name()));
                continue;
            }
            columns.push(lower::column(
                column,
                field.data_type(),
                &raw,
                &self.keys,
                &self.members,
            )?);
        }
        columns.extend(self.marked(wanted)?.into_iter().map(|(_, marker)| marker));
        plan = plan.project(columns)?;
        if limit.is_some() {
            plan = plan.limit(0, limit)?;
        }
        plan.build()
    }
}

impl GovernedTable {
    /// Of the columns `wanted` those that can show a cell in clear that did not
    /// parse: the position in `wanted`, and where it does.
    fn marked(&self, wanted: &[usize]) -> Result<Vec<(usize, Expr)>> {
        let raw = self.product.schema();
        let columns = wanted.iter().enumerate();
        let mut marked = Vec::new();
        for (position, index) in columns {
            if let Some(column) = self.access.columns.get(*index)
                && let Some(marker) = unparsed::marker(column, &raw, &self.members)?
            {
                marked.push((position, marker));
            }
        }
        Ok(marked)
    }

    /// Filters over the authorised schema.
    fn physical(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filters = filters.iter().cloned().map(lower::unqualified);
        filters
            .map(|filter| state.create_physical_expr(filter?, &schema))
            .collect()
    }

    /// The columns of a scan that are clear and have an order that the planner counts in.
    fn ranged(&self, wanted: &Schema, filters: &[Arc<dyn PhysicalExpr>]) -> Vec<String> {
        let filtered = filters.iter().flat_map(collect_columns);
        let wanted = wanted.fields().iter().map(|field| field.name().clone());
        let read: BTreeSet<String> = wanted
            .chain(filtered.map(|column| column.name().to_owned()))
            .collect();
        let is_ranged = |name: &String| {
            self.schema.index_of(name).is_ok_and(|index| {
                self.is_open(index) && estimate::has_range(self.schema.field(index).data_type())
            })
        };
        read.into_iter().filter(is_ranged).collect()
    }

    /// Whether `filter` may run inside of the seal.
    fn enters(&self, filter: &Expr) -> bool {
        let clear = ClearColumns {
            schema: &self.schema,
            identity: &self.identity,
        };
        self.pushdown == UserPushdown::Leakproof
            && clear.accepts(filter)
            && unparsed::reads_parsed(filter, &self.product.schema())
    }

    /// Clear on every visible row, and never a cell that does not parse.
    fn is_open(&self, index: usize) -> bool {
        let raw = self.product.schema();
        self.pushdown == UserPushdown::Leakproof
            && self.identity.get(index).copied().unwrap_or(false)
            && self
                .access
                .columns
                .get(index)
                .is_some_and(|column| !unparsed::can_be_unparsed(&column.name, &raw))
    }
}

/// Hand-written: the policy stays out of it.
impl fmt::Debug for GovernedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedTable")
            .field("table", &self.access.table.to_string())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        None
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_table_definition(&self) -> Option<&str> {
        None
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        None
    }

    fn get_column_default(&self, _column: &str) -> Option<&Expr> {
        None
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if self.enters(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Asked again here: not every plan comes from the SQL planner.
        let (safe, rest): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|f| self.enters(f));
        let projected: Vec<usize> =
            projection.map_or_else(|| (0..self.schema.fields().len()).collect(), Clone::clone);
        let wanted = above::with_columns_of(&projected, &rest, &self.schema);
        let limit = limit.filter(|_| rest.is_empty());

        let table = &self.access.table;
        let logical = self
            .inner_plan(&wanted, &safe, limit)
            .map_err(|e| redact(table, e))?;
        let plan = private_state(state.config_options())
            .create_physical_plan(&logical)
            .await
            .map_err(|e| redact(table, e))?;
        let partitions = state.config().target_partitions().max(1);
        let plan = partitions::fitted(plan, partitions, limit, self.product.total_bytes())
            .map_err(|e| redact(table, e))?;

        let schema = Arc::new(self.schema.project(&wanted)?);
        let rows = VisibleRows::new(
            self.product.visible_counts(),
            self.principal.clone(),
            self.access.digest(),
            &self.members,
        );
        let filters = self.physical(state, &safe)?;
        let pushed: Vec<String> = safe.iter().map(ToString::to_string).collect();
        let estimate = Estimate::new(
            rows.known().as_deref(),
            rows.passing(Filters::new(&pushed)),
            &self.schema,
            &schema,
            &filters,
            limit,
        );
        let marked = self.marked(&wanted).map_err(|e| redact(table, e))?;
        let sealed = GovernedScanExec::new(Seal {
            identity: SealIdentity {
                table: table.clone(),
                epoch: self.epoch,
                principal: self.principal.clone(),
                digest: self.access.digest(),
            },
            rows,
            ranged: self.ranged(&schema, &filters),
            estimate,
            product: Arc::clone(&self.product),
            members: self.members.clone(),
            plan,
            partitions,
            open_columns: wanted.iter().map(|i| self.is_open(*i)).collect(),
            hides_nothing: hides_nothing(&self.access, self.product.table()),
            hides_no_row: self.access.rows.is_none(),
            markers: marked.into_iter().map(|(column, _)| column).collect(),
            schema: Arc::clone(&schema),
            pushed,
            limit,
        });
        above::filtered(state, Arc::new(sealed), &schema, rest, projected.len())
    }
}

/// Whether an access shows every cell of a table.
pub(super) fn hides_nothing(access: &TableAccess, contract: &Table) -> bool {
    let all = access.columns.len() == contract.columns.len();
    let clear = |column: &ColumnAccess| matches!(column.exposure, Exposure::Clear);
    access.rows.is_none() && all && access.columns.iter().all(clear)
}

/// Authorised columns in the contract's order, without metadata.
fn authorised_schema(raw: &Schema, access: &TableAccess) -> Schema {
    let fields = access.columns.iter().map(|column| {
        let data_type = match raw.field_with_name(&column.name) {
            // The reader may hold a type in another layout than the contract names it (string views).
            Ok(field) if lower::same_type(field.data_type(), &column.data_type) => {
                field.data_type().clone()
            }
            _ => column.data_type.clone(),
        };
        Field::new(&column.name, data_type, column.nullable)
    });
    Schema::new(fields.collect::<Vec<_>>())
}
