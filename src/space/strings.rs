//! Architecture strings of benchmarks.

use super::{Architecture, Candidate, InvertedBottleneck, Space};
use crate::network::PoolKind;

/// How a benchmark writes an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One digit for each searched operator in order, the place of its candidate (NAS-Bench-Macro: `02012100`).
    Digits,
    /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` with the operators of NAS-Bench-201, shared by all cells.
    NasBench201,
    /// One part for each searched operator in order, joined by `-`: `e6k5l3` is 3 layers of inverted bottlenecks with
    /// expansion 6 and kernel 5, `e6k5l3s` the same with squeeze-excitation (MnasNet: `e1k3l1-e6k3l2-...`).
    Blocks,
}

/// Why a string is no architecture of a space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum StringError {
    #[error("space `{space}` says no `strings`, so it reads no architecture string, got `{given}`")]
    NoEncoding { space: String, given: String },
    #[error("`{given}`: space `{space}` needs {wanted} {unit}, got {found}")]
    Length { given: String, space: String, wanted: usize, unit: &'static str, found: usize },
    #[error("`{given}`: `{part}` at place {place} is none of {options}")]
    Part { given: String, part: String, place: usize, options: String },
    #[error("`{given}`: space `{space}` writes this architecture as `{wanted}`")]
    Form { given: String, space: String, wanted: String },
}

/// Names of the operator choices that a string of NAS-Bench-201 names, in its order.
const NAS_BENCH_201: [&str; 6] = ["n1/n0", "n2/n0", "n2/n1", "n3/n0", "n3/n1", "n3/n2"];

impl Space {
    /// Whether the strings of [`Space::encoding`] tell all architectures apart; else the rule that is broken.
    pub(super) fn encodable(&self) -> Result<(), String> {
        if let Some(choice) = self.widths.iter().find(|choice| choice.options.len() > 1) {
            return Err(format!("strings: they name operators only, but the width `{}` is searched", choice.name));
        }
        let searched = || self.operators.iter().filter(|choice| choice.candidates.len() > 1);
        match self.encoding {
            None => Ok(()),
            Some(Encoding::Digits) => match searched().find(|choice| choice.candidates.len() > 10) {
                None => Ok(()),
                Some(choice) => {
                    let (name, found) = (&choice.name, choice.candidates.len());
                    Err(format!("strings: a digit tells 10 candidates apart, but `{name}` has {found}"))
                }
            },
            Some(Encoding::NasBench201) => {
                let names: Vec<&str> = searched().map(|choice| choice.name.as_str()).collect();
                if names == NAS_BENCH_201 {
                    return Ok(());
                }
                let (wanted, found) = (NAS_BENCH_201.join(", "), names.join(", "));
                Err(format!("strings: nas-bench-201 needs the searched edges {wanted}, got {found}"))
            }
            Some(Encoding::Blocks) => {
                for choice in searched() {
                    let names: Option<Vec<String>> = choice.candidates.iter().map(block).collect();
                    let Some(names) = names else {
                        return Err(format!(
                            "strings: blocks are inverted bottlenecks, and `{}` has others",
                            choice.name
                        ));
                    };
                    let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
                    if let Some((_, name)) = twice {
                        let rule = "strings: blocks tell one share of squeeze-excitation from none";
                        return Err(format!("{rule}, but `{}` has `{name}` twice", choice.name));
                    }
                }
                Ok(())
            }
        }
    }

    /// The architecture that a benchmark's string names.
    ///
    /// # Errors
    /// [`StringError`] with the part that is wrong.
    pub fn parse_string(&self, text: &str) -> Result<Architecture, StringError> {
        let no_encoding = || StringError::NoEncoding { space: self.name.clone(), given: text.to_owned() };
        let searched: Vec<usize> =
            (0..self.operators.len()).filter(|&place| self.operators[place].candidates.len() > 1).collect();
        let (unit, parts): (&str, Vec<String>) = match self.encoding.ok_or_else(no_encoding)? {
            Encoding::Digits => ("digits", text.chars().map(String::from).collect()),
            Encoding::NasBench201 => {
                let edges = text.split('+').flat_map(|node| node.split('|')).filter(|part| !part.is_empty());
                ("edges, |op~0|+|op~0|op~1|+|op~0|op~1|op~2|", edges.map(str::to_owned).collect())
            }
            Encoding::Blocks => ("blocks, joined by `-`", text.split('-').map(str::to_owned).collect()),
        };
        if parts.len() != searched.len() {
            let (wanted, found) = (searched.len(), parts.len());
            return Err(StringError::Length { given: text.to_owned(), space: self.name.clone(), wanted, unit, found });
        }
        let mut architecture = self.first();
        for (place, (part, &operator)) in parts.iter().zip(&searched).enumerate() {
            let options = self.names(operator);
            let chosen = options.iter().position(|option| option == part).ok_or_else(|| StringError::Part {
                given: text.to_owned(),
                part: part.clone(),
                place: place + 1,
                options: options.join(", "),
            });
            architecture.operators[operator] = chosen?;
        }
        match self.to_string_of(&architecture) {
            Some(wanted) if wanted != text => {
                Err(StringError::Form { given: text.to_owned(), space: self.name.clone(), wanted })
            }
            Some(_) | None => Ok(architecture),
        }
    }

    /// The string of `architecture`, where the space has an encoding.
    #[must_use]
    pub fn to_string_of(&self, architecture: &Architecture) -> Option<String> {
        let encoding = self.encoding?;
        let searched = (0..self.operators.len()).filter(|&place| self.operators[place].candidates.len() > 1);
        let parts: Vec<String> =
            searched.map(|place| self.names(place)[architecture.operators[place]].clone()).collect();
        Some(match encoding {
            Encoding::Digits => parts.concat(),
            Encoding::Blocks => parts.join("-"),
            Encoding::NasBench201 => {
                let node = |parts: &[String]| format!("|{}|", parts.join("|"));
                [node(&parts[..1]), node(&parts[1..3]), node(&parts[3..])].join("+")
            }
        })
    }

    /// What the string says for each candidate of an operator choice.
    fn names(&self, operator: usize) -> Vec<String> {
        let choice = &self.operators[operator];
        match self.encoding {
            None => Vec::new(),
            Some(Encoding::Digits) => (0..choice.candidates.len()).map(|place| place.to_string()).collect(),
            Some(Encoding::Blocks) => {
                choice.candidates.iter().map(|candidate| block(candidate).unwrap_or_default()).collect()
            }
            Some(Encoding::NasBench201) => {
                let source = choice.name.rsplit('/').next().unwrap_or_default().trim_start_matches('n');
                choice.candidates.iter().map(|candidate| format!("{}~{source}", nas_bench_201(candidate))).collect()
            }
        }
    }
}

/// What a string of blocks says for an inverted bottleneck.
fn block(candidate: &Candidate) -> Option<String> {
    match candidate {
        Candidate::InvertedBottleneck(InvertedBottleneck { kernel, expansion, squeeze_excitation, depth }) => {
            let gate = if *squeeze_excitation > 0.0 { "s" } else { "" };
            Some(format!("e{expansion}k{kernel}l{depth}{gate}"))
        }
        Candidate::Conv { .. }
        | Candidate::Separable { .. }
        | Candidate::Pool { .. }
        | Candidate::NormRelu
        | Candidate::Reduction
        | Candidate::Identity
        | Candidate::Zero
        | Candidate::Project => None,
    }
}

fn nas_bench_201(candidate: &Candidate) -> String {
    match candidate {
        Candidate::Zero => "none".to_owned(),
        Candidate::Identity => "skip_connect".to_owned(),
        Candidate::Conv { kernel, .. } => format!("nor_conv_{kernel}x{kernel}"),
        Candidate::Pool { kind: PoolKind::Average, kernel, .. } => format!("avg_pool_{kernel}x{kernel}"),
        Candidate::Pool { kind: PoolKind::Max, kernel, .. } => format!("max_pool_{kernel}x{kernel}"),
        Candidate::Separable { .. }
        | Candidate::InvertedBottleneck(_)
        | Candidate::NormRelu
        | Candidate::Reduction
        | Candidate::Project => candidate.label(),
    }
}
