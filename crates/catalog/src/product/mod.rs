//! Data products as tables: which files, which columns, how they are read.
//!
//! A [`ProductTable`] is one immutable listing of one table. The background
//! refresh makes a new one when the files have changed; a query keeps the one
//! that its snapshot holds, never lists, and reads exactly the listed versions.
//!
//! | step | module |
//! |---|---|
//! | contract to columns in files and in folders | `layout` |
//! | storage to the table's files, with typed partition values | `listing`, `files` |
//! | filters to fewer files, by folders and by footers that were read | `prune`, `file_bounds` |
//! | files to rows in the contract's types | `formats` |
//! | footers, or values, to the range of a column | `ranges` |

mod file_bounds;
mod files;
mod formats;
mod layout;
mod listing;
mod prune;
pub(crate) mod ranges;
mod runtime;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use layout::marker_of;
pub(crate) use listing::Listing;
pub(crate) use ranges::Ranges;
pub(crate) use table::{ProductTable, Unavailable};
