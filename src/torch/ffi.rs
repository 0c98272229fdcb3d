//! The functions of `shim.cpp`, and the few safe doors to them.
//!
//! Every tensor pointer here comes from a live [`Tensor`], whose `as_ptr` is the address of a `torch::Tensor`.

use std::ffi::{CStr, c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::TorchError;

/// The constants of one step, as the C++ struct of the same layout.
#[repr(C)]
pub(super) struct SgdStep {
    pub(super) learning_rate: f64,
    pub(super) momentum: f64,
    pub(super) weight_decay: f64,
    /// 0 for no clipping.
    pub(super) max_norm: f64,
    pub(super) nesterov: c_int,
}

// SAFETY: the signatures are those of `shim.cpp`, which this package compiles; no function keeps a pointer.
unsafe extern "C" {
    fn systole_last_error() -> *const c_char;
    fn systole_channels_last(tensor: *const C_tensor) -> *mut C_tensor;
    fn systole_is_channels_last(tensor: *const C_tensor) -> c_int;
    fn systole_add_scaled(sum: *const C_tensor, other: *const C_tensor, alpha: f64) -> c_int;
    fn systole_autocast_get(cuda: c_int, out: *mut c_int) -> c_int;
    fn systole_autocast_set(cuda: c_int, enabled: c_int, dtype: c_int) -> c_int;
    safe fn systole_autocast_enter();
    safe fn systole_autocast_leave();
    safe fn systole_deterministic(on: c_int) -> c_int;
    safe fn systole_allow_tf32(on: c_int) -> c_int;
    fn systole_cuda_memory(device: c_int, out: *mut i64) -> c_int;
    safe fn systole_trim();
    fn systole_cuda_free(device: c_int, out: *mut i64) -> c_int;
    safe fn systole_cuda_reset_peak(device: c_int) -> c_int;
    fn systole_clear_grads(parameters: *const *const C_tensor, count: i64) -> c_int;
    fn systole_sgd_step(
        parameters: *const *const C_tensor,
        buffers: *const *const C_tensor,
        count: i64,
        step: *const SgdStep,
    ) -> c_int;
}

/// The message of this thread's last failed call.
fn last_error() -> TorchError {
    // SAFETY: the shim returns the text of a thread-local string, valid until this thread's next failing call.
    let message = unsafe { CStr::from_ptr(systole_last_error()) };
    TorchError::call(&message.to_string_lossy())
}

fn check(status: c_int) -> Result<(), TorchError> {
    if status == 0 { Ok(()) } else { Err(last_error()) }
}

fn pointers(tensors: &[Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr()).collect()
}

fn length(tensors: &[Tensor]) -> i64 {
    i64::try_from(tensors.len()).expect("a list in memory has fewer than 2^63 tensors")
}

pub(super) fn channels_last(tensor: &Tensor) -> Result<Tensor, TorchError> {
    // SAFETY: the pointer is that of a live tensor.
    let out = unsafe { systole_channels_last(tensor.as_ptr()) };
    if out.is_null() {
        return Err(last_error());
    }
    // SAFETY: the shim allocated `out` with `new` and gave it away; `Tensor` frees it in the same way.
    Ok(unsafe { Tensor::from_ptr(out) })
}

pub(super) fn is_channels_last(tensor: &Tensor) -> bool {
    // SAFETY: the pointer is that of a live tensor.
    unsafe { systole_is_channels_last(tensor.as_ptr()) != 0 }
}

pub(super) fn add_scaled(sum: &mut Tensor, other: &Tensor, alpha: f64) -> Result<(), TorchError> {
    // SAFETY: both pointers are those of live tensors.
    check(unsafe { systole_add_scaled(sum.as_ptr(), other.as_ptr(), alpha) })
}

/// Whether autocast is on, and the number of its type.
pub(super) fn autocast_get(cuda: bool) -> Result<(bool, c_int), TorchError> {
    let mut out = [0; 2];
    // SAFETY: the shim writes two integers.
    check(unsafe { systole_autocast_get(c_int::from(cuda), out.as_mut_ptr()) })?;
    Ok((out[0] != 0, out[1]))
}

pub(super) fn autocast_set(cuda: bool, (enabled, dtype): (bool, c_int)) -> Result<(), TorchError> {
    // SAFETY: `dtype` is a number that libtorch gave or a constant of `c10::ScalarType`.
    check(unsafe { systole_autocast_set(c_int::from(cuda), c_int::from(enabled), dtype) })
}

pub(super) fn autocast_enter() {
    systole_autocast_enter();
}

pub(super) fn autocast_leave() {
    systole_autocast_leave();
}

pub(super) fn deterministic(on: bool) -> Result<(), TorchError> {
    check(systole_deterministic(c_int::from(on)))
}

pub(super) fn allow_tf32(on: bool) -> Result<(), TorchError> {
    check(systole_allow_tf32(c_int::from(on)))
}

/// Allocated now, allocated peak, reserved now, reserved peak, in bytes.
pub(super) fn cuda_memory(device: usize) -> Result<[i64; 4], TorchError> {
    let mut out = [0; 4];
    // SAFETY: the shim writes four integers.
    check(unsafe { systole_cuda_memory(index(device), out.as_mut_ptr()) })?;
    Ok(out)
}

pub(super) fn trim() {
    systole_trim();
}

/// Free and total memory of the device, in bytes.
pub(super) fn cuda_free(device: usize) -> Result<[i64; 2], TorchError> {
    let mut out = [0; 2];
    // SAFETY: the shim writes two integers.
    check(unsafe { systole_cuda_free(index(device), out.as_mut_ptr()) })?;
    Ok(out)
}

pub(super) fn cuda_reset_peak(device: usize) -> Result<(), TorchError> {
    check(systole_cuda_reset_peak(index(device)))
}

fn index(device: usize) -> c_int {
    c_int::try_from(device).expect("no machine has 2^31 devices")
}

pub(super) fn clear_grads(parameters: &[Tensor]) -> Result<(), TorchError> {
    let list = pointers(parameters);
    // SAFETY: `list` holds as many pointers to live tensors as its length says.
    check(unsafe { systole_clear_grads(list.as_ptr(), length(parameters)) })
}

pub(super) fn sgd_step(parameters: &[Tensor], momentum: &[Tensor], step: &SgdStep) -> Result<(), TorchError> {
    assert_eq!(parameters.len(), momentum.len(), "one momentum buffer for each parameter");
    let (params, buffers) = (pointers(parameters), pointers(momentum));
    // SAFETY: both lists hold `length` pointers to live tensors, and `step` has the layout of the C++ struct.
    check(unsafe { systole_sgd_step(params.as_ptr(), buffers.as_ptr(), length(parameters), step) })
}
