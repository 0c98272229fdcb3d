//! The device that a run computes on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Cuda, Device};

use super::TorchError;

/// What the user asks for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device where there is one, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, and an error where there is none; `cuda` is number 0.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = TorchError;

    fn from_str(text: &str) -> Result<Self, TorchError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => other
                .strip_prefix("cuda:")
                .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| TorchError::UnknownDevice(other.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The name of an opened device, as [`DeviceChoice`] reads it: `cpu` or `cuda:N`.
#[must_use]
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".to_owned(),
        Device::Vulkan => "vulkan".to_owned(),
    }
}

/// The device that `choice` means on this machine.
///
/// # Errors
/// Where a CUDA device is asked for and the library, the driver or the device of that number is missing.
pub fn open(choice: DeviceChoice) -> Result<Device, TorchError> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => cuda(index),
        DeviceChoice::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
    }
}

fn cuda(index: usize) -> Result<Device, TorchError> {
    let library = match cuda_library() {
        CudaLibrary::Loaded(path) => path,
        CudaLibrary::Absent(path) => return Err(TorchError::CudaAbsent { index, path: path.clone() }),
        CudaLibrary::Broken(path, reason) => {
            return Err(TorchError::CudaBroken { index, path: path.clone(), reason: reason.clone() });
        }
        CudaLibrary::NoLibtorch => return Err(TorchError::NoLibtorch { index }),
    };
    if !Cuda::is_available() {
        return Err(TorchError::NoGpu { index, path: library.clone() });
    }
    let count = Cuda::device_count();
    match i64::try_from(index) {
        Ok(number) if number < count => Ok(Device::Cuda(index)),
        Ok(_) | Err(_) => Err(TorchError::NoSuchGpu { index, count }),
    }
}

/// What became of the one attempt of this process to load the CUDA part of libtorch.
#[derive(Debug)]
enum CudaLibrary {
    Loaded(PathBuf),
    Absent(PathBuf),
    Broken(PathBuf, String),
    NoLibtorch,
}

/// Loads the `libtorch_cuda.so` beside this process's `libtorch_cpu.so`, so that one binary serves both kinds of machine.
///
/// Must come before any question about CUDA: libtorch settles on its first one whether CUDA exists.
fn cuda_library() -> &'static CudaLibrary {
    static LIBRARY: OnceLock<CudaLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let Some(path) = beside_libtorch("libtorch_cuda.so") else { return CudaLibrary::NoLibtorch };
        if !path.exists() {
            return CudaLibrary::Absent(path);
        }
        // SAFETY: the library comes with the libtorch that this process already runs; its initialisers register kernels
        // and touch nothing of ours.
        match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => {
                // Never closed: libtorch keeps pointers to its kernels.
                std::mem::forget(library);
                CudaLibrary::Loaded(path)
            }
            Err(error) => CudaLibrary::Broken(path, error.to_string()),
        }
    })
}

/// The libtorch that this package is built for: torch-sys takes no other by itself.
const BUILT_FOR: &str = "2.11.0";

/// Version of the libtorch that runs, as its folder tells it; the one that this package is built for where it does not.
#[must_use]
pub fn version() -> String {
    let library = beside_libtorch("libtorch_cpu.so");
    let folder = library.as_deref().and_then(|library| library.parent()?.parent());
    folder.and_then(version_in).unwrap_or_else(|| BUILT_FOR.to_owned())
}

/// The version in `build-version` (the archives of libtorch) or `version.py` (the packages of PyTorch) of `folder`.
fn version_in(folder: &Path) -> Option<String> {
    let archive = std::fs::read_to_string(folder.join("build-version")).ok();
    let package = || std::fs::read_to_string(folder.join("version.py")).ok();
    let quoted = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim().trim_matches(['\'', '"']).to_owned())
    };
    let version = archive.or_else(|| quoted(package()?))?.trim().to_owned();
    (!version.is_empty()).then_some(version)
}

/// The path of `file` in the folder of the `libtorch_cpu.so` that this process has mapped.
fn beside_libtorch(file: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let library = PathBuf::from(&line[line.find('/')?..]);
        library.ends_with("libtorch_cpu.so").then(|| library.with_file_name(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_device_is_read_and_written_back() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:0", DeviceChoice::Cuda(0)),
            ("cuda:12", DeviceChoice::Cuda(12)),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
    }

    #[test]
    fn what_is_no_device_is_refused_by_name() {
        for bad in ["gpu", "", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:1.5", "cuda:99999999999999999999"] {
            let message = bad.parse::<DeviceChoice>().unwrap_err().to_string();
            assert_eq!(
                message,
                format!("device `{bad}`: must be auto, cpu, cuda or cuda:N with N a device number from 0")
            );
        }
    }

    #[test]
    fn a_version_is_read_from_archives_and_packages() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(version_in(folder.path()), None);
        put("version.py", "from typing import Optional\n\n__version__ = '2.11.0+cu128'\ndebug = False\n");
        assert_eq!(version_in(folder.path()).unwrap(), "2.11.0+cu128");
        put("build-version", "2.11.0\n");
        assert_eq!(version_in(folder.path()).unwrap(), "2.11.0");
        assert!(version().starts_with("2."), "{}", version());
    }

    #[test]
    fn the_cpu_always_opens_and_auto_opens_something() {
        assert_eq!(open(DeviceChoice::Cpu).unwrap(), Device::Cpu);
        open(DeviceChoice::Auto).unwrap();
    }

    #[test]
    fn cuda_without_cuda_says_what_was_looked_for() {
        // On a machine with so many GPUs this test would have to learn a new number.
        let message = open(DeviceChoice::Cuda(4096)).unwrap_err().to_string();
        assert!(message.starts_with("device cuda:4096: "), "{message}");
        assert!(message.contains("libtorch_cuda.so") || message.contains("numbered from 0"), "{message}");
    }

    #[test]
    fn a_missing_cuda_library_is_named_with_its_path_and_the_cure() {
        assert_eq!(
            TorchError::CudaAbsent { index: 3, path: PathBuf::from("/opt/libtorch/lib/libtorch_cuda.so") }.to_string(),
            "device cuda:3: this libtorch has no CUDA, `/opt/libtorch/lib/libtorch_cuda.so` does not exist; use `cpu`, or point \
             LIBTORCH at a libtorch of the same version with CUDA"
        );
    }
}
