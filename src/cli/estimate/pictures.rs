//! The pictures of an estimate.

use std::path::PathBuf;

use anyhow::ensure;

use super::tables::is_free;
use crate::cli::Notes;
use crate::estimate::Estimate;
use crate::plot::{self, Bar, Roof, RoofPoint};

/// Pictures that are asked for.
pub(super) struct Pictures {
    pub(super) cycles: Option<PathBuf>,
    pub(super) roofline: Option<PathBuf>,
}

impl Pictures {
    /// That what is asked for can be drawn, before the work.
    pub(super) fn check(&self, estimates: usize) -> anyhow::Result<()> {
        for (flag, path) in [("--plot", &self.cycles), ("--roofline", &self.roofline)] {
            let Some(path) = path else { continue };
            ensure!(estimates == 1, "{flag} draws one network on one accelerator, got {estimates} estimates");
            plot::check_path(path)?;
        }
        Ok(())
    }

    /// Draws the layers that take cycles.
    pub(super) fn draw(&self, estimate: &Estimate, roof: &Roof, notes: Notes) -> anyhow::Result<()> {
        let layers = || estimate.layers.iter().filter(|layer| !is_free(layer));
        if let Some(path) = &self.cycles {
            let bars: Vec<Bar> = layers().map(Bar::of).collect();
            plot::write(path, &plot::cycles_svg(&bars, &estimate.total.breakdown, &estimate.title()))?;
            notes.line(&format!("wrote {}", path.display()));
        }
        if let Some(path) = &self.roofline {
            let points: Vec<RoofPoint> = layers().map(RoofPoint::of).collect();
            plot::write(path, &plot::roofline_svg(&points, &RoofPoint::whole(estimate), roof, &estimate.title()))?;
            notes.line(&format!("wrote {}", path.display()));
        }
        Ok(())
    }
}
