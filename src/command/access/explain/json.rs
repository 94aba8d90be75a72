//! An explanation for programs. Keys stay; new ones may come.

use serde_json::{Value, json};
use weft_policy::{
    Access, CellRule, ColumnFinding, GrantFinding, GuardrailFinding, Outcome, Reveal, RowPredicate,
    Standing, Stands, Taken,
};

use super::{Finding, Findings};

pub(super) fn document(findings: &Findings, is_query: bool) -> String {
    let viewer = &findings.viewer;
    let apart = findings.apart.as_ref().map(|apart| {
        json!({
            "guardrail": apart.guardrail,
            "tables": [apart.one.to_string(), apart.other.to_string()],
        })
    });
    let document = json!({
        "mesh": findings.mesh,
        "principal": viewer.principal.id().to_string(),
        "groups": viewer.principal.groups(),
        "attributes": viewer.principal.attributes(),
        "purpose": viewer.purpose.as_ref().map(ToString::to_string),
        "at": viewer.now.to_rfc3339(),
        "tables": findings.tables.iter().map(|it| table(it, is_query)).collect::<Vec<_>>(),
        "refused": findings.refused,
        "forbidden_combination": apart,
    });
    format!("{document:#}")
}

fn table(finding: &Finding, is_query: bool) -> Value {
    let explanation = &finding.explanation;
    let (access, rows) = match &explanation.access {
        Access::Granted(access) => ("granted", access.rows.as_ref()),
        Access::Denied(denial) if !denial.discovered_by.is_empty() => ("discoverable", None),
        Access::Denied(_) => ("denied", None),
    };
    let read: Vec<&String> = finding.read.iter().collect();
    json!({
        "table": finding.name,
        "access": access,
        "rows": rows.map(ToString::to_string),
        "columns": explanation.columns.iter().map(column).collect::<Vec<_>>(),
        "reads": is_query.then_some(read),
        "missing": is_query.then(|| finding.missing()),
        "grants": explanation.grants.iter().map(grant).collect::<Vec<_>>(),
        "guardrails": explanation.guardrails.iter().map(guardrail).collect::<Vec<_>>(),
        "owner": explanation.owner,
        "stewards": texts(&explanation.stewards),
    })
}

fn column(column: &ColumnFinding) -> Value {
    let (mask, cells) = match &column.outcome {
        Outcome::Masked(mask) => (Some(mask.to_string()), None),
        Outcome::Conditional(rules) => (None, Some(rules.iter().map(rule).collect::<Vec<_>>())),
        Outcome::Clear
        | Outcome::Hidden
        | Outcome::Found
        | Outcome::Denied
        | Outcome::NotGranted => (None, None),
    };
    json!({
        "column": column.name,
        "shown": column.outcome.name(),
        "mask": mask,
        "cells": cells,
        "given_by": column.given_by,
        "taken_by": column.taken_by,
    })
}

fn rule(rule: &CellRule) -> Value {
    json!({
        "when": rule.when.as_ref().map(ToString::to_string),
        "mask": match &rule.reveal {
            Reveal::Clear => None,
            Reveal::Masked(mask) => Some(mask.to_string()),
        },
    })
}

fn grant(grant: &GrantFinding) -> Value {
    let standing = match grant.standing {
        Standing::Active => "active",
        Standing::OtherGrantee => "other_grantee",
        Standing::Expired => "expired",
        Standing::NotYet => "not_yet",
        Standing::OtherPurpose => "other_purpose",
    };
    let gives = grant.gives.iter().map(|(column, mask)| {
        json!({ "column": column, "mask": mask.as_ref().map(ToString::to_string) })
    });
    json!({
        "grant": grant.name,
        "standing": standing,
        "to": texts(&grant.to),
        "matched": texts(&grant.matched),
        "discovers": grant.only_discovers(),
        "gives": gives.collect::<Vec<_>>(),
        "rows": grant.rows.as_ref().map(RowPredicate::to_string),
        "bound_rows": grant.bound_rows.as_ref().map(RowPredicate::to_string),
        "from": grant.from.map(|it| it.to_rfc3339()),
        "until": grant.until.map(|it| it.to_rfc3339()),
        "purposes": texts(&grant.purposes),
    })
}

fn guardrail(guardrail: &GuardrailFinding) -> Value {
    let (takes, columns) = match &guardrail.takes {
        Taken::Rows => ("rows", None),
        Taken::Masked(columns) => ("mask", Some(columns)),
        Taken::Denied(columns) => ("columns", Some(columns)),
        Taken::WithoutPurpose(columns) => ("columns_without_purpose", Some(columns)),
    };
    let (binds, excepted) = match &guardrail.stands {
        Stands::Binding => (true, None),
        Stands::Excepted(as_whom) => (false, Some(texts(as_whom))),
        Stands::PurposeStated => (false, None),
    };
    json!({
        "guardrail": guardrail.name,
        "binds": binds,
        "excepted_as": excepted,
        "takes": takes,
        "columns": columns,
        "mask": guardrail.mask.as_ref().map(ToString::to_string),
        "rows": guardrail.rows.as_ref().map(ToString::to_string),
    })
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
