//! Mixed precision: bfloat16 where libtorch deems it safe, for as long as a closure runs.

use std::ffi::c_int;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use tch::Device;

use super::{TorchError, ffi};

/// `c10::ScalarType::BFloat16`.
const BFLOAT16: c_int = 15;

/// The number format that convolutions and matrix products compute in; parameters are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Float32,
    /// Products in bfloat16, sums and normalisation in f32 (autocast).
    Bfloat16,
}

/// A name that is no [`Precision`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision `{0}`: must be f32 or bf16")]
pub struct UnknownPrecision(String);

impl Precision {
    /// bfloat16 where `device` multiplies it natively: CUDA, and processors with AVX-512 BF16 or AMX.
    #[must_use]
    pub fn native(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self::Bfloat16,
            Device::Cpu if has_bfloat16() => Self::Bfloat16,
            Device::Cpu | Device::Mps | Device::Vulkan => Self::Float32,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_bfloat16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bfloat16() -> bool {
    false
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        match text {
            "f32" => Ok(Self::Float32),
            "bf16" => Ok(Self::Bfloat16),
            other => Err(UnknownPrecision(other.to_owned())),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "f32",
            Self::Bfloat16 => "bf16",
        })
    }
}

/// Runs `body` in `precision` on `device`, and restores the former state, also when `body` panics.
///
/// For the forward pass and the loss; the backward pass follows the types of the forward pass and belongs outside.
/// bfloat16 copies of the parameters are kept until the outermost call ends: no optimizer step inside.
///
/// # Errors
/// Where libtorch knows no autocast for `device`.
pub fn autocast<T>(device: Device, precision: Precision, body: impl FnOnce() -> T) -> Result<T, TorchError> {
    match precision {
        Precision::Float32 => Ok(body()),
        Precision::Bfloat16 => {
            let _guard = Guard::enter(device)?;
            Ok(body())
        }
    }
}

/// bfloat16 autocast while it lives.
#[derive(Debug)]
struct Guard {
    cuda: bool,
    former: (bool, c_int),
    /// The state is that of one thread: a guard must not leave it.
    thread: PhantomData<*const ()>,
}

impl Guard {
    fn enter(device: Device) -> Result<Self, TorchError> {
        let cuda = device.is_cuda();
        let former = ffi::autocast_get(cuda)?;
        ffi::autocast_set(cuda, (true, BFLOAT16))?;
        ffi::autocast_enter();
        Ok(Self { cuda, former, thread: PhantomData })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        ffi::autocast_leave();
        // The same call succeeded on entry; a panic in a drop during unwinding would abort.
        let _restored = ffi::autocast_set(self.cuda, self.former);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tch::{Kind, Tensor};

    use super::*;

    fn product_kind() -> Kind {
        let square = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        square.matmul(&square).kind()
    }

    #[test]
    fn products_are_bfloat16_inside_and_f32_outside() {
        assert_eq!(autocast(Device::Cpu, Precision::Bfloat16, product_kind).unwrap(), Kind::BFloat16);
        assert_eq!(autocast(Device::Cpu, Precision::Float32, product_kind).unwrap(), Kind::Float);
        assert_eq!(product_kind(), Kind::Float);
    }

    #[test]
    fn a_nested_call_leaves_the_outer_one_on() {
        let kinds = autocast(Device::Cpu, Precision::Bfloat16, || {
            let inner = autocast(Device::Cpu, Precision::Bfloat16, product_kind).unwrap();
            (inner, product_kind())
        });
        assert_eq!(kinds.unwrap(), (Kind::BFloat16, Kind::BFloat16));
        assert_eq!(product_kind(), Kind::Float);
    }

    #[test]
    fn a_panic_inside_restores_the_former_state() {
        let former = ffi::autocast_get(false).unwrap();
        let body =
            AssertUnwindSafe(|| autocast(Device::Cpu, Precision::Bfloat16, || std::panic::resume_unwind(Box::new(()))));
        assert!(catch_unwind(body).is_err());
        assert_eq!(ffi::autocast_get(false).unwrap(), former);
        assert_eq!(product_kind(), Kind::Float);
    }

    #[test]
    fn a_precision_reads_back_as_written() {
        for precision in [Precision::Float32, Precision::Bfloat16] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let message = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(message, "precision `fp16`: must be f32 or bf16");
    }
}
