//! `weft access`: who sees what, from the files of a mesh.

mod diff;
mod explain;
mod over_the_wire;
