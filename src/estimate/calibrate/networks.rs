//! Counts and forms of whole networks.

use super::fit::{Data, Fitted, Form, Matrix};
use super::grid;
use crate::accel::Accelerator;
use crate::accel::GemmKind;
use crate::accel::calibration::{Counts, Lanes, Law, NetworkLaw, NetworkTerm, Work, Written};

/// Passes of a product that a pinned array term may stand for: a forward run, or a training step with its two backward
/// products.
const PASSES: [f64; 2] = [1.0, 3.0];
/// Terms that no capacity enters: the first of [`NetworkTerm::ALL`].
const BASE: usize = 7;
/// Columns of tensors that leave the chip, behind the base: excess unpadded and padded, spilled unpadded and padded, each
/// of dense and of depthwise outputs.
const LANES: [Lanes; 2] = [Lanes::Unpadded, Lanes::Padded];
/// Least part of the largest tensor that may be the capacity.
const LEAST_CAPACITY: f64 = 0.02;
/// Capacities of the grid: steps of a fifth.
const STEPS: i32 = 20;

/// One way to charge tensors that leave the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spill {
    excess: Option<Lanes>,
    spilled: Option<Lanes>,
}

const SPILLS: [(&str, Spill); 7] = [
    ("hinge, unpadded", Spill { excess: Some(Lanes::Unpadded), spilled: None }),
    ("hinge, padded", Spill { excess: Some(Lanes::Padded), spilled: None }),
    ("step, unpadded", Spill { excess: None, spilled: Some(Lanes::Unpadded) }),
    ("step, padded", Spill { excess: None, spilled: Some(Lanes::Padded) }),
    ("both, unpadded", Spill { excess: Some(Lanes::Unpadded), spilled: Some(Lanes::Unpadded) }),
    ("both, padded", Spill { excess: Some(Lanes::Padded), spilled: Some(Lanes::Padded) }),
    ("both, step padded", Spill { excess: Some(Lanes::Unpadded), spilled: Some(Lanes::Padded) }),
];

/// Counts of every network, at every capacity of a grid.
pub(super) fn data(accelerator: &Accelerator, networks: &[&[Work]], times: Vec<f64>) -> Data {
    let counted: Vec<Vec<Counts>> =
        networks.iter().map(|works| works.iter().map(|work| Counts::of(accelerator, work)).collect()).collect();
    let mut base = Matrix { columns: BASE, values: Vec::with_capacity(BASE * networks.len()) };
    for counts in &counted {
        let sum = |term: NetworkTerm| -> f64 { counts.iter().map(|count| count.base[term as usize]).sum() };
        base.values.push(1.0);
        base.values.extend(NetworkTerm::ALL[1..BASE].iter().map(|&term| sum(term)));
    }
    let written = counted.iter().flatten().filter_map(|count| count.written);
    let largest = written.map(|(_, written)| written.elements).fold(0.0, f64::max);
    let capacities = grid(LEAST_CAPACITY * largest, largest, STEPS);
    let at = capacities.into_iter().map(|capacity| (capacity, spill(&counted, capacity))).collect();
    Data { times, base, at }
}

fn spill(counted: &[Vec<Counts>], capacity: Option<f64>) -> Matrix {
    let columns = 4 * LANES.len();
    let mut matrix = Matrix { columns, values: vec![0.0; columns * counted.len()] };
    let Some(capacity) = capacity else { return matrix };
    for (row, counts) in matrix.values.chunks_exact_mut(columns).zip(counted) {
        for (kind, written) in counts.iter().filter_map(|count| count.written) {
            add(row, kind, written, capacity);
        }
    }
    matrix
}

fn add(row: &mut [f64], kind: GemmKind, written: Written, capacity: f64) {
    let first = match kind {
        GemmKind::Depthwise => LANES.len(),
        GemmKind::Weights | GemmKind::Activations => 0,
    };
    for (place, lanes) in LANES.into_iter().enumerate() {
        row[first + place] += written.excess(capacity, lanes);
        row[2 * LANES.len() + first + place] += written.spilled(capacity, lanes);
    }
}

/// Columns of `lanes` among the excess (0) or the spilled ones (1): of dense and of depthwise outputs.
fn columns(part: usize, lanes: Lanes) -> [usize; 2] {
    let place = match lanes {
        Lanes::Unpadded => 0,
        Lanes::Padded => 1,
    };
    let first = BASE + 2 * LANES.len() * part;
    [first + place, first + LANES.len() + place]
}

/// The forms, with the array term free; where it is to be pinned, those with it pinned first.
pub(super) fn forms(accelerator: &Accelerator, pinned: super::ArrayTerm) -> Vec<Form> {
    let mut forms = Vec::new();
    let array = NetworkTerm::TileRow as usize;
    let form = |name: String, spill: Spill, pinned: Option<(usize, f64)>| {
        let base = (0..BASE).filter(|&column| pinned.is_none_or(|(other, _)| other != column));
        let excess = spill.excess.into_iter().flat_map(|lanes| columns(0, lanes));
        let spilled = spill.spilled.into_iter().flat_map(|lanes| columns(1, lanes));
        Form { name, columns: base.chain(excess).chain(spilled).collect(), pinned }
    };
    if pinned == super::ArrayTerm::Pinned {
        let row = super::clock_row_ns(accelerator);
        for (passes, word) in PASSES.into_iter().zip(["1 pass", "3 passes"]) {
            for (name, spill) in SPILLS {
                forms.push(form(format!("{name}, {word} at the clock"), spill, Some((array, passes * row))));
            }
        }
    }
    forms.extend(SPILLS.map(|(name, spill)| form(name.to_owned(), spill, None)));
    forms
}

/// The law that was fitted.
pub(super) fn law(data: &Data, form: &Form, fitted: &Fitted) -> Law {
    let mut terms = [0.0; NetworkTerm::COUNT];
    let mut lanes = [Lanes::Unpadded; 2];
    let free = form.columns.iter().copied().zip(fitted.numbers.iter().copied());
    for (column, number) in free.chain(form.pinned) {
        let Some(behind) = column.checked_sub(BASE) else {
            terms[column] = number;
            continue;
        };
        // Excess before spilled, dense before depthwise, unpadded before padded.
        let (part, kind, place) = (behind / 4, behind / 2 % 2, behind % 2);
        terms[BASE + 2 * part + kind] = number;
        lanes[part] = LANES[place];
    }
    let [excess_lanes, spilled_lanes] = lanes;
    Law::Network(NetworkLaw { capacity_elements: data.at[fitted.threshold].0, excess_lanes, spilled_lanes, terms })
}
