//! Dynamic allocation of channels: a few options of each width are held at a time, and move as the search goes on.
//!
//! Each width has a window of options of its grid with logits; the task holds tensors up to the widest of them. What the
//! task tells is one number a width, the slope `a = -d loss / d ln c`, measured between two widths that have learned for
//! long enough. What the hardware tells is exact, for every option of the grid. From both a check decides
//! which options come and go: see `docs/search.md`. Nothing here draws a random number or asks the task.

mod curve;
mod settings;
mod slope;
mod view;
mod window;

pub use curve::Curve;
pub use settings::{AllocationSettings, DynamicFile, EndGame, Masks, PolicyFile};
pub use slope::{Slope, Slopes};
pub use window::{Slot, Window};

pub(super) use settings::{CLEAR, END_STEPS, EXPLORE, WARM_UP};

use serde::{Deserialize, Serialize};

use super::adam::AdamConfig;
use crate::cost::Probabilities;
use crate::record::{AllocationDecision, AllocationKind};
use crate::space::WidthChoice;
use crate::units::Bytes;
use settings::{LEAST_SLOPE, MATURITY, NEW_LOGIT};
use view::{View, admitted};

/// The options of all widths, and where their tiles end.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// The width choices.
    pub widths: &'a [WidthChoice],
    /// Channels from one edge of a tile to the next.
    pub tile: u64,
}

/// A width that is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Place among the width choices.
    pub width: usize,
    /// The options held.
    pub window: Window,
    /// What its probes have measured.
    pub slope: Slope,
    /// Options that went: one that comes back stays until nothing is added any more, so none comes and goes for ever.
    left: Vec<usize>,
}

/// All widths under a dynamic allocation: what a search must remember of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Option of every width choice; of those in a group its first top.
    base: Vec<usize>,
    groups: Vec<Group>,
    /// Architecture steps done.
    steps: u32,
    /// Loss of the likeliest widths, as last measured.
    level: Option<f64>,
    /// Whether nothing is added any more.
    stopped: bool,
    /// Bytes that a step may take at its fullest.
    #[serde(default)]
    ceiling: Option<Bytes>,
    /// Decisions of the present epoch.
    decisions: Vec<AllocationDecision>,
}

/// Two options of a width whose losses make a slope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    group: usize,
    /// Place of the width choice.
    pub(super) width: usize,
    /// The narrower and the wider option.
    pub(super) options: [usize; 2],
}

/// What the hardware says at the present distributions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs<'a> {
    /// The objective's hardware part for every option of every width choice, all others at their distributions.
    pub(super) settled: &'a [Vec<f64>],
    /// `d objective / d task loss`.
    pub(super) by_task: f64,
}

/// A decision that was taken and not carried out yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    group: usize,
    option: usize,
    kind: Move,
    slope: f64,
    break_even: Option<f64>,
    probability: Option<f64>,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// It comes into the window.
    In,
    /// It goes.
    Out,
    /// It would come, but a step would not stay below the ceiling.
    HeldBack,
}

/// Tensors of a width that grow or shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Place of the width choice.
    pub width: usize,
    /// Option that they are sized for.
    pub from: usize,
    /// Option that they are to be sized for.
    pub to: usize,
}

impl Allocation {
    /// The first windows, where `searched` says of each width choice whether it is used and has options to choose from.
    ///
    /// A width starts at `start` channels, the nearest option; where absent at the first option of a tile or more, or in
    /// the middle where none is: what starts too wide pays for it from the first step.
    #[must_use]
    pub fn new(grid: Grid<'_>, searched: &[bool], settings: &AllocationSettings) -> Self {
        let first = |choice: &WidthChoice| first_option(&choice.options, settings.start, grid.tile);
        let base: Vec<usize> = grid.widths.iter().map(first).collect();
        let group = |(width, _): (usize, &bool)| Group {
            width,
            window: Window::new(base[width], grid.widths[width].options.len(), MATURITY),
            slope: Slope::default(),
            left: Vec::new(),
        };
        let groups = searched.iter().enumerate().filter(|(_, searched)| **searched).map(group).collect();
        Self { base, groups, steps: 0, level: None, stopped: false, ceiling: settings.ceiling, decisions: Vec::new() }
    }

    /// The widths that are searched.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Decisions of the present epoch so far.
    #[must_use]
    pub fn decisions(&self) -> &[AllocationDecision] {
        &self.decisions
    }

    /// Option of every width choice that the task's tensors are sized for.
    #[must_use]
    pub fn tops(&self) -> Vec<usize> {
        self.each(Window::top)
    }

    fn each(&self, option: impl Fn(&Window) -> usize) -> Vec<usize> {
        let mut options = self.base.clone();
        self.groups.iter().for_each(|group| options[group.width] = option(&group.window));
        options
    }

    /// Probability of every option of every width, nought outside the windows.
    pub(super) fn spread(&self, widths: &mut [Vec<f64>]) {
        for (choice, &option) in widths.iter_mut().zip(&self.base) {
            choice.fill(0.0);
            choice[option] = 1.0;
        }
        for Group { width, window, .. } in &self.groups {
            widths[*width].fill(0.0);
            for (slot, p) in window.slots().iter().zip(window.probabilities()) {
                widths[*width][slot.option] = p;
            }
        }
    }

    /// Log-likelihood of every option against the likeliest: of one outside its window a nat below the least likely in
    /// it, and less by the share of the grid that it lies away from the nearest.
    #[expect(clippy::cast_precision_loss, reason = "a place among a few thousand options")]
    pub(super) fn scores(&self, widths: &mut [Vec<f64>]) {
        for (choice, &option) in widths.iter_mut().zip(&self.base) {
            let count = choice.len() as f64;
            choice.iter_mut().enumerate().for_each(|(place, s)| *s = -(place.abs_diff(option) as f64) / count);
        }
        for Group { width, window, .. } in &self.groups {
            let logits = window.slots().iter().map(|slot| slot.logit);
            let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
            let least = logits.fold(f64::INFINITY, f64::min);
            let count = widths[*width].len() as f64;
            for (place, score) in widths[*width].iter_mut().enumerate() {
                let away = |slot: &Slot| slot.option.abs_diff(place);
                let nearest = window.slots().iter().min_by_key(|slot| away(slot));
                *score = nearest.map_or(0.0, |slot| match away(slot) {
                    0 => slot.logit - most,
                    away => least - most - 1.0 - away as f64 / count,
                });
            }
        }
    }

    /// The likeliest option of every width.
    #[must_use]
    pub fn likeliest(&self) -> Vec<usize> {
        self.each(Window::likeliest)
    }

    /// Architecture steps done.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Loss of the likeliest widths as probes have told it.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        self.level
    }

    /// Slope of every group.
    #[must_use]
    pub fn slopes(&self, settings: &AllocationSettings) -> Vec<f64> {
        let measured: Vec<Slope> = self.groups.iter().map(|group| group.slope).collect();
        slope::together(&measured, settings.slopes, LEAST_SLOPE)
    }

    /// Whether probes and checks are due before the next architecture step; there is no check before the first.
    pub(super) fn is_due(&self, settings: &AllocationSettings) -> bool {
        self.steps.is_multiple_of(settings.check_every)
    }

    /// The widths to be probed now: those whose turn it is and that have two mature options.
    pub(super) fn probes(&self, settings: &AllocationSettings) -> Vec<Probe> {
        let count = self.groups.len();
        let at_once = settings.probed.map_or(count, |probed| count.min(probed as usize));
        let turn = (self.steps / settings.check_every) as usize;
        // All are probed at first: a slope that is missing would be guessed.
        let (first, many) = if turn == 0 { (0, count) } else { ((turn - 1) * at_once, at_once) };
        let turns = (first..first + many).map(|place| place % count.max(1));
        let probe = |place: usize| {
            let Group { width, window, .. } = &self.groups[place];
            window.mature(MATURITY).map(|options| Probe { group: place, width: *width, options })
        };
        turns.filter_map(probe).collect()
    }

    /// Takes the losses of a probe's two options.
    pub(super) fn measure(&mut self, grid: Grid<'_>, memory: f64, probe: Probe, [narrow, wide]: [f64; 2]) {
        let cost = [];
        let curve = Curve { channels: &grid.widths[probe.width].options, cost: &cost };
        let [from, to] = probe.options;
        self.groups[probe.group].slope.measure((narrow - wide) / curve.logarithms_apart(from, to), memory);
    }

    /// Takes the loss of the likeliest widths.
    pub(super) fn measure_level(&mut self, memory: f64, loss: f64) {
        self.level = Some(self.level.map_or(loss, |level| memory * level + (1.0 - memory) * loss));
    }

    /// What is to come and go; options that go come first. `needed` tells the bytes of a step with tensors of these sizes,
    /// and is asked under a ceiling alone.
    ///
    /// # Errors
    /// Those of `needed`.
    pub(super) fn check<E>(
        &mut self,
        grid: Grid<'_>,
        settings: &AllocationSettings,
        costs: Costs<'_>,
        needed: &mut dyn FnMut(&[usize]) -> Result<Bytes, E>,
    ) -> Result<Vec<Change>, E> {
        let slopes = self.slopes(settings);
        let (mut changes, mut below, mut above, mut held) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, slope) in slopes.iter().enumerate() {
            let mut view = self.view(grid, place, slope * costs.by_task, costs);
            let mut wanted = view.wanted(settings.band);
            let most = *wanted.last().expect("the present option is wanted");
            if most > view.window.top() && !self.stopped {
                let room = self.room(place, most, needed)?;
                if room < most {
                    held.push(view.change(place, most, Move::HeldBack));
                    view.limit = room;
                    wanted = view.wanted(settings.band);
                }
            }
            let could_go = view.could_go(&wanted, self.stopped);
            let new = wanted.iter().filter(|&&option| !self.stopped && !view.window.holds(option));
            let (wider, narrower): (Vec<Change>, Vec<Change>) =
                new.map(|&option| view.change(place, option, Move::In)).partition(|new| new.option > view.window.top());
            let ripe = view.ripe(&could_go);
            // What is about to grow keeps its top until then: a tensor that shrinks first would lose what it learned.
            let gone = if wider.is_empty() { view.without_dominated_top(ripe) } else { Vec::new() };
            changes.extend(gone.into_iter().map(|option| view.change(place, option, Move::Out)));
            below.extend(narrower);
            above.push((view.tries(), view.gain(&wanted), wider));
            self.groups[place].window.count_idle(&could_go);
        }
        changes.extend(below);
        let growing = settings.growing.map_or(self.groups.len().div_ceil(3), |growing| growing as usize);
        changes.extend(admitted(above, growing));
        changes.extend(held.into_iter().filter(|held| !self.is_noted(grid, held)));
        Ok(changes)
    }

    /// The widest option up to `most` of a group, at least its top, at which a step stays below the ceiling, all other
    /// widths at their tops.
    fn room<E>(
        &self,
        place: usize,
        most: usize,
        needed: &mut dyn FnMut(&[usize]) -> Result<Bytes, E>,
    ) -> Result<usize, E> {
        let Some(ceiling) = self.ceiling else { return Ok(most) };
        let mut sizes = self.tops();
        let Group { width, window, .. } = &self.groups[place];
        let mut fits = |option: usize| {
            sizes[*width] = option;
            Ok(needed(&sizes)? <= ceiling)
        };
        if fits(most)? {
            return Ok(most);
        }
        // What fits is a prefix of the options: a wider one needs more.
        let (mut within, mut beyond) = (window.top(), most);
        while beyond - within > 1 {
            let middle = within.midpoint(beyond);
            if fits(middle)? { within = middle } else { beyond = middle }
        }
        Ok(within)
    }

    /// Whether a step fits below the ceiling once `change` is carried out.
    ///
    /// # Errors
    /// Those of `needed`.
    pub(super) fn has_room<E>(
        &self,
        change: &Change,
        needed: &mut dyn FnMut(&[usize]) -> Result<Bytes, E>,
    ) -> Result<bool, E> {
        let grows = change.kind == Move::In && change.option > self.groups[change.group].window.top();
        Ok(!grows || self.room(change.group, change.option, needed)? == change.option)
    }

    /// Whether the present epoch tells already that this option was held back.
    fn is_noted(&self, grid: Grid<'_>, held: &Change) -> bool {
        let WidthChoice { name, options } = &grid.widths[self.groups[held.group].width];
        self.decisions.iter().any(|noted| {
            noted.kind == AllocationKind::HeldBack
                && noted.width.as_ref() == Some(name)
                && noted.channels == Some(options[held.option])
        })
    }

    fn view<'a>(&'a self, grid: Grid<'a>, place: usize, slope: f64, costs: Costs<'a>) -> View<'a> {
        let Group { width, window, left, .. } = &self.groups[place];
        let curve = Curve { channels: &grid.widths[*width].options, cost: &costs.settled[*width] };
        let current = window.likeliest();
        View { window, left, curve, current, limit: curve.limit(current, grid.tile).max(window.top()), slope }
    }

    /// Carries `change` out; says where tensors change.
    pub(super) fn apply(&mut self, change: &Change) -> Option<Resize> {
        let Group { width, window, left, .. } = &mut self.groups[change.group];
        let from = window.top();
        match change.kind {
            Move::In => window.add(change.option, NEW_LOGIT),
            Move::Out => {
                window.drop_option(change.option);
                left.push(change.option);
            }
            Move::HeldBack => {}
        }
        let to = window.top();
        (from != to).then_some(Resize { width: *width, from, to })
    }

    /// Notes that `change` was carried out in the weight step `step` of its epoch, from 1.
    pub(super) fn note(&mut self, grid: Grid<'_>, change: &Change, resize: Option<Resize>, at: (u32, u64)) {
        let Group { width, window, .. } = &self.groups[change.group];
        let WidthChoice { name, options } = &grid.widths[*width];
        let (step, allocated_bytes) = at;
        let kind = match (change.kind, resize.is_some()) {
            (Move::In, true) => AllocationKind::Grow,
            (Move::In, false) => AllocationKind::Add,
            (Move::Out, true) => AllocationKind::Shrink,
            (Move::Out, false) => AllocationKind::Drop,
            (Move::HeldBack, _) => AllocationKind::HeldBack,
        };
        self.decisions.push(AllocationDecision {
            step,
            kind,
            width: Some(name.clone()),
            channels: Some(options[change.option]),
            slope: Some(change.slope),
            break_even: change.break_even,
            probability: change.probability,
            window: window.slots().iter().map(|slot| options[slot.option]).collect(),
            ages: window.slots().iter().map(|slot| slot.age).collect(),
            allocated_bytes,
        });
    }

    /// Adds nothing from now on, once `share` of the steps is done; notes it.
    pub(super) fn stop_from(&mut self, share: f64, settings: &AllocationSettings, at: (u32, u64)) {
        if self.stopped || share < settings.grow_until {
            return;
        }
        self.stopped = true;
        let (step, allocated_bytes) = at;
        self.decisions.push(AllocationDecision {
            step,
            kind: AllocationKind::Stop,
            width: None,
            channels: None,
            slope: None,
            break_even: None,
            probability: None,
            window: Vec::new(),
            ages: Vec::new(),
            allocated_bytes,
        });
    }

    /// One step of the logits, where `hardware` is the objective's gradient through the hardware; and one step of age.
    pub(super) fn step(
        &mut self,
        grid: Grid<'_>,
        settings: &AllocationSettings,
        adam: AdamConfig,
        (hardware, by_task): (&Probabilities, f64),
    ) {
        let slopes = self.slopes(settings);
        for (Group { width, window, .. }, slope) in self.groups.iter_mut().zip(slopes) {
            let curve = Curve { channels: &grid.widths[*width].options, cost: &hardware.widths[*width] };
            let by_option: Vec<f64> =
                window.slots().iter().map(|slot| curve.worth(slot.option, slope * by_task)).collect();
            window.step(adam, &by_option);
        }
    }

    /// An architecture step is done.
    pub(super) fn stepped(&mut self) {
        self.steps += 1;
        self.groups.iter_mut().for_each(|group| group.window.grow_older());
    }

    /// Whether every width has an option of probability `clear` or more.
    pub(super) fn is_clear(&self, clear: f64) -> bool {
        let sure = |group: &Group| group.window.probabilities().iter().any(|&p| p >= clear);
        self.groups.iter().all(sure)
    }

    /// Each width takes in turn the best option up to its top, all others at their likeliest, until none changes, or each
    /// has had ten turns. `settled` says what the options cost at an architecture.
    pub(super) fn descend(
        &mut self,
        grid: Grid<'_>,
        settings: &AllocationSettings,
        mut settled: impl FnMut(&[usize]) -> (Vec<Vec<f64>>, f64),
    ) {
        let slopes = self.slopes(settings);
        for _ in 0..10 {
            let mut changed = false;
            for (place, slope) in slopes.iter().enumerate() {
                let (costs, by_task) = settled(&self.likeliest());
                let Group { width, window, .. } = &mut self.groups[place];
                let curve = Curve { channels: &grid.widths[*width].options, cost: &costs[*width] };
                let (current, slope) = (window.likeliest(), slope * by_task);
                let best = curve.best(slope, window.top());
                if curve.worth(best, slope) < curve.worth(current, slope) {
                    window.prefer(best, DECIDED);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// The decisions of an epoch that is done.
    pub(super) fn forget_decisions(&mut self) {
        self.decisions.clear();
    }

    /// Whether it is one of the widths of `grid`.
    #[must_use]
    pub fn fits(&self, widths: &[WidthChoice]) -> bool {
        let holds = |(&option, choice): (&usize, &WidthChoice)| option < choice.options.len();
        self.base.len() == widths.len()
            && self.base.iter().zip(widths).all(holds)
            && self.tops().iter().zip(widths).all(holds)
    }
}

/// Lead of a logit that stands alone: among two options a probability of 0.98.
const DECIDED: f64 = 4.0;

/// The option nearest to `start` channels, the narrower of two; where absent the first of `tile` channels or more, or the
/// middle one where none is.
fn first_option(options: &[u64], start: Option<u64>, tile: u64) -> usize {
    let last = options.len() - 1;
    match start {
        Some(start) => (0..=last).min_by_key(|&place| options[place].abs_diff(start)).unwrap_or(0),
        None => options.iter().position(|&channels| channels >= tile).unwrap_or(options.len() / 2),
    }
}

#[cfg(test)]
mod tests;
