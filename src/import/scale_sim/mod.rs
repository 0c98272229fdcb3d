//! SCALE-Sim: its topology files as lists of layers, its configuration files as accelerators.

mod config;
mod ini;
mod topology;

pub use config::{Config, ConfigError, ConfigFault, SramKib};
pub use topology::{Conv, Fault, Row, RowError, RowKind, ScaleSimError, read_topology};
