//! Choices to a network: what an architecture of a space is, as indices, as a file, as a network.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Classifier, JoinId, Merge, Space, WidthId};
use crate::load::{self, LoadError, Place, Spanned, unplaced};
use crate::network::{Bias, Linear, Network, NetworkError, NodeId, Op};

/// One architecture: an option for every choice of its space, fixed ones included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Architecture {
    /// Candidate of each operator choice.
    pub operators: Vec<usize>,
    /// Option of each width choice.
    pub widths: Vec<usize>,
}

/// Why choices make no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Every way from the image to the classifier is cut.
    #[error("the output cannot be reached: every way from the image to `{last}` goes over an edge that is `zero`")]
    Unreachable {
        /// The last join.
        last: String,
    },
    /// A candidate does not fit its place.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// An architecture as it is written: the searched choices by name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArchitectureFile {
    /// Version of this form: 1.
    #[schemars(with = "u32", range(min = 1, max = 1))]
    version: Spanned<u32>,
    /// Name of the space.
    #[schemars(with = "String")]
    space: Spanned<String>,
    /// Label of the candidate of every searched operator choice.
    #[schemars(with = "BTreeMap<String, String>")]
    operators: BTreeMap<String, Spanned<String>>,
    /// Channels of every searched width choice.
    #[schemars(with = "BTreeMap<String, u64>")]
    widths: BTreeMap<String, Spanned<u64>>,
}

impl ArchitectureFile {
    /// Reads YAML text, no space at hand; `origin` names it in errors.
    ///
    /// # Errors
    /// [`LoadError`] with the line of what is wrong.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LoadError> {
        let file: Self = load::parse(text, origin)?;
        if file.version.value == 1 {
            return Ok(file);
        }
        let reason = format!("version must be 1, got {}", file.version.value);
        Err(Place::of(&file.version).reject(origin, reason))
    }

    /// Name of the space that the architecture is of.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.space.value
    }
}

/// What a cut-off output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutOff {
    /// An error: nothing could be learned.
    Refuse,
    /// A benchmark's network: zeros flow on, and what is wired anyway is paid.
    Zeros,
}

impl Space {
    /// The network of `architecture`: dead edges are pruned.
    ///
    /// # Errors
    /// [`DeriveError::Unreachable`] where every way to the output is cut.
    pub fn derive(&self, architecture: &Architecture) -> Result<Network, DeriveError> {
        self.build(architecture, CutOff::Refuse)
    }

    /// As [`Space::derive`], but where a benchmark's cell is cut off zeros flow on: its edges cost nothing, what is not
    /// searched (stem, reductions, head) is there and paid.
    ///
    /// For spaces whose cells share their choices, as all with [`Space::encoding`] do.
    ///
    /// # Errors
    /// [`DeriveError::Network`] where a candidate does not fit.
    pub fn derive_benchmark(&self, architecture: &Architecture) -> Result<Network, DeriveError> {
        self.build(architecture, CutOff::Zeros)
    }

    fn build(&self, architecture: &Architecture, cut_off: CutOff) -> Result<Network, DeriveError> {
        let chosen = |operator: usize| &self.operators[operator].candidates[architecture.operators[operator]];
        let is_zero = |operator: usize| *chosen(operator) == super::Candidate::Zero;
        let live = self.live(|edge| is_zero(edge.operator.0));
        let cut = !live.iter().zip(&self.edges).any(|(&live, edge)| live && edge.to == self.last());
        let live = match (cut, cut_off) {
            (false, _) => live,
            (true, CutOff::Refuse) => {
                return Err(DeriveError::Unreachable { last: self.join(self.last()).name.clone() });
            }
            // Cells share their choices where strings name architectures, so every cell is cut off: none of its
            // edges has both a source and a way to an output.
            (true, CutOff::Zeros) => self.edges.iter().map(|edge| self.candidates(edge).len() == 1).collect(),
        };
        let mut network = Network::new(&self.name, self.input.clone());
        let mut outputs: Vec<Option<NodeId>> = vec![None; self.joins.len()];
        outputs[0] = Some(network.input());
        let channels = self.channels_of(architecture);
        for (place, join) in self.joins.iter().enumerate().skip(1) {
            let mut branches = Vec::new();
            for (edge, _) in self.edges.iter().zip(&live).filter(|(edge, live)| edge.to.0 == place && **live) {
                let candidate = chosen(edge.operator.0);
                let [in_width, out_width] = self.ends_of(edge, candidate).map(|width| channels[self.slot(width)]);
                let site = self.site(edge, in_width, out_width);
                let Some(from) = outputs[edge.from.0] else { continue };
                branches.push(candidate.wire(&mut network, &edge.name, from, site)?.output);
            }
            outputs[place] = match (branches.as_slice(), join.merge) {
                ([], _) if cut => {
                    let channels = channels[self.slot(join.width)];
                    let source = self.edges.iter().find(|edge| edge.to.0 == place).and_then(|e| outputs[e.from.0]);
                    let source = source.unwrap_or(network.input());
                    Some(network.wire(&format!("{}/zero", join.name), Op::Zero { channels }, &[source])?)
                }
                ([], _) => None,
                ([only], Merge::Sum) => Some(*only),
                (_, Merge::Sum) => Some(network.wire(&format!("{}/sum", join.name), Op::Add, &branches)?),
                ([live, ..], Merge::Concatenate) => {
                    let place = JoinId(place);
                    Some(self.concatenate(
                        &mut network,
                        architecture,
                        Parts { place, outputs: &outputs, live: *live },
                    )?)
                }
            };
        }
        let last = outputs[self.last().0].expect("a live edge ends in the last join");
        Ok(self.classify(network, last)?.pruned())
    }

    /// Wires the concatenation of `parts`; where one has no output, zeros stand for it.
    fn concatenate(
        &self,
        network: &mut Network,
        architecture: &Architecture,
        parts: Parts<'_>,
    ) -> Result<NodeId, NetworkError> {
        let mut all = Vec::new();
        for edge in self.edges.iter().filter(|edge| edge.to == parts.place) {
            all.push(match parts.outputs[edge.from.0] {
                Some(output) => output,
                None => {
                    let channels = self.width(architecture, edge.from);
                    network.wire(&format!("{}/zero", edge.name), Op::Zero { channels }, &[parts.live])?
                }
            });
        }
        network.wire(&format!("{}/concat", self.join(parts.place).name), Op::Concat { axis: 0 }, &all)
    }

    /// Channels of join `id`.
    #[must_use]
    pub fn width(&self, architecture: &Architecture, id: JoinId) -> u64 {
        self.channels_of(architecture)[self.slot(self.join(id).width)]
    }

    /// Adds the classifier behind `last`.
    ///
    /// # Errors
    /// [`DeriveError::Network`] where its numbers overflow.
    pub fn classify(&self, mut network: Network, last: NodeId) -> Result<Network, DeriveError> {
        let pooled = match self.classifier {
            Classifier::Flatten => last,
            Classifier::GlobalPool => network.wire("classifier/pool", Op::GlobalAveragePool, &[last])?,
        };
        let flat = network.wire("classifier/flatten", Op::Flatten, &[pooled])?;
        let in_features = network.node(flat).shape.elements();
        let linear = Linear { in_features, out_features: self.classes, bias: Bias::With };
        network.wire("classifier/linear", Op::Linear(linear), &[flat])?;
        Ok(network)
    }

    /// Options of `architecture` by name, the searched ones only.
    #[must_use]
    pub fn architecture_file(&self, architecture: &Architecture) -> ArchitectureFile {
        let searched = |options: usize| options > 1;
        let operators = self.operators.iter().zip(&architecture.operators);
        let widths = self.widths.iter().zip(&architecture.widths);
        ArchitectureFile {
            version: unplaced(1),
            space: unplaced(self.name.clone()),
            operators: operators
                .filter(|(choice, _)| searched(choice.candidates.len()))
                .map(|(choice, &chosen)| (choice.name.clone(), unplaced(choice.candidates[chosen].label())))
                .collect(),
            widths: widths
                .filter(|(choice, _)| searched(choice.options.len()))
                .map(|(choice, &chosen)| (choice.name.clone(), unplaced(choice.options[chosen])))
                .collect(),
        }
    }

    /// The architecture that a YAML text of the form [`ArchitectureFile`] names; `origin` names it in errors.
    ///
    /// # Errors
    /// [`LoadError`] with the line: a choice that the space does not have, one that is missing, an option that the
    /// choice does not have, an output that cannot be reached.
    pub fn parse_architecture(&self, text: &str, origin: &str) -> Result<Architecture, LoadError> {
        let file = ArchitectureFile::parse(text, origin)?;
        if file.space.value != self.name {
            let reason = format!("space: this is an architecture of `{}`, not of `{}`", file.space.value, self.name);
            return Err(Place::of(&file.space).reject(origin, reason));
        }
        let labels = |choice: &super::OperatorChoice| choice.candidates.iter().map(super::Candidate::label).collect();
        let operators: Vec<Named<String>> =
            self.operators.iter().map(|choice| Named { name: &choice.name, options: labels(choice) }).collect();
        let widths: Vec<Named<u64>> =
            self.widths.iter().map(|choice| Named { name: &choice.name, options: choice.options.clone() }).collect();
        let header = Place::of(&file.version);
        let architecture = Architecture {
            operators: pick(&operators, &file.operators, header, origin)?,
            widths: pick(&widths, &file.widths, header, origin)?,
        };
        self.derive(&architecture).map_err(|error| header.reject(origin, error))?;
        Ok(architecture)
    }

    /// The architecture with the first candidate and the narrowest width everywhere.
    #[must_use]
    pub fn first(&self) -> Architecture {
        Architecture { operators: vec![0; self.operators.len()], widths: vec![0; self.widths.len()] }
    }

    /// Place of the width option of `id` that is nearest to `channels`, the narrower of two.
    #[must_use]
    pub fn nearest(&self, id: WidthId, channels: u64) -> usize {
        let options = &self.widths[id.0].options;
        let distance = |option: &u64| option.abs_diff(channels);
        (0..options.len()).min_by_key(|&place| distance(&options[place])).expect("a choice has an option")
    }
}

/// What a concatenation is made of.
struct Parts<'a> {
    /// The join that concatenates.
    place: JoinId,
    /// By join: its output, where it has one.
    outputs: &'a [Option<NodeId>],
    /// The output of a part that has one.
    live: NodeId,
}

struct Named<'a, T> {
    name: &'a str,
    options: Vec<T>,
}

fn pick<T: PartialEq + std::fmt::Display>(
    choices: &[Named<'_, T>],
    given: &BTreeMap<String, Spanned<T>>,
    header: Place,
    origin: &str,
) -> Result<Vec<usize>, LoadError> {
    let searched = |name: &str| choices.iter().any(|choice| choice.name == name && choice.options.len() > 1);
    if let Some((name, value)) = given.iter().find(|(name, _)| !searched(name)) {
        return Err(Place::of(value).reject(origin, format!("the space has no choice `{name}`")));
    }
    let one = |choice: &Named<'_, T>| match given.get(choice.name) {
        None if choice.options.len() == 1 => Ok(0),
        None => Err(header.reject(origin, format!("the choice `{}` is missing", choice.name))),
        Some(value) => choice.options.iter().position(|option| *option == value.value).ok_or_else(|| {
            let options: Vec<String> = choice.options.iter().map(ToString::to_string).collect();
            let reason = format!("`{}` has no option `{}`; it has {}", choice.name, value.value, options.join(", "));
            Place::of(value).reject(origin, reason)
        }),
    };
    choices.iter().map(one).collect()
}
