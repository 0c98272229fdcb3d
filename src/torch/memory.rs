//! The most memory that a run has held.

use tch::Device;

use super::{TorchError, ffi};
use crate::units::Bytes;

/// Peak memory: of the whole process for the CPU, of libtorch's allocator since [`reset_peak`] for a CUDA device.
///
/// Nothing where the system does not tell (the CPU outside Linux).
///
/// # Errors
/// Where the allocator of the CUDA device does not answer.
pub fn peak(device: Device) -> Result<Option<Bytes>, TorchError> {
    match device {
        Device::Cuda(index) => {
            let [_, allocated_peak, _, _] = ffi::cuda_memory(index)?;
            Ok(u64::try_from(allocated_peak).ok().map(Bytes))
        }
        Device::Cpu | Device::Mps | Device::Vulkan => {
            Ok(std::fs::read_to_string("/proc/self/status").ok().and_then(|status| high_water_mark(&status)))
        }
    }
}

/// Forgets the peak of a CUDA device so far; the process's peak on the CPU stays, since it is the kernel's.
///
/// # Errors
/// Where the allocator of the CUDA device does not answer.
pub fn reset_peak(device: Device) -> Result<(), TorchError> {
    match device {
        Device::Cuda(index) => ffi::cuda_reset_peak(index),
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(()),
    }
}

/// The line `VmHWM:   1234 kB` of a process's status.
fn high_water_mark(status: &str) -> Option<Bytes> {
    let kib: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()?;
    Some(Bytes(kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_kib() {
        assert_eq!(high_water_mark("Name:\tsystole\nVmHWM:\t    1200 kB\nVmRSS:\t 900 kB\n"), Some(Bytes(1200 * 1024)));
        assert_eq!(high_water_mark("Name:\tsystole\n"), None);
    }
}
