//! Networks as files that other programs read, a file each.

pub mod scale_sim;
