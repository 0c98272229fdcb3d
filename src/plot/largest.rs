//! The largest layers of a picture: numbered in it, named at its side, equal ones together.

use std::collections::HashMap;
use std::hash::Hash;

use super::canvas::{Anchor, Canvas, Look, Size, shortened, text_width};
use super::colour::{FAINT_INK, INK};
use super::names::brief;

/// Most that are named.
const MOST: usize = 10;
/// One below this share of the largest is not named.
const LEAST_SHARE: f64 = 0.05;
/// Width of the list, pixels.
pub(super) const WIDTH: f64 = 250.0;
/// Height of an entry of the list, pixels: a name, and its numbers below.
const ENTRY: f64 = 30.0;

/// Equal items that are named once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranked {
    /// 1 for the largest.
    pub(super) rank: usize,
    /// Place of the first among all items.
    pub(super) place: usize,
    /// How many they are.
    pub(super) count: usize,
}

impl Ranked {
    /// `name`, and how many others are equal to it.
    pub(super) fn name(&self, name: &str) -> String {
        let (name, room) = (brief(name), WIDTH - indent());
        match self.count {
            1 => shortened(&name, Size::Small, room),
            count => {
                let others = format!(" and {} alike", count - 1);
                shortened(&name, Size::Small, room - text_width(&others, Size::Small)) + &others
            }
        }
    }
}

/// What takes most in all, where items of one key are taken together: key and size of each. The first of equal ones
/// comes before the others.
pub(super) fn ranked<K: Eq + Hash>(items: impl Iterator<Item = (K, u64)>) -> Vec<Ranked> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<(Ranked, f64)> = Vec::new();
    for (place, (key, size)) in items.enumerate() {
        let group = *places.entry(key).or_insert(groups.len());
        if group == groups.len() {
            groups.push((Ranked { rank: 0, place, count: 0 }, 0.0));
        }
        groups[group].0.count += 1;
        groups[group].1 += size as f64;
    }
    groups.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.place.cmp(&b.0.place)));
    let least = groups.first().map_or(0.0, |(_, size)| LEAST_SHARE * size);
    let named = groups.into_iter().take(MOST).filter(|(_, size)| *size > 0.0 && *size >= least);
    named.enumerate().map(|(rank, (ranked, _))| Ranked { rank: rank + 1, ..ranked }).collect()
}

/// Room for the ranks of the list, pixels.
fn indent() -> f64 {
    text_width("00", Size::Small) + 6.0
}

/// Writes the list of rank, name and numbers with its left upper corner at `at`; returns where it ends.
pub(super) fn list(
    canvas: &Canvas<'_>,
    [left, top]: [f64; 2],
    title: &str,
    entries: &[(usize, String, String)],
) -> f64 {
    let heading = Look { size: Size::Normal, anchor: Anchor::Left, colour: INK };
    canvas.text(title, [left, top + 6.0], heading);
    let indent = indent();
    for (number, (rank, name, numbers)) in entries.iter().enumerate() {
        let middle = top + 26.0 + ENTRY * number as f64;
        let look = |anchor, colour| Look { size: Size::Small, anchor, colour };
        canvas.text(&rank.to_string(), [left + indent - 6.0, middle], look(Anchor::Right, INK));
        canvas.text(name, [left + indent, middle], look(Anchor::Left, INK));
        canvas.text(numbers, [left + indent, middle + 13.5], look(Anchor::Left, FAINT_INK));
    }
    top + 26.0 + ENTRY * entries.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_small_ones_are_left_out() {
        let places = |sizes: &[u64]| -> Vec<usize> {
            ranked(sizes.iter().copied().enumerate()).iter().map(|ranked| ranked.place).collect()
        };
        assert_eq!(places(&[5, 100, 4, 7, 100]), [1, 4, 3, 0]);
        assert_eq!(places(&[0, 0]), [0; 0]);
        assert_eq!(places(&[1; 30]).len(), 10);
    }

    #[test]
    fn equal_ones_count_together() {
        // 3 * 40 > 100
        let items = [("a", 40), ("b", 100), ("a", 40), ("a", 40)];
        let named = ranked(items.into_iter());
        assert_eq!(named[0], Ranked { rank: 1, place: 0, count: 3 });
        assert_eq!(named[1], Ranked { rank: 2, place: 1, count: 1 });
        assert_eq!([named[0].name("conv"), named[1].name("fc")], ["conv and 2 alike", "fc"]);
    }
}
