//! weft-catalog
