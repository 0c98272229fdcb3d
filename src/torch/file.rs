//! Tensors on disk: safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use super::TorchError;
use crate::record;

/// Why tensors cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] record::RecordError),
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no safetensors file, or holds another type of number than f32.
    #[error("{}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A number is not finite where all should be.
    #[error("tensor `{name}` is not finite")]
    NotFinite {
        /// The tensor.
        name: String,
    },
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

impl From<tch::TchError> for TensorFileError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

/// Writes f32 tensors of any shape by name, atomically; equal tensors give equal bytes.
///
/// # Errors
/// [`TensorFileError`] where the file cannot be written.
pub fn save(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), TensorFileError> {
    write(path, &on_host(tensors)?)
}

/// Writes as [`save`] does, tensors of finite numbers alone.
///
/// # Errors
/// As of [`save`]; [`TensorFileError::NotFinite`] where a number is not finite, and then nothing is written.
pub fn save_finite(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), TensorFileError> {
    let host = on_host(tensors)?;
    match host.iter().find(|tensor| !tensor.is_finite()) {
        Some(tensor) => Err(TensorFileError::NotFinite { name: tensor.name.clone() }),
        None => write(path, &host),
    }
}

/// A tensor's numbers as the file holds them: f32, least byte first.
struct OnHost {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl OnHost {
    fn is_finite(&self) -> bool {
        // All bits of the exponent are set in what is infinite or no number; a sum without branches runs at the speed of
        // memory.
        const EXPONENT: u32 = 0x7f80_0000;
        let infinite = |four: &[u8; 4]| u32::from(u32::from_le_bytes(*four) & EXPONENT == EXPONENT);
        let (numbers, _) = self.bytes.as_chunks::<4>();
        numbers.iter().map(infinite).fold(0, |any, one| any | one) == 0
    }
}

fn on_host(tensors: &[(String, Tensor)]) -> Result<Vec<OnHost>, TensorFileError> {
    let one = |(name, tensor): &(String, Tensor)| {
        let host = tensor.detach().f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let shape = host.size().iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        let mut bytes = vec![0u8; host.numel() * 4];
        host.f_view(-1)?.f_copy_data_u8(&mut bytes, host.numel())?;
        Ok(OnHost { name: name.clone(), shape, bytes })
    };
    tensors.iter().map(one).collect()
}

fn write(path: &Path, tensors: &[OnHost]) -> Result<(), TensorFileError> {
    let form = |reason: String| TensorFileError::Form { path: path.to_owned(), reason };
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|tensor| Ok((tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes)?)))
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| form(error.to_string()))?;
    let bytes = safetensors::serialize(views, None).map_err(|error| form(error.to_string()))?;
    Ok(record::write(path, &bytes)?)
}

/// Reads f32 tensors by name to `device`.
///
/// # Errors
/// [`TensorFileError`] where the file cannot be read or is of another form.
pub fn load(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>, TensorFileError> {
    let form = |reason: String| TensorFileError::Form { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|source| TensorFileError::Read { path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| form(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(form(format!("tensor `{name}` must be F32, got {:?}", view.dtype())));
        }
        let shape: Vec<i64> = view.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
        tensors.insert(name, tensor.f_to_device(device)?);
    }
    Ok(tensors)
}

/// Copies what the file at `path` holds into `tensors`, by name.
///
/// # Errors
/// [`TensorFileError`] as of [`load`], or where one of `tensors` is missing there or has another shape.
pub fn restore(path: &Path, device: Device, tensors: Vec<(String, Tensor)>) -> Result<(), TensorFileError> {
    let form = |reason: String| TensorFileError::Form { path: path.to_owned(), reason };
    let kept = load(path, device)?;
    for (name, mut tensor) in tensors {
        let value = kept.get(&name).ok_or_else(|| form(format!("tensor `{name}` is missing")))?;
        if value.size() != tensor.size() {
            return Err(form(format!("tensor `{name}` must be {:?}, got {:?}", tensor.size(), value.size())));
        }
        tch::no_grad(|| tensor.f_copy_(value))?;
    }
    Ok(())
}

/// `weights`, then the moments of an optimizer by their place, as a checkpoint names them.
#[must_use]
pub fn with_moments(mut weights: Vec<(String, Tensor)>, moments: &[Tensor]) -> Vec<(String, Tensor)> {
    let named = moments.iter().enumerate();
    weights.extend(named.map(|(place, tensor)| (format!("momentum.{place:05}"), tensor.shallow_clone())));
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let host = (Kind::Float, Device::Cpu);
        let tensors =
            [("b.x".to_owned(), Tensor::arange(6, host).view([2, 3])), ("a".to_owned(), Tensor::ones([1], host))];
        save(&path, &tensors).unwrap();
        let first = std::fs::read(&path).unwrap();
        let back = load(&path, Device::Cpu).unwrap();
        assert!(tensors.iter().all(|(name, tensor)| back[name].equal(tensor)));
        save(&path, &tensors).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }

    #[test]
    fn restoring_copies_by_name_and_names_what_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let host = (Kind::Float, Device::Cpu);
        let zeros = |shape: [i64; 1]| Tensor::zeros(shape, host);
        let kept = with_moments(vec![("a".to_owned(), Tensor::ones([2], host))], &[Tensor::arange(3, host)]);
        save(&path, &kept).unwrap();
        let fresh = with_moments(vec![("a".to_owned(), zeros([2]))], &[zeros([3])]);
        let into = fresh.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        restore(&path, Device::Cpu, into).unwrap();
        assert!(fresh.iter().zip(&kept).all(|((_, a), (_, b))| a.equal(b)));
        let message =
            |name: &str, shape| restore(&path, Device::Cpu, vec![(name.to_owned(), zeros(shape))]).unwrap_err();
        assert!(message("b", [2]).to_string().ends_with("w.safetensors: tensor `b` is missing"));
        assert!(message("momentum.00000", [2]).to_string().ends_with("tensor `momentum.00000` must be [2], got [3]"));
    }

    #[test]
    fn what_is_not_finite_is_found_by_name_and_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let tensors = |last: f32| [("a".to_owned(), Tensor::from_slice(&[1.0f32, f32::MIN_POSITIVE / 2.0, last]))];
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = save_finite(&path, &tensors(bad)).unwrap_err().to_string();
            assert_eq!((message.as_str(), path.exists()), ("tensor `a` is not finite", false));
        }
        for good in [f32::MAX, f32::MIN, 0.0, -1e-40] {
            save_finite(&path, &tensors(good)).unwrap();
            assert!(load(&path, Device::Cpu).unwrap()["a"].equal(&tensors(good)[0].1));
        }
    }

    #[test]
    fn a_file_cut_short_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        save(&path, &[("a".to_owned(), Tensor::ones([9], (Kind::Float, Device::Cpu)))]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = load(&path, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("w.safetensors"), "{error}");
    }
}
