//! SVG to PNG, with the font of this program and no other.

mod palette;

use ::png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::PlotError;
use super::canvas::FONT;
use palette::Indexed;

/// Pixels of the PNG for each pixel of the SVG, so that text stays sharp on dense screens and paper.
const SCALE: f32 = 2.0;

/// `svg` as the bytes of a PNG of at most 256 colours.
pub(super) fn render(svg: &str) -> Result<Vec<u8>, PlotError> {
    let failed = |reason: String| PlotError::Png { reason };
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(FONT.to_vec());
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or_else(|| failed(format!("{:?} is too large", tree.size())))?;
    pixels.fill(resvg::tiny_skia::Color::WHITE);
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    encoded(&pixels).map_err(|error| failed(error.to_string()))
}

fn encoded(pixels: &Pixmap) -> Result<Vec<u8>, EncodingError> {
    // Nothing shines through a white ground, so that the fourth byte of each pixel is 255.
    let colours: Vec<[u8; 3]> = pixels.data().chunks_exact(4).map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();
    let Indexed { palette, places } = Indexed::of(&colours);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(Compression::High);
    // Differences of places in a palette mean nothing.
    encoder.set_filter(Filter::NoFilter);
    encoder.write_header()?.write_image_data(&places)?;
    Ok(bytes)
}
