//! Data sets: read or drawn on the host, kept as bytes on the device, split, batched and augmented there.

mod augment;
pub mod cifar;
mod dataset;
mod error;
mod loader;
pub mod shapes;
mod split;

pub use augment::{Augment, Draws, Flip};
pub use dataset::{Dataset, Pixels, Statistics};
pub use error::DataError;
pub use loader::{Batch, Epoch, Layout, Loader, Order};
pub use split::{SplitSizes, Splits};
