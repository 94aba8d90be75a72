//! Who may see what: principals, grants and the decision, as pure and
//! synchronous code.
//!
//! [`DomainPolicy::compile`] turns a domain's grants into something typed
//! against its contracts, [`Guardrails::compile`] does so with the limits of
//! the mesh; [`PolicySnapshot`] joins them with the mesh's [`Authenticator`];
//! [`PolicySnapshot::decide`] says what one [`Viewer`] sees of one table, cell
//! by cell.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::large_futures,
        clippy::print_stderr,
        reason = "tests may fail loudly"
    )
)]

mod owner;
mod principal;
mod viewer;

mod authenticator;
mod phc;

mod literal;
mod mask;
mod predicate;
mod scalar_type;

mod access;
mod allowance;
mod canonical;
pub mod diff;
mod domain_policy;
mod explain;
mod guardrails;
mod lint;
mod snapshot;
mod suggest;

#[cfg(test)]
mod tests;

pub use access::{
    Access, CellRule, ColumnAccess, Denial, DenialReason, Exposure, GrantReason, GuardrailReason,
    Reveal, TableAccess, Taken,
};
pub use allowance::{Allowance, Limit};
pub use authenticator::Authenticator;
pub use domain_policy::DomainPolicy;
pub use explain::{
    ColumnFinding, Explanation, GrantFinding, GuardrailFinding, Outcome, Standing, Stands,
};
pub use guardrails::{ForbiddenCombination, Guardrails};
pub use lint::lint;
pub use mask::ColumnMask;
pub use owner::Owner;
pub use predicate::{CompareOp, Entitlement, Operand, RowPredicate};
pub use principal::{Principal, PrincipalId, PrincipalKind, VouchedBy, Voucher};
pub use snapshot::{Discovery, PolicySnapshot};
pub use viewer::Viewer;
