//! The operators that become nodes of the network, while later ones may still be fused into them.
//!
//! ONNX counts the batch among the dimensions, a network does not. A tensor here has ONNX's dimensions with a batch of
//! 1; the shape of its step is that of one image, which leaves a first side of 1 out.

use std::collections::HashMap;

use super::constant::{Constant, elements};
use super::names::Names;
use crate::network::{Network, NetworkError, NodeId, Op, Origin, Shape, Slice, Tensor};

/// Why a node does not become operators of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not covered; the rest of the network may be.
    Unknown(String),
    /// It breaks a rule of ONNX.
    Invalid(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl From<crate::network::ShapeError> for Refusal {
    fn from(error: crate::network::ShapeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A tensor that depends on the input, or stands among those that do.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Act {
    /// The step that puts it out.
    pub(super) step: usize,
    /// ONNX's dimensions, with a batch of 1.
    pub(super) dims: Vec<u64>,
}

impl Act {
    /// Length of the dimension `axis`.
    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }
}

/// An operator with what it reads.
#[derive(Debug, Clone)]
pub(super) struct Step {
    name: String,
    pub(super) op: Op,
    pub(super) inputs: Vec<usize>,
    shape: Shape,
    /// Whether a factor of one half is still to come that belongs to the activation.
    pub(super) halves_later: bool,
}

/// All steps; the first is the input.
#[derive(Debug)]
pub(super) struct Steps {
    list: Vec<Step>,
    names: Names,
    /// The step of each tensor that no operator puts out, by its name.
    tensors: HashMap<String, usize>,
}

/// Whether the first dimension is the batch.
pub(super) fn has_batch(dims: &[u64]) -> bool {
    dims.len() > 1 && dims[0] == 1
}

/// The dimensions for one image.
pub(super) fn image(dims: &[u64]) -> Vec<u64> {
    match dims {
        [] => vec![1],
        [1, rest @ ..] if !rest.is_empty() => rest.to_vec(),
        dims => dims.to_vec(),
    }
}

impl Steps {
    /// The network's input of these dimensions.
    pub(super) fn new(dims: &[u64]) -> Result<Self, Refusal> {
        let shape = Shape::new(&image(dims))?;
        let input = Step { name: "input".to_owned(), op: Op::Input, inputs: Vec::new(), shape, halves_later: false };
        Ok(Self { list: vec![input], names: Names::new(), tensors: HashMap::new() })
    }

    pub(super) fn step(&self, step: usize) -> &Step {
        &self.list[step]
    }

    pub(super) fn step_mut(&mut self, step: usize) -> &mut Step {
        &mut self.list[step]
    }

    pub(super) fn dims(&self, step: usize) -> &[u64] {
        self.list[step].shape.dims()
    }

    /// Shape of the output of `op` behind these steps.
    pub(super) fn out_shape(&self, op: &Op, inputs: &[usize]) -> Result<Shape, Refusal> {
        let shapes: Vec<&Shape> = inputs.iter().map(|&input| &self.list[input].shape).collect();
        Ok(op.shape(&shapes)?)
    }

    /// Adds an operator, and reshapes what it puts out to `dims` where that is something else.
    pub(super) fn wire(&mut self, name: &str, op: Op, inputs: &[usize], dims: Vec<u64>) -> Result<Act, Refusal> {
        let step = self.push(name, op, inputs)?;
        if elements(&dims)? != self.list[step].shape.elements() {
            let found = &self.list[step].shape;
            return Err(Refusal::Invalid(format!("the output must hold {dims:?}, and its operator gives {found}")));
        }
        self.shaped(&format!("{name}/reshape"), step, &image(&dims)).map(|step| Act { step, dims })
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[usize]) -> Result<usize, Refusal> {
        let shape = self.out_shape(&op, inputs)?;
        let name = self.names.unique(name);
        self.list.push(Step { name, op, inputs: inputs.to_vec(), shape, halves_later: false });
        Ok(self.list.len() - 1)
    }

    /// The values of `step` in their order as an image of these dimensions.
    pub(super) fn shaped(&mut self, name: &str, step: usize, image: &[u64]) -> Result<usize, Refusal> {
        let mut from = step;
        while matches!(self.list[from].op, Op::Reshape { .. } | Op::Flatten) {
            from = self.list[from].inputs[0];
        }
        match image {
            image if self.dims(step) == image => Ok(step),
            image if self.dims(from) == image => Ok(from),
            [_] => self.push(name, Op::Flatten, &[from]),
            image => self.push(name, Op::Reshape { shape: image.to_vec() }, &[from]),
        }
    }

    /// The values of `act` in their order under other dimensions.
    pub(super) fn reshape(&mut self, name: &str, act: &Act, dims: Vec<u64>) -> Result<Act, Refusal> {
        let step = self.shaped(name, act.step, &image(&dims))?;
        Ok(Act { step, dims })
    }

    /// The dimensions of `act` in another order; moving sides of 1 moves no value.
    pub(super) fn transpose(&mut self, name: &str, act: &Act, order: &[usize]) -> Result<Act, Refusal> {
        let dims: Vec<u64> = order.iter().map(|&axis| act.dims[axis]).collect();
        let moved: Vec<usize> = order.iter().copied().filter(|&axis| act.dims[axis] != 1).collect();
        if moved.is_sorted() {
            return self.reshape(name, act, dims);
        }
        let batch = usize::from(has_batch(&act.dims));
        let order = order.iter().filter_map(|&axis| axis.checked_sub(batch)).map(|axis| axis as u64).collect();
        self.wire(name, Op::Transpose { order }, &[act.step], dims)
    }

    /// A part of `act` along one of ONNX's axes.
    pub(super) fn slice(
        &mut self,
        name: &str,
        act: &Act,
        axis: usize,
        (start, stop, step): (u64, u64, u64),
    ) -> Result<Act, Refusal> {
        let side = act.dims[axis];
        if (start, stop, step) == (0, side, 1) {
            return Ok(act.clone());
        }
        let mut dims = act.dims.clone();
        dims[axis] = stop.saturating_sub(start).div_ceil(step.max(1));
        let axis = axis.checked_sub(usize::from(has_batch(&act.dims)));
        let Some(axis) = axis else { return Err(Refusal::Invalid("nothing is left of the batch".to_owned())) };
        let op = Op::Slice(Slice { axis: axis as u64, start, stop, step });
        self.wire(name, op, &[act.step], dims)
    }

    /// A constant as a tensor of the network; the same one for each that asks for it.
    pub(super) fn tensor(&mut self, constant: &Constant) -> Result<Act, Refusal> {
        let origin = if constant.learned { Origin::Learned } else { Origin::Given };
        let stored = self.tensors.get(&constant.name).copied();
        let same = stored.filter(|&step| self.list[step].shape.elements() == constant.count());
        let step = match same {
            Some(step) => step,
            None => {
                let op = Op::Tensor(Tensor { shape: image(&constant.dims), origin });
                let step = self.push(&constant.name, op, &[])?;
                self.tensors.insert(constant.name.clone(), step);
                step
            }
        };
        self.shaped(&format!("{}/reshape", constant.name), step, &image(&constant.dims))
            .map(|step| Act { step, dims: constant.dims.clone() })
    }

    /// A tensor of these dimensions that comes from elsewhere.
    pub(super) fn given(&mut self, name: &str, dims: &[u64]) -> Result<Act, Refusal> {
        let op = Op::Tensor(Tensor { shape: image(dims), origin: Origin::Given });
        Ok(Act { step: self.push(name, op, &[])?, dims: dims.to_vec() })
    }

    /// The network of what `outputs` depend on, the first of them its output.
    pub(super) fn network(&self, name: &str, outputs: &[usize]) -> Result<Network, NetworkError> {
        let mut network = Network::new(name, self.list[0].shape.clone());
        let used = self.used(outputs);
        let mut wired: Vec<NodeId> = vec![network.input(); self.list.len()];
        for (at, step) in self.list.iter().enumerate().skip(1).filter(|(at, _)| used[*at]) {
            let inputs: Vec<NodeId> = step.inputs.iter().map(|&input| wired[input]).collect();
            wired[at] = network.wire(&step.name, step.op.clone(), &inputs)?;
        }
        if let Some(&output) = outputs.first() {
            network.set_output(wired[output]);
        }
        Ok(network)
    }

    fn used(&self, outputs: &[usize]) -> Vec<bool> {
        let mut used = vec![false; self.list.len()];
        let mut open = outputs.to_vec();
        while let Some(step) = open.pop() {
            if !std::mem::replace(&mut used[step], true) {
                open.extend(&self.list[step].inputs);
            }
        }
        used
    }
}
