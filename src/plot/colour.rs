//! Colours that differ for colour-blind readers and in grey print.

use plotters::style::RGBColor;

use crate::estimate::{Bound, Part};

/// Text and frames.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Text of less weight.
pub(super) const FAINT_INK: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE4, 0xE4);
/// Edges of tiles.
pub(super) const EDGE: RGBColor = RGBColor(0x99, 0x99, 0x99);
/// Marks whose value is not known.
pub(super) const UNKNOWN: RGBColor = RGBColor(0xBB, 0xBB, 0xBB);

/// Series, after Okabe and Ito (Color Universal Design, 2008), less the yellow that white swallows.
const SERIES: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x33, 0x33, 0x33),
];

/// Viridis of matplotlib (Smith and van der Walt, 2015) at 0, 0.1, ..., 1.
const VIRIDIS: [[u8; 3]; 11] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x24, 0x75],
    [0x41, 0x44, 0x87],
    [0x35, 0x5F, 0x8D],
    [0x2A, 0x78, 0x8E],
    [0x21, 0x91, 0x8C],
    [0x22, 0xA8, 0x84],
    [0x44, 0xBF, 0x70],
    [0x7A, 0xD1, 0x51],
    [0xBD, 0xDF, 0x26],
    [0xFD, 0xE7, 0x25],
];

/// Colour of the series `number`, from 0; they come round after seven.
pub(super) fn series(number: usize) -> RGBColor {
    SERIES[number % SERIES.len()]
}

/// Half way from a colour to white.
pub(super) fn paler(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let half = |channel: u8| channel / 2 + 0x80;
    RGBColor(half(red), half(green), half(blue))
}

/// Colour of a part of the cycles, after Okabe and Ito: what is useful is dark, losses are bright.
pub(super) fn part_colour(part: Part) -> RGBColor {
    match part {
        Part::Useful => RGBColor(0x00, 0x72, 0xB2),
        Part::Imbalance => RGBColor(0xCC, 0x79, 0xA7),
        Part::Columns => RGBColor(0xE6, 0x9F, 0x00),
        Part::Rows => RGBColor(0xF0, 0xE4, 0x42),
        Part::Load => RGBColor(0x56, 0xB4, 0xE9),
        Part::FillAndDrain => RGBColor(0x00, 0x9E, 0x73),
        Part::Stall => RGBColor(0xD5, 0x5E, 0x00),
        Part::Vector => RGBColor(0x66, 0x66, 0x66),
    }
}

/// Colour of what limits a layer: the array's is that of useful cycles, memory's that of stalls.
pub(super) fn bound_colour(bound: Bound) -> RGBColor {
    match bound {
        Bound::Array => part_colour(Part::Useful),
        Bound::Memory => part_colour(Part::Stall),
        Bound::Vector => part_colour(Part::FillAndDrain),
        Bound::None => UNKNOWN,
    }
}

/// Colour of `value` from 0 (dark blue) to 1 (yellow); grey where it is not a number.
pub(super) fn viridis(value: f64) -> RGBColor {
    if value.is_nan() {
        return UNKNOWN;
    }
    let steps = VIRIDIS.len() - 1;
    let place = value.clamp(0.0, 1.0) * steps as f64;
    let below = (0..steps).rev().find(|&i| i as f64 <= place).unwrap_or(0);
    let part = place - below as f64;
    let mix = |channel: usize| {
        let (from, to) = (f64::from(VIRIDIS[below][channel]), f64::from(VIRIDIS[below + 1][channel]));
        byte(from + part * (to - from))
    };
    RGBColor(mix(0), mix(1), mix(2))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_run_from_dark_blue_to_yellow() {
        assert_eq!(viridis(0.0), RGBColor(0x44, 0x01, 0x54));
        assert_eq!(viridis(0.5), RGBColor(0x21, 0x91, 0x8C));
        assert_eq!(viridis(7.0), RGBColor(0xFD, 0xE7, 0x25));
        assert_eq!(viridis(f64::NAN), UNKNOWN);
    }
}
