//! Pictures of fronts, histories, networks and estimates: SVG text, and PNG made from the same SVG.
//!
//! Every picture is a function of its records alone: equal records give equal bytes. Text is measured, and drawn in PNG,
//! with one font that is part of the program (`font/`), so no font need be installed.

mod allocation;
mod axis;
mod bars;
mod candidates;
mod canvas;
mod colour;
mod front;
mod history;
mod labels;
mod largest;
mod measured;
mod measures;
mod names;
mod network;
mod operators;
mod panel;
mod png;
mod progress;
mod roofline;
mod series;
mod widths;

use std::path::{Path, PathBuf};

pub use allocation::allocation_svg;
pub use bars::{Bar, cycles_svg};
pub use candidates::candidates_svg;
pub use front::front_svg;
pub use history::history_svg;
pub use measured::{Staircase, measured_svg, staircase_svg};
pub use network::{network_dot, network_svg};
pub use operators::operators_svg;
pub use progress::{fan_svg, hypervolume_svg};
pub use roofline::{Roof, RoofPoint, roofline_svg};
pub use widths::widths_svg;

use crate::record::{self, RecordError};

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A file name that says nothing of what is wanted.
    #[error("`{}`: a plot is written as .svg or .png, by the file's extension", path.display())]
    Extension {
        /// What was given.
        path: PathBuf,
    },
    /// The SVG could not be turned into pixels.
    #[error("the SVG cannot be drawn as PNG: {reason}")]
    Png {
        /// What the renderer said.
        reason: String,
    },
    /// The system would not write it.
    #[error(transparent)]
    Write(#[from] RecordError),
}

/// Writes `svg` to `path` in one step, as it is or as PNG, by the extension (`.svg` or `.png`).
///
/// # Errors
/// [`PlotError::Extension`] for any other, [`PlotError::Png`] where `svg` is no SVG or too large,
/// [`PlotError::Write`] where the system refuses.
pub fn write(path: &Path, svg: &str) -> Result<(), PlotError> {
    match Format::of(path)? {
        Format::Svg => record::write(path, svg.as_bytes())?,
        Format::Png => record::write(path, &png::render(svg)?)?,
    }
    Ok(())
}

/// That `path` has an extension that [`write()`] knows: to be asked before the work that makes the picture.
///
/// # Errors
/// [`PlotError::Extension`].
pub fn check_path(path: &Path) -> Result<(), PlotError> {
    Format::of(path).map(|_| ())
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &Path) -> Result<Self, PlotError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some(_) | None => Err(PlotError::Extension { path: path.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests;
