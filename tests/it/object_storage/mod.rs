//! Data products on object storage, asked over Flight SQL: rights, requests, changes, outages.

mod across_domains;
mod apart;
mod blocks;
mod changes;
mod fixture;
mod keys;
mod outages;
mod requests;
