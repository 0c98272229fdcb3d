//! The memory of a run: the most that it has held, what it holds, what it may hold.

use tch::Device;

use super::{TorchError, ffi};
use crate::record::free_memory;
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
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(own_status().and_then(|status| kib_line(&status, "VmHWM:"))),
    }
}

/// Memory in use now: of the whole process for the CPU, of libtorch's allocator for a CUDA device.
///
/// Nothing where the system does not tell (the CPU outside Linux).
///
/// # Errors
/// Where the allocator of the CUDA device does not answer.
pub fn present(device: Device) -> Result<Option<Bytes>, TorchError> {
    match device {
        Device::Cuda(index) => {
            let [allocated, ..] = ffi::cuda_memory(index)?;
            Ok(u64::try_from(allocated).ok().map(Bytes))
        }
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(own_status().and_then(|status| kib_line(&status, "VmRSS:"))),
    }
}

/// The most that [`present`] could grow to: with what is free on the machine, within its control group's limit, or on
/// the CUDA device.
///
/// Nothing where the system does not tell.
///
/// # Errors
/// Where the allocator of the CUDA device does not answer.
pub fn most(device: Device) -> Result<Option<Bytes>, TorchError> {
    match device {
        Device::Cuda(index) => {
            let [_, _, reserved, _] = ffi::cuda_memory(index)?;
            let [free, _] = ffi::cuda_free(index)?;
            Ok(u64::try_from(free.saturating_add(reserved)).ok().map(Bytes))
        }
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(present(device)?.and_then(free_memory)),
    }
}

fn own_status() -> Option<String> {
    std::fs::read_to_string("/proc/self/status").ok()
}

/// Gives what the host's heap holds free back to the system, where the C library can.
///
/// Aligned pieces of one size leave gaps that the next of that size do not fit: after many tensors were laid out anew,
/// as much again as they take may lie free.
pub fn trim() {
    ffi::trim();
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

/// The line `VmHWM:   1234 kB` of a file of the kernel, given its first word.
fn kib_line(text: &str, word: &str) -> Option<Bytes> {
    let kib: u64 = text.lines().find_map(|line| line.strip_prefix(word))?.split_whitespace().next()?.parse().ok()?;
    Some(Bytes(kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_in_kib() {
        let status = "Name:\tsystole\nVmHWM:\t    1200 kB\nVmRSS:\t 900 kB\n";
        assert_eq!(kib_line(status, "VmHWM:"), Some(Bytes(1200 * 1024)));
        assert_eq!(kib_line(status, "VmRSS:"), Some(Bytes(900 * 1024)));
        assert_eq!(kib_line("Name:\tsystole\n", "VmHWM:"), None);
    }

    #[test]
    fn a_process_holds_no_more_than_its_peak_and_than_it_may() {
        let [present, peak, most] = [present, peak, most].map(|ask| ask(Device::Cpu).unwrap().unwrap());
        assert!(Bytes(1 << 20) < present && present <= peak && present <= most, "{present:?} {peak:?} {most:?}");
    }
}
