//! Counts and forms of whole networks.

use super::fit::{Data, Fitted, Form, Matrix};
use super::grid;
use crate::accel::Accelerator;
use crate::accel::calibration::{Counts, Lanes, Law, NetworkLaw, NetworkTerm, Work};

/// Passes of a product that a pinned array term may stand for: a forward run, or a training step with its two backward
/// products.
const PASSES: [f64; 2] = [1.0, 3.0];
/// Terms that no capacity enters: the first of [`NetworkTerm::ALL`], and the first columns.
const BASE: usize = NetworkTerm::BASE;
/// The columns behind: terms of tensors that leave the chip, in lanes.
const BEYOND: [(NetworkTerm, Lanes); 11] = [
    (NetworkTerm::DenseExcess, Lanes::Unpadded),
    (NetworkTerm::DenseExcess, Lanes::Padded),
    (NetworkTerm::DepthwiseExcess, Lanes::Unpadded),
    (NetworkTerm::DepthwiseExcess, Lanes::Padded),
    (NetworkTerm::DenseSpilled, Lanes::Unpadded),
    (NetworkTerm::DenseSpilled, Lanes::Padded),
    (NetworkTerm::DepthwiseSpilled, Lanes::Unpadded),
    (NetworkTerm::DepthwiseSpilled, Lanes::Padded),
    (NetworkTerm::GateSpilled, Lanes::Unpadded),
    (NetworkTerm::GateSpilled, Lanes::Padded),
    (NetworkTerm::SpilledTap, Lanes::Unpadded),
];
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
    let largest = counted.iter().flatten().map(|count| count.written.elements).fold(0.0, f64::max);
    let capacities = grid(LEAST_CAPACITY * largest, largest, STEPS);
    let at = capacities.into_iter().map(|capacity| (capacity, spill(&counted, capacity))).collect();
    Data { times, base, at }
}

fn spill(counted: &[Vec<Counts>], capacity: Option<f64>) -> Matrix {
    let mut matrix = Matrix { columns: BEYOND.len(), values: vec![0.0; BEYOND.len() * counted.len()] };
    let Some(capacity) = capacity else { return matrix };
    for (row, counts) in matrix.values.chunks_exact_mut(BEYOND.len()).zip(counted) {
        for (slot, (term, lanes)) in row.iter_mut().zip(BEYOND) {
            *slot = counts.iter().map(|count| count.beyond(term, capacity, lanes)).sum();
        }
    }
    matrix
}

impl Spill {
    /// Columns of the terms that this way charges. Gates and taps that leave the chip are charged in every way.
    fn columns(self) -> impl Iterator<Item = usize> {
        let charged = move |(term, lanes): (NetworkTerm, Lanes)| match term {
            NetworkTerm::DenseExcess | NetworkTerm::DepthwiseExcess => self.excess == Some(lanes),
            NetworkTerm::DenseSpilled | NetworkTerm::DepthwiseSpilled => self.spilled == Some(lanes),
            NetworkTerm::GateSpilled => self.spilled.unwrap_or_default() == lanes,
            _ => true,
        };
        (0..BEYOND.len()).filter(move |&place| charged(BEYOND[place])).map(|place| BASE + place)
    }
}

/// The forms. With few rows the array term is pinned to the clock, else it is no faster than that; the exceptions say less.
pub(super) fn forms(accelerator: &Accelerator, array: super::ArrayTerm) -> Vec<Form> {
    let row = super::clock_row_ns(accelerator);
    match array {
        super::ArrayTerm::Free => SPILLS.map(|spill| no_faster(spill, row)).into(),
        super::ArrayTerm::Pinned => {
            let one = |(passes, word): (f64, &str), (name, spill): (&str, Spill)| {
                let column = NetworkTerm::TileRow as usize;
                Form {
                    name: format!("{name}, {word} at the clock"),
                    columns: columns(spill).filter(|&other| other != column).collect(),
                    pinned: Some((column, passes * row)),
                    exception: Some(Box::new(no_faster((name, spill), row))),
                }
            };
            let passes = PASSES.into_iter().zip(["1 pass", "3 passes"]);
            passes.flat_map(|passes| SPILLS.map(|spill| one(passes, spill))).collect()
        }
    }
}

/// The form whose array term is free, but no faster than the clock; the exception is one that is.
fn no_faster((name, spill): (&str, Spill), row: f64) -> Form {
    let free = Form {
        name: format!("{name}, array faster than its clock"),
        columns: columns(spill).collect(),
        pinned: None,
        exception: None,
    };
    Form {
        name: name.to_owned(),
        columns: columns(spill).collect(),
        pinned: Some((NetworkTerm::TileRow as usize, row)),
        exception: Some(Box::new(free)),
    }
}

fn columns(spill: Spill) -> impl Iterator<Item = usize> {
    (0..BASE).chain(spill.columns())
}

/// The law that was fitted.
pub(super) fn law(data: &Data, form: &Form, fitted: &Fitted) -> Law {
    let mut terms = [0.0; NetworkTerm::COUNT];
    let (mut excess_lanes, mut spilled_lanes) = (Lanes::Unpadded, Lanes::Unpadded);
    let free = form.columns.iter().copied().zip(fitted.numbers.iter().copied());
    for (column, number) in free.chain(form.pinned) {
        let Some(behind) = column.checked_sub(BASE) else {
            // A pinned number that is the least of a free one adds to it.
            terms[column] += number;
            continue;
        };
        let (term, lanes) = BEYOND[behind];
        terms[term as usize] = number;
        match term {
            NetworkTerm::DenseExcess | NetworkTerm::DepthwiseExcess => excess_lanes = lanes,
            NetworkTerm::DenseSpilled | NetworkTerm::DepthwiseSpilled => spilled_lanes = lanes,
            _ => {}
        }
    }
    Law::Network(NetworkLaw { capacity_elements: data.at[fitted.threshold].0, excess_lanes, spilled_lanes, terms })
}
