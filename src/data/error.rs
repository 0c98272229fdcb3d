//! What goes wrong with data sets.

use std::path::PathBuf;

use crate::torch::TorchError;

/// Why a data set could not be read, split or brought to a device.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing that looks like CIFAR-10 is at the given path.
    #[error(
        "cifar-10: found neither `cifar-10-batches-bin` nor `data_batch_1.bin` nor `cifar-10-binary.tar.gz` at `{}`; get \
         cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, or use `data: shapes`, which needs no files",
        .0.display()
    )]
    CifarAbsent(PathBuf),
    /// One of the six files of CIFAR-10 is missing.
    #[error("cifar-10: `{}` has no `{file}`; unpack cifar-10-binary.tar.gz again", place.display())]
    CifarFileAbsent {
        /// The folder or archive.
        place: PathBuf,
        /// The missing file.
        file: &'static str,
    },
    /// A file of another length than the format says.
    #[error("cifar-10: `{}` must have {expected} bytes, found {found}; get cifar-10-binary.tar.gz again", file.display())]
    CifarLength {
        /// The file, in its folder or archive.
        file: PathBuf,
        /// Bytes of the format.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// A label that is no class.
    #[error("cifar-10: `{}`, record {record}: the label must be 0 to 9, got {value}", file.display())]
    CifarLabel {
        /// The file, in its folder or archive.
        file: PathBuf,
        /// The record, from 0.
        record: usize,
        /// The byte there.
        value: u8,
    },
    /// The archive is cut off, or none.
    #[error("cifar-10: `{}` cannot be unpacked: {source}; get cifar-10-binary.tar.gz again", path.display())]
    CifarArchive {
        /// The archive.
        path: PathBuf,
        /// What was reported.
        source: std::io::Error,
    },
    /// The system could not read a file.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What was reported.
        source: std::io::Error,
    },
    /// More images are asked for than there are.
    #[error("data `{name}`: {asked} images were asked for ({parts}), but its {pool} part has {available}")]
    TooFew {
        /// The data set.
        name: String,
        /// The official part: training or test.
        pool: &'static str,
        /// What the number is made of.
        parts: String,
        /// Images asked for.
        asked: usize,
        /// Images there.
        available: usize,
    },
    /// Training needs at least one full batch.
    #[error(
        "a batch of {batch} images does not fit into a split of {images}: lower the batch size or enlarge the split"
    )]
    BatchTooLarge {
        /// Images of a batch.
        batch: usize,
        /// Images of the split.
        images: usize,
    },
    /// libtorch failed, such as for want of memory on the device.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

impl From<tch::TchError> for DataError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}
