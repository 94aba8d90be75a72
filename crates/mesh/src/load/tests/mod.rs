//! Whole meshes, sound and broken, from files.

mod audit;
mod contracts;
mod domains;
mod fixture;
mod grants;
mod guardrails;
mod identity;
mod meshes;
mod secrets;
mod storages;
