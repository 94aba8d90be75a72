//! The check of a seal before it runs: small enough to be read in one sitting.
//!
//! It turns a surprise of an engine upgrade into a refused query instead of a
//! leak. What it does not know, it refuses.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr,
    IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use weft_policy::{Access, Viewer};

use super::leakproof::{is_comparison, is_widening};
use super::lower;
use super::scan::GovernedScanExec;
use crate::mesh_snapshot::MeshSnapshot;

/// Why a seal was refused. For the operator's log; never for a client.
#[derive(Debug, thiserror::Error)]
#[error("seal of `{table}` refused: {reason}")]
pub struct SealRefused {
    table: String,
    reason: String,
}

impl GovernedScanExec {
    /// Checks that this seal is what `snapshot` grants to `viewer`,
    /// and that only total expressions and this product's files are inside.
    pub fn verify(&self, snapshot: &MeshSnapshot, viewer: &Viewer) -> Result<(), SealRefused> {
        self.verify_decision(snapshot, viewer)
            .and_then(|()| verify_inside(self.inner(), self))
            .map_err(|reason| SealRefused {
                table: self.identity().table.to_string(),
                reason,
            })
    }

    fn verify_decision(&self, snapshot: &MeshSnapshot, viewer: &Viewer) -> Result<(), String> {
        let identity = self.identity();
        if identity.epoch != snapshot.epoch() {
            return Err("another policy epoch".to_owned());
        }
        if identity.principal != *viewer.principal.id() {
            return Err("another principal".to_owned());
        }
        match snapshot.policy().decide(viewer, &identity.table) {
            Access::Granted(access) if access.digest() == identity.digest => {}
            Access::Granted(_) => return Err("another decision".to_owned()),
            Access::Denied(_) => return Err("no access".to_owned()),
        }
        let mut sources = self.members().products().iter().chain([self.product()]);
        if !sources.all(|product| snapshot.holds(product)) {
            return Err("another data snapshot".to_owned());
        }
        Ok(())
    }
}

fn verify_inside(plan: &Arc<dyn ExecutionPlan>, seal: &GovernedScanExec) -> Result<(), String> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        verify_lookup(join, seal)?;
        return plan
            .children()
            .into_iter()
            .try_for_each(|child| verify_inside(child, seal));
    }
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        verify_source(source, seal)?;
    } else if !is_allowed_node(plan) {
        return Err(format!("operator `{}`", plan.name()));
    }
    let input = input_schema(plan);
    let mut refused = None;
    plan.apply_expressions(&mut |expr| {
        if let Err(reason) = verify_expr(expr, &input, seal) {
            refused = Some(reason);
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(|e| e.to_string())?;
    if let Some(reason) = refused {
        return Err(reason);
    }
    plan.children()
        .into_iter()
        .try_for_each(|child| verify_inside(child, seal))
}

/// The schema that the expressions of `plan` read.
fn input_schema(plan: &Arc<dyn ExecutionPlan>) -> SchemaRef {
    if let Some(config) = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|s| s.data_source().downcast_ref::<FileScanConfig>())
    {
        return Arc::clone(config.file_source.table_schema().table_schema());
    }
    plan.children()
        .first()
        .map_or_else(|| plan.schema(), |child| child.schema())
}

fn is_allowed_node(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<EmptyExec>()
        || is_distinct(plan)
}

/// A lookup of an entitlement: equality of total keys, and nothing beside.
fn verify_lookup(join: &HashJoinExec, seal: &GovernedScanExec) -> Result<(), String> {
    if seal.members().products().is_empty() {
        return Err("a join without an entitlement".to_owned());
    }
    if join.filter().is_some() {
        return Err("a join on more than keys".to_owned());
    }
    let (left, right) = (join.left().schema(), join.right().schema());
    join.on().iter().try_for_each(|(one, other)| {
        verify_expr(one, &left, seal)?;
        verify_expr(other, &right, seal)
    })
}

/// DISTINCT: groups and no aggregate.
fn is_distinct(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<AggregateExec>()
        .is_some_and(|aggregate| aggregate.aggr_expr().is_empty())
}

/// Every file is one of the product's snapshot, or of an entitlement's.
fn verify_source(source: &DataSourceExec, seal: &GovernedScanExec) -> Result<(), String> {
    let Some(config) = source.data_source().downcast_ref::<FileScanConfig>() else {
        return Err("a source that is not files".to_owned());
    };
    for file in config.file_groups.iter().flat_map(|group| group.files()) {
        let mut sources = seal.members().products().iter().chain([seal.product()]);
        if !sources.any(|product| product.contains(&file.object_meta.location)) {
            return Err("a file outside the product".to_owned());
        }
    }
    Ok(())
}

/// Total expressions only: the policy language, the masks and comparisons.
fn verify_expr(
    expr: &Arc<dyn PhysicalExpr>,
    input: &Schema,
    seal: &GovernedScanExec,
) -> Result<(), String> {
    if expr.is::<DynamicFilterPhysicalExpr>() {
        return verify_dynamic(expr, seal);
    }
    if !is_total(expr, input) {
        return Err("an expression that is not total".to_owned());
    }
    expr.children()
        .into_iter()
        .try_for_each(|child| verify_expr(child, input, seal))
}

/// Whether no row can make `expr` fail, if none can make its children fail. Not only of what is in
/// a seal: users write the expressions between a seal and who makes a filter for it.
pub(super) fn is_total(expr: &Arc<dyn PhysicalExpr>, input: &Schema) -> bool {
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return is_comparison(*binary.op()) || matches!(binary.op(), Operator::And | Operator::Or);
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        return lower::is_total_function(call.fun());
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return is_total_cast(cast, input);
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return like.pattern().is::<Literal>();
    }
    expr.is::<Column>()
        || expr.is::<Literal>()
        || expr.is::<CaseExpr>()
        || expr.is::<InListExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<NotExpr>()
}

/// Widening, or any value written as text.
fn is_total_cast(cast: &CastExpr, input: &Schema) -> bool {
    let to = cast.cast_type();
    cast.expr()
        .data_type(input)
        .is_ok_and(|from| is_widening(&from, to) || (from.is_integer() && to.is_string()))
}

/// A dynamic filter reads columns of the seal that are clear.
fn verify_dynamic(expr: &Arc<dyn PhysicalExpr>, seal: &GovernedScanExec) -> Result<(), String> {
    let id = expr.expression_id();
    let accepted = seal
        .dynamic_filters()
        .iter()
        .any(|f| f.expression_id() == id);
    let bare = expr.children().iter().all(|child| child.is::<Column>());
    if id.is_some() && accepted && bare {
        Ok(())
    } else {
        Err("a dynamic filter that was not accepted".to_owned())
    }
}
