//! A sheet to draw on, in pixels from the upper left corner.

use ab_glyph::{Font as _, FontRef};
use plotters::coord::Shift;
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle, WHITE};

/// DejaVu Sans; its licence lies beside it.
pub(super) const FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");

/// What the SVG names: the font, and what stands in for it where it is not installed.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Drawing units for each pixel: the backend rounds to whole units, so curves would be rough without.
pub(super) const FINE: f64 = 8.0;

/// The backend writes a font size of this many times less than what it is given.
const BACKEND_FONT_SCALE: f64 = 1.24;

/// Size of text, pixels to the em.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Titles.
    Title,
    /// Axes and captions.
    Normal,
    /// Ticks and labels of points.
    Small,
    /// Where there are many.
    Tiny,
}

impl Size {
    /// Pixels to the em.
    pub(super) fn pixels(self) -> f64 {
        match self {
            Self::Title => 16.0,
            Self::Normal => 12.0,
            Self::Small => 10.5,
            Self::Tiny => 9.0,
        }
    }
}

/// Which side of a text its place is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// Begins there, centred in height.
    Left,
    /// Ends there, centred in height.
    Right,
    /// Centred both ways.
    Middle,
    /// Hangs below, centred.
    Below,
    /// Centred both ways, read from below.
    Upwards,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) size: Size,
    pub(super) anchor: Anchor,
    pub(super) colour: RGBColor,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: RGBColor,
    /// Pixels.
    pub(super) width: f64,
    pub(super) dash: Dash,
}

/// Whether a line is broken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dash {
    Solid,
    Dashed,
}

/// The sheet; all lengths in pixels, `y` down.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// The SVG of `width` by `height` pixels that `paint` draws on white.
pub(super) fn drawing([width, height]: [f64; 2], paint: impl FnOnce(&Canvas<'_>)) -> String {
    let size = (units(width).unsigned_abs(), units(height).unsigned_abs());
    let mut svg = String::new();
    let canvas = Canvas { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
    canvas.area.fill(&WHITE).expect(TO_MEMORY);
    paint(&canvas);
    canvas.area.present().expect(TO_MEMORY);
    drop(canvas);
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    svg.replacen(&drawn, &format!("width=\"{width}\" height=\"{height}\""), 1)
}

const TO_MEMORY: &str = "drawing into memory does not fail";

#[expect(
    clippy::cast_possible_truncation,
    reason = "a place on a sheet of some thousand pixels; out of range saturates"
)]
fn units(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn place([x, y]: [f64; 2]) -> (i32, i32) {
    (units(x), units(y))
}

fn font(size: Size) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name(FAMILY), size.pixels() * FINE * BACKEND_FONT_SCALE, FontStyle::Normal)
}

/// Width of `text`, pixels, as the font's advances say.
pub(super) fn text_width(text: &str, size: Size) -> f64 {
    let font = FontRef::try_from_slice(FONT).expect("the font that is part of the program can be read");
    let advance: f32 = text.chars().map(|letter| font.h_advance_unscaled(font.glyph_id(letter))).sum();
    let units_per_em = font.units_per_em().expect("the font states its units");
    f64::from(advance / units_per_em) * size.pixels()
}

/// `text`, or its beginning and end with `…` between where it is wider than `width` pixels.
pub(super) fn shortened(text: &str, size: Size, width: f64) -> String {
    let letters: Vec<char> = text.chars().collect();
    let with = |kept: usize| {
        let end = kept / 2;
        let (head, tail) = (&letters[..kept - end], &letters[letters.len() - end..]);
        head.iter().chain(&['…']).chain(tail).collect::<String>()
    };
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let fits = (1..letters.len()).rev().map(with).find(|shorter| text_width(shorter, size) <= width);
    fits.unwrap_or_else(|| "…".to_owned())
}

impl Canvas<'_> {
    fn draw<E>(&self, element: &E)
    where
        for<'b> &'b E: PointCollection<'b, (i32, i32)>,
        for<'a> E: Drawable<SVGBackend<'a>>,
    {
        self.area.draw(element).expect(TO_MEMORY);
    }

    /// A line through `points`.
    pub(super) fn line(&self, points: &[[f64; 2]], stroke: Stroke) {
        match stroke.dash {
            Dash::Solid => self.solid(points, stroke),
            Dash::Dashed => {
                for pair in points.windows(2) {
                    dashes(pair[0], pair[1]).iter().for_each(|dash| self.solid(dash, stroke));
                }
            }
        }
    }

    fn solid(&self, points: &[[f64; 2]], stroke: Stroke) {
        let style =
            ShapeStyle { color: stroke.colour.to_rgba(), filled: false, stroke_width: width_units(stroke.width) };
        self.draw(&PathElement::new(points.iter().copied().map(place).collect::<Vec<_>>(), style));
    }

    /// A filled rectangle between two corners.
    pub(super) fn rectangle(&self, corners: [[f64; 2]; 2], colour: RGBColor) {
        self.draw(&Rectangle::new(corners.map(place), colour.filled()));
    }

    /// The outline of a rectangle.
    pub(super) fn outline(&self, [[left, top], [right, bottom]]: [[f64; 2]; 2], stroke: Stroke) {
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top], [right, top]];
        self.line(&corners, stroke);
    }

    /// A filled shape.
    pub(super) fn polygon(&self, corners: &[[f64; 2]], colour: RGBColor) {
        self.draw(&Polygon::new(corners.iter().copied().map(place).collect::<Vec<_>>(), colour.filled()));
    }

    /// A filled circle; the shortest mark to write.
    pub(super) fn dot(&self, centre: [f64; 2], radius: f64, colour: RGBColor) {
        self.draw(&Circle::new(place(centre), units(radius), colour.filled()));
    }

    /// `text` at `at`.
    pub(super) fn text(&self, text: &str, at: [f64; 2], look: Look) {
        let (horizontal, vertical, transform) = match look.anchor {
            Anchor::Left => (HPos::Left, VPos::Center, FontTransform::None),
            Anchor::Right => (HPos::Right, VPos::Center, FontTransform::None),
            Anchor::Middle => (HPos::Center, VPos::Center, FontTransform::None),
            Anchor::Below => (HPos::Center, VPos::Top, FontTransform::None),
            Anchor::Upwards => (HPos::Center, VPos::Center, FontTransform::Rotate270),
        };
        let font = font(look.size).transform(transform);
        let style = TextStyle::from(font).color(&look.colour).pos(Pos::new(horizontal, vertical));
        self.draw(&Text::new(text.to_owned(), place(at), style));
    }
}

fn width_units(pixels: f64) -> u32 {
    units(pixels).unsigned_abs()
}

/// Dashes of 5 pixels with gaps of 4 along a straight line.
fn dashes(from: [f64; 2], to: [f64; 2]) -> Vec<[[f64; 2]; 2]> {
    const DASH: f64 = 5.0;
    const PERIOD: f64 = 9.0;
    let length = (to[0] - from[0]).hypot(to[1] - from[1]);
    let at = |along: f64| [0, 1].map(|i| from[i] + (to[i] - from[i]) * (along / length).min(1.0));
    let starts = std::iter::successors(Some(0.0), |start| Some(start + PERIOD)).take_while(|start| *start < length);
    starts.map(|start| [at(start), at(start + DASH)]).collect()
}
