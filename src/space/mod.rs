//! Search spaces: joins and edges, candidate operators for each edge, widths for each join.
//!
//! Every space, of cells or of a chain, is one graph: **joins** (the image, and every place where edges are summed or
//! concatenated) with one width each, and **edges** between them with one operator each. What is not searched is a choice
//! with one option. A choice may be shared: by the edges of all cells, or by the joins of a stage. The width of a
//! concatenation is none of its own: it is the sum of its parts'. Nor is that of a join that projects: it is the widest of
//! its live branches', each of which has a width of its own.

mod candidate;
mod count;
mod derive;
pub mod file;
mod genotype;
mod project;
mod strings;
mod width;

pub use candidate::{Candidate, End, Inner, InvertedBottleneck, MaskPoint, Order, Site, Wired};
pub use count::{Extent, ExtentError, Extremes};
pub use derive::{Architecture, ArchitectureFile, DeriveError};
pub use genotype::{CellGenotype, Genotype, GenotypeError, Primitive, Skeleton, Stem};
pub use project::{BranchId, MaxId, Projection, WidthBranch, WidthMax};
pub use strings::{Encoding, StringError};
pub use width::{SumId, Width, WidthChoice, WidthId, WidthSum};

use std::collections::BTreeSet;

use crate::network::Shape;

/// Place of an operator choice in [`Space::operators`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorId(pub usize);

/// Place of a join in [`Space::joins`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JoinId(pub usize);

/// Operators that an edge may be.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorChoice {
    /// Name in architecture files.
    pub name: String,
    /// At least one; labels are distinct.
    pub candidates: Vec<Candidate>,
}

impl OperatorChoice {
    /// Place of the candidate that cuts the edge.
    #[must_use]
    pub fn zero(&self) -> Option<usize> {
        self.candidates.iter().position(|candidate| *candidate == Candidate::Zero)
    }
}

/// What a join makes of the edges into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Their sum: every edge yields the width of the join. One that is cut adds nothing.
    Sum,
    /// Their concatenation, in the order of the edges, which are identities: its width is the sum of their sources'
    /// widths, whether or not they are cut. One that is cut yields zeros, unless all are.
    Concatenate,
}

/// A place where edges come together; the first is the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Name; nodes of the derived network stand below it.
    pub name: String,
    /// Its width.
    pub width: Width,
    /// Height and width of its map.
    pub side: u64,
    /// What it makes of its edges.
    pub merge: Merge,
}

/// A way from a join to a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Prefix of its nodes in the derived network.
    pub name: String,
    /// Where it starts.
    pub from: JoinId,
    /// Where it ends: later than `from`.
    pub to: JoinId,
    /// What it may be.
    pub operator: OperatorId,
    /// Ratio of the maps of both ends.
    pub stride: u64,
}

/// What turns the last join into class scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classifier {
    /// The map as a vector, then a linear layer.
    Flatten,
    /// The mean of each channel, then a linear layer.
    GlobalPool,
}

/// A search space.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// Name of the space.
    pub name: String,
    /// Shape of the image.
    pub input: Shape,
    /// Number of classes.
    pub classes: u64,
    /// Width choices; those of one option are fixed.
    pub widths: Vec<WidthChoice>,
    /// Widths that follow from choices.
    pub sums: Vec<WidthSum>,
    /// Widths behind edges that choose one or copy their source's.
    pub branches: Vec<WidthBranch>,
    /// Widths of joins that project.
    pub maxima: Vec<WidthMax>,
    /// Operator choices; those of one candidate are fixed.
    pub operators: Vec<OperatorChoice>,
    /// Joins in topological order, the image first, the classifier's input last.
    pub joins: Vec<Join>,
    /// Edges, grouped by target in the order of the joins.
    pub edges: Vec<Edge>,
    /// What follows the last join.
    pub classifier: Classifier,
    /// How benchmarks write its architectures.
    pub encoding: Option<Encoding>,
}

impl Space {
    /// The join `id`.
    #[must_use]
    pub fn join(&self, id: JoinId) -> &Join {
        &self.joins[id.0]
    }

    /// Options of the width of join `id`.
    #[must_use]
    pub fn options(&self, id: JoinId) -> &[u64] {
        self.options_of(self.join(id).width)
    }

    /// Widths of both ends of `edge`: of its source, and of what it yields, which is its target's or, where that
    /// concatenates, its source's. What a candidate yields where others of its edge copy says [`Space::ends_of`].
    #[must_use]
    pub fn ends(&self, edge: &Edge) -> [Width; 2] {
        let (from, to) = (self.join(edge.from), self.join(edge.to));
        match to.merge {
            Merge::Sum => [from.width, to.width],
            Merge::Concatenate => [from.width; 2],
        }
    }

    /// Candidates of `edge`.
    #[must_use]
    pub fn candidates(&self, edge: &Edge) -> &[Candidate] {
        &self.operators[edge.operator.0].candidates
    }

    /// The last join.
    #[must_use]
    pub fn last(&self) -> JoinId {
        JoinId(self.joins.len() - 1)
    }

    /// The site of `edge` where its ends have these widths.
    #[must_use]
    pub fn site(&self, edge: &Edge, in_width: u64, out_width: u64) -> Site {
        Site { in_width, out_width, stride: edge.stride, tied: self.tied(edge) }
    }

    /// Whether both ends have one width by construction: one choice, or two fixed ones that are equal.
    #[must_use]
    pub fn tied(&self, edge: &Edge) -> bool {
        let fixed = |width| match self.options_of(width) {
            [only] => Some(*only),
            _ => None,
        };
        let [from, to] = self.ends(edge);
        from == to || fixed(from).is_some_and(|width| fixed(to) == Some(width))
    }

    /// Number of the cell that `edge` belongs to: names of what stands in cell n begin with `cell{n}/`.
    #[must_use]
    pub fn cell(&self, edge: &Edge) -> Option<usize> {
        let (cell, _) = edge.name.strip_prefix("cell")?.split_once('/')?;
        cell.parse().ok()
    }

    /// Which edges are on a way from the image to the last join, where `cut` says which are not there.
    #[must_use]
    pub fn live(&self, cut: impl Fn(&Edge) -> bool) -> Vec<bool> {
        self.live_places(|place| cut(&self.edges[place]))
    }

    /// As [`Space::live`], edges by their places.
    #[must_use]
    pub fn live_places(&self, cut: impl Fn(usize) -> bool) -> Vec<bool> {
        let there: Vec<bool> = (0..self.edges.len()).map(|place| !cut(place)).collect();
        let mut sourced = vec![false; self.joins.len()];
        sourced[0] = true;
        for (edge, there) in self.edges.iter().zip(&there) {
            sourced[edge.to.0] |= sourced[edge.from.0] && *there;
        }
        let mut reaching = vec![false; self.joins.len()];
        reaching[self.last().0] = true;
        for (edge, there) in self.edges.iter().zip(&there).rev() {
            reaching[edge.from.0] |= reaching[edge.to.0] && *there;
        }
        let ends = self.edges.iter().map(|edge| sourced[edge.from.0] && reaching[edge.to.0]);
        ends.zip(there).map(|(ends, there)| ends && there).collect()
    }

    /// Whether `architecture` has an option of every choice of this space, and no other.
    #[must_use]
    pub fn holds(&self, architecture: &Architecture) -> bool {
        let Architecture { operators, widths } = architecture;
        operators.len() == self.operators.len()
            && widths.len() == self.widths.len()
            && operators.iter().zip(&self.operators).all(|(&chosen, choice)| chosen < choice.candidates.len())
            && widths.iter().zip(&self.widths).all(|(&chosen, choice)| chosen < choice.options.len())
    }

    /// Names of the widths whose joins all lie off every way from the image to the last join of `architecture`, and which
    /// no concatenation on such a way counts in; also of edges into joins that project whose operator chooses none.
    #[must_use]
    pub fn unused_widths(&self, architecture: &Architecture) -> BTreeSet<String> {
        let cut = |edge: &Edge| self.operators[edge.operator.0].zero() == Some(architecture.operators[edge.operator.0]);
        let mut used = vec![false; self.widths.len()];
        for (edge, _) in self.edges.iter().zip(self.live(cut)).filter(|(_, live)| *live) {
            let candidate = &self.candidates(edge)[architecture.operators[edge.operator.0]];
            let ends = [edge.from, edge.to].map(|id| match self.join(id).width {
                width @ (Width::Choice(_) | Width::Sum(_)) => self.parts(width),
                // What it follows from stands at edges of their own.
                Width::Branch(_) | Width::Max(_) => Vec::new(),
            });
            let all = ends.into_iter().flatten().chain(self.own_width(edge, candidate));
            all.for_each(|choice| used[choice.0] = true);
        }
        self.widths.iter().zip(used).filter(|(_, used)| !used).map(|(choice, _)| choice.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
