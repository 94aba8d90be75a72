//! `FROM t` is `SELECT * FROM t`: the planner would give its rows no columns.

use std::ops::ControlFlow;

use datafusion::sql::{
    parser::Statement as DfStatement,
    sqlparser::ast::{Select, SelectFlavor, SelectItem, VisitMut, VisitorMut},
};

/// Puts the `*` into every select list of `statement` that is left out.
pub(super) fn select_all(statement: &mut DfStatement) {
    match statement {
        DfStatement::Statement(statement) => {
            let _ = statement.visit(&mut SelectAll);
        }
        DfStatement::Explain(explain) => select_all(&mut explain.statement),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {}
    }
}

struct SelectAll;

impl VisitorMut for SelectAll {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.flavor = SelectFlavor::FromFirst;
            select.projection = vec![SelectItem::Wildcard(Default::default())];
        }
        ControlFlow::Continue(())
    }
}
