//! SVG to PNG, with the font of this program and no other.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::PlotError;
use super::canvas::FONT;

/// Pixels of the PNG for each pixel of the SVG, so that text stays sharp on dense screens and paper.
const SCALE: f32 = 2.0;

/// `svg` as the bytes of a PNG.
pub(super) fn render(svg: &str) -> Result<Vec<u8>, PlotError> {
    let failed = |reason: String| PlotError::Png { reason };
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(FONT.to_vec());
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or_else(|| failed(format!("{:?} is too large", tree.size())))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| failed(error.to_string()))
}
