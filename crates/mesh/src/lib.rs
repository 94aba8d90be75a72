//! Manifests: a mesh as files, read into validated values.
//!
//! Files in, values out, and every fault with its place: this crate knows
//! nothing of queries, networks or clocks. [`load()`] is the way in.

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

mod access_test;
mod audit;
mod domain;
mod error;
mod fault;
mod grant;
mod guardrail;
mod identity;
mod limit;
mod load;
mod location;
mod measure;
mod name;
mod oidc;
mod secret;
mod suggest;
mod table;
mod token;
mod yaml;

pub use access_test::{
    AccessTest, AccessTestFile, Fixture, Requirements, TestExpectation, TestPrincipal, TestRow,
    TestShown, TestSubject, TestValue, TestViewer,
};
pub use audit::{AuditManifest, WhenUnwritable};
pub use domain::{Credentials, Domain, Storage, StorageUrl};
pub use error::{Error, Result};
pub use fault::{Fault, Severity, Span, Spanned};
pub use grant::{
    ColumnSelection, GrantManifest, GrantTarget, Grantee, is_principal_name, is_unseen,
};
pub use guardrail::{GuardrailEffect, GuardrailManifest, GuardrailTarget, TablePattern};
pub use identity::{Identity, IdentityCredential, IdentityUser, Mesh, PasswordSource};
pub use limit::LimitManifest;
pub use load::{AccessTestsLoad, DomainLoad, LoadReport, fingerprint, load, load_access_tests};
pub use location::Location;
pub use measure::ByteSize;
pub use name::{DomainName, MeshName, Purpose, StorageName, TableId, TableName};
pub use oidc::{ClaimPath, OidcIssuer, SignatureAlgorithm};
pub use secret::{Secret, SecretRef};
pub use suggest::did_you_mean;
pub use table::{
    Column, Compression, CsvFormat, Format, InsideMarks, JsonFormat, JsonLayout, Table,
    TableSource, TableStatus,
};
pub use token::{AccessToken, TOKEN_PREFIX, is_token_id};
