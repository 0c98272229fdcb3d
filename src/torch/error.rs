//! What the libtorch border reports.

use std::path::PathBuf;

use tch::TchError;

/// Why libtorch, or a device of it, could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// A name that is no device.
    #[error("device `{0}`: must be auto, cpu, cuda or cuda:N with N a device number from 0")]
    UnknownDevice(String),
    /// This libtorch was built or installed without CUDA.
    #[error(
        "device cuda:{index}: this libtorch has no CUDA, `{}` does not exist; use `cpu`, or point LIBTORCH at a libtorch \
         of the same version with CUDA", path.display()
    )]
    CudaAbsent {
        /// The number that was asked for.
        index: usize,
        /// The library that is not there.
        path: PathBuf,
    },
    /// The CUDA part of libtorch is there, and does not load.
    #[error(
        "device cuda:{index}: `{}` does not load: {reason}; install the libraries it names, or use `cpu`", path.display()
    )]
    CudaBroken {
        /// The number that was asked for.
        index: usize,
        /// The library.
        path: PathBuf,
        /// What the dynamic linker said.
        reason: String,
    },
    /// The place of libtorch in this process is unknown.
    #[error(
        "device cuda:{index}: libtorch_cpu.so is not among this process's mapped files, so its libtorch_cuda.so cannot be \
         found; use `cpu`"
    )]
    NoLibtorch {
        /// The number that was asked for.
        index: usize,
    },
    /// CUDA is loaded, and there is nothing to run it on.
    #[error(
        "device cuda:{index}: `{}` is loaded, but no NVIDIA driver or GPU is visible; check `nvidia-smi`, or use `cpu`",
        path.display()
    )]
    NoGpu {
        /// The number that was asked for.
        index: usize,
        /// The library.
        path: PathBuf,
    },
    /// A device number that this machine does not have.
    #[error("device cuda:{index}: this machine shows {count} CUDA device(s), numbered from 0")]
    NoSuchGpu {
        /// The number that was asked for.
        index: usize,
        /// How many there are.
        count: i64,
    },
    /// A call of libtorch failed.
    #[error("libtorch: {0}")]
    Call(String),
}

impl TorchError {
    /// The error of a libtorch call, with the first line of its message: the rest is a C++ stack trace.
    pub(super) fn call(message: &str) -> Self {
        let line = message.lines().map(str::trim).find(|line| !line.is_empty());
        Self::Call(line.unwrap_or("failed without a message").to_owned())
    }
}

impl From<TchError> for TorchError {
    fn from(error: TchError) -> Self {
        match error {
            TchError::Torch(message) => Self::call(&message),
            other => Self::call(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn a_failed_call_keeps_only_the_line_for_the_user() {
        let narrow = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let wide = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        let error = TorchError::from(narrow.f_add(&wide).unwrap_err());
        assert_eq!(
            error.to_string(),
            "libtorch: The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0"
        );
    }
}
