//! A difference for tools.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weft_mesh::TableId;
use weft_policy::diff::{
    AccessChange, CauseKind, ColumnView, Direction, Fate, MeshDiff, Presence, RightKind, Subject,
};

use super::count::Counts;
use super::words;
use crate::error::{Error, Result};

pub(super) fn text(diff: &MeshDiff, counts: &Counts) -> Result<String> {
    let Direction { gain, loss } = diff.direction();
    let value = json!({
        "summary": words::summary(diff),
        "gain": gain,
        "loss": loss,
        "changed": !diff.is_empty(),
        "compared": {
            "tables": diff.compared.tables,
            "principals": diff.compared.principals,
            "groups": diff.compared.groups,
            "purposes": diff.purposes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "accesses": diff.accesses.iter().map(|it| access(it, counts)).collect::<Vec<_>>(),
        "rights": diff.rights.iter().map(|right| json!({
            "gain": right.direction.gain,
            "loss": right.direction.loss,
            "kind": kind(right.kind),
            "subjects": subjects(&right.subjects),
            "what": right.what,
        })).collect::<Vec<_>>(),
        "contracts": diff.contracts.iter().map(|contract| json!({
            "table": table(&contract.table),
            "what": contract.what,
        })).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&value).map_err(|cause| Error::Failed(cause.to_string()))
}

fn access(access: &AccessChange, counts: &Counts) -> Value {
    let change = &access.change;
    let direction = change.direction();
    let (before, after) = change.presence;
    let columns = change.columns.iter().map(|column| {
        json!({
            "gain": column.direction.gain,
            "loss": column.direction.loss,
            "old": column.old.as_ref().map(view),
            "new": column.new.as_ref().map(view),
        })
    });
    let causes = access.because.iter().map(|cause| {
        json!({
            "kind": match cause.kind {
                CauseKind::Grant => "grant",
                CauseKind::Guardrail => "guardrail",
                CauseKind::Contract => "contract",
                CauseKind::Identity => "identity",
            },
            "name": cause.name,
            "is": match cause.fate {
                Fate::Added => "added",
                Fate::Removed => "removed",
                Fate::Changed => "changed",
            },
        })
    });
    json!({
        "gain": direction.gain,
        "loss": direction.loss,
        "tables": access.tables.iter().map(table).collect::<Vec<_>>(),
        "subjects": subjects(&access.subjects),
        "purposes": access.purposes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "from": access.from.map(|it| it.to_rfc3339()),
        "until": access.until.map(|it| it.to_rfc3339()),
        "presence": { "old": presence(before), "new": presence(after) },
        "found": { "gained": change.found.0, "lost": change.found.1 },
        "data": change.moved.as_ref().map(|(old, new)| json!({ "old": old, "new": new })),
        "rows": change.rows.as_ref().map(|rows| json!({
            "gain": rows.direction.gain,
            "loss": rows.direction.loss,
            "old": rows.old,
            "new": rows.new,
            "counted": counts.of_change(access).map(|(old, new)| json!({ "old": old, "new": new })),
        })),
        "columns": columns.collect::<Vec<_>>(),
        "because": causes.collect::<Vec<_>>(),
    })
}

fn view(view: &ColumnView) -> Value {
    json!({
        "name": view.name,
        "type": view.data_type,
        "nullable": view.nullable,
        "shown": view.shown,
    })
}

fn subjects(subjects: &BTreeSet<Subject>) -> Vec<String> {
    subjects.iter().map(ToString::to_string).collect()
}

fn table(table: &TableId) -> Value {
    json!({ "name": table.to_string(), "version": table.major })
}

fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Hidden => "hidden",
        Presence::Found => "found",
        Presence::Granted => "granted",
    }
}

fn kind(kind: RightKind) -> &'static str {
    match kind {
        RightKind::Identity => "identity",
        RightKind::Impersonation => "impersonation",
        RightKind::Steward => "steward",
        RightKind::Auditor => "auditor",
        RightKind::Combination => "combination",
        RightKind::Entitlement => "entitlement",
        RightKind::Mesh => "mesh",
    }
}
