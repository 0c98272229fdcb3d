//! Dynamic allocation on a chain without data: six convolutions whose channels have a known worth.

mod toy;

use toy::{Chain, FROM_32, NOISY, Ran, STEPS, TRUE, chain, dynamic, most_turns, ran, study, to_280};

use super::super::allocation::{Allocation, AllocationSettings, EndGame, Masks, Slopes};
use super::super::*;
use super::{Linear, Quiet, model, settings, small, space};
use crate::accel::{Accelerator, Timing};
use crate::cost::{CostKind, Metric, Probabilities};
use crate::estimate::Target;
use crate::record::{AllocationDecision, AllocationKind, HardTarget, SearchEpoch};
use crate::space::Candidate;
use crate::units::Bytes;

/// Weights of latency and scales of the slopes, as the page on the method has them.
const WEIGHTS: [(f64, f64); 4] = [(1.0, 0.1), (1.0, 0.5), (0.1, 0.1), (0.1, 0.5)];

/// With `SYSTOLE_STUDY` set it prints the figures of docs/search.md first, in minutes.
#[test]
fn the_chain_ends_near_its_best_widths_at_every_weight() {
    if std::env::var_os("SYSTOLE_STUDY").is_some() {
        study();
    }
    for (lambda, a) in WEIGHTS {
        for seed in 0..4 {
            let run = ran(&to_280(), a, TRUE, dynamic(seed, lambda, FROM_32));
            assert!(run.gap > -1e-9 && run.gap < 0.02, "{lambda}, {a}, {seed}: {:?} {}", run.widths, run.gap);
            // A window up to 280 channels would be 1,680 from the first step to the last.
            assert!(lambda < 1.0 || a > 0.1 || run.peak < 1_120, "{}", run.peak);
            assert!(run.mean < run.peak as f64 && run.peak < 1_680, "{} {}", run.mean, run.peak);
            let [added, dropped] = most_turns(&run.decisions);
            assert!(added <= 2 && dropped <= 2, "{added} {dropped}");
        }
    }
}

#[test]
fn the_chain_ends_near_its_best_where_probes_are_noisy_and_new_channels_dead() {
    let gaps = WEIGHTS.iter().flat_map(|&(lambda, a)| {
        (0..3).map(move |seed| {
            let run = ran(&to_280(), a, NOISY, dynamic(seed, lambda, FROM_32));
            let [added, dropped] = most_turns(&run.decisions);
            assert!(added <= 2 && dropped <= 2, "{added} {dropped}");
            run.gap
        })
    });
    let gaps: Vec<f64> = gaps.collect();
    assert!(gaps.iter().sum::<f64>() / 12.0 < 0.01, "{gaps:?}");
}

#[test]
fn an_array_of_128_columns_draws_widths_from_32_channels_to_its_edge() {
    let run = ran(&to_280(), 0.02, TRUE, dynamic(3, 1.0, FROM_32));
    // The first may be narrower: what reads it then takes fewer rows.
    assert_eq!(run.widths[1..], [128; 5]);
    assert!(run.gap < 1e-9, "{:?} {}", run.widths, run.gap);
    let first = run.decisions.iter().find(|decision| decision.kind == AllocationKind::Grow).unwrap();
    assert_eq!(first.channels, Some(128));
}

#[test]
fn a_grid_far_beyond_280_is_used_where_it_pays_and_not_where_it_does_not() {
    let options: Vec<u64> = (8..=1024).step_by(8).collect();
    let wide = ran(&options, 0.5, TRUE, dynamic(1, 0.1, FROM_32));
    assert!(wide.widths.iter().any(|&width| width > 512), "{:?}", wide.widths);
    assert!(wide.gap < 0.02, "{:?} {}", wide.widths, wide.gap);
    let narrow = ran(&options, 0.1, TRUE, dynamic(1, 1.0, FROM_32));
    assert!(narrow.peak < 1_120 && narrow.gap < 0.02, "{} {}", narrow.peak, narrow.gap);
}

#[test]
fn no_step_needs_more_than_the_ceiling_and_what_it_cost_is_little_where_it_hardly_binds() {
    let under = |ceiling: Option<u64>| {
        let allocation = AllocationSettings { ceiling: ceiling.map(Bytes), ..FROM_32 };
        ran(&to_280(), 0.5, TRUE, dynamic(1, 1.0, allocation))
    };
    let most = |run: &Ran| run.decisions.iter().map(|decision| decision.allocated_bytes).max().unwrap();
    let held = |run: &Ran| run.decisions.iter().filter(|decision| decision.kind == AllocationKind::HeldBack).count();
    let free = under(None);
    assert_eq!(held(&free), 0);
    for share in [3, 2] {
        let ceiling = most(&free) / share;
        let bound = under(Some(ceiling));
        assert!(most(&bound) <= ceiling && held(&bound) > 0, "{} of {ceiling}", most(&bound));
        assert!(bound.gap >= free.gap && bound.peak < free.peak);
    }
    let roomy = under(Some(most(&free)));
    assert_eq!((held(&roomy), roomy.widths), (0, free.widths));
}

#[test]
fn every_decision_is_told_with_the_slope_at_which_it_would_flip() {
    let run = ran(&to_280(), 0.1, TRUE, dynamic(2, 1.0, FROM_32));
    let of = |kind| run.decisions.iter().filter(move |decision: &&AllocationDecision| decision.kind == kind);
    for kind in [AllocationKind::Grow, AllocationKind::Drop, AllocationKind::Stop] {
        assert!(of(kind).count() > 0, "{kind:?}");
    }
    assert_eq!(of(AllocationKind::Stop).count(), 1);
    for grow in of(AllocationKind::Grow) {
        // Worth it for a slope within the band.
        assert!(grow.break_even.unwrap() <= 1.5 * grow.slope.unwrap() + 1e-12, "{grow:?}");
        assert_eq!((grow.window.last().copied(), grow.ages.last()), (grow.channels, Some(&0)));
    }
    for gone in of(AllocationKind::Drop).chain(of(AllocationKind::Shrink)) {
        assert!(gone.probability.unwrap() < 0.05 && !gone.window.contains(&gone.channels.unwrap()), "{gone:?}");
    }
    let after = run.decisions.iter().skip_while(|decision| decision.kind != AllocationKind::Stop);
    assert!(after.skip(1).all(|decision| matches!(decision.kind, AllocationKind::Drop | AllocationKind::Shrink)));
    assert!(run.decisions.iter().all(|decision| decision.allocated_bytes > 0));
}

/// A short search: a tenth of the steps.
fn short(seed: u64) -> Settings {
    let widths = Some(StageSettings { epochs: 2, warm_up_epochs: 0 });
    Settings { widths, ..dynamic(seed, 1.0, AllocationSettings { grow_until: 0.7, ..FROM_32 }) }
}

#[test]
fn a_dynamic_search_stopped_after_any_step_goes_on_to_the_same_bits() {
    let space = chain(&to_280());
    let model = model(&space, "uboost-128x128", 64, CostKind::Expected);
    let search = || Search::new(&space, &model, short(5));
    let entered = || {
        let mut task = Chain::new(&space, 0.3, 5, NOISY);
        task.enter(&search().stage().unwrap()).unwrap();
        search().allocate(&mut task).unwrap();
        task
    };
    let (mut whole, mut task) = (search(), entered());
    let (_, records) = super::run(&mut whole, &mut task);
    assert!(task.sums.iter().max() > task.sums.iter().min(), "tensors grew");
    for stop in [3, 20, 29, 60, 67, 90, 133] {
        let (mut first, mut task) = (search(), entered());
        let mut observer = Quiet { stop_after: Some(stop), ..Quiet::default() };
        let mut told = Vec::new();
        while first.stage().is_some() && observer.steps < stop {
            if let Outcome::Epoch(record) = first.epoch(&mut task, &mut observer).unwrap() {
                told.push(*record);
            }
        }
        let state = serde_json::to_string(first.state()).unwrap();
        let mut resumed = search().resumed(serde_json::from_str(&state).unwrap());
        assert_eq!(serde_json::to_string(resumed.state()).unwrap(), state);
        // A fresh task is sized by the state.
        let mut sized = entered();
        resumed.allocate(&mut sized).unwrap();
        assert_eq!(sized.sizes, task.sizes);
        let (_, rest) = super::run(&mut resumed, &mut task);
        told.extend(rest);
        let line = |records: &[SearchEpoch]| serde_json::to_string(records).unwrap();
        assert_eq!(line(&told), line(&records), "stopped after {stop}");
        assert_eq!(resumed.state(), whole.state());
    }
}

/// Keeps search and task in memory.
#[derive(Default)]
struct Shelf {
    steps: u32,
    every: u32,
    stop_after: Option<u32>,
    kept: Option<(String, Chain)>,
    restored: u32,
    told: Vec<SearchEpoch>,
    rollbacks: u32,
}

impl Observer for Shelf {
    fn step(&mut self, _: At, _: u32) {
        self.steps += 1;
    }

    fn interrupted(&self) -> bool {
        Keeper::<Chain>::stops(self) || self.steps.is_multiple_of(self.every)
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

impl Keeper<Chain> for Shelf {
    type Error = SearchError<std::convert::Infallible>;

    fn stops(&self) -> bool {
        self.stop_after.is_some_and(|stop| self.steps >= stop)
    }

    fn keep(&mut self, state: &State, task: &Chain) -> Result<Health, Self::Error> {
        self.kept = Some((serde_json::to_string(state).unwrap(), task.clone()));
        Ok(Health::Finite)
    }

    fn restore(&mut self, _: &State, task: &mut Chain) -> Result<(), Self::Error> {
        let (_, kept) = self.kept.as_ref().unwrap();
        // What was kept has the sizes that the search has just asked for.
        assert_eq!(task.sizes, kept.sizes);
        let breaks = task.breaks;
        *task = kept.clone();
        task.breaks = breaks;
        self.restored += 1;
        Ok(())
    }

    fn epoch(&mut self, record: SearchEpoch) -> Result<(), Self::Error> {
        self.told.push(record);
        Ok(())
    }

    fn ended(&mut self, _: &Stage, _: &mut Chain) -> Result<(), Self::Error> {
        Ok(())
    }

    fn rolled_back(&mut self, _: &State, _: crate::record::Rollback) -> Result<(), Self::Error> {
        self.rollbacks += 1;
        Ok(())
    }
}

#[test]
fn a_driven_search_sizes_the_task_before_what_was_kept_is_restored() {
    let space = chain(&to_280());
    let model = model(&space, "uboost-128x128", 64, CostKind::Expected);
    let search = || Search::new(&space, &model, short(5));
    let task = || Chain::new(&space, 0.3, 5, TRUE);
    let mut whole = search();
    let mut alone = Shelf { every: 1_000, ..Shelf::default() };
    assert_eq!(drive(&mut whole, &mut task(), &mut alone).unwrap(), Driven::Done);
    let mut shelf = Shelf { every: 17, stop_after: Some(85), ..Shelf::default() };
    assert_eq!(drive(&mut search(), &mut task(), &mut shelf).unwrap(), Driven::Stopped);
    let state = shelf.kept.as_ref().unwrap().0.clone();
    let (mut resumed, mut shelf) = (search().resumed(serde_json::from_str(&state).unwrap()), shelf);
    shelf.stop_after = None;
    assert_eq!(drive(&mut resumed, &mut task(), &mut shelf).unwrap(), Driven::Done);
    assert_eq!((resumed.state(), shelf.restored), (whole.state(), 1));
    assert_eq!(serde_json::to_string(&shelf.told).unwrap(), serde_json::to_string(&alone.told).unwrap());
}

#[test]
fn a_probe_that_is_no_number_takes_the_search_back_to_the_sizes_that_were_kept() {
    let space = chain(&to_280());
    let model = model(&space, "uboost-128x128", 64, CostKind::Expected);
    let mut search = Search::new(&space, &model, short(5));
    let mut shelf = Shelf { every: 17, ..Shelf::default() };
    // Once: going back, the search asks again and gets a number.
    let mut task = Chain::new(&space, 0.3, 5, TRUE);
    task.breaks = Some(90);
    assert_eq!(drive(&mut search, &mut task, &mut shelf).unwrap(), Driven::Done);
    assert_eq!((shelf.rollbacks, shelf.restored), (1, 1));
    let rollback = search.state().rollback.unwrap();
    assert!(
        rollback.back_to.epoch * 67 + rollback.back_to.step
            <= rollback.not_finite.epoch * 67 + rollback.not_finite.step
    );
}

#[test]
fn what_every_option_is_worth_is_the_objective_with_that_option() {
    for form in [Form::Linear, Form::Multiplicative] {
        let (space, model, settings) = super::targeted(3, 0.6, form);
        let search = Search::new(&space, &model, settings);
        let multiplier = Multiplier { value: 0.4, penalty: 1.5, violation: None };
        let pressed: Vec<Pressed> = search.targets().iter().map(|&target| Pressed { target, multiplier }).collect();
        let at = Probabilities::uniform(&space);
        let settled = search.objective().settled((&model, &at), 1.7, &pressed);
        for (choice, options) in settled.iter().enumerate() {
            for (option, given) in options.iter().enumerate() {
                let mut hot = at.clone();
                hot.widths[choice].fill(0.0);
                hot.widths[choice][option] = 1.0;
                let priced = search.objective().price(&model, &hot, search.targets());
                let wanted = search.objective().loss(1.7, &priced, &pressed).total;
                assert!((given - wanted).abs() < 1e-9 * wanted.abs(), "{form:?}: {given} is not {wanted}");
            }
        }
    }
}

#[test]
fn the_steps_before_a_tenth_are_for_weights_alone_unless_epochs_are_named() {
    let space = chain(&to_280());
    let model = model(&space, "uboost-128x128", 64, CostKind::Expected);
    let steps = |warm_up_epochs| {
        let widths = Some(StageSettings { epochs: 10, warm_up_epochs });
        let mut search = Search::new(&space, &model, Settings { widths, ..dynamic(1, 1.0, FROM_32) });
        let mut task = Chain::new(&space, 0.1, 1, TRUE);
        search.allocate(&mut task).unwrap();
        super::run(&mut search, &mut task);
        search.state().allocation.as_ref().map(Allocation::steps)
    };
    // 10 epochs of 67 steps: 67 of 670 are a tenth; three epochs are 201.
    assert_eq!((steps(0), steps(3)), (Some(STEPS), Some(670 - 201)));
}

#[test]
fn probing_in_turn_asks_less() {
    let probed = |probed| ran(&to_280(), 0.1, TRUE, dynamic(1, 1.0, AllocationSettings { probed, ..FROM_32 })).probed;
    let (all, two) = (probed(None), probed(Some(2)));
    assert!(two < all * 6 / 10, "{two} of {all}");
}

#[test]
fn the_objective_of_a_product_and_targets_lead_an_allocation_as_well() {
    let product = |lambda| {
        let settings = Settings { form: Form::Multiplicative, beta: 0.1, ..dynamic(1, lambda, FROM_32) };
        ran(&to_280(), 0.1, TRUE, settings).widths.iter().sum::<u64>()
    };
    let (cheap, dear) = (product(0.01), product(1.0));
    assert!(cheap > dear, "{cheap} {dear}");

    let space = chain(&to_280());
    let accelerator = Accelerator::named_or_path("uboost-128x128").unwrap();
    let judge = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 64 };
    let model = model(&space, "uboost-128x128", 64, CostKind::Expected);
    let ended = |targets: Vec<HardTarget>| {
        let settings = Settings { targets, ..dynamic(1, 0.01, FROM_32) };
        let mut search = Search::new(&space, &model, settings).judged_by(judge);
        let mut task = Chain::new(&space, 0.3, 1, TRUE);
        search.allocate(&mut task).unwrap();
        super::run(&mut search, &mut task);
        let found = search.found();
        assert!(found.is_met());
        model.metric(Metric::LatencyMs, &Probabilities::one_hot(&space, &found.architecture)).value
    };
    let free = ended(Vec::new());
    let bound = 0.6 * free;
    let held = ended(vec![HardTarget { metric: Metric::LatencyMs, bound }]);
    assert!(held <= bound && held > 0.5 * bound, "{held} of {bound}");
}

#[test]
fn widths_that_no_way_uses_are_not_allocated() {
    // Join 1 is cut off by the only candidate of its way out.
    let conv = Candidate::Conv { kernel: 3, dilation: 1, order: crate::space::Order::ConvNormRelu };
    let widths = vec![vec![3], vec![8, 16, 32], vec![8, 16, 32]];
    let space = space([3, 8, 8], widths, vec![vec![conv], vec![Candidate::Zero]], &[[0, 1, 0], [0, 2, 0], [1, 2, 1]]);
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let search = Search::new(&space, &model, dynamic(1, 1.0, AllocationSettings::DEFAULT));
    let allocation = search.state().allocation.as_ref().unwrap();
    assert_eq!(allocation.groups().iter().map(|group| group.width).collect::<Vec<usize>>(), [2]);
}

#[test]
fn a_task_that_cannot_resize_is_refused_before_the_first_stage() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let stage = StageSettings { epochs: 1, warm_up_epochs: 0 };
    let settings = Settings { operators: Some((stage, None)), ..dynamic(1, 1.0, AllocationSettings::DEFAULT) };
    let search = Search::new(&space, &model, settings);
    let mut task = Linear::new(Probabilities::uniform(&space), 5);
    let error = search.is_served_by(&mut task).unwrap_err();
    assert!(error.to_string().starts_with("search.widths.policy: dynamic needs a task"), "{error}");
    assert!(Search::new(&space, &model, super::both_stages(1)).is_served_by(&mut task).is_ok());
}

/// Keeps the widths of weight steps and of architecture steps.
struct Seen {
    inner: Linear,
    steps: Vec<Choices>,
}

impl TaskLoss for Seen {
    type Error = std::convert::Infallible;

    fn enter(&mut self, stage: &Stage) -> Result<(), Self::Error> {
        self.inner.enter(stage)
    }

    fn steps(&self) -> u32 {
        self.inner.steps()
    }

    fn weight_step(&mut self, choices: &Choices, at: At, rate: f64) -> Result<(), Self::Error> {
        self.steps.push(choices.clone());
        self.inner.weight_step(choices, at, rate)
    }

    fn evaluate(&mut self, choices: &Choices, at: At) -> Result<TaskGradient, Self::Error> {
        self.inner.evaluate(choices, at)
    }

    fn report(&mut self, choices: &Choices) -> Result<EpochReport, Self::Error> {
        self.inner.report(choices)
    }
}

#[test]
fn hard_masks_run_one_width_in_weight_steps_and_leave_architecture_steps_as_they_are() {
    let space =
        space([128, 32, 32], vec![vec![128], vec![64, 128, 192]], vec![vec![Candidate::Identity]], &[[0, 1, 0]]);
    let model = model(&space, "uboost-128x128", 1, CostKind::Expected);
    let seen = |masks| {
        let widths = Some(StageSettings { epochs: 3, warm_up_epochs: 0 });
        let mut search = Search::new(&space, &model, Settings { widths, masks, ..settings(6) });
        let mut task = Seen { inner: Linear::new(Probabilities::uniform(&space), 200), steps: Vec::new() };
        super::run(&mut search, &mut task);
        (search.state().alpha.clone(), task)
    };
    let ((soft_alpha, soft), (hard_alpha, hard)) = (seen(Masks::Soft), seen(Masks::Hard));
    // The loss is linear, so its gradient does not depend on what weight steps saw.
    assert_eq!((soft_alpha, soft.inner.asked), (hard_alpha, hard.inner.asked));
    assert!(soft.steps.iter().any(|choices| choices.weights.widths[1].iter().all(|&weight| weight < 1.0)));
    let mut counts = [0; 3];
    for choices in &hard.steps {
        let widths = &choices.weights.widths[1];
        assert!(widths.iter().all(|&weight| weight == 0.0 || weight == 1.0) && widths.iter().sum::<f64>() == 1.0);
        counts[choices.weights.argmax().widths[1]] += 1;
    }
    // Half of 600 steps take any of three alike: at least 100 each, less five deviations of sqrt(600 / 6 * 5 / 6) = 9.
    assert!(counts.iter().all(|&count| count > 54), "{counts:?}");
}

#[test]
fn the_ends_of_a_stage_are_clear_and_the_descent_never_ends_worse() {
    let ended = |end| {
        let settings = dynamic(1, 1.0, AllocationSettings { end, slopes: Slopes::Own, ..FROM_32 });
        let half = toy::Faults { bias: 0.5, ..TRUE };
        ran(&to_280(), 0.1, half, settings).gap
    };
    assert!(ended(EndGame::Descent) <= ended(EndGame::Likeliest) + 1e-12);
}
