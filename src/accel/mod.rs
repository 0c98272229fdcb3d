//! The accelerator: one or several systolic arrays, what they multiply, and the cycles that this takes.
//!
//! Knows matrix products, never layers. An [`Accelerator`] comes from a YAML file ([`AcceleratorFile`]) or from those
//! shipped ([`Accelerator::named_or_path`]); [`Accelerator::array_cost`] is the one way from a [`Gemm`] to cycles.

mod accelerator;
pub mod calibration;
mod file;
mod memory;
mod shipped;
mod tiling;
mod timing;
mod workload;

pub use accelerator::{Accelerator, Array, BadArray, Dataflow, Depthwise, Precision};
pub use calibration::{Calibration, CalibrationFile};
pub use file::{AcceleratorFile, ArrayFile, MemoryFile, PrecisionFile};
pub use memory::{BadBandwidth, Bandwidth, Memory};
pub use shipped::{AccelError, Shipped};
pub use tiling::{Extent, Split, Tiling};
pub use timing::{ArrayCost, CostError, ScaleSimReport, Timing, UnknownTiming};
pub use workload::{Gemm, GemmKind, WorkloadError};
