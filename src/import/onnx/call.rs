//! A node with the values that it reads.

use std::rc::Rc;

use super::constant::Constant;
use super::proto::{AttributeProto, NodeProto};
use super::steps::{Act, Refusal, Steps};

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// An optional input that is left out.
    Absent,
    /// It does not depend on the network's input.
    Constant(Rc<Constant>),
    /// It does.
    Act(Act),
    /// Nothing: an operator that is not covered puts it out.
    Unknown,
}

impl Value {
    pub(super) fn constant(constant: Constant) -> Self {
        Self::Constant(Rc::new(constant))
    }

    pub(super) fn dims(&self) -> Option<&[u64]> {
        match self {
            Self::Constant(constant) => Some(&constant.dims),
            Self::Act(act) => Some(&act.dims),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// What an operator puts out.
pub(super) type Outputs = Result<Vec<Value>, Refusal>;

/// One node, to be turned into operators.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    /// What it is called in the report.
    pub(super) name: &'a str,
    pub(super) inputs: Vec<Value>,
    /// Whether the value at this input is read by this node alone.
    pub(super) only_reader: Vec<bool>,
    /// Version of the node's set of operators.
    pub(super) opset: i64,
    pub(super) steps: &'a mut Steps,
}

impl Call<'_> {
    pub(super) fn value(&self, at: usize) -> &Value {
        self.inputs.get(at).unwrap_or(&Value::Absent)
    }

    pub(super) fn has(&self, at: usize) -> bool {
        !matches!(self.value(at), Value::Absent)
    }

    /// Dimensions of the input `at`.
    pub(super) fn dims(&self, at: usize) -> Result<Vec<u64>, Refusal> {
        self.value(at).dims().map(<[u64]>::to_vec).ok_or_else(|| missing(at))
    }

    pub(super) fn constant(&self, at: usize) -> Option<Rc<Constant>> {
        match self.value(at) {
            Value::Constant(constant) => Some(Rc::clone(constant)),
            Value::Absent | Value::Act(_) | Value::Unknown => None,
        }
    }

    /// The input `at` as a tensor of the network, constants among them.
    pub(super) fn act(&mut self, at: usize) -> Result<Act, Refusal> {
        match self.value(at).clone() {
            Value::Act(act) => Ok(act),
            Value::Constant(constant) => self.steps.tensor(&constant),
            Value::Absent | Value::Unknown => Err(missing(at)),
        }
    }

    /// The whole numbers that the input `at` holds, nothing where it is left out.
    pub(super) fn ints(&self, at: usize, what: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.value(at) {
            Value::Absent => Ok(None),
            Value::Constant(constant) => match constant.as_ints() {
                Some(ints) => Ok(Some(ints.to_vec())),
                None => Err(Refusal::Unknown(format!(
                    "its {what} `{}` is no small tensor of whole numbers in the file",
                    constant.name
                ))),
            },
            Value::Act(_) | Value::Unknown => {
                Err(Refusal::Unknown(format!("its {what} depends on the values of the input")))
            }
        }
    }

    /// The floating-point numbers that the input `at` holds, nothing where it is left out or empty.
    pub(super) fn floats(&self, at: usize, what: &str) -> Result<Option<Vec<f64>>, Refusal> {
        match self.value(at) {
            Value::Absent => Ok(None),
            Value::Constant(constant) if constant.count() == 0 => Ok(None),
            Value::Constant(constant) => match constant.as_floats() {
                Some(floats) => Ok(Some(floats)),
                None => Err(Refusal::Unknown(format!("its {what} `{}` is no small tensor in the file", constant.name))),
            },
            Value::Act(_) | Value::Unknown => {
                Err(Refusal::Unknown(format!("its {what} depends on the values of the input")))
            }
        }
    }

    /// Whole numbers of an attribute where there is one, otherwise of an input: versions of ONNX moved them.
    pub(super) fn attribute_or_ints(&self, name: &str, at: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match self.attribute(name) {
            Some(attribute) => Ok(Some(attribute.ints.clone())),
            None => self.ints(at, name),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    pub(super) fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).and_then(|attribute| attribute.f).map_or(default, f64::from)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let bytes = self.attribute(name)?.s.as_ref()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The numbers of an attribute, each at least 0, or `default` for each of `count` axes.
    pub(super) fn sides(&self, name: &str, count: usize, default: u64) -> Result<Vec<u64>, Refusal> {
        let Some(attribute) = self.attribute(name).filter(|attribute| !attribute.ints.is_empty()) else {
            return Ok(vec![default; count]);
        };
        if attribute.ints.len() != count {
            return Err(Refusal::Invalid(format!("{name} must have {count} numbers, got {:?}", attribute.ints)));
        }
        unsigned(name, &attribute.ints)
    }

    /// The axis that an attribute counts, from the end where negative.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Refusal> {
        axis(self.int(name, default), rank)
    }

    /// Adds the operator of this node.
    pub(super) fn wire(&mut self, op: crate::network::Op, inputs: &[usize], dims: Vec<u64>) -> Result<Act, Refusal> {
        self.steps.wire(self.name, op, inputs, dims)
    }

    /// A name for an operator beside that of this node.
    pub(super) fn part(&self, part: &str) -> String {
        format!("{}/{part}", self.name)
    }
}

fn missing(at: usize) -> Refusal {
    Refusal::Invalid(format!("it needs an input {}", at + 1))
}

/// `axis` of `rank` dimensions, counted from the end where negative.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let refuse = || Refusal::Invalid(format!("there is no axis {axis} in {rank} dimensions"));
    let signed = i64::try_from(rank).map_err(|_| refuse())?;
    let at = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    at.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < rank).ok_or_else(refuse)
}

/// Numbers that may not be negative.
pub(super) fn unsigned(what: &str, ints: &[i64]) -> Result<Vec<u64>, Refusal> {
    let all: Result<Vec<u64>, _> = ints.iter().map(|&int| u64::try_from(int)).collect();
    all.map_err(|_| Refusal::Invalid(format!("{what} must be at least 0, got {ints:?}")))
}

/// One output that depends on the input.
pub(super) fn one(act: Act) -> Outputs {
    Ok(vec![Value::Act(act)])
}
