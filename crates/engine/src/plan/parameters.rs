//! The parameters of a statement: their types, and values for them.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    common::{
        ParamValues, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan,
        expr::{Cast, Placeholder, TryCast},
        utils::merge_schema,
    },
};

use crate::error::{Error, Result, classify};

/// `$1` to `$n`.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    schema: SchemaRef,
}

impl Parameters {
    pub(super) fn none() -> Self {
        Self {
            schema: Arc::new(Schema::empty()),
        }
    }

    /// Finds the types of `count` parameters in `plan`, and makes those that
    /// cannot be inferred `Utf8` in it.
    pub(super) fn infer(plan: LogicalPlan, count: usize) -> Result<(LogicalPlan, Self)> {
        if count == 0 {
            return Ok((plan, Self::none()));
        }
        let mut known = plan.get_parameter_types().map_err(classify)?;
        for (id, wanted) in casts(&plan)? {
            known.entry(id).or_default().get_or_insert(wanted);
        }
        for (id, wanted) in branches(&plan)? {
            known.entry(id).or_default().get_or_insert(wanted);
        }
        for id in counts_of_rows(&plan)? {
            known.entry(id).or_default().get_or_insert(DataType::Int64);
        }
        let fields = (1..=count).map(|number| {
            let name = format!("${number}");
            let data_type = match known.get(&name) {
                Some(Some(DataType::Null)) | Some(None) | None => DataType::Utf8,
                Some(Some(data_type)) => data_type.clone(),
            };
            Field::new(name, data_type, true)
        });
        let parameters = Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        };
        let plan = parameters.type_placeholders(plan)?;
        Ok((plan, parameters))
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub(super) fn count(&self) -> usize {
        self.schema.fields().len()
    }

    /// `row`, cast to the parameters' types.
    pub(super) fn values(&self, row: &[ScalarValue]) -> Result<ParamValues> {
        if row.len() != self.count() {
            return Err(Error::invalid(format!(
                "the statement takes {} parameters, {} were given",
                self.count(),
                row.len()
            )));
        }
        let values = self.schema.fields().iter().zip(row).map(|(field, value)| {
            let wanted = field.data_type();
            value.cast_to(wanted).map_err(|_| {
                let given = value.data_type();
                Error::invalid(format!(
                    "parameter `{}` is {wanted}: this {given} does not fit",
                    field.name()
                ))
            })
        });
        Ok(ParamValues::from(values.collect::<Result<Vec<_>>>()?))
    }

    fn type_placeholders(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let typed = plan.transform_up_with_subqueries(|plan| {
            let changed = plan.map_expressions(|expr| {
                expr.transform_up(|expr| {
                    let Expr::Placeholder(Placeholder { id, field: None }) = expr else {
                        return Ok(Transformed::no(expr));
                    };
                    let field = self.schema.field_with_name(&id).ok().cloned().map(Arc::new);
                    Ok(Transformed::yes(Expr::Placeholder(Placeholder {
                        id,
                        field,
                    })))
                })
            })?;
            changed.map_data(LogicalPlan::recompute_schema)
        });
        typed.map(|typed| typed.data).map_err(classify)
    }
}

/// The parameters that a cast stands around, with its type: what is bound is meant
/// to be of it, and not a text to be read.
fn casts(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let (Expr::Cast(Cast { expr: inner, field })
                | Expr::TryCast(TryCast { expr: inner, field })) = expr
                else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                if let Expr::Placeholder(Placeholder { id, field: None }) = inner.as_ref() {
                    found.push((id.clone(), field.data_type().clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(classify)?;
    Ok(found)
}

/// The parameters that are a branch of a `CASE`, with the type of a branch beside them.
fn branches(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let Expr::Case(case) = expr else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                let all = || thens.clone().chain(case.else_expr.as_deref());
                // What is of no type yet, such as another parameter, says nothing.
                let mut types = all().filter_map(|branch| branch.get_type(&schema).ok());
                let Some(wanted) = types.find(|it| *it != DataType::Null) else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                for branch in all() {
                    if let Expr::Placeholder(Placeholder { id, field: None }) = branch {
                        found.push((id.clone(), wanted.clone()));
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(classify)?;
    Ok(found)
}

/// The parameters of `LIMIT` and `OFFSET`, which the engine does not infer.
fn counts_of_rows(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                expr.apply(|expr| {
                    if let Expr::Placeholder(Placeholder { id, .. }) = expr {
                        ids.push(id.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
    Ok(ids)
}
