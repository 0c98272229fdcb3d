//! Branch and bound over architectures: a proof where it comes to its end.
//!
//! For every pattern of cut edges the live ones are known. What is chosen on them is decided one choice at a time; a bound
//! on a sum takes from each live edge the least part that what is decided so far leaves. A branch ends where the objective's bound is
//! no better than the best found, or that of a target is beyond its limit.

use super::gauge::{Gauge, stands};
use super::problem::{Choices, Problem};
use crate::cost::{EdgeSum, EdgeTerm, Fold, JoinTerm};

/// Operator choices with `zero` and another candidate up to which every pattern of cuts is tried.
const MOST_PATTERNS: usize = 12;

/// A sum with a number for each option of each choice, and lower bounds of it.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    fold: Fold,
    /// `[choice][option]`; empty where there is none.
    unary: Vec<Vec<f64>>,
    edges: Vec<EdgeLeast>,
    joins: Vec<(JoinTerm, WidthLeast)>,
    classifier: WidthLeast,
}

/// The part of each option of a width, and the least of those that may be taken.
#[derive(Debug, Clone)]
struct WidthLeast {
    choice: usize,
    parts: Vec<f64>,
    least: f64,
}

impl WidthLeast {
    fn new(problem: &Problem<'_>, width: usize, parts: &[f64]) -> Self {
        let choice = problem.space.operators.len() + width;
        let allowed = problem.slot_allowed(width).into_iter();
        let least = allowed.map(|option| parts[option]).fold(f64::INFINITY, f64::min);
        Self { choice, parts: parts.to_vec(), least }
    }

    /// Of no width at all.
    fn none() -> Self {
        Self { choice: 0, parts: Vec::new(), least: 0.0 }
    }

    fn least(&self, decided: &[Option<usize>]) -> f64 {
        decided[self.choice].and_then(|option| self.parts.get(option)).copied().unwrap_or(self.least)
    }
}

/// The least part of an edge over what is undecided of operator (1), source (2) and target (4), by the mask of what is decided.
#[derive(Debug, Clone)]
struct EdgeLeast {
    choices: [usize; 3],
    options: [usize; 3],
    least: [Vec<f64>; 8],
}

impl EdgeLeast {
    fn new(problem: &Problem<'_>, edge: &EdgeTerm) -> Self {
        let operators = problem.space.operators.len();
        let joint = edge.source == edge.target;
        let choices = [edge.operator, operators + edge.source, operators + edge.target];
        let mut allowed = [
            kept(problem, edge.operator).collect(),
            problem.slot_allowed(edge.source),
            problem.slot_allowed(edge.target),
        ];
        let mut options =
            [problem.scores(edge.operator).len(), problem.slot_options(edge.source), problem.slot_options(edge.target)];
        if joint {
            (allowed[2], options[2]) = (vec![0], 1);
        }
        let size = |mask: usize| (0..3).map(|bit| if mask >> bit & 1 == 1 { options[bit] } else { 1 }).product();
        let mut least: [Vec<f64>; 8] = std::array::from_fn(|mask| vec![f64::INFINITY; size(mask)]);
        for &candidate in &allowed[0] {
            let table = &edge.candidates[candidate];
            for &from in &allowed[1] {
                for &to in &allowed[2] {
                    let place = if joint { from } else { from * edge.row + to };
                    let part = if table.is_empty() { 0.0 } else { table[place] };
                    for (mask, least) in least.iter_mut().enumerate() {
                        let slot = &mut least[index(mask, options, [candidate, from, to])];
                        *slot = slot.min(part);
                    }
                }
            }
        }
        Self { choices, options, least }
    }

    fn least(&self, decided: &[Option<usize>]) -> f64 {
        let [operator, from, to] = self.choices;
        let mut known = [decided[operator], decided[from], decided[to]];
        if from == to {
            known[2] = None;
        }
        let mask = (0..3).filter(|&bit| known[bit].is_some()).map(|bit| 1 << bit).sum();
        self.least[mask][index(mask, self.options, known.map(Option::unwrap_or_default))]
    }
}

/// Place of `at` in a table over the dimensions of `mask`.
fn index(mask: usize, options: [usize; 3], at: [usize; 3]) -> usize {
    (0..3).filter(|bit| mask >> bit & 1 == 1).fold(0, |place, bit| place * options[bit] + at[bit])
}

impl Bounds {
    /// Of a sum alone.
    pub(super) fn of_sum(problem: &Problem<'_>, sum: &EdgeSum) -> Self {
        let (width, parts) = &sum.classifier;
        let join = |term: &JoinTerm| (term.clone(), WidthLeast::new(problem, term.width, &term.parts));
        Self {
            fold: sum.fold,
            unary: Vec::new(),
            edges: sum.edges.iter().map(|edge| EdgeLeast::new(problem, edge)).collect(),
            joins: sum.joins.iter().map(join).collect(),
            classifier: WidthLeast::new(problem, *width, parts),
        }
    }

    /// Of the log-likelihood, negative, alone.
    pub(super) fn of_scores(problem: &Problem<'_>) -> Self {
        let unary = |choice: usize| problem.scores(choice).iter().map(|score| -score).collect();
        Self {
            fold: Fold::Sum,
            unary: (0..problem.choices()).map(unary).collect(),
            edges: Vec::new(),
            joins: Vec::new(),
            classifier: WidthLeast::none(),
        }
    }

    /// Of the negative log-likelihood with `price` for each relative unit of the gauge's sums: the Lagrangian, and what it
    /// takes off a network that keeps every limit at least.
    pub(super) fn of_lagrangian(problem: &Problem<'_>, gauge: &Gauge<'_>, price: f64) -> (Self, f64) {
        let mut mixed: Option<EdgeSum> = None;
        let mut offset = 0.0;
        for (sum, scale) in gauge.sums.iter().zip(&gauge.scales).filter(|(sum, _)| sum.fold == Fold::Sum) {
            offset += price * sum.limit / scale;
            add(mixed.get_or_insert_with(|| empty(sum)), sum, price / scale);
        }
        let scores = Self::of_scores(problem);
        let bounds = mixed
            .map_or_else(|| scores.clone(), |sum| Self { unary: scores.unary.clone(), ..Self::of_sum(problem, &sum) });
        (bounds, offset)
    }

    /// A lower bound where `decided` is decided and the edges of `live` are live.
    fn least(&self, problem: &Problem<'_>, live: &[bool], decided: &[Option<usize>]) -> f64 {
        let decided = &problem.decided_with_sums(decided);
        let one = |(choice, unary): (usize, &Vec<f64>)| match decided[choice] {
            Some(option) => unary[option],
            None => kept(problem, choice).map(|option| unary[option]).fold(f64::INFINITY, f64::min),
        };
        let unary: f64 = self.unary.iter().enumerate().map(one).sum();
        let joins = self.joins.iter().filter(|(term, _)| stands(problem.space, term, live));
        let joins: f64 = joins.map(|(_, least)| least.least(decided)).sum();
        let rest = self.classifier.least(decided) + joins;
        let parts = self.edges.iter().zip(live).filter(|(_, live)| **live).map(|(edge, _)| edge.least(decided));
        match self.fold {
            Fold::Sum => unary + parts.fold(rest, |sum, part| sum + part),
            Fold::Greatest => unary + parts.fold(rest, f64::max),
        }
    }
}

/// A sum of nought over the edges of `sum`.
fn empty(sum: &EdgeSum) -> EdgeSum {
    let mut empty = EdgeSum { joins: Vec::new(), ..sum.clone() };
    empty.edges.iter_mut().flat_map(|edge| &mut edge.candidates).for_each(Vec::clear);
    empty.classifier.1.fill(0.0);
    empty
}

/// Adds `factor` times `other`, a sum over the same space.
fn add(sum: &mut EdgeSum, other: &EdgeSum, factor: f64) {
    let mine = sum.edges.iter_mut().flat_map(|edge| &mut edge.candidates);
    mine.zip(other.edges.iter().flat_map(|edge| &edge.candidates)).for_each(|(mine, theirs)| mix(mine, theirs, factor));
    mix(&mut sum.classifier.1, &other.classifier.1, factor);
    sum.joins.extend(other.joins.iter().map(|term| {
        let mut term = term.clone();
        term.parts.iter_mut().for_each(|part| *part *= factor);
        term
    }));
}

fn mix(mine: &mut Vec<f64>, theirs: &[f64], factor: f64) {
    mine.resize(mine.len().max(theirs.len()), 0.0);
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += factor * theirs);
}

/// What is cut, and what is live with it.
struct Pattern {
    live: Vec<bool>,
    decided: Vec<Option<usize>>,
    /// What is still to be decided, in order.
    open: Vec<usize>,
}

impl Pattern {
    /// The pattern in which the choices of `cuttable` whose bit is set in `cuts` are cut; nothing where the output is.
    ///
    /// What no live edge asks for takes its likeliest option.
    fn new(problem: &Problem<'_>, gauge: &Gauge<'_>, cuttable: &[usize], cuts: usize) -> Option<Self> {
        let operators = problem.space.operators.len();
        let cut = |choice: usize| match cuttable.iter().position(|&operator| operator == choice) {
            Some(bit) => cuts >> bit & 1 == 1,
            None => kept(problem, choice).next().is_none(),
        };
        let likeliest = |choice: usize| {
            let scores = problem.scores(choice);
            kept(problem, choice).max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)))
        };
        let zeroed = |choice: usize| problem.zero(choice).filter(|_| cut(choice));
        let choices: Vec<usize> =
            (0..problem.choices()).map(|choice| zeroed(choice).or_else(|| likeliest(choice))).collect::<Option<_>>()?;
        let live = gauge.live(&choices)?;
        let mut asked = vec![false; choices.len()];
        let widths = |join| problem.space.parts(problem.space.join(join).width);
        let mut joins = vec![problem.space.last()];
        for (edge, _) in problem.space.edges.iter().zip(&live).filter(|(_, live)| **live) {
            asked[edge.operator.0] = true;
            joins.extend([edge.from, edge.to]);
        }
        joins.into_iter().flat_map(widths).for_each(|width| asked[operators + width.0] = true);
        let is_open = |&choice: &usize| asked[choice] && kept(problem, choice).count() > 1;
        let open: Vec<usize> = (0..choices.len()).filter(is_open).collect();
        let mut decided: Vec<Option<usize>> = choices.into_iter().map(Some).collect();
        open.iter().for_each(|&choice| decided[choice] = None);
        Some(Self { live, decided, open })
    }
}

/// Options of `choice` but `zero`.
fn kept<'a>(problem: &'a Problem<'_>, choice: usize) -> impl Iterator<Item = usize> + 'a {
    let zero = problem.zero(choice);
    problem.allowed(choice).filter(move |&option| Some(option) != zero)
}

/// The search for the least objective among what keeps the limits.
pub(super) struct Tree<'a, 'b> {
    /// What is chosen from.
    pub(super) problem: &'a Problem<'b>,
    /// For what is live.
    pub(super) gauge: &'a Gauge<'b>,
    /// The objective: the greatest of several lower bounds, each less its offset; the first is the objective itself.
    pub(super) objective: Vec<(Bounds, f64)>,
    /// Sums with their limits.
    pub(super) limits: Vec<(Bounds, f64)>,
    /// Whether something that keeps the limits counts.
    pub(super) accepts: &'a dyn Fn(&[usize]) -> bool,
    /// The best found with its objective.
    pub(super) best: Option<(Choices, f64)>,
    /// Bounds that may still be computed.
    pub(super) budget: u64,
}

impl Tree<'_, '_> {
    /// Whether the whole space was searched, so that the best found is the best.
    pub(super) fn run(&mut self) -> bool {
        let problem = self.problem;
        let may_cut = |&operator: &usize| {
            let zero = problem.zero(operator);
            problem.allowed(operator).any(|option| Some(option) == zero) && kept(problem, operator).next().is_some()
        };
        let cuttable: Vec<usize> = (0..problem.space.operators.len()).filter(may_cut).collect();
        if cuttable.len() > MOST_PATTERNS {
            return false;
        }
        let pattern = |cuts: usize| {
            let pattern = Pattern::new(problem, self.gauge, &cuttable, cuts)?;
            Some((self.bound(&pattern, &pattern.decided), pattern))
        };
        let mut patterns: Vec<(f64, Pattern)> = (0..1usize << cuttable.len()).filter_map(pattern).collect();
        patterns.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, pattern) in patterns {
            let mut decided = pattern.decided.clone();
            if self.may_hold(&pattern, &decided).is_some() {
                self.branch(&pattern, &mut decided, 0);
            }
            if self.budget == 0 {
                return false;
            }
        }
        true
    }

    /// The objective's lower bound, where it is better than the best and no limit is passed.
    fn may_hold(&mut self, pattern: &Pattern, decided: &[Option<usize>]) -> Option<f64> {
        self.budget = self.budget.saturating_sub(1);
        let bound = self.bound(pattern, decided);
        if !self.is_better(bound) {
            return None;
        }
        let passed = |(sum, limit): &(Bounds, f64)| sum.least(self.problem, &pattern.live, decided) > *limit;
        (!self.limits.iter().any(passed)).then_some(bound)
    }

    /// Whether an objective of `bound` is below that of the best found.
    fn is_better(&self, bound: f64) -> bool {
        self.best.as_ref().is_none_or(|(_, best)| bound < best - 1e-12 * (1.0 + best.abs()))
    }

    fn bound(&self, pattern: &Pattern, decided: &[Option<usize>]) -> f64 {
        let least =
            self.objective.iter().map(|(bounds, offset)| bounds.least(self.problem, &pattern.live, decided) - offset);
        least.fold(f64::NEG_INFINITY, f64::max)
    }

    fn branch(&mut self, pattern: &Pattern, decided: &mut Vec<Option<usize>>, depth: usize) {
        let Some(&choice) = pattern.open.get(depth) else {
            self.leaf(pattern, decided);
            return;
        };
        let mut children = Vec::new();
        for option in kept(self.problem, choice) {
            decided[choice] = Some(option);
            if let Some(bound) = self.may_hold(pattern, decided) {
                children.push((bound, option));
            }
        }
        children.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (bound, option) in children {
            if self.budget == 0 || !self.is_better(bound) {
                break;
            }
            decided[choice] = Some(option);
            self.branch(pattern, decided, depth + 1);
        }
        decided[choice] = None;
    }

    fn leaf(&mut self, pattern: &Pattern, decided: &[Option<usize>]) {
        let choices: Choices = decided.iter().map(|option| option.expect("every choice is decided")).collect();
        let objective = self.objective[0].0.least(self.problem, &pattern.live, decided);
        if self.best.as_ref().is_none_or(|(_, best)| objective < *best) && (self.accepts)(&choices) {
            self.best = Some((choices, objective));
        }
    }
}
