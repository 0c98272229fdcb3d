//! Joins that project: every edge into them has a width of its own, the join the widest of its live branches.
//!
//! Such a join `t` has a **branch** for each of its edges: a join of one edge, the candidate's, behind which an edge of
//! one candidate, [`Candidate::Project`], ends in `t`. A candidate that chooses a width yields that of the edge, one that
//! copies ([`Candidate::copies`]) its source's. `t` is as wide as the widest branch that has a source; a narrower branch
//! passes a 1x1 convolution to that width (U-Boost NAS).
//!
//! So widths follow from operators as well as from widths: [`Followers`] finds them.

use super::{Architecture, Candidate, Edge, JoinId, OperatorId, Space, Width, WidthId};

/// Place of a branch in [`Space::branches`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchId(pub usize);

/// Place of a width in [`Space::maxima`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaxId(pub usize);

/// The width behind an edge of which some candidates choose a width and others copy their source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidthBranch {
    /// The join whose width it is: the target of the edge alone.
    pub join: JoinId,
    /// What is chosen.
    pub own: WidthId,
    /// The width of the edge's source.
    pub source: Width,
    /// Channels of both, strictly increasing.
    pub options: Vec<u64>,
    /// By option of `own` its place in `options`.
    pub own_places: Vec<usize>,
    /// By option of `source` its place in `options`.
    pub source_places: Vec<usize>,
}

/// The width of a join that projects: the widest of its live branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidthMax {
    /// The join whose width it is.
    pub join: JoinId,
    /// Its branches, in the order of the edges.
    pub branches: Vec<Projection>,
    /// Channels of all branches, strictly increasing.
    pub options: Vec<u64>,
}

/// A branch of a join that projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The branch.
    pub join: JoinId,
    /// By option of the branch its place among those of the maximum.
    pub places: Vec<usize>,
    /// What widths the branch and the maximum may have together, as options of each: the branch is no wider.
    pub pairs: Vec<[usize; 2]>,
    /// Place among all projections of the space.
    pub number: usize,
}

impl Projection {
    /// Place of a pair of options in [`Projection::pairs`].
    fn pair(&self, branch: usize, most: usize) -> Option<usize> {
        self.pairs.binary_search(&[branch, most]).ok()
    }
}

/// The distinct values of `lists`, increasing, and by list the places of its values.
fn united(lists: &[&[u64]]) -> (Vec<u64>, Vec<Vec<usize>>) {
    let mut all: Vec<u64> = lists.iter().copied().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    let place = |value: &u64| all.binary_search(value).expect("every value is in the union");
    let places = lists.iter().map(|list| list.iter().map(place).collect()).collect();
    (all, places)
}

/// What is known of a width while not all is decided: the option of every slot that follows from choices.
struct Followers<'a, O, W> {
    space: &'a Space,
    operator: O,
    width: W,
    /// By join whether it has a source, where that is known.
    sourced: Vec<Option<bool>>,
    branches: Vec<Option<usize>>,
    maxima: Vec<Option<usize>>,
    pairs: Vec<Option<usize>>,
}

impl<O: Fn(OperatorId) -> Option<usize>, W: Fn(WidthId) -> Option<usize>> Followers<'_, O, W> {
    fn find(mut self) -> Self {
        let space = self.space;
        self.sourced.push(Some(true));
        let mut edges = space.edges.iter().peekable();
        for place in 1..space.joins.len() {
            let mut into = Vec::new();
            while let Some(edge) = edges.next_if(|edge| edge.to.0 == place) {
                into.push(edge);
            }
            let there = into.iter().map(|edge| self.is_there(edge));
            let sourced = there.reduce(any).unwrap_or(Some(false));
            self.sourced.push(sourced);
            match space.joins[place].width {
                Width::Branch(id) if space.branches[id.0].join.0 == place => {
                    self.branches[id.0] = into.first().and_then(|edge| self.branch(&space.branches[id.0], edge));
                }
                Width::Max(id) if space.maxima[id.0].join.0 == place => {
                    let most = self.most(&space.maxima[id.0]);
                    self.maxima[id.0] = most;
                    self.pair(&space.maxima[id.0], most);
                }
                Width::Branch(_) | Width::Max(_) | Width::Choice(_) | Width::Sum(_) => {}
            }
        }
        self
    }

    fn is_there(&self, edge: &Edge) -> Option<bool> {
        let zero = self.space.operators[edge.operator.0].zero();
        let is_cut = zero.map_or(Some(false), |zero| (self.operator)(edge.operator).map(|chosen| chosen == zero));
        match (is_cut, self.sourced[edge.from.0]) {
            (Some(true), _) | (_, Some(false)) => Some(false),
            (Some(false), Some(true)) => Some(true),
            (None, _) | (_, None) => None,
        }
    }

    fn option(&self, width: Width) -> Option<usize> {
        match width {
            Width::Choice(id) => (self.width)(id),
            Width::Sum(id) => {
                let sum = &self.space.sums[id.0];
                let chosen = (0..self.space.widths.len()).map(|choice| (self.width)(WidthId(choice)));
                let chosen: Vec<Option<usize>> = chosen.collect();
                let decided = sum.parts().iter().all(|part| chosen[part.0].is_some());
                decided.then(|| sum.option(&chosen.iter().map(|option| option.unwrap_or_default()).collect::<Vec<_>>()))
            }
            Width::Branch(id) => self.branches[id.0],
            Width::Max(id) => self.maxima[id.0],
        }
    }

    fn branch(&self, branch: &WidthBranch, edge: &Edge) -> Option<usize> {
        let candidate = &self.space.candidates(edge)[(self.operator)(edge.operator)?];
        if candidate.copies(edge.stride) {
            return self.option(branch.source).map(|option| branch.source_places[option]);
        }
        self.option(branch.own.into()).map(|option| branch.own_places[option])
    }

    fn most(&self, most: &WidthMax) -> Option<usize> {
        let mut widest = 0;
        for branch in &most.branches {
            if self.sourced[branch.join.0]? {
                let option = self.option(self.space.join(branch.join).width)?;
                widest = widest.max(branch.places[option]);
            }
        }
        Some(widest)
    }

    fn pair(&mut self, most: &WidthMax, option: Option<usize>) {
        for branch in &most.branches {
            let own = self.option(self.space.join(branch.join).width);
            let both = own.zip(option);
            // A branch without a source has none: any will do, nobody asks.
            self.pairs[branch.number] = both.map(|(own, most)| branch.pair(own, most).unwrap_or(0));
        }
    }
}

/// Whether one of two is there.
fn any(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        (None, _) | (_, None) => None,
    }
}

impl Space {
    /// Adds a join behind an edge of its own out of a join of width `source`, for `candidates` that choose the width
    /// `own`, where any does.
    pub(super) fn branch_width(&mut self, own: Option<WidthId>, source: Width, candidates: &[Candidate]) -> Width {
        let copies = candidates.iter().any(|candidate| candidate.copies(1));
        let Some(own) = own else { return source };
        if !copies {
            return own.into();
        }
        let (options, mut places) = united(&[&self.widths[own.0].options, self.options_of(source)]);
        let source_places = places.pop().expect("places of two lists");
        let own_places = places.pop().expect("places of two lists");
        let join = JoinId(self.joins.len());
        self.branches.push(WidthBranch { join, own, source, options, own_places, source_places });
        Width::Branch(BranchId(self.branches.len() - 1))
    }

    /// The width of the next join, which projects `branches` to the widest of them.
    pub(super) fn max_width(&mut self, branches: &[JoinId]) -> Width {
        let (options, places) = united(&branches.iter().map(|&branch| self.options(branch)).collect::<Vec<_>>());
        let first: usize = self.maxima.iter().map(|most| most.branches.len()).sum();
        let projection = |(number, (&join, places)): (usize, (&JoinId, Vec<usize>))| {
            let wider = |(own, &place): (usize, &usize)| (place..options.len()).map(move |most| [own, most]);
            let pairs = places.iter().enumerate().flat_map(wider).collect();
            Projection { join, places, pairs, number: first + number }
        };
        let branches = branches.iter().zip(places).enumerate().map(projection).collect();
        let join = JoinId(self.joins.len());
        self.maxima.push(WidthMax { join, branches, options });
        Width::Max(MaxId(self.maxima.len() - 1))
    }

    /// Whether some join projects.
    #[must_use]
    pub fn projects(&self) -> bool {
        !(self.maxima.is_empty() && self.branches.is_empty())
    }

    /// Every projection, in the order of [`Projection::number`], with the maximum that it ends in.
    pub fn projections(&self) -> impl Iterator<Item = (&WidthMax, &Projection)> {
        self.maxima.iter().flat_map(|most| most.branches.iter().map(move |branch| (most, branch)))
    }

    /// The projection that `edge` is, with the maximum that it ends in.
    #[must_use]
    pub fn projection(&self, edge: &Edge) -> Option<(&WidthMax, &Projection)> {
        if self.candidates(edge) != [Candidate::Project] {
            return None;
        }
        self.projections().find(|(most, branch)| most.join == edge.to && branch.join == edge.from)
    }

    /// Option of every width that follows from choices of operators and widths, and behind them the pair that each
    /// projection has: those of the slots from [`Space::first_follower`] on. Nothing where what is decided does not settle
    /// it.
    pub fn followers(
        &self,
        operator: impl Fn(OperatorId) -> Option<usize>,
        width: impl Fn(WidthId) -> Option<usize>,
    ) -> Vec<Option<usize>> {
        let found = Followers {
            space: self,
            operator,
            width,
            sourced: Vec::new(),
            branches: vec![None; self.branches.len()],
            maxima: vec![None; self.maxima.len()],
            pairs: vec![None; self.projections().count()],
        };
        let Followers { branches, maxima, pairs, .. } = found.find();
        branches.into_iter().chain(maxima).chain(pairs).collect()
    }

    /// As [`Space::followers`], of an architecture.
    #[must_use]
    pub fn followers_of(&self, architecture: &Architecture) -> Vec<usize> {
        let Architecture { operators, widths } = architecture;
        let found = self.followers(|id| Some(operators[id.0]), |id| Some(widths[id.0]));
        found.into_iter().map(|option| option.expect("every choice is decided")).collect()
    }

    /// Number of options of everything that follows, in the order of [`Space::followers`].
    pub fn follower_options(&self) -> impl Iterator<Item = usize> {
        let branches = self.branches.iter().map(|branch| branch.options.len());
        let maxima = self.maxima.iter().map(|most| most.options.len());
        branches.chain(maxima).chain(self.projections().map(|(_, branch)| branch.pairs.len()))
    }

    /// Channels of every width of `architecture`, by slot.
    #[must_use]
    pub fn channels_of(&self, architecture: &Architecture) -> Vec<u64> {
        let followers = self.followers_of(architecture);
        let one = |width: Width| match width {
            Width::Choice(_) | Width::Sum(_) => self.channels(width, &architecture.widths),
            Width::Branch(_) | Width::Max(_) => {
                self.options_of(width)[followers[self.slot(width) - self.first_follower()]]
            }
        };
        self.all_widths().map(one).collect()
    }

    /// Widths of both ends of `edge` where it is `candidate`: of its source, and of what it yields.
    #[must_use]
    pub fn ends_of(&self, edge: &Edge, candidate: &Candidate) -> [Width; 2] {
        let [from, to] = self.ends(edge);
        match to {
            Width::Branch(id) if self.branches[id.0].join == edge.to => {
                let copies = candidate.copies(edge.stride);
                [from, if copies { from } else { self.branches[id.0].own.into() }]
            }
            Width::Branch(_) | Width::Max(_) | Width::Choice(_) | Width::Sum(_) => [from, to],
        }
    }

    /// The width choice of `candidate` of `edge`, where that has one beside candidates that copy.
    #[must_use]
    pub fn own_width(&self, edge: &Edge, candidate: &Candidate) -> Option<WidthId> {
        let Width::Branch(id) = self.join(edge.to).width else { return None };
        let branch = &self.branches[id.0];
        (branch.join == edge.to && !candidate.copies(edge.stride)).then_some(branch.own)
    }

    /// Most channels that `width` may have where the choices have the options `chosen`, whatever the operators.
    pub(super) fn most_channels(&self, width: Width, chosen: &[usize]) -> u64 {
        match width {
            Width::Choice(_) | Width::Sum(_) => self.channels(width, chosen),
            Width::Branch(id) => {
                let branch = &self.branches[id.0];
                self.channels(branch.own.into(), chosen).max(self.channels(branch.source, chosen))
            }
            Width::Max(id) => {
                let of_branch = |branch: &Projection| self.channels(self.join(branch.join).width, chosen);
                self.maxima[id.0].branches.iter().map(of_branch).max().unwrap_or(0)
            }
        }
    }

    /// Choices that `width` follows from, each once.
    pub(super) fn followed_parts(&self, width: Width) -> Vec<WidthId> {
        let mut parts = match width {
            Width::Choice(_) | Width::Sum(_) => return self.parts(width),
            Width::Branch(id) => {
                let branch = &self.branches[id.0];
                let mut parts = self.followed_parts(branch.source);
                parts.push(branch.own);
                parts
            }
            Width::Max(id) => {
                let of_branch = |branch: &Projection| self.followed_parts(self.join(branch.join).width);
                self.maxima[id.0].branches.iter().flat_map(of_branch).collect()
            }
        };
        parts.sort_unstable();
        parts.dedup();
        parts
    }
}
