//! Foreign formats, a file each.

pub mod onnx;
pub mod scale_sim;
