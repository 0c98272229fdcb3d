//! Foreign formats, a file or folder each.

pub mod onnx;
pub mod scale_sim;
