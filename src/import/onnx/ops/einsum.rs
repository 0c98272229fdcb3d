//! Einsum of one or two operands: orders of dimensions and products of matrices.

use super::super::call::{Call, Outputs, one};
use super::super::steps::{Act, Refusal};
use super::products;
use crate::network::{Bias, Op, Reduce, Reduction};

/// An equation as labels of each operand and of the output.
struct Equation {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
}

impl Equation {
    fn of(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(l, r)| (l, Some(r)));
        let inputs: Vec<Vec<char>> = left.split(',').map(|labels| labels.chars().collect()).collect();
        let output = match right {
            Some(right) => right.chars().collect(),
            None => once(&inputs),
        };
        let plain = inputs.iter().chain([&output]).all(|labels| distinct_letters(labels));
        plain.then_some(Self { inputs, output })
    }
}

/// Labels that stand once, in the order of the alphabet: the output where the equation names none.
fn once(inputs: &[Vec<char>]) -> Vec<char> {
    let mut all: Vec<char> = inputs.concat();
    all.sort_unstable();
    let single = all.iter().filter(|label| all.iter().filter(|other| other == label).count() == 1);
    single.copied().collect()
}

fn distinct_letters(labels: &[char]) -> bool {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == labels.len() && labels.iter().all(char::is_ascii_alphabetic)
}

pub(super) fn einsum(call: &mut Call<'_>) -> Outputs {
    let text = call.text("equation").unwrap_or_default();
    let refuse = || Refusal::Unknown(format!("the equation `{text}` is not covered"));
    let equation = Equation::of(&text).ok_or_else(refuse)?;
    let known: Vec<char> = equation.inputs.concat();
    if equation.output.iter().any(|label| !known.contains(label)) || equation.inputs.len() != call.inputs.len() {
        return Err(Refusal::Invalid(format!("the equation `{text}` does not fit {} inputs", call.inputs.len())));
    }
    for (at, labels) in equation.inputs.iter().enumerate() {
        let dims = call.dims(at)?;
        if dims.len() != labels.len() {
            return Err(Refusal::Invalid(format!("the equation `{text}` does not fit an input of {dims:?}")));
        }
    }
    match equation.inputs.as_slice() {
        [a] => single(call, a, &equation.output),
        [a, b] => pair(call, a, b, &equation.output).unwrap_or_else(|| Err(refuse())),
        _ => Err(refuse()),
    }
}

/// Sums over labels that are left out, and another order of the others.
fn single(call: &mut Call<'_>, labels: &[char], output: &[char]) -> Outputs {
    let act = call.act(0)?;
    let gone = |label: &char| !output.contains(label);
    let name = call.part("sum");
    let act = summed(call, &name, act, labels, gone)?;
    let labels: Vec<char> = labels.iter().copied().filter(|label| output.contains(label)).collect();
    let order = order(&labels, output);
    one(call.steps.transpose(call.name, &act, &order)?)
}

/// `act` summed over the labels that are gone, which leave its dimensions.
fn summed(
    call: &mut Call<'_>,
    name: &str,
    act: Act,
    labels: &[char],
    gone: impl Fn(&char) -> bool,
) -> Result<Act, Refusal> {
    let batch = usize::from(super::super::steps::has_batch(&act.dims));
    let axes: Vec<u64> = (0..labels.len())
        .filter(|&at| gone(&labels[at]) && act.dims[at] != 1)
        .filter_map(|at| at.checked_sub(batch))
        .map(|at| at as u64)
        .collect();
    let kept: Vec<u64> = (0..labels.len()).filter(|&at| !gone(&labels[at])).map(|at| act.dims[at]).collect();
    if axes.is_empty() {
        return call.steps.reshape(name, &act, kept);
    }
    call.steps.wire(name, Op::Reduce(Reduce { function: Reduction::Sum, axes }), &[act.step], kept)
}

fn order(from: &[char], to: &[char]) -> Vec<usize> {
    to.iter().filter_map(|label| from.iter().position(|other| other == label)).collect()
}

/// A product of matrices: labels of both and of the output count the products, those of one operand and of the output
/// are rows or columns, those of both alone are summed over. Nothing where a label of one operand alone is summed over.
fn pair(call: &mut Call<'_>, a: &[char], b: &[char], output: &[char]) -> Option<Outputs> {
    let both: Vec<char> = a.iter().copied().filter(|label| b.contains(label)).collect();
    let shared: Vec<char> = output.iter().copied().filter(|label| both.contains(label)).collect();
    let inner: Vec<char> = both.iter().copied().filter(|label| !output.contains(label)).collect();
    let rows: Vec<char> = output.iter().copied().filter(|label| a.contains(label) && !both.contains(label)).collect();
    let cols: Vec<char> = output.iter().copied().filter(|label| b.contains(label) && !both.contains(label)).collect();
    if [a, b].iter().any(|labels| labels.iter().any(|label| !both.contains(label) && !output.contains(label))) {
        return None;
    }
    let labels = [a, b, output].map(<[char]>::to_vec);
    Some(Product { labels, shared, inner, rows, cols }.lower(call))
}

struct Product {
    labels: [Vec<char>; 3],
    shared: Vec<char>,
    inner: Vec<char>,
    rows: Vec<char>,
    cols: Vec<char>,
}

impl Product {
    fn lower(&self, call: &mut Call<'_>) -> Outputs {
        let (left, right) = (call.dims(0)?, call.dims(1)?);
        let side = |label: &char| {
            let find = |labels: &[char], dims: &[u64]| labels.iter().position(|l| l == label).map(|at| dims[at]);
            match (find(&self.labels[0], &left), find(&self.labels[1], &right)) {
                (Some(x), Some(y)) => x.max(y),
                (Some(x), None) | (None, Some(x)) => x,
                (None, None) => 1,
            }
        };
        let sides = |labels: &[char]| labels.iter().map(side).collect::<Vec<u64>>();
        let product = |labels: &[char]| sides(labels).iter().fold(1u64, |all, &side| all.saturating_mul(side));
        let [m, k, n] = [&self.rows, &self.inner, &self.cols].map(|labels| product(labels));
        let a = call.act(0)?;
        let a_order = order(&self.labels[0], &[self.shared.clone(), self.rows.clone(), self.inner.clone()].concat());
        let a = call.steps.transpose(&call.part("transpose_a"), &a, &a_order)?;
        let out = if self.shared.is_empty() && call.constant(1).is_some() {
            let dims = [sides(&self.rows), vec![k]].concat();
            let a = call.steps.reshape(&call.part("reshape"), &a, dims)?;
            products::linear(call, &a, [k, n], Bias::Without)?
        } else {
            let a = call.steps.reshape(&call.part("reshape"), &a, [sides(&self.shared), vec![m, k]].concat())?;
            let b = call.act(1)?;
            let b_order =
                order(&self.labels[1], &[self.shared.clone(), self.inner.clone(), self.cols.clone()].concat());
            let b = call.steps.transpose(&call.part("transpose_b"), &b, &b_order)?;
            let b = call.steps.reshape(&call.part("reshape"), &b, [sides(&self.shared), vec![k, n]].concat())?;
            products::product(call.steps, call.name, &a, &b)?
        };
        let found = [self.shared.clone(), self.rows.clone(), self.cols.clone()].concat();
        let out = call.steps.reshape(&call.part("reshape"), &out, sides(&found))?;
        one(call.steps.transpose(&call.part("transpose"), &out, &order(&found, &self.labels[2]))?)
    }
}
