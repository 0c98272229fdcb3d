//! Foreign formats, a file or folder each.

pub mod scale_sim;
