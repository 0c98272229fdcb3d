//! An accelerator from whatever names it: shipped, an accelerator file, or a configuration of SCALE-Sim.

use std::path::Path;

use crate::accel::{AccelError, Accelerator};
use crate::import::scale_sim::{Config, ConfigError, SramKib};
use crate::load::{self, LoadError};
use crate::units::Megahertz;

/// An accelerator and what else its source says.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedAccelerator {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// SCALE-Sim's memories, where its configuration gives them.
    pub sram: Option<SramKib>,
    /// The accelerator file that it amounts to, where it comes from another format.
    pub yaml: Option<String>,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
}

/// Why there is no such accelerator.
#[derive(Debug, thiserror::Error)]
pub enum NamedAcceleratorError {
    /// Not shipped, or no accelerator file.
    #[error(transparent)]
    Accel(#[from] AccelError),
    /// A configuration that cannot be read.
    #[error(transparent)]
    Read(#[from] LoadError),
    /// No configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Whether `name` is a configuration of SCALE-Sim, by its extension.
#[must_use]
pub fn is_scale_sim_config(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("cfg"))
}

impl NamedAccelerator {
    /// The shipped accelerator of this name, else the file at this path: `.cfg` is SCALE-Sim's, every other a YAML file.
    /// `clock` takes the place of its own; a configuration has none and gets [`Config::DEFAULT_CLOCK_MHZ`].
    ///
    /// # Errors
    /// [`NamedAcceleratorError`] with the line of what is wrong.
    ///
    /// # Panics
    /// Never: the default clock is one.
    pub fn load(name: &str, clock: Option<Megahertz>) -> Result<Self, NamedAcceleratorError> {
        if !is_scale_sim_config(name) {
            let mut accelerator = Accelerator::named_or_path(name)?;
            accelerator.clock = clock.unwrap_or(accelerator.clock);
            return Ok(Self { accelerator, sram: None, yaml: None, notes: Vec::new() });
        }
        let default = Megahertz::new(Config::DEFAULT_CLOCK_MHZ).expect("a fixed clock");
        let config = Config::parse(&load::text(Path::new(name))?, name, clock.unwrap_or(default))?;
        let yaml = Some(config.to_yaml());
        let mut notes: Vec<String> = config.notes.iter().map(|note| format!("note: {name}: {note}")).collect();
        if clock.is_none() {
            let mhz = Config::DEFAULT_CLOCK_MHZ;
            notes.push(format!("note: {name}: the format has no clock, {mhz} MHz is taken (--clock-mhz)"));
        }
        Ok(Self { accelerator: config.accelerator, sram: config.sram, yaml, notes })
    }
}
