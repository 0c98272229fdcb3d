//! How many architectures a space holds, and its smallest and largest.

use super::{Candidate, Edge, JoinId, MaskPoint, Projection, Space, WidthMax};
use crate::estimate::{EstimateError, Target};
use crate::network::{Network, NetworkError, Op, Shape};

/// A smallest and a largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Extremes {
    /// Over all architectures whose output can be reached.
    pub smallest: u64,
    /// Over all architectures.
    pub largest: u64,
}

/// What a space holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Extent {
    /// Number of combinations of choices, as a decimal logarithm: products of options overflow any integer.
    pub log10_architectures: f64,
    /// Searched operator choices.
    pub operator_choices: usize,
    /// Searched width choices.
    pub width_choices: usize,
    /// Learned values.
    pub params: Extremes,
    /// Cycles on the accelerator.
    pub cycles: Extremes,
}

/// Why the extent of a space cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtentError {
    /// A candidate does not fit its edge.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A layer has no estimate.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

/// Operator choices with `zero` up to which every pattern of cut edges is tried for the smallest network.
const MOST_PATTERNS: usize = 14;

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    params: u64,
    cycles: u64,
}

/// One end of a range of sizes, and how to look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Smallest,
    Largest,
}

impl Space {
    /// Number of architectures, and the smallest and largest in parameters and cycles on `target`.
    ///
    /// The smallest has the narrowest widths and, of all patterns of cut edges that leave the output reachable, the
    /// cheapest operators (spaces with more than 14 edges that may be cut are counted uncut); the largest has the
    /// widest widths and dearest operators. Each of the four is found for itself. Where joins project they are bounds: the
    /// smallest has no projection, the largest one on every branch, from the next narrower width.
    ///
    /// # Errors
    /// [`ExtentError`] where a candidate does not fit its edge or a number overflows.
    pub fn extent(&self, target: &Target<'_>) -> Result<Extent, ExtentError> {
        #[expect(clippy::cast_precision_loss, reason = "numbers of options are small")]
        let log = |options: usize| (options as f64).log10();
        let operators = self.operators.iter().map(|choice| choice.candidates.len());
        let widths = self.widths.iter().map(|choice| choice.options.len());
        let small = self.sizes(target, Side::Smallest)?;
        let large = self.sizes(target, Side::Largest)?;
        let range = |value: fn(&Size) -> u64| Extremes {
            smallest: self.total(&small, Side::Smallest, value),
            largest: self.total(&large, Side::Largest, value),
        };
        Ok(Extent {
            log10_architectures: operators.clone().chain(widths.clone()).map(log).sum(),
            operator_choices: operators.filter(|&options| options > 1).count(),
            width_choices: widths.filter(|&options| options > 1).count(),
            params: range(|size| size.params),
            cycles: range(|size| size.cycles),
        })
    }

    /// Size of every candidate of every edge at the narrowest or widest widths; the classifier's at the end.
    fn sizes(&self, target: &Target<'_>, side: Side) -> Result<Vec<Vec<Size>>, ExtentError> {
        let width = |width| {
            let options = self.options_of(width);
            match side {
                Side::Smallest => options[0],
                Side::Largest => options[options.len() - 1],
            }
        };
        let mut sizes = Vec::with_capacity(self.edges.len() + 1);
        for edge in &self.edges {
            let one = |candidate: &Candidate| {
                let [from, to] = match (self.projection(edge), side) {
                    (Some((most, branch)), Side::Largest) => self.dearest(most, branch),
                    (Some((_, branch)), Side::Smallest) => [self.options(branch.join)[0]; 2],
                    (None, _) => self.ends_of(edge, candidate).map(width),
                };
                size_of(&self.fragment(edge, candidate, from, to)?, target)
            };
            sizes.push(self.candidates(edge).iter().map(one).collect::<Result<_, ExtentError>>()?);
        }
        let classifier =
            self.classifier_fragment(width(self.join(self.last()).width)).map_err(|error| match error {
                super::DeriveError::Network(error) => ExtentError::Network(error),
                super::DeriveError::Unreachable { .. } => unreachable!("a classifier stands behind a join"),
            })?;
        sizes.push(vec![size_of(&classifier, target)?]);
        Ok(sizes)
    }

    /// Widths of the ends of the dearest projection: to the widest, from the next narrower.
    fn dearest(&self, most: &WidthMax, branch: &Projection) -> [u64; 2] {
        let widest = most.options[most.options.len() - 1];
        let narrower = self.options(branch.join).iter().rev().find(|&&width| width < widest);
        [narrower.copied().unwrap_or(widest), widest]
    }

    fn total(&self, sizes: &[Vec<Size>], side: Side, value: fn(&Size) -> u64) -> u64 {
        let cuttable: Vec<usize> = (0..self.operators.len()).filter(|&o| self.operators[o].zero().is_some()).collect();
        let patterns = match side {
            Side::Smallest if cuttable.len() <= MOST_PATTERNS => 1usize << cuttable.len(),
            Side::Smallest | Side::Largest => 1,
        };
        let cut = |pattern: usize, edge: &Edge| {
            cuttable.iter().position(|&o| o == edge.operator.0).is_some_and(|bit| pattern >> bit & 1 == 1)
        };
        let totals = (0..patterns).filter_map(|pattern| {
            let live = self.live(|edge| cut(pattern, edge));
            let reached = live.iter().zip(&self.edges).any(|(&live, edge)| live && edge.to == self.last());
            reached.then(|| self.pattern_total(sizes, &live, side, value))
        });
        match side {
            Side::Smallest => totals.min().unwrap_or(0),
            Side::Largest => totals.max().unwrap_or(0),
        }
    }

    /// The cheapest or dearest candidate but `zero` of every operator choice over its live edges, summed.
    fn pattern_total(&self, sizes: &[Vec<Size>], live: &[bool], side: Side, value: fn(&Size) -> u64) -> u64 {
        let mut by_operator: Vec<Vec<u64>> = self.operators.iter().map(|c| vec![0; c.candidates.len()]).collect();
        for ((edge, sizes), _) in self.edges.iter().zip(sizes).zip(live).filter(|(_, live)| **live) {
            for (sum, size) in by_operator[edge.operator.0].iter_mut().zip(sizes) {
                *sum = sum.saturating_add(value(size));
            }
        }
        let chosen = by_operator.iter().zip(&self.operators).map(|(sums, choice)| {
            let zero = choice.zero();
            let candidates = sums.iter().enumerate().filter(|(place, _)| Some(*place) != zero).map(|(_, &sum)| sum);
            match side {
                Side::Smallest => candidates.min().unwrap_or(0),
                Side::Largest => candidates.max().unwrap_or(0),
            }
        });
        chosen.fold(value(&sizes[self.edges.len()][0]), u64::saturating_add)
    }

    /// `candidate` of `edge` alone, as a network from one end to the other.
    ///
    /// # Errors
    /// [`NetworkError`] where it does not fit.
    pub fn fragment(
        &self,
        edge: &Edge,
        candidate: &Candidate,
        in_width: u64,
        out_width: u64,
    ) -> Result<Network, NetworkError> {
        Ok(self.fragment_with_masks(edge, candidate, in_width, out_width)?.0)
    }

    /// As [`Space::fragment`], with the nodes inside whose channels follow one of the ends.
    ///
    /// # Errors
    /// [`NetworkError`] where it does not fit.
    pub fn fragment_with_masks(
        &self,
        edge: &Edge,
        candidate: &Candidate,
        in_width: u64,
        out_width: u64,
    ) -> Result<(Network, Vec<MaskPoint>), NetworkError> {
        let side = self.join(edge.from).side;
        let mut network = Network::new(&edge.name, map(in_width, side));
        let input = network.input();
        let wired = candidate.wire(&mut network, "op", input, self.site(edge, in_width, out_width))?;
        network.set_output(wired.output);
        Ok((network, wired.masks))
    }

    /// The sum of `branches` branches at join `id` alone, where that has `width` channels.
    ///
    /// # Errors
    /// [`NetworkError`] where it does not fit.
    pub fn sum_fragment(&self, id: JoinId, branches: usize, width: u64) -> Result<Network, NetworkError> {
        let mut network = Network::new("sum", map(width, self.join(id).side));
        let input = network.input();
        let sum = network.wire("sum", Op::Add, &vec![input; branches])?;
        network.set_output(sum);
        Ok(network)
    }

    /// The classifier alone, behind a last join of `width` channels.
    ///
    /// # Errors
    /// [`super::DeriveError::Network`] where its numbers overflow.
    pub fn classifier_fragment(&self, width: u64) -> Result<Network, super::DeriveError> {
        let network = Network::new("classifier", map(width, self.join(self.last()).side));
        let input = network.input();
        self.classify(network, input)
    }
}

fn size_of(network: &Network, target: &Target<'_>) -> Result<Size, ExtentError> {
    let cycles = target.network_cost(network)?.cycles.0;
    Ok(Size { params: network.params(), cycles })
}

fn map(channels: u64, side: u64) -> Shape {
    Shape::new(&[channels, side, side]).expect("widths and sides are positive and small")
}
