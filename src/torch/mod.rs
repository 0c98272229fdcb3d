//! The libtorch border: devices, precision, memory layout, optimizer and seeds.
//!
//! The only room with `unsafe` and C++: what `tch` lacks is in `shim.cpp`, behind the private `ffi`.

mod arithmetic;
mod autocast;
mod device;
mod error;
mod ffi;
pub mod file;
mod flags;
mod layout;
pub mod memory;
mod seed;
mod sgd;

pub use arithmetic::add_scaled;
pub use autocast::{Precision, UnknownPrecision, autocast};
pub use device::{DeviceChoice, device_name, open, version};
pub use error::TorchError;
pub use flags::{Determinism, Float32Products, set_determinism, set_float32_products, set_threads, threads};
pub use layout::{channels_last, is_channels_last, make_channels_last};
pub use seed::{mix, seed_step};
pub use sgd::{Sgd, SgdConfig, clear_gradients};
