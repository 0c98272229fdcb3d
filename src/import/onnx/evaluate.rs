//! Runs the nodes of a graph on shapes.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::call::{Call, Outputs, Value};
use super::constant::{Constant, Data};
use super::coverage::{Coverage, UnknownNode};
use super::error::Fault;
use super::graph::{Flat, Functions, Opsets, ordered};
use super::ops::{self, Cover};
use super::proto::{DimensionProto, GraphProto, ModelProto, ValueInfoProto};
use super::steps::{Refusal, Steps};
use super::values::{self, NodeValue};
use super::{Onnx, Options};
use crate::units::Macs;

/// Graphs within graphs that are followed.
const MAX_DEPTH: u32 = 32;

/// The network of `model`.
pub(super) fn network(model: &ModelProto, name: &str, options: &Options) -> Result<Onnx, Fault> {
    let graph = model.graph.as_ref().ok_or(Fault::NoGraph)?;
    if graph.output.is_empty() {
        return Err(Fault::NoOutput);
    }
    let functions = Functions::of(model);
    let opsets = Opsets::of(&model.opset_import);
    let mut sizes = Sizes::new(options, graph);
    let mut run = Run::start(graph, &functions, &opsets, &mut sizes)?;
    let outputs: Vec<String> = graph.output.iter().filter_map(|output| output.name.clone()).collect();
    let known: HashSet<String> = run.values.keys().cloned().collect();
    let nodes = ordered(functions.open(&graph.node, &opsets)?, &known, &outputs)?;
    run.infos = sizes.infos(graph);
    sizes.check()?;
    run.count_readers(&nodes, &outputs);
    run.nodes(&nodes, 0).map_err(|fault| hinted(fault, &sizes.notes))?;
    run.finish(name, &outputs, sizes.notes)
}

/// The error with what was assumed, which may have led to it.
fn hinted(fault: Fault, notes: &[String]) -> Fault {
    match fault {
        Fault::Node { node, operator, reason, .. } => {
            let hint = notes.iter().map(|note| format!("; {note}")).collect();
            Fault::Node { node, operator, reason, hint }
        }
        fault => fault,
    }
}

/// Sizes of dimensions.
struct Sizes<'a> {
    options: &'a Options,
    /// The name of the batch in this file, where it has one.
    batch: Option<String>,
    /// Names that the file's dimensions have.
    known: BTreeSet<String>,
    notes: Vec<String>,
}

impl<'a> Sizes<'a> {
    fn new(options: &'a Options, graph: &GraphProto) -> Self {
        let stored: HashSet<Option<&str>> = graph.initializer.iter().map(|tensor| tensor.name.as_deref()).collect();
        let mut inputs = graph.input.iter().filter(|input| !stored.contains(&input.name.as_deref()));
        let first = inputs.next().and_then(|input| dimensions(input)?.first()?.dim_param.clone());
        let batch = first.filter(|name| !name.is_empty());
        Self { options, batch, known: BTreeSet::new(), notes: Vec::new() }
    }

    /// Dimensions of an input; its first one is the batch.
    fn input(&mut self, input: &ValueInfoProto) -> Result<Vec<u64>, Fault> {
        let name = input.name.clone().unwrap_or_default();
        let Some(dims) = dimensions(input) else {
            let reason = "it must be a tensor with a number of dimensions".to_owned();
            return Err(Fault::Input { input: name, reason });
        };
        let mut sizes = Vec::with_capacity(dims.len());
        for (at, dimension) in dims.iter().enumerate() {
            let called = called(dimension, &name, at);
            self.known.insert(called.clone());
            let given = self.options.dims.get(&called).copied();
            let is_batch = dims.len() > 1 && at == 0;
            let size = match (given.or_else(|| self.size(dimension)), is_batch) {
                (Some(size), true) if size > 1 && given.is_none() => {
                    self.notes
                        .push(format!("input `{name}`: the first of its dimensions, {size}, is taken as the batch"));
                    1
                }
                (Some(size), _) => size,
                (None, true) => 1,
                (None, false) => return Err(Fault::Open { input: name, dimension: called }),
            };
            sizes.push(size);
        }
        super::constant::elements(&sizes).map_err(|reason| Fault::Input { input: name, reason })?;
        Ok(sizes)
    }

    /// The size of a dimension, where it has one or is the batch.
    fn size(&self, dimension: &DimensionProto) -> Option<u64> {
        let fixed = dimension.dim_value.and_then(|size| u64::try_from(size).ok());
        let named = dimension.dim_param.as_ref().filter(|name| !name.is_empty());
        let chosen = named.and_then(|name| self.options.dims.get(name).copied());
        chosen.or_else(|| named.filter(|name| Some(*name) == self.batch.as_ref()).map(|_| 1)).or(fixed)
    }

    /// Dimensions that the file states for values, where all of them are known.
    fn infos(&self, graph: &GraphProto) -> HashMap<String, Vec<u64>> {
        let dims = |info: &ValueInfoProto| {
            let dims = dimensions(info)?.iter().map(|dimension| self.size(dimension)).collect::<Option<Vec<u64>>>()?;
            Some((info.name.clone()?, dims))
        };
        graph.value_info.iter().chain(&graph.output).filter_map(dims).collect()
    }

    /// Every size that was given is that of a dimension.
    fn check(&self) -> Result<(), Fault> {
        match self.options.dims.keys().find(|name| !self.known.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(Fault::Dimension { name: name.clone(), known: self.known.iter().cloned().collect() }),
        }
    }
}

fn called(dimension: &DimensionProto, input: &str, at: usize) -> String {
    let name = dimension.dim_param.clone().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| format!("{input}/{at}"))
}

fn dimensions(info: &ValueInfoProto) -> Option<&[DimensionProto]> {
    Some(&info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim)
}

struct Run<'a> {
    functions: &'a Functions<'a>,
    opsets: &'a Opsets,
    values: HashMap<String, Value>,
    /// Dimensions that the file states.
    infos: HashMap<String, Vec<u64>>,
    /// How many nodes read a value.
    readers: HashMap<String, usize>,
    steps: Steps,
    coverage: Coverage,
    /// Steps that nodes read which are not covered.
    ends: Vec<usize>,
    /// What the nodes before put out.
    outputs: Vec<NodeValue>,
}

impl<'a> Run<'a> {
    /// Before the first node: inputs and initialisers.
    fn start(
        graph: &GraphProto,
        functions: &'a Functions<'a>,
        opsets: &'a Opsets,
        sizes: &mut Sizes<'_>,
    ) -> Result<Self, Fault> {
        let mut values = initialisers(graph)?;
        let mut inputs = Vec::new();
        for input in &graph.input {
            let name = input.name.clone().unwrap_or_default();
            if !values.contains_key(&name) {
                inputs.push((name, sizes.input(input)?));
            }
        }
        let (first, dims) = inputs.first().ok_or(Fault::NoInput)?;
        let refused = |refusal: Refusal, input: &str| Fault::Input { input: input.to_owned(), reason: reason(refusal) };
        let mut steps = Steps::new(dims).map_err(|refusal| refused(refusal, first))?;
        let act = super::steps::Act { step: 0, dims: dims.clone() };
        values.insert(first.clone(), Value::Act(act));
        for (name, dims) in &inputs[1..] {
            let value = if dims.contains(&0) {
                Value::constant(Constant { dims: dims.clone(), data: None, learned: false, name: name.clone() })
            } else {
                Value::Act(steps.given(name, dims).map_err(|refusal| refused(refusal, name))?)
            };
            values.insert(name.clone(), value);
        }
        let coverage = Coverage {
            nodes: 0,
            operators: 0,
            free: 0,
            constant: 0,
            unknown: Vec::new(),
            behind: 0,
            macs: Macs(0),
            assumed: Vec::new(),
        };
        let (infos, readers) = (HashMap::new(), HashMap::new());
        let (ends, outputs) = (Vec::new(), Vec::new());
        Ok(Self { functions, opsets, values, infos, readers, steps, coverage, ends, outputs })
    }

    fn count_readers(&mut self, nodes: &[Flat], outputs: &[String]) {
        let reads = nodes.iter().flat_map(Flat::reads);
        for name in reads.chain(outputs.iter().map(String::as_str)) {
            *self.readers.entry(name.to_owned()).or_insert(0) += 1;
        }
    }

    fn nodes(&mut self, nodes: &[Flat], depth: u32) -> Result<(), Fault> {
        nodes.iter().try_for_each(|node| {
            self.node(node, depth)?;
            let put_out: Vec<NodeValue> = values::of(node, |name| self.value(name)).collect();
            self.outputs.extend(put_out);
            Ok(())
        })
    }

    fn node(&mut self, flat: &Flat, depth: u32) -> Result<(), Fault> {
        self.coverage.nodes += 1;
        let inputs: Vec<Value> = flat.node.input.iter().map(|name| self.value(name)).collect();
        if inputs.iter().any(|value| matches!(value, Value::Unknown)) {
            self.coverage.behind += 1;
            self.refused(flat, &inputs);
            return Ok(());
        }
        let outputs = match flat.node.op_type.as_deref() {
            Some("Constant") => constant(flat),
            Some("If") => self.branch(flat, &inputs, depth)?,
            _ => self.lowered(flat, inputs.clone()),
        };
        match outputs {
            Ok(outputs) => {
                self.count(flat, &inputs, &outputs);
                let missing = std::iter::repeat(Value::Unknown);
                for (name, value) in flat.node.output.iter().zip(outputs.into_iter().chain(missing)) {
                    self.values.insert(name.clone(), value);
                }
                Ok(())
            }
            Err(Refusal::Unknown(reason)) => {
                let unknown = UnknownNode { node: flat.name.clone(), operator: flat.operator(), reason };
                self.coverage.unknown.push(unknown);
                self.refused(flat, &inputs);
                Ok(())
            }
            Err(Refusal::Invalid(reason)) => {
                let (node, operator, hint) = (flat.name.clone(), flat.operator(), String::new());
                Err(Fault::Node { node, operator, reason, hint })
            }
        }
    }

    fn value(&self, name: &str) -> Value {
        if name.is_empty() { Value::Absent } else { self.values.get(name).cloned().unwrap_or(Value::Unknown) }
    }

    fn lowered(&mut self, flat: &Flat, inputs: Vec<Value>) -> Outputs {
        let only_reader = flat.node.input.iter().map(|name| self.readers.get(name) == Some(&1)).collect();
        let (node, name, opset) = (&flat.node, flat.name.as_str(), flat.opset);
        ops::lower(&mut Call { node, name, inputs, only_reader, opset, steps: &mut self.steps })
    }

    /// Which kind a covered node is of.
    fn count(&mut self, flat: &Flat, inputs: &[Value], outputs: &[Value]) {
        let is_constant = |value: &Value| matches!(value, Value::Constant(_) | Value::Absent | Value::Unknown);
        let kind = if outputs.iter().all(is_constant) || (inputs.iter().all(is_constant) && !inputs.is_empty()) {
            &mut self.coverage.constant
        } else {
            match ops::cover(flat.node.op_type.as_deref().unwrap_or_default()) {
                Cover::Free => &mut self.coverage.free,
                Cover::Operator => &mut self.coverage.operators,
            }
        };
        *kind += 1;
    }

    /// What is known of the outputs of a node that is not covered: what the file states.
    fn refused(&mut self, flat: &Flat, inputs: &[Value]) {
        let acts = inputs.iter().filter_map(|value| match value {
            Value::Act(act) => Some(act.step),
            Value::Absent | Value::Constant(_) | Value::Unknown => None,
        });
        self.ends.extend(acts);
        for name in flat.node.output.iter().filter(|name| !name.is_empty()) {
            let dims = self.infos.get(name).filter(|dims| !dims.contains(&0)).cloned();
            let given = dims.and_then(|dims| self.steps.given(name, &dims).ok());
            self.values.insert(name.clone(), given.map_or(Value::Unknown, Value::Act));
        }
    }

    /// If: the branch that a constant chooses.
    fn branch(&mut self, flat: &Flat, inputs: &[Value], depth: u32) -> Result<Outputs, Fault> {
        let chosen = match inputs.first() {
            Some(Value::Constant(constant)) => constant.as_ints().and_then(|values| values.first().copied()),
            _ => None,
        };
        let unknown = |reason: &str| Ok(Err(Refusal::Unknown(reason.to_owned())));
        let Some(chosen) = chosen else { return unknown("which branch runs depends on the values of the input") };
        if depth >= MAX_DEPTH {
            return unknown("graphs are nested deeper than 32");
        }
        let wanted = if chosen == 0 { "else_branch" } else { "then_branch" };
        let attribute = flat.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(wanted));
        let Some(graph) = attribute.and_then(|attribute| attribute.g.as_ref()) else {
            return Ok(Err(Refusal::Invalid(format!("it has no {wanted}"))));
        };
        self.values.extend(initialisers(graph)?);
        let outputs: Vec<String> = graph.output.iter().filter_map(|output| output.name.clone()).collect();
        let known: HashSet<String> = self.values.keys().cloned().collect();
        let nodes = ordered(self.functions.open(&graph.node, self.opsets)?, &known, &outputs)?;
        self.count_readers(&nodes, &outputs);
        self.nodes(&nodes, depth + 1)?;
        Ok(Ok(outputs.iter().map(|name| self.value(name)).collect()))
    }

    fn finish(mut self, name: &str, outputs: &[String], notes: Vec<String>) -> Result<Onnx, Fault> {
        let mut ends = Vec::new();
        for output in outputs {
            if let Value::Act(act) = self.value(output) {
                ends.push(act.step);
            }
        }
        ends.append(&mut self.ends);
        let network = self.steps.network(name, &ends)?;
        self.coverage.macs = network.macs();
        self.coverage.assumed = notes;
        Ok(Onnx { network, coverage: self.coverage, values: self.outputs })
    }
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unknown(reason) | Refusal::Invalid(reason) => reason,
    }
}

fn initialisers(graph: &GraphProto) -> Result<HashMap<String, Value>, Fault> {
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| {
        let values = tensor.values.clone()?;
        Some(super::proto::TensorProto { dims: tensor.dims.clone(), raw_data: None, ..values })
    });
    let mut values = HashMap::with_capacity(graph.initializer.len());
    for tensor in graph.initializer.iter().cloned().chain(sparse) {
        let name = tensor.name.clone().unwrap_or_default();
        let constant = Constant::of(&tensor, &name);
        let constant = constant.map_err(|reason| Fault::Input { input: name.clone(), reason })?;
        values.insert(name, Value::constant(constant));
    }
    Ok(values)
}

/// Constant: a tensor, numbers or a number.
fn constant(flat: &Flat) -> Outputs {
    let name = flat.node.output.first().cloned().unwrap_or_default();
    let Some(attribute) = flat.node.attribute.first() else {
        return Err(Refusal::Invalid("it needs a value".to_owned()));
    };
    let single = |data: Data| Constant { dims: Vec::new(), data: Some(data), learned: false, name: name.clone() };
    let floats = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let constant = match attribute.name.as_deref() {
        Some("value") => match &attribute.t {
            Some(tensor) => Constant { learned: false, ..Constant::of(tensor, &name)? },
            None => return Err(Refusal::Invalid("its value is no tensor".to_owned())),
        },
        Some("value_int") => single(Data::Ints(vec![attribute.i.unwrap_or(0)])),
        Some("value_float") => single(Data::Floats(floats(&[attribute.f.unwrap_or(0.0)]))),
        Some("value_ints") => Constant::ints(attribute.ints.clone(), &name),
        Some("value_floats") => {
            let dims = vec![attribute.floats.len() as u64];
            Constant { dims, ..single(Data::Floats(floats(&attribute.floats))) }
        }
        Some("sparse_value" | "value_string" | "value_strings") => {
            return Err(Refusal::Unknown("constants of this kind are not covered".to_owned()));
        }
        other => return Err(Refusal::Invalid(format!("it has no attribute `{}`", other.unwrap_or_default()))),
    };
    Ok(vec![Value::constant(constant)])
}
