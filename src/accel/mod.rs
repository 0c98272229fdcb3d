//! The accelerator: one or several systolic arrays with a vector unit and memories, and what work costs on them.
//!
//! Knows matrix products, vector work and bytes, never operators. An [`Accelerator`] comes from a YAML file ([`AcceleratorFile`]) or from those
//! shipped ([`Accelerator::named_or_path`]); its [`Engine`] is the one way from a [`Gemm`] or a [`Workload`] to costs.

mod accelerator;
mod breakdown;
pub mod calibration;
mod counts;
mod energy;
mod engine;
mod file;
mod memory;
mod shipped;
mod tiling;
mod timing;
mod traffic;
mod vector;
mod workload;

pub use accelerator::{Accelerator, Array, BadArray, Dataflow, Depthwise, Precision};
pub use breakdown::{Bound, Breakdown, Part};
pub use calibration::{Calibration, CalibrationFile};
pub use energy::EnergyTable;
pub use engine::{Cost, Engine, LayerCost, Shares, Work, Workload};
pub use file::{AcceleratorFile, ArrayFile, EnergyFile, MemoryFile, PrecisionFile, VectorFile, VectorUnitFile};
pub use memory::{BadBandwidth, Bandwidth, Dram, Memory, Overlap, WeightHome, WeightRoom};
pub(crate) use shipped::looks_like_a_path;
pub use shipped::{AccelError, Shipped};
pub use tiling::{Extent, Passes, Split, Tiling};
pub use timing::{ArrayCost, CostError, ScaleSimReport, Timing, UnknownTiming};
pub use traffic::{Operand, Operands, Traffic};
pub use vector::{VectorUnit, VectorWork};
pub use workload::{Gemm, GemmKind, WorkloadError};
