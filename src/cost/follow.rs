//! Distributions of the widths of joins that project.
//!
//! With `s_u` the probability that join `u` has a source, an edge `e` from `u` is there with `s_e = (1 - r_zero) s_u`, and
//! a join with `1 - prod_e (1 - s_e)`. Behind `e` stands a width of the distribution
//!
//! ```text
//! B_e = (sum of r_o that choose * p_e + sum of r_o that copy * D_u) / (1 - r_zero)
//! ```
//!
//! of which `F_e(b) = 1 - s_e + s_e B_e(<= b)` is the distribution function, an edge that is not there having no width. A
//! join is as wide as the widest of its branches, `D(b) = (F(b) - F(option before b)) / (1 - prod_e (1 - s_e))` with
//! `F = prod_e F_e`, and a branch `e` of width `a` stands beside a join of width `b` with
//!
//! ```text
//! J_e(a, b) = B_e(a) [a = b] G(b) + B_e(a) [a < b] (G(b) - G(option before b)),   G = product of the other F
//! ```
//!
//! which is what pays its projection. **Exact** where every branch is there and chooses its width: then all factors are
//! independent. Otherwise approximate: branches that depend on one source, one operator choice that several cells share,
//! are taken as independent, and a join's width as independent of what else is live.

use super::probabilities::Probabilities;
use super::tape::{Tape, Var};
use crate::space::{Architecture, Edge, Space, Width, WidthBranch, WidthId, WidthMax};

/// The space of which widths follow.
#[derive(Debug, Clone)]
pub(super) struct Follows(Space);

/// The distributions at one point, with their derivatives.
pub(super) struct Followed {
    tape: Tape,
    operators: Vec<Vec<Var>>,
    widths: Vec<Vec<Var>>,
    /// By slot that follows, by option.
    slots: Vec<Vec<Var>>,
}

impl Follows {
    /// Nothing where no join of `space` projects.
    pub(super) fn new(space: &Space) -> Option<Self> {
        space.projects().then(|| Self(space.clone()))
    }

    /// Whether every branch is there, whatever is chosen, and chooses its width.
    pub(super) fn is_exact(&self) -> bool {
        let space = &self.0;
        let is_branch = |edge: &Edge| space.projections().any(|(_, branch)| branch.join == edge.to);
        let varies = |edge: &Edge| {
            let is_follower = matches!(space.join(edge.to).width, Width::Branch(_));
            is_follower || (is_branch(edge) && space.operators[edge.operator.0].zero().is_some())
        };
        !space.edges.iter().any(varies)
    }

    /// What follows from one architecture, by slot.
    pub(super) fn options(&self, architecture: &Architecture) -> Vec<usize> {
        self.0.followers_of(architecture)
    }

    /// The distributions where the choices follow `probabilities`.
    pub(super) fn at(&self, probabilities: &Probabilities) -> Followed {
        Sheet::new(&self.0, probabilities).fill()
    }
}

impl Followed {
    /// By slot that follows the probabilities of its options.
    pub(super) fn distributions(&self) -> impl Iterator<Item = Vec<f64>> {
        self.slots.iter().map(|slot| slot.iter().map(|&var| self.tape.value(var)).collect())
    }

    /// Adds to `gradient` what a number owes to the choices, given its derivatives `by` the distributions.
    pub(super) fn pull(&self, by: &[Vec<f64>], gradient: &mut Probabilities) {
        let seeds = self.slots.iter().flatten().copied().zip(by.iter().flatten().copied());
        let slopes = self.tape.slopes_of_all(seeds);
        let leaves = self.operators.iter().chain(&self.widths);
        for (vars, slots) in leaves.zip(gradient.choices_mut()) {
            vars.iter().zip(slots).for_each(|(&var, slot)| *slot += slopes.by(var));
        }
    }
}

/// The tape under way.
struct Sheet<'a> {
    space: &'a Space,
    tape: Tape,
    one: Var,
    nought: Var,
    operators: Vec<Vec<Var>>,
    widths: Vec<Vec<Var>>,
    /// By join that it has a source.
    sourced: Vec<Var>,
    slots: Vec<Vec<Var>>,
}

impl<'a> Sheet<'a> {
    fn new(space: &'a Space, probabilities: &Probabilities) -> Self {
        let mut tape = Tape::default();
        let (one, nought) = (tape.leaf(1.0), tape.leaf(0.0));
        let mut leaves = |choices: &[Vec<f64>]| -> Vec<Vec<Var>> {
            choices.iter().map(|choice| choice.iter().map(|&p| tape.leaf(p)).collect()).collect()
        };
        let (operators, widths) = (leaves(&probabilities.operators), leaves(&probabilities.widths));
        let slots = space.follower_options().map(|options| vec![nought; options]).collect();
        Self { space, tape, one, nought, operators, widths, sourced: vec![one], slots }
    }

    fn fill(mut self) -> Followed {
        let mut edges = self.space.edges.iter().peekable();
        for place in 1..self.space.joins.len() {
            let mut into = Vec::new();
            while let Some(edge) = edges.next_if(|edge| edge.to.0 == place) {
                into.push(edge);
            }
            let there: Vec<Var> = into.iter().map(|edge| self.is_there(edge)).collect();
            let sourced = match there[..] {
                [only] => only,
                _ => self.any(&there),
            };
            self.sourced.push(sourced);
            match self.space.joins[place].width {
                Width::Branch(id) if self.space.branches[id.0].join.0 == place => {
                    self.slots[id.0] = self.branch(&self.space.branches[id.0], into[0]);
                }
                Width::Max(id) if self.space.maxima[id.0].join.0 == place => self.join(&self.space.maxima[id.0], id.0),
                Width::Branch(_) | Width::Max(_) | Width::Choice(_) | Width::Sum(_) => {}
            }
        }
        Followed { tape: self.tape, operators: self.operators, widths: self.widths, slots: self.slots }
    }

    /// That `edge` is not cut, and its source has one.
    fn is_there(&mut self, edge: &Edge) -> Var {
        let source = self.sourced[edge.from.0];
        let Some(zero) = self.space.operators[edge.operator.0].zero() else { return source };
        let there = self.tape.complement(self.operators[edge.operator.0][zero]);
        self.tape.product(there, source)
    }

    /// That any of `vars` is, as if they were independent.
    fn any(&mut self, vars: &[Var]) -> Var {
        let mut none = self.one;
        for &var in vars {
            let absent = self.tape.complement(var);
            none = self.tape.product(none, absent);
        }
        self.tape.complement(none)
    }

    fn distribution(&self, width: Width) -> Vec<Var> {
        match width {
            Width::Choice(WidthId(id)) => self.widths[id].clone(),
            Width::Branch(_) | Width::Max(_) => {
                self.slots[self.space.slot(width) - self.space.first_follower()].clone()
            }
            Width::Sum(_) => unreachable!("cells that project put out no concatenation"),
        }
    }

    fn branch(&mut self, branch: &WidthBranch, edge: &Edge) -> Vec<Var> {
        let (mut chosen, mut copied) = (self.nought, self.nought);
        for (candidate, &r) in self.space.candidates(edge).iter().zip(&self.operators[edge.operator.0]) {
            match candidate {
                crate::space::Candidate::Zero => {}
                _ if candidate.copies(edge.stride) => copied = self.tape.sum(copied, r),
                _ => chosen = self.tape.sum(chosen, r),
            }
        }
        let all = self.tape.sum(chosen, copied);
        let mut distribution = vec![self.nought; branch.options.len()];
        for (share, width, places) in
            [(chosen, branch.own.into(), &branch.own_places), (copied, branch.source, &branch.source_places)]
        {
            let share = self.tape.quotient(share, all);
            for (p, &place) in self.distribution(width).into_iter().zip(places) {
                let part = self.tape.product(share, p);
                distribution[place] = self.tape.sum(distribution[place], part);
            }
        }
        distribution
    }

    /// Fills the maximum `number` and the pairs of its branches.
    fn join(&mut self, most: &WidthMax, number: usize) {
        let of_branches: Vec<Vec<Var>> =
            most.branches.iter().map(|branch| self.distribution(self.space.join(branch.join).width)).collect();
        let mut functions = Vec::with_capacity(most.branches.len());
        for (branch, distribution) in most.branches.iter().zip(&of_branches) {
            let mut at_options = vec![None; most.options.len()];
            branch.places.iter().zip(distribution).for_each(|(&place, &p)| at_options[place] = Some(p));
            functions.push(self.function(self.sourced[branch.join.0], &at_options));
        }
        let product = self.product(&functions);
        let reached = self.tape.complement(product[0]);
        for option in 0..most.options.len() {
            let step = self.tape.difference(product[option + 1], product[option]);
            self.slots[self.space.branches.len() + number][option] = self.tape.quotient(step, reached);
        }
        let first = self.space.branches.len() + self.space.maxima.len();
        for (place, branch) in most.branches.iter().enumerate() {
            let own = functions.remove(place);
            let others = self.product(&functions);
            functions.insert(place, own);
            for (pair, &[own, at]) in branch.pairs.iter().enumerate() {
                let factor = if branch.places[own] == at {
                    others[at + 1]
                } else {
                    self.tape.difference(others[at + 1], others[at])
                };
                self.slots[first + branch.number][pair] = self.tape.product(of_branches[place][own], factor);
            }
        }
    }

    /// The distribution function of a branch that is there with `there`: below all options of the maximum, then at each.
    fn function(&mut self, there: Var, distribution: &[Option<Var>]) -> Vec<Var> {
        let absent = self.tape.complement(there);
        let mut so_far = self.nought;
        let mut function = vec![absent];
        for p in distribution {
            if let Some(p) = *p {
                so_far = self.tape.sum(so_far, p);
            }
            let part = self.tape.product(there, so_far);
            function.push(self.tape.sum(absent, part));
        }
        function
    }

    /// The product of `functions`, at least one, point by point.
    fn product(&mut self, functions: &[Vec<Var>]) -> Vec<Var> {
        let (first, others) = functions.split_first().expect("a join that projects has two branches");
        let mut product = first.clone();
        for other in others {
            product.iter_mut().zip(other).for_each(|(a, &b)| *a = self.tape.product(*a, b));
        }
        product
    }
}
