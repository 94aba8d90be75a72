//! Who may see what: principals, grants and the decision, as pure and
//! synchronous code.
//!
//! [`DomainPolicy::compile`] turns a domain's grants into something typed
//! against its contracts; [`PolicySnapshot`] joins the domains of a mesh with
//! its [`Authenticator`]; [`PolicySnapshot::decide`] says what one
//! [`Principal`] sees of one table, cell by cell.
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

mod principal;

mod authenticator;
mod phc;

mod literal;
mod mask;
mod predicate;
mod scalar_type;

mod access;
mod canonical;
mod domain_policy;
mod snapshot;
mod suggest;

#[cfg(test)]
mod tests;

pub use access::{
    Access, CellRule, ColumnAccess, Denial, DenialReason, Exposure, GrantReason, Reveal,
    TableAccess,
};
pub use authenticator::Authenticator;
pub use domain_policy::DomainPolicy;
pub use mask::ColumnMask;
pub use predicate::{CompareOp, Operand, RowPredicate};
pub use principal::{Principal, PrincipalId, PrincipalKind};
pub use snapshot::PolicySnapshot;
