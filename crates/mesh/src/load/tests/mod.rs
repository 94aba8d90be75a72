//! Whole meshes, sound and broken, from files.

mod access_tests;
mod audit;
mod contracts;
mod domains;
mod fixture;
mod grants;
mod guardrails;
mod identity;
mod limits;
mod meshes;
mod oidc;
mod secrets;
mod storages;
