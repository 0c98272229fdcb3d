//! The nodes of a model in the order in which they can run: functions opened, what no output needs left out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::error::Fault;
use super::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

const MAX_DEPTH: u32 = 32;
const MAX_NODES: usize = 1_000_000;

/// A node of no function.
#[derive(Debug, Clone)]
pub(super) struct Flat {
    pub(super) node: NodeProto,
    /// Its name, those of the functions that it stands in before it.
    pub(super) name: String,
    /// Version of its set of operators.
    pub(super) opset: i64,
}

impl Flat {
    pub(super) fn operator(&self) -> String {
        let operator = self.node.op_type.as_deref().unwrap_or("no operator");
        match self.node.domain.as_deref() {
            None | Some("" | "ai.onnx") => operator.to_owned(),
            Some(domain) => format!("{domain}.{operator}"),
        }
    }

    /// Names of the values that it reads, those of graphs inside it among them.
    pub(super) fn reads(&self) -> Vec<&str> {
        let mut names = Vec::new();
        reads(&self.node, &mut names);
        names
    }
}

fn reads<'a>(node: &'a NodeProto, names: &mut Vec<&'a str>) {
    names.extend(node.input.iter().map(String::as_str).filter(|name| !name.is_empty()));
    for graph in graphs(node) {
        let mut inner = Vec::new();
        graph.node.iter().for_each(|node| reads(node, &mut inner));
        inner.extend(graph.output.iter().filter_map(|output| output.name.as_deref()));
        let made: HashSet<&str> = made_inside(graph).collect();
        names.extend(inner.into_iter().filter(|name| !made.contains(name)));
    }
}

fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

fn made_inside(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let outputs = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    let inputs = graph.input.iter().filter_map(|input| input.name.as_deref());
    outputs.chain(inputs).chain(graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()))
}

/// The functions of a model.
pub(super) struct Functions<'a> {
    by_name: HashMap<(&'a str, &'a str, &'a str), &'a FunctionProto>,
}

impl<'a> Functions<'a> {
    pub(super) fn of(model: &'a ModelProto) -> Self {
        let text = |field: &'a Option<String>| field.as_deref().unwrap_or_default();
        let key = |f: &'a FunctionProto| (text(&f.domain), text(&f.name), text(&f.overload));
        Self { by_name: model.functions.iter().map(|function| (key(function), function)).collect() }
    }

    fn find(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (domain, name, overload) = (text(&node.domain), text(&node.op_type), text(&node.overload));
        self.by_name.get(&(domain.as_str(), name.as_str(), overload.as_str())).copied()
    }

    /// `nodes` with the bodies of functions in the places of their calls.
    pub(super) fn open(&self, nodes: &[NodeProto], opsets: &Opsets) -> Result<Vec<Flat>, Fault> {
        let mut flat = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            self.add(node.clone(), &label(node, at), opsets, 0, &mut flat)?;
        }
        Ok(flat)
    }

    fn add(&self, node: NodeProto, name: &str, opsets: &Opsets, depth: u32, flat: &mut Vec<Flat>) -> Result<(), Fault> {
        let Some(function) = self.find(&node) else {
            let opset = opsets.version(node.domain.as_deref().unwrap_or_default());
            flat.push(Flat { node, name: name.to_owned(), opset });
            return Ok(());
        };
        if depth >= MAX_DEPTH || flat.len() > MAX_NODES {
            return Err(Fault::Functions(function.name.clone().unwrap_or_default()));
        }
        let call = Body { function, node: &node, name };
        let inner = Opsets::of(&function.opset_import);
        for (at, body) in function.node.iter().enumerate() {
            let own = format!("{name}/{}", label(body, at));
            self.add(call.bound(body), &own, &inner, depth + 1, flat)?;
        }
        Ok(())
    }
}

/// The name of a node, or what it puts out, or its operator and place.
fn label(node: &NodeProto, at: usize) -> String {
    let given = |name: &&str| !name.is_empty();
    let name = node.name.as_deref().filter(given);
    let output = node.output.first().map(String::as_str).filter(given);
    let operator = node.op_type.as_deref().unwrap_or("node");
    name.or(output).map_or_else(|| format!("{operator}_{at}"), str::to_owned)
}

/// A function with one call of it.
struct Body<'a> {
    function: &'a FunctionProto,
    node: &'a NodeProto,
    name: &'a str,
}

impl Body<'_> {
    /// A node of the function as this call means it.
    fn bound(&self, body: &NodeProto) -> NodeProto {
        let mut node = body.clone();
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = self.outside(name);
        }
        node.attribute = body.attribute.iter().filter_map(|attribute| self.attribute(attribute)).collect();
        node
    }

    /// The name outside of the function of a value in it.
    fn outside(&self, inside: &str) -> String {
        if inside.is_empty() {
            return String::new();
        }
        let find = |formal: &[String], actual: &[String]| {
            formal.iter().position(|name| name == inside).map(|at| actual.get(at).cloned().unwrap_or_default())
        };
        let output = find(&self.function.output, &self.node.output).filter(|name| !name.is_empty());
        let outside = find(&self.function.input, &self.node.input).or(output);
        outside.unwrap_or_else(|| format!("{}/{inside}", self.name))
    }

    fn attribute(&self, attribute: &AttributeProto) -> Option<AttributeProto> {
        let mut bound = match attribute.ref_attr_name.as_deref().filter(|name| !name.is_empty()) {
            None => attribute.clone(),
            Some(name) => {
                let named = |given: &&AttributeProto| given.name.as_deref() == Some(name);
                let given = self.node.attribute.iter().find(named);
                let given = given.or_else(|| self.function.attribute_proto.iter().find(named))?;
                AttributeProto { name: attribute.name.clone(), ..given.clone() }
            }
        };
        if let Some(graph) = &mut bound.g {
            self.rename(graph);
        }
        bound.graphs.iter_mut().for_each(|graph| self.rename(graph));
        Some(bound)
    }

    /// Values of the function that a graph inside it reads.
    fn rename(&self, graph: &mut GraphProto) {
        let made: HashSet<String> = made_inside(graph).map(str::to_owned).collect();
        let rename = |name: &mut String| {
            if !made.contains(name) {
                *name = self.outside(name);
            }
        };
        for node in &mut graph.node {
            node.input.iter_mut().for_each(rename);
            node.attribute = node.attribute.iter().filter_map(|attribute| self.attribute(attribute)).collect();
        }
        graph.output.iter_mut().filter_map(|output| output.name.as_mut()).for_each(rename);
    }
}

/// Versions of the sets of operators by their domains.
#[derive(Debug, Clone)]
pub(super) struct Opsets(HashMap<String, i64>);

impl Opsets {
    pub(super) fn of(imports: &[OperatorSetIdProto]) -> Self {
        let entry = |import: &OperatorSetIdProto| {
            (domain(import.domain.as_deref().unwrap_or_default()).to_owned(), import.version.unwrap_or(1))
        };
        Self(imports.iter().map(entry).collect())
    }

    /// The newest where the file does not say.
    fn version(&self, of: &str) -> i64 {
        self.0.get(domain(of)).copied().unwrap_or(i64::MAX)
    }
}

fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

/// The nodes that `outputs` need, each behind those that it reads; `known` are the values that no node puts out.
pub(super) fn ordered(flat: Vec<Flat>, known: &HashSet<String>, outputs: &[String]) -> Result<Vec<Flat>, Fault> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (at, node) in flat.iter().enumerate() {
        for output in node.node.output.iter().filter(|output| !output.is_empty()) {
            if maker.insert(output, at).is_some() {
                return Err(Fault::Twice(output.clone()));
            }
        }
    }
    let needed = needed(&flat, &maker, known, outputs)?;
    let mut waits = vec![0usize; flat.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); flat.len()];
    for at in (0..flat.len()).filter(|&at| needed[at]) {
        for from in flat[at].reads().into_iter().filter_map(|name| maker.get(name)) {
            readers[*from].push(at);
            waits[at] += 1;
        }
    }
    let ready = (0..flat.len()).filter(|&at| needed[at] && waits[at] == 0).map(Reverse);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::new();
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for &reader in &readers[at] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    if let Some(stuck) = (0..flat.len()).find(|&at| needed[at] && waits[at] > 0) {
        return Err(Fault::Cycle(cycle(&flat, &maker, &waits, stuck)));
    }
    let mut flat: Vec<Option<Flat>> = flat.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| flat[at].take()).collect())
}

fn needed(
    flat: &[Flat],
    maker: &HashMap<&str, usize>,
    known: &HashSet<String>,
    outputs: &[String],
) -> Result<Vec<bool>, Fault> {
    let mut needed = vec![false; flat.len()];
    let mut open = Vec::new();
    for output in outputs {
        match maker.get(output.as_str()) {
            Some(&at) => open.push(at),
            None if known.contains(output) => {}
            None => return Err(Fault::Output(output.clone())),
        }
    }
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut needed[at], true) {
            continue;
        }
        for name in flat[at].reads() {
            match maker.get(name) {
                Some(&from) => open.push(from),
                None if known.contains(name) => {}
                None => {
                    let (node, operator) = (flat[at].name.clone(), flat[at].operator());
                    return Err(Fault::Missing { node, operator, input: name.to_owned() });
                }
            }
        }
    }
    Ok(needed)
}

/// Names of the nodes of one cycle, which is behind or before the node `stuck`.
fn cycle(flat: &[Flat], maker: &HashMap<&str, usize>, waits: &[usize], stuck: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut passed = vec![false; flat.len()];
    let mut at = stuck;
    while !std::mem::replace(&mut passed[at], true) {
        seen.push(at);
        let before = flat[at].reads().into_iter().filter_map(|name| maker.get(name).copied());
        at = before.into_iter().find(|&from| waits[from] > 0).unwrap_or(stuck);
    }
    let start = seen.iter().position(|&node| node == at).unwrap_or(0);
    seen[start..].iter().rev().map(|&node| flat[node].name.clone()).collect()
}
