//! Switches of libtorch that hold for the whole process.

use super::{TorchError, ffi};

/// Whether libtorch may use kernels whose result depends on the order in which threads finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Determinism {
    /// Equal inputs give equal bits; an operation without such a kernel is an error.
    ///
    /// On CUDA the environment must hold `CUBLAS_WORKSPACE_CONFIG=:4096:8` before the process starts.
    Enforced,
    /// Whatever is fastest.
    Fastest,
}

/// How CUDA computes products of f32 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Float32Products {
    /// With all 24 bits of the significand.
    Exact,
    /// In TF32, with 11 bits of the significand, on tensor cores.
    TensorFloat32,
}

/// Sets the determinism of the process.
///
/// # Errors
/// Where libtorch refuses.
pub fn set_determinism(determinism: Determinism) -> Result<(), TorchError> {
    ffi::deterministic(determinism == Determinism::Enforced)
}

/// Sets how CUDA multiplies f32 numbers; without effect on the CPU.
///
/// # Errors
/// Where libtorch refuses.
pub fn set_float32_products(products: Float32Products) -> Result<(), TorchError> {
    ffi::allow_tf32(products == Float32Products::TensorFloat32)
}

/// Sets the number of CPU threads that one operation of libtorch uses, at least 1.
///
/// Equal bits need an equal number: sums are split by thread.
pub fn set_threads(count: usize) {
    tch::set_num_threads(i32::try_from(count.max(1)).unwrap_or(i32::MAX));
}

/// The number of CPU threads that one operation of libtorch uses.
#[must_use]
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}
