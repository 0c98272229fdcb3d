//! Few colours: half the bytes of a picture.

use std::collections::HashMap;

/// Most colours that a PNG with a palette has.
const MOST: usize = 256;

/// A red, a green and a blue.
type Colour = [u8; 3];

/// A picture by the places of its colours in a palette.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    /// At most 256, the most frequent first.
    pub(super) palette: Vec<Colour>,
    /// For each pixel.
    pub(super) places: Vec<u8>,
}

impl Indexed {
    /// `pixels` by their 256 most frequent colours; each other one by the nearest of those. What is drawn has less than
    /// a hundred colours; the rest are edges between two of them.
    pub(super) fn of(pixels: &[Colour]) -> Self {
        let runs = runs(pixels);
        let mut counts: HashMap<Colour, usize> = HashMap::new();
        for (colour, length) in &runs {
            *counts.entry(*colour).or_insert(0) += length;
        }
        let mut palette: Vec<(Colour, usize)> = counts.into_iter().collect();
        palette.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
        let colours: Vec<Colour> = palette.into_iter().map(|(colour, _)| colour).collect();
        let (palette, others) = colours.split_at(colours.len().min(MOST));
        let own = palette.iter().zip(0..=u8::MAX).map(|(colour, place)| (*colour, place));
        let near = others.iter().map(|colour| (*colour, nearest(*colour, palette)));
        let place: HashMap<Colour, u8> = own.chain(near).collect();
        let places = runs.iter().flat_map(|(colour, length)| std::iter::repeat_n(place[colour], *length));
        Self { palette: palette.to_vec(), places: places.collect() }
    }
}

/// Equal neighbours together, with their number.
fn runs(pixels: &[Colour]) -> Vec<(Colour, usize)> {
    pixels.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
}

/// Place of the colour of `palette` that is nearest to `colour`, by the sum of squares.
fn nearest(colour: Colour, palette: &[Colour]) -> u8 {
    let distance =
        |other: &Colour| -> u32 { colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum() };
    let nearest = palette.iter().zip(0..=u8::MAX).min_by_key(|(other, _)| distance(other));
    nearest.map_or(0, |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_256_colours_stay_as_they_are() {
        let pixels: Vec<Colour> = (0..=255).chain(0..=255).map(|i| [i, 7, 255 - i]).collect();
        let Indexed { palette, places } = Indexed::of(&pixels);
        let again: Vec<Colour> = places.iter().map(|&place| palette[usize::from(place)]).collect();
        assert_eq!((palette.len(), again), (256, pixels));
    }

    #[test]
    fn a_rare_colour_takes_the_nearest_of_the_frequent_ones() {
        // 256 colours twice, and one once: of [9, 0, 0] it is 16 + 9 away, of [8, 0, 0] 1 + 16 + 9
        let frequent = (0..=127).flat_map(|i| [[i, 0, 0], [i, 0, 99]]);
        let mut pixels: Vec<Colour> = frequent.flat_map(|colour| [colour, colour]).collect();
        pixels.push([9, 4, 3]);
        let Indexed { palette, places } = Indexed::of(&pixels);
        assert_eq!(palette.len(), 256);
        assert_eq!(palette[usize::from(*places.last().unwrap())], [9, 0, 0]);
        assert_eq!(places.len(), 513);
    }

    #[test]
    fn no_pixels_are_no_colours() {
        assert_eq!(Indexed::of(&[]), Indexed { palette: Vec::new(), places: Vec::new() });
    }
}
