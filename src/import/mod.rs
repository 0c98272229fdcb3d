//! Foreign formats, a file each.

pub mod scale_sim;
