//! Arithmetic on each value, and what several such operators are together.

use super::super::call::{Call, Outputs, Value, one};
use super::super::constant::Constant;
use super::super::steps::{Act, Refusal, Step, has_batch, image};
use super::fold;
use crate::network::{Activation, Affine, Bias, Function, Norm, NormKind, Op, Reduction};

/// What an operator does to each value.
enum Kind {
    /// One of the network's activations.
    Activation(Activation),
    /// One operand.
    Unary(Function),
    /// Two operands or more; the second function is meant where the others are one number.
    Several(Op, Function),
}

fn kind(call: &Call<'_>, operator: &str) -> Option<Kind> {
    use Function as F;
    let several = |function: F| Kind::Several(Op::Elementwise(function), function);
    Some(match operator {
        "Add" | "Sum" => Kind::Several(Op::Add, F::Shift),
        "Sub" => Kind::Several(Op::Elementwise(F::Subtract), F::Shift),
        "Mul" => Kind::Several(Op::Multiply, F::Scale),
        "Div" => Kind::Several(Op::Elementwise(F::Divide), F::Scale),
        "Mean" => Kind::Several(Op::Add, F::Shift),
        "Pow" => several(F::Power),
        "PRelu" => Kind::Several(Op::Multiply, F::Scale),
        "Max" => several(F::Maximum),
        "Min" => several(F::Minimum),
        "Mod" => several(F::Remainder),
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => several(F::Compare),
        "And" | "Or" | "Xor" => several(F::Logic),
        "Where" => several(F::Select),
        _ => return activation(call, operator).map(Kind::Activation).or_else(|| unary(operator).map(Kind::Unary)),
    })
}

fn activation(call: &Call<'_>, operator: &str) -> Option<Activation> {
    Some(match operator {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { slope: call.float("alpha", 0.01) },
        "Sigmoid" => Activation::Sigmoid,
        "HardSigmoid" => Activation::HardSigmoid,
        "HardSwish" => Activation::HardSwish,
        "Swish" => Activation::Silu,
        "Gelu" => Activation::Gelu,
        "Tanh" | "Softsign" => Activation::Tanh,
        "Elu" | "Selu" | "Celu" => Activation::Elu { alpha: call.float("alpha", 1.0) },
        "Softplus" | "Mish" => Activation::Softplus,
        "Clip" => clip(call),
        "ThresholdedRelu" => Activation::Relu,
        _ => return None,
    })
}

/// Clip between bounds that are attributes up to version 10, and inputs after.
fn clip(call: &Call<'_>) -> Activation {
    let bound = |name: &str, at: usize, default: f64| match call.attribute(name) {
        Some(_) => call.float(name, default),
        None => call.floats(at, name).ok().flatten().and_then(|values| values.first().copied()).unwrap_or(default),
    };
    let (low, high) = (bound("min", 1, f64::from(f32::MIN)), bound("max", 2, f64::from(f32::MAX)));
    match (low.abs() < f64::EPSILON, (high - 6.0).abs() < f64::EPSILON, high >= f64::from(f32::MAX)) {
        (true, true, _) => Activation::Relu6,
        (true, _, true) => Activation::Relu,
        (_, _, _) => Activation::Clip { low, high },
    }
}

fn unary(operator: &str) -> Option<Function> {
    Some(match operator {
        "Neg" => Function::Scale,
        "Exp" => Function::Exponential,
        "Log" => Function::Logarithm,
        "Sqrt" => Function::Root,
        "Reciprocal" => Function::Reciprocal,
        "Erf" => Function::ErrorFunction,
        "Abs" | "Sign" => Function::Absolute,
        "Floor" | "Ceil" | "Round" => Function::Round,
        "Not" | "IsNaN" | "IsInf" => Function::Logic,
        "Sin" | "Cos" | "Tan" | "Asin" | "Acos" | "Atan" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" => {
            Function::Trigonometric
        }
        _ => return None,
    })
}

/// The operator of that name.
pub(super) fn lower(call: &mut Call<'_>, operator: &str) -> Outputs {
    let kind = kind(call, operator).ok_or_else(|| Refusal::Unknown("this operator is not known".to_owned()))?;
    let operands = match kind {
        Kind::Activation(_) | Kind::Unary(_) => 1,
        Kind::Several(..) => call.inputs.len(),
    };
    let constants: Vec<_> = (0..operands).filter_map(|at| call.constant(at)).collect();
    if constants.len() == operands {
        return constant(call, operator, &constants);
    }
    match kind {
        Kind::Activation(activation) => on_one(call, Op::Activation(activation)),
        Kind::Unary(function) => on_one(call, Op::Elementwise(function)),
        Kind::Several(op, single) => several(call, operator, op, single),
    }
}

/// An operator on constants: its values where they are known, its shape in any case.
fn constant(call: &Call<'_>, operator: &str, operands: &[std::rc::Rc<Constant>]) -> Outputs {
    let dims: Vec<&[u64]> = operands.iter().map(|operand| operand.dims.as_slice()).collect();
    let dims = fold::broadcast_dims(&dims)?;
    super::super::constant::elements(&dims)?;
    let operands: Vec<&Constant> = operands.iter().map(AsRef::as_ref).collect();
    let data = fold::elementwise(operator, &operands, &dims);
    let learned = operands.iter().any(|operand| operand.learned);
    let name = call.node.output.first().cloned().unwrap_or_default();
    Ok(vec![Value::constant(Constant { dims, data, learned, name })])
}

fn on_one(call: &mut Call<'_>, op: Op) -> Outputs {
    let act = call.act(0)?;
    one(call.wire(op, &[act.step], act.dims)?)
}

/// Operands broadcast to one shape; a single number is part of the operator.
fn several(call: &mut Call<'_>, operator: &str, op: Op, single: Function) -> Outputs {
    let all: Vec<Vec<u64>> = (0..call.inputs.len()).map(|at| call.dims(at)).collect::<Result<_, _>>()?;
    let dims: Vec<&[u64]> = all.iter().map(Vec::as_slice).collect();
    let out = fold::broadcast_dims(&dims)?;
    let is_number = |at: usize| call.constant(at).is_some_and(|constant| constant.count() == 1);
    let tensors: Vec<usize> = (0..call.inputs.len()).filter(|&at| !is_number(at)).collect();
    if let [only] = tensors.as_slice() {
        let act = call.act(*only)?;
        return one(on_number(call, operator, single, &act, out)?);
    }
    if let Some(act) = fused(call, operator, &tensors, &out)? {
        return one(act);
    }
    let mut steps = Vec::with_capacity(tensors.len());
    for at in tensors {
        let act = call.act(at)?;
        steps.push(aligned(call, &act, &out)?);
    }
    let op = if steps.len() == 1 { Op::Elementwise(single) } else { op };
    one(call.wire(op, &steps, out)?)
}

/// The image of `act` with as many dimensions as that of an output of `out`.
fn aligned(call: &mut Call<'_>, act: &Act, out: &[u64]) -> Result<usize, Refusal> {
    let padded = [vec![1; out.len() - act.dims.len()], act.dims.clone()].concat();
    let sides = if has_batch(out) || padded.is_empty() { image(&padded) } else { padded };
    call.steps.shaped(&call.part("reshape"), act.step, &sides)
}

/// A tensor and numbers. A factor that an activation still owes is taken with it.
fn on_number(call: &mut Call<'_>, operator: &str, single: Function, act: &Act, out: Vec<u64>) -> Result<Act, Refusal> {
    if operator == "Mul" && call.steps.step(act.step).halves_later {
        call.steps.step_mut(act.step).halves_later = false;
        return Ok(Act { step: act.step, dims: out });
    }
    call.wire(Op::Elementwise(single), &[act.step], out)
}

/// The operator that this one and those before it are together, where they are one of the network's.
fn fused(call: &mut Call<'_>, operator: &str, tensors: &[usize], out: &[u64]) -> Result<Option<Act>, Refusal> {
    let &[first, second] = tensors else { return Ok(None) };
    match operator {
        "Add" => {
            let found =
                [(first, second), (second, first)].into_iter().find(|&(x, c)| takes(call, x, c, Learned::Shift, out));
            found.map(|(x, _)| learn(call, x, Learned::Shift, out)).transpose()
        }
        "Mul" => {
            let found =
                [(first, second), (second, first)].into_iter().find(|&(x, c)| takes(call, x, c, Learned::Scale, out));
            match found {
                Some((x, _)) => learn(call, x, Learned::Scale, out).map(Some),
                None => gated(call, [first, second], out),
            }
        }
        "Div" => layer_norm(call, first, second, out),
        _ => Ok(None),
    }
}

/// What a learned vector behind an operator may become part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learned {
    Scale,
    Shift,
}

/// Whether the learned constant at `at` is the bias, or the scale or shift, of the operator that puts out `x`, which
/// nothing else reads.
fn takes(call: &Call<'_>, x: usize, at: usize, learned: Learned, out: &[u64]) -> bool {
    let (Value::Act(act), Some(vector)) = (call.value(x), call.constant(at)) else { return false };
    let alone = call.only_reader.get(x).copied().unwrap_or(false);
    let features = out.last().copied().unwrap_or(0);
    if !alone
        || !vector.learned
        || vector.count() != features
        || vector.dims.last() != Some(&features)
        || act.dims != out
    {
        return false;
    }
    match (&call.steps.step(act.step).op, learned) {
        (Op::Linear(linear), Learned::Shift) => linear.bias == Bias::Without && linear.out_features == features,
        (Op::Norm(norm), Learned::Scale) => {
            norm.affine == Affine::None && norm.features == features && is_innermost(norm)
        }
        (Op::Norm(norm), Learned::Shift) => {
            norm.affine == Affine::Scale && norm.features == features && norm.kind == NormKind::Layer
        }
        _ => false,
    }
}

fn is_innermost(norm: &Norm) -> bool {
    match norm.kind {
        NormKind::Layer | NormKind::Rms => true,
        NormKind::Group { .. } => false,
    }
}

fn learn(call: &mut Call<'_>, x: usize, learned: Learned, out: &[u64]) -> Result<Act, Refusal> {
    let act = call.act(x)?;
    match (&mut call.steps.step_mut(act.step).op, learned) {
        (Op::Linear(linear), _) => linear.bias = Bias::With,
        (Op::Norm(norm), Learned::Scale) => norm.affine = Affine::Scale,
        (Op::Norm(norm), Learned::Shift) => norm.affine = Affine::ScaleAndShift,
        _ => {}
    }
    Ok(Act { step: act.step, dims: out.to_vec() })
}

/// `x * gate(x)`: SiLU, hard-swish, GELU.
fn gated(call: &mut Call<'_>, tensors: [usize; 2], out: &[u64]) -> Result<Option<Act>, Refusal> {
    let steps = [call.act(tensors[0])?.step, call.act(tensors[1])?.step];
    for [x, gate] in [steps, [steps[1], steps[0]]] {
        let (x, x_scaled) = unscaled(call, x);
        let (gate, gate_scaled) = unscaled(call, gate);
        let step = call.steps.step(gate);
        let direct = step.inputs.first() == Some(&x) && !x_scaled && !gate_scaled;
        let activation = match &step.op {
            Op::Activation(Activation::Sigmoid) if direct => Activation::Silu,
            Op::Activation(Activation::HardSigmoid) if direct => Activation::HardSwish,
            Op::Elementwise(Function::Shift) if gauss(call, step, x) => Activation::Gelu,
            _ => continue,
        };
        let act = call.wire(Op::Activation(activation), &[x], out.to_vec())?;
        call.steps.step_mut(act.step).halves_later = activation == Activation::Gelu && !x_scaled && !gate_scaled;
        return Ok(Some(act));
    }
    Ok(None)
}

/// The step before factors, and whether there were any.
fn unscaled(call: &Call<'_>, step: usize) -> (usize, bool) {
    let found = call.steps.step(step);
    match found.op {
        Op::Elementwise(Function::Scale) => (found.inputs[0], true),
        _ => (step, false),
    }
}

/// Whether a sum with a number is `1 + erf(c x)` or `1 + tanh(c (x + c x^3))`.
fn gauss(call: &Call<'_>, sum: &Step, x: usize) -> bool {
    let inner = call.steps.step(sum.inputs[0]);
    match inner.op {
        Op::Elementwise(Function::ErrorFunction) => unscaled(call, inner.inputs[0]).0 == x,
        Op::Activation(Activation::Tanh) => polynomial(call, inner.inputs[0], x, 8),
        _ => false,
    }
}

/// Whether `step` is arithmetic on `x` alone, at most `depth` operators deep.
fn polynomial(call: &Call<'_>, step: usize, x: usize, depth: u32) -> bool {
    if step == x {
        return true;
    }
    let found = call.steps.step(step);
    let arithmetic = match &found.op {
        Op::Add | Op::Multiply => true,
        Op::Elementwise(function) => matches!(function, Function::Scale | Function::Shift | Function::Power),
        _ => false,
    };
    arithmetic && depth > 0 && found.inputs.iter().all(|&input| polynomial(call, input, x, depth - 1))
}

/// `(x - mean) / sqrt(mean of its square + c)` over the innermost dimension.
fn layer_norm(call: &mut Call<'_>, above: usize, below: usize, out: &[u64]) -> Result<Option<Act>, Refusal> {
    let (above, below) = (call.act(above)?.step, call.act(below)?.step);
    let Some((x, kind)) = normalised(call, above, below) else { return Ok(None) };
    let features = out.last().copied().unwrap_or(0);
    let norm = Norm { kind, features, affine: Affine::None };
    Ok(Some(call.wire(Op::Norm(norm), &[x], out.to_vec())?))
}

fn normalised(call: &Call<'_>, above: usize, below: usize) -> Option<(usize, NormKind)> {
    let through = |step: usize, wanted: &Op| {
        let found = call.steps.step(step);
        (found.op == *wanted).then(|| found.inputs[0])
    };
    let shifted = through(below, &Op::Elementwise(Function::Root))?;
    let mean = through(shifted, &Op::Elementwise(Function::Shift))?;
    let square = call.steps.step(mean_over_last(call, mean)?);
    let squared = match &square.op {
        Op::Elementwise(Function::Power) if square.inputs.len() == 1 => square.inputs[0],
        Op::Multiply if square.inputs[0] == square.inputs[1] => square.inputs[0],
        _ => return None,
    };
    if squared != above {
        return None;
    }
    let centred = call.steps.step(above);
    match (&centred.op, centred.inputs.as_slice()) {
        (Op::Elementwise(Function::Subtract), &[x, mean]) if mean_over_last(call, mean) == Some(x) => {
            Some((x, NormKind::Layer))
        }
        _ => Some((above, NormKind::Rms)),
    }
}

/// What `step` is the mean of along the innermost dimension.
fn mean_over_last(call: &Call<'_>, step: usize) -> Option<usize> {
    let found = call.steps.step(step);
    let Op::Reduce(reduce) = &found.op else { return None };
    let input = *found.inputs.first()?;
    let last = call.steps.dims(input).len() as u64 - 1;
    (reduce.function == Reduction::Mean && reduce.axes == [last]).then_some(input)
}
