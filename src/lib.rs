//! scaffold

#![doc = include_str!("layers.txt")]

pub mod accel;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cost;
#[cfg(feature = "torch")]
pub mod data;
pub mod estimate;
pub mod front;
pub mod import;
pub mod jobs;
pub mod load;
pub mod network;
#[cfg(feature = "torch")]
pub mod nn;
pub mod pareto;
pub mod plot;
pub mod record;
pub mod search;
pub mod space;
#[cfg(feature = "torch")]
pub mod supernet;
#[cfg(feature = "torch")]
pub mod torch;
#[cfg(feature = "torch")]
pub mod train;
pub mod units;
