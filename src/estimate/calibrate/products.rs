//! Counts and forms of single matrix products.

use super::fit::{Data, Fitted, Form, Matrix};
use super::grid;
use crate::accel::calibration::{Law, ProductLaw, ProductTerm, product_bytes, product_counts};
use crate::accel::{Accelerator, Gemm};

/// Rows that either side of the threshold needs: twice the numbers of one side, about.
const LEAST_ROWS: usize = 10;
/// Thresholds of the grid: steps of a fifth where sizes span four decades.
const STEPS: i32 = 48;
/// Counts of every product, at every threshold of a grid.
pub(super) fn data(accelerator: &Accelerator, products: &[Gemm], times: Vec<f64>) -> Data {
    let bytes: Vec<f64> = products.iter().map(|gemm| product_bytes(accelerator, gemm)).collect();
    let [least, most] = [f64::min, f64::max].map(|of| bytes.iter().copied().fold(bytes[0], of));
    let enough = |threshold: Option<f64>| {
        threshold.is_none_or(|threshold| {
            let below = bytes.iter().filter(|&&bytes| bytes <= threshold).count();
            below >= LEAST_ROWS && bytes.len() - below >= LEAST_ROWS
        })
    };
    let thresholds = grid(least, most, STEPS).into_iter().filter(|&threshold| enough(threshold));
    let at = thresholds.map(|threshold| (threshold, counts(accelerator, products, threshold))).collect();
    Data { times, base: Matrix { columns: 0, values: Vec::new() }, at }
}

fn counts(accelerator: &Accelerator, products: &[Gemm], threshold: Option<f64>) -> Matrix {
    let values = products.iter().flat_map(|gemm| product_counts(accelerator, gemm, threshold)).collect();
    Matrix { columns: ProductTerm::COUNT, values }
}

/// The forms: arrays each for itself; where they are even, in pairs, or partly so.
pub(super) fn forms(accelerator: &Accelerator) -> Vec<Form> {
    let without = |name: &str, left_out: &[ProductTerm]| {
        let columns = ProductTerm::ALL.iter().filter(|term| !left_out.contains(term)).map(|&term| term as usize);
        Form { name: name.to_owned(), columns: columns.collect(), pinned: None, exception: None }
    };
    let mut forms = vec![without("arrays alone", &[ProductTerm::OneShotPairedTileRow])];
    if accelerator.array.count.is_multiple_of(2) {
        forms.push(without("arrays in pairs", &[ProductTerm::OneShotTileRow]));
        forms.push(without("arrays partly in pairs", &[]));
    }
    forms
}

/// The law that was fitted.
pub(super) fn law(data: &Data, form: &Form, fitted: &Fitted) -> Law {
    let mut terms = [0.0; ProductTerm::COUNT];
    for (&column, &number) in form.columns.iter().zip(&fitted.numbers) {
        terms[column] = number;
    }
    Law::Products(ProductLaw { one_shot_bytes: data.at[fitted.threshold].0, terms })
}
