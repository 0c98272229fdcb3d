//! Dynamic allocation in the search: when it begins, its architecture steps, its probes, its end.

use std::collections::BTreeMap;

use super::{Search, SearchError};
use crate::cost::Probabilities;
use crate::record::{AllocatedWidth, AllocationEpoch, WindowOption};
use crate::search::allocation::{self, Allocation, AllocationSettings, Costs, EndGame, Grid, Group};
use crate::search::guard;
use crate::search::objective::Loss;
use crate::search::task::{At, Choices, Elastic, Stage, TaskLoss};
use crate::space::Architecture;

impl Search<'_> {
    fn grid(&self) -> Grid<'_> {
        Grid { widths: &self.space.widths, tile: self.cost.tile_channels() }
    }

    /// The settings of a dynamic allocation, where widths are allocated so now.
    pub(super) fn allocation_settings(&self) -> Option<AllocationSettings> {
        self.state.allocation.as_ref().and(self.settings.allocation)
    }

    /// Makes the first windows where a width stage is next that is to allocate dynamically.
    pub(super) fn begin_allocation(&mut self) {
        let (Some(settings), Stage::Widths { operators }) = (self.settings.allocation, self.stage_now()) else {
            return;
        };
        let widths = vec![0; self.space.widths.len()];
        let unused = self.space.unused_widths(&Architecture { operators, widths });
        let choices = self.space.widths.iter();
        // What is not used costs nothing, whatever its width is.
        let searched: Vec<bool> =
            choices.map(|choice| choice.options.len() > 1 && !unused.contains(&choice.name)).collect();
        self.state.allocation = Some(Allocation::new(self.grid(), &searched, &settings));
    }

    /// Option of every width choice that tensors are sized for at first, where widths are to be allocated dynamically.
    #[must_use]
    pub fn first_sizes(&self) -> Option<Vec<usize>> {
        let settings = self.settings.allocation?;
        let searched: Vec<bool> = self.space.widths.iter().map(|choice| choice.options.len() > 1).collect();
        Some(Allocation::new(self.grid(), &searched, &settings).tops())
    }

    /// Takes an allocation that was read from elsewhere and is none of the space away.
    pub(super) fn hold_to_grid(&mut self) {
        let space = self.space;
        let dynamic = self.settings.allocation.is_some();
        self.state.allocation.take_if(|allocation| !dynamic || !allocation.fits(&space.widths));
        if self.state.allocation.is_none() {
            self.begin_allocation();
        }
    }

    /// That `task` can do what the search asks of it, in any of its stages.
    ///
    /// # Errors
    /// [`SearchError::Rigid`] where widths are to be allocated and the task's cannot be.
    pub fn is_served_by<T: TaskLoss>(&self, task: &mut T) -> Result<(), SearchError<T::Error>> {
        let allocates = self.settings.allocation.is_some() && self.settings.widths.is_some();
        if allocates && task.elastic().is_none() { Err(SearchError::Rigid) } else { Ok(()) }
    }

    /// Brings the task, which has just entered the present stage, to the sizes that stand.
    ///
    /// # Errors
    /// [`SearchError::Rigid`] where it has none to be brought to.
    pub fn allocate<T: TaskLoss>(&self, task: &mut T) -> Result<(), SearchError<T::Error>> {
        match (&self.state.allocation, self.stage()) {
            (Some(allocation), Some(Stage::Widths { .. })) => {
                let elastic = task.elastic().ok_or(SearchError::Rigid)?;
                elastic.allocate(&allocation.tops()).map_err(SearchError::Task)
            }
            (_, Some(Stage::Operators { .. } | Stage::Widths { .. } | Stage::Whole) | None) => Ok(()),
        }
    }

    /// One step of the logits under a dynamic allocation; where they are due, a probe and a check before it.
    pub(super) fn allocation_step<T: TaskLoss>(
        &mut self,
        task: &mut T,
        at: At,
        settings: &AllocationSettings,
    ) -> Result<Loss, SearchError<T::Error>> {
        let steps = task.steps();
        let elastic = task.elastic().ok_or(SearchError::Rigid)?;
        let mut allocation = self.state.allocation.take().expect("widths are allocated dynamically");
        let done = self.measured_and_checked(&mut allocation, elastic, (at, steps), settings);
        self.state.allocation = Some(allocation);
        done?;
        let (loss, violations) = self.host_step(settings);
        if !loss.total.is_finite() {
            return Err(self.not_finite(at.step));
        }
        let in_epoch = steps / self.settings.weight_steps;
        for (multiplier, violation) in self.state.multipliers.iter_mut().zip(violations) {
            multiplier.follow(violation, in_epoch, &self.settings.penalty);
        }
        if let Some(allocation) = &mut self.state.allocation {
            allocation.stepped();
        }
        Ok(loss)
    }

    fn measured_and_checked<E: std::error::Error + Send + Sync + 'static>(
        &self,
        allocation: &mut Allocation,
        task: &mut dyn Elastic<Error = E>,
        (at, steps): (At, u32),
        settings: &AllocationSettings,
    ) -> Result<(), SearchError<E>> {
        if !allocation.is_due(settings) {
            return Ok(());
        }
        self.probe(allocation, task, at, settings)?;
        allocation.stop_from(self.share(at, steps), settings, (at.step + 1, task.allocated().0));
        if allocation.steps() == 0 {
            return Ok(());
        }
        let grid = self.grid();
        let probabilities = self.distributions_of(allocation);
        let level = allocation.level().unwrap_or(0.0);
        let (settled, by_task) = self.settled(&probabilities, level);
        let costs = Costs { settled: &settled, by_task };
        let changes = allocation.check(grid, settings, costs, &mut |sizes| task.needed(sizes));
        for change in changes.map_err(SearchError::Task)? {
            // Widths that grow in one check may outgrow the ceiling together: the later one waits.
            if !allocation.has_room(&change, &mut |sizes| task.needed(sizes)).map_err(SearchError::Task)? {
                continue;
            }
            let resize = allocation.apply(&change);
            if let Some(resize) = resize {
                task.resize(resize, at).map_err(SearchError::Task)?;
            }
            allocation.note(grid, &change, resize, (at.step + 1, task.allocated().0));
        }
        Ok(())
    }

    /// Share of the stage's steps after its warm-up that is done.
    fn share(&self, at: At, steps: u32) -> f64 {
        let length = self.stages[self.state.stage];
        let all = f64::from(length.epochs) * f64::from(steps);
        let warm = match length.warm_up_epochs {
            0 => allocation::WARM_UP * all,
            epochs => f64::from(epochs) * f64::from(steps),
        };
        let done = f64::from(at.epoch) * f64::from(steps) + f64::from(at.step);
        (done - warm) / (all - warm)
    }

    /// The objective of every option, and its slope by the task's loss.
    fn settled(&self, probabilities: &Probabilities, level: f64) -> (Vec<Vec<f64>>, f64) {
        let pressed = self.pressed();
        let priced = self.objective.price(self.cost, probabilities, self.targets());
        let settled = self.objective.settled((self.cost, probabilities), level, &pressed);
        (settled, self.objective.slopes(level, &priced, &pressed).task)
    }

    fn distributions_of(&self, allocation: &Allocation) -> Probabilities {
        let mut probabilities = self.state.alpha.softmax();
        if let Stage::Widths { operators } = self.stage_now() {
            for (choice, chosen) in probabilities.operators.iter_mut().zip(operators) {
                choice.fill(0.0);
                choice[chosen] = 1.0;
            }
        }
        allocation.spread(&mut probabilities.widths);
        probabilities
    }

    /// Measures slopes: each probed width at two options, all others at their likeliest. Equal architectures are asked
    /// once.
    fn probe<E: std::error::Error + Send + Sync + 'static>(
        &self,
        allocation: &mut Allocation,
        task: &mut dyn Elastic<Error = E>,
        at: At,
        settings: &AllocationSettings,
    ) -> Result<(), SearchError<E>> {
        let probes = allocation.probes(settings);
        let likeliest = allocation.likeliest();
        let mut asked = vec![likeliest.clone()];
        let mut places = Vec::new();
        for probe in &probes {
            places.push(probe.options.map(|option| {
                let mut widths = likeliest.clone();
                widths[probe.width] = option;
                asked.iter().position(|known| *known == widths).unwrap_or_else(|| {
                    asked.push(widths);
                    asked.len() - 1
                })
            }));
        }
        let choices: Vec<Choices> = asked.iter().map(|widths| self.at_widths(widths)).collect();
        let losses = task.probe(&choices, settings.probe_batches, at).map_err(SearchError::Task)?;
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Err(self.not_finite(at.step));
        }
        allocation.measure_level(settings.memory, losses[0]);
        for (probe, places) in probes.into_iter().zip(places) {
            allocation.measure(self.grid(), settings.memory, probe, places.map(|place| losses[place]));
        }
        Ok(())
    }

    fn at_widths(&self, widths: &[usize]) -> Choices {
        let operators = self.state.operators.clone().unwrap_or_default();
        self.one_hot(&Architecture { operators, widths: widths.to_vec() })
    }

    /// Moves the logits by the exact gradient of the hardware and the slopes as they stand; the objective and how far each
    /// target was violated before.
    fn host_step(&mut self, settings: &AllocationSettings) -> (Loss, Vec<f64>) {
        let probabilities = self.distributions();
        let pressed = self.pressed();
        let priced = self.objective.price(self.cost, &probabilities, self.targets());
        let level = self.state.allocation.as_ref().and_then(Allocation::level).unwrap_or(0.0);
        let slopes = self.objective.slopes(level, &priced, &pressed);
        let loss = self.objective.loss(level, &priced, &pressed);
        let mut adam = self.settings.adam;
        adam.learning_rate *= self.rates();
        let grid = Grid { widths: &self.space.widths, tile: self.cost.tile_channels() };
        if let Some(allocation) = &mut self.state.allocation {
            allocation.step(grid, settings, adam, (&slopes.hardware, slopes.task));
        }
        let violations = pressed.iter().zip(&priced.targets);
        (loss, violations.map(|(pressed, valued)| pressed.target.violation(valued.value)).collect())
    }

    /// Lets the logits of a stage whose steps are done go on until they are clear, and then each width take its best.
    pub(super) fn end_allocation(&mut self) {
        let Some(settings) = self.allocation_settings() else { return };
        if settings.end == EndGame::Likeliest {
            return;
        }
        let clear = |search: &Self| {
            search.state.allocation.as_ref().is_none_or(|allocation| allocation.is_clear(allocation::CLEAR))
        };
        for _ in 0..allocation::END_STEPS {
            if clear(self) {
                break;
            }
            self.host_step(&settings);
        }
        if settings.end == EndGame::Descent
            && let Some(mut allocation) = self.state.allocation.take()
        {
            let level = allocation.level().unwrap_or(0.0);
            let settled = |widths: &[usize]| self.settled(&self.at_widths(widths).weights, level);
            allocation.descend(self.grid(), &settings, settled);
            self.state.allocation = Some(allocation);
        }
    }

    pub(super) fn forget_decisions(&mut self) {
        if let Some(allocation) = &mut self.state.allocation {
            allocation.forget_decisions();
        }
    }

    /// Mean entropy of `searched`, the choices of the stage; under a dynamic allocation of the windows.
    pub(super) fn entropy(&self, searched: &[Vec<f64>]) -> Option<f64> {
        match (&self.state.allocation, self.stage_now()) {
            (Some(allocation), Stage::Widths { .. }) => {
                let windows: Vec<Vec<f64>> =
                    allocation.groups().iter().map(|group| group.window.probabilities()).collect();
                guard::mean_entropy(windows.iter())
            }
            (_, Stage::Operators { .. } | Stage::Widths { .. } | Stage::Whole) => guard::mean_entropy(searched.iter()),
        }
    }

    /// How the widths stand, where they are allocated dynamically.
    pub(super) fn allocated<T: TaskLoss>(&self, task: &mut T) -> Option<AllocationEpoch> {
        let (settings, allocation) = (self.allocation_settings()?, self.state.allocation.as_ref()?);
        let slopes = allocation.slopes(&settings);
        let width = |(Group { width, window, slope, .. }, used): (&Group, f64)| {
            let choice = &self.space.widths[*width];
            let slots = window.slots().iter().zip(window.probabilities());
            let option = slots.map(|(slot, probability)| WindowOption {
                channels: choice.options[slot.option],
                probability,
                age: slot.age,
            });
            let width = AllocatedWidth { window: option.collect(), slope: used, measured: slope.measured() };
            (choice.name.clone(), width)
        };
        let widths: BTreeMap<String, AllocatedWidth> = allocation.groups().iter().zip(slopes).map(width).collect();
        Some(AllocationEpoch {
            steps: task.steps(),
            allocated_bytes: task.elastic().map_or(0, |elastic| elastic.allocated().0),
            widths,
            decisions: allocation.decisions().to_vec(),
        })
    }
}
