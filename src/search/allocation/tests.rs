use proptest::prelude::*;

use super::window::Window;
use super::*;
use crate::space::WidthChoice;

fn choice(options: &[u64]) -> WidthChoice {
    WidthChoice { name: "width".to_owned(), options: options.to_vec() }
}

fn from(start: Option<u64>) -> AllocationSettings {
    AllocationSettings { start, ..AllocationSettings::DEFAULT }
}

/// A check without a ceiling: nobody is asked what a step needs.
fn checked(
    allocation: &mut Allocation,
    grid: Grid<'_>,
    settings: &AllocationSettings,
    settled: &[Vec<f64>],
) -> Vec<Change> {
    let mut needed = |_: &[usize]| -> Result<Bytes, std::convert::Infallible> { panic!("there is no ceiling") };
    let Ok(changes) = allocation.check(grid, settings, Costs { settled, by_task: 1.0 }, &mut needed);
    changes
}

fn options(window: &Window) -> Vec<usize> {
    window.slots().iter().map(|slot| slot.option).collect()
}

#[test]
fn a_first_window_holds_three_options_up_to_the_first_edge_and_never_less_than_two() {
    let grid: Vec<u64> = (8..=280).step_by(8).collect();
    let first = |options: &[u64], start, tile| {
        let widths = [choice(options)];
        let allocation = Allocation::new(Grid { widths: &widths, tile }, &[true], &from(start));
        let slots = allocation.groups()[0].window.slots().to_vec();
        assert!(slots.iter().all(|slot| slot.age == MATURITY && slot.logit == 0.0));
        slots.iter().map(|slot| options[slot.option]).collect::<Vec<u64>>()
    };
    assert_eq!(first(&grid, None, 128), [112, 120, 128]);
    assert_eq!(first(&grid, Some(32), 128), [16, 24, 32]);
    // 36 lies between 32 and 40: the narrower.
    assert_eq!(first(&grid, Some(36), 128), [16, 24, 32]);
    assert_eq!(first(&grid, Some(3), 128), [8, 16]);
    assert_eq!(first(&grid, None, 1), [8, 16]);
    // No option reaches the first edge: the middle.
    assert_eq!(first(&[8, 16, 24, 32, 40, 48], None, 128), [16, 24, 32]);
    assert_eq!(first(&[20, 50, 90], None, 32), [20, 50]);
}

#[test]
fn a_width_that_is_not_searched_stands_at_its_first_option_and_has_no_window() {
    let widths = [choice(&[3]), choice(&[8, 16, 32, 64]), choice(&[8, 16, 32, 64])];
    let allocation = Allocation::new(Grid { widths: &widths, tile: 32 }, &[false, false, true], &from(None));
    assert_eq!(allocation.groups().len(), 1);
    assert_eq!((allocation.tops(), allocation.likeliest()), (vec![0, 2, 2], vec![0, 2, 2]));
    let mut spread = vec![vec![9.0], vec![9.0; 4], vec![9.0; 4]];
    allocation.spread(&mut spread);
    let third = 1.0 / 3.0;
    assert_eq!(spread, [vec![1.0], vec![0.0, 0.0, 1.0, 0.0], vec![third, third, third, 0.0]]);
}

#[test]
fn a_new_logit_counts_its_own_steps_and_takes_the_squares_over() {
    let adam = AdamConfig::new(0.1);
    let mut window = Window::new(1, 4, 0);
    // Two options, p = 1/2: gradients of d = (1, -1) are p (d - 0) = 1/2 and -1/2; the first step is the rate.
    window.step(adam, &[1.0, -1.0]);
    let logits = |window: &Window| window.slots().iter().map(|slot| slot.logit).collect::<Vec<f64>>();
    assert!((logits(&window)[0] + 0.1).abs() < 1e-8 && (logits(&window)[1] - 0.1).abs() < 1e-8);
    window.add(3, -1.0);
    assert_eq!(options(&window), [0, 1, 3]);
    assert!((logits(&window)[2] - (0.1 - 1.0)).abs() < 1e-8, "the greatest less one");
    // Both squares are 0.001 * 1/4, so is their mean, after one step. With p_3 its probability and d = (0, 0, 1) the
    // gradient is g = p_3 (1 - p_3); its mean, corrected by its own first step, is g; the square
    // (0.999 * 0.00025 + 0.001 g^2) / (1 - 0.999^2).
    let p = window.probabilities()[2];
    let g = p * (1.0 - p);
    let square: f64 = (0.999 * 0.000_25 + 0.001 * g * g) / (1.0 - 0.999f64.powi(2));
    let before = logits(&window)[2];
    window.step(adam, &[0.0, 0.0, 1.0]);
    assert!((before - logits(&window)[2] - 0.1 * g / square.sqrt()).abs() < 1e-8);
}

/// Edges at 32, 64 and 96 channels of an array of 32 columns, a nat a tile: 16 to 96 channels.
const STAIRS: ([u64; 6], [f64; 6]) = ([16, 32, 48, 64, 80, 96], [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);

#[test]
fn a_break_even_slope_is_what_a_step_costs_over_the_logarithm_of_the_ratio() {
    let curve = Curve { channels: &STAIRS.0, cost: &STAIRS.1 };
    // 32 to 64 costs one nat for ln 2, 64 to 96 one for ln 1.5.
    assert!((curve.break_even(1, 3) - 1.0 / 2f64.ln()).abs() < 1e-15);
    assert!((curve.break_even(3, 5) - 1.0 / 1.5f64.ln()).abs() < 1e-12);
    assert_eq!(curve.best(1.0, 5), 1, "1.44 is needed for 64");
    assert_eq!(curve.best(1.5, 5), 3, "2.47 is needed for 96");
    assert_eq!(curve.plausible([1.0, 1.5], 5), [1, 3]);
    assert_eq!(curve.plausible([1.0, 3.0], 5), [1, 3, 5]);
    assert_eq!(curve.plausible([1.0, 3.0], 4), [1, 3], "80 costs what 96 does and is worth less");
    assert_eq!(curve.plausible([3.0, 3.0], 5), [5]);
}

#[test]
fn what_a_wider_option_does_not_cost_more_than_is_dominated() {
    let curve = Curve { channels: &STAIRS.0, cost: &STAIRS.1 };
    let dominated: Vec<bool> = (0..6).map(|option| curve.is_dominated(option, 5)).collect();
    assert_eq!(dominated, [true, false, true, false, true, false]);
    assert!(!curve.is_dominated(2, 2), "64 lies beyond the limit");
    assert_eq!(curve.best_below(3, 1.0, 5), Some(1));
    assert_eq!(curve.best_below(1, 1.0, 5), None, "16 costs what 32 does");
}

#[test]
fn the_limit_is_twice_the_channels_or_the_next_edge_and_clips() {
    let channels: Vec<u64> = (8..=280).step_by(8).collect();
    let cost = vec![0.0; channels.len()];
    let curve = Curve { channels: &channels, cost: &cost };
    let limit = |current: u64, tile| {
        let place = channels.iter().position(|&channels| channels == current).unwrap();
        channels[curve.limit(place, tile)]
    };
    assert_eq!([32, 120, 128, 136, 160, 280].map(|current| limit(current, 128)), [128, 240, 256, 272, 280, 280]);
    assert_eq!([8, 32, 64].map(|current| limit(current, 1)), [16, 64, 128]);
    // No option within twice the channels: the next one all the same.
    let sparse = Curve { channels: &[8, 100], cost: &[0.0, 0.0] };
    assert_eq!(sparse.limit(0, 1), 1);
}

#[test]
fn the_first_probes_of_a_slope_are_averaged_alike_and_later_ones_count_three_tenths() {
    let mut slope = Slope::default();
    assert_eq!(slope.measured(), None);
    for (probe, mean) in [(1.0, 1.0), (2.0, 1.5), (6.0, 3.0), (3.0, 3.0), (13.0, 6.0)] {
        // 1; (1 + 2) / 2; (1 + 2 + 6) / 3; 0.7 * 3 + 0.3 * 3; 0.7 * 3 + 0.3 * 13.
        slope.measure(probe, 0.7);
        assert!((slope.measured().unwrap() - mean).abs() < 1e-12, "{slope:?}");
    }
}

fn measured(probes: &[f64]) -> Slope {
    let mut slope = Slope::default();
    probes.iter().for_each(|&probe| slope.measure(probe, 0.7));
    slope
}

#[test]
fn slopes_are_shrunk_as_far_as_the_scatter_of_probes_explains_that_they_differ() {
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    // Probes without scatter: each its own. Means 1 and 3, all scatter by noise: the mean of both.
    let exact = [measured(&[1.0, 1.0]), measured(&[3.0, 3.0])];
    assert!(close(&slope::together(&exact, Slopes::Shrunk, 0.0), &[1.0, 3.0]));
    let noisy = [measured(&[-9.0, 11.0]), measured(&[13.0, -7.0])];
    assert!(close(&slope::together(&noisy, Slopes::Shrunk, 0.0), &[2.0, 2.0]));
    assert!(close(&slope::together(&noisy, Slopes::Own, 0.0), &[1.0, 3.0]));
    assert!(close(&slope::together(&exact, Slopes::Pooled, 0.0), &[2.0, 2.0]));
    // Two probes 1 apart have variance 1/2, their mean 1/4. The means 1 and 3 lie (1 + 1) / 1 = 2 apart in square:
    // 1 - (1/4) / 2 = 7/8 of the way is kept.
    let some = [measured(&[0.5, 1.5]), measured(&[2.5, 3.5])];
    assert!(close(&slope::together(&some, Slopes::Shrunk, 0.0), &[2.0 - 0.875, 2.0 + 0.875]));
    // One probe each tells nothing of noise; what was never probed takes the mean; nothing lies below the least.
    let once = [measured(&[1.0]), measured(&[3.0]), Slope::default()];
    assert!(close(&slope::together(&once, Slopes::Shrunk, 0.0), &[2.0, 2.0, 2.0]));
    assert!(close(&slope::together(&once, Slopes::Own, 1.5), &[1.5, 3.0, 2.0]));
    assert!(close(&slope::together(&[Slope::default(); 2], Slopes::Own, 0.002), &[0.002, 0.002]));
}

#[test]
fn options_outside_a_window_score_below_those_in_it_and_less_the_farther_they_are() {
    let widths = [choice(&[8, 16, 24, 32, 40, 48, 56, 64])];
    let mut allocation = Allocation::new(Grid { widths: &widths, tile: 40 }, &[true], &from(None));
    allocation.groups[0].window.prefer(3, 2.0);
    let mut scores = vec![vec![0.0; 8]];
    allocation.scores(&mut scores);
    // The window is 24, 32, 40; others lie 1 + steps / 8 below -2.
    assert_eq!(scores[0], [-3.25, -3.125, -2.0, 0.0, -2.0, -3.125, -3.25, -3.375]);
}

/// One width of 8 to 280 channels on a tile of 128, with a slope for a fresh window at `start`.
fn one_width(start: u64, slope: f64) -> ([WidthChoice; 1], Allocation) {
    let widths = [choice(&(8..=280).step_by(8).collect::<Vec<u64>>())];
    let mut allocation = Allocation::new(Grid { widths: &widths, tile: 128 }, &[true], &from(Some(start)));
    allocation.groups[0].slope.measure(slope, 0.7);
    (widths, allocation)
}

/// What a check adds (true) and drops, channels.
fn check(
    widths: &[WidthChoice],
    allocation: &mut Allocation,
    settings: &AllocationSettings,
    cost: &[f64],
) -> Vec<(bool, u64)> {
    let grid = Grid { widths, tile: 128 };
    let settled = vec![cost.to_vec()];
    let changes = checked(allocation, grid, settings, &settled);
    changes
        .iter()
        .map(|change| {
            allocation.apply(change);
            (change.kind == Move::In, widths[0].options[change.option])
        })
        .collect()
}

/// A nat for each tile of 128.
fn stairs(widths: &[WidthChoice]) -> Vec<f64> {
    widths[0].options.iter().map(|&channels| channels.div_ceil(128) as f64).collect()
}

#[test]
fn a_width_of_32_channels_grows_to_the_edge_of_its_tile_and_no_farther_than_the_limit() {
    let (widths, mut allocation) = one_width(32, 9.0);
    allocation.groups[0].window.prefer(3, 1.0);
    let cost = stairs(&widths);
    // From 32 the limit is 128, where one tile ends; the slope would pay for 256 at once.
    assert_eq!(check(&widths, &mut allocation, &AllocationSettings::DEFAULT, &cost), [(true, 128)]);
    assert_eq!(check(&widths, &mut allocation, &AllocationSettings::DEFAULT, &cost), []);
    allocation.groups[0].window.prefer(15, 1.0);
    // From 128 twice as much; 248 has the cost of 256 and is worth less.
    assert_eq!(check(&widths, &mut allocation, &AllocationSettings::DEFAULT, &cost), [(true, 256)]);
}

#[test]
fn an_option_goes_after_two_checks_in_a_row_and_one_that_came_back_stays() {
    let (widths, mut allocation) = one_width(32, 1e-6);
    let settings = AllocationSettings::DEFAULT;
    allocation.groups[0].window.prefer(1, 9.0);
    // Every channel costs: 16 is plausible beside the narrowest, and 8 comes; 24 and 32 are unlikely.
    let cost: Vec<f64> = widths[0].options.iter().map(|&channels| channels as f64).collect();
    assert_eq!(check(&widths, &mut allocation, &settings, &cost), [(true, 8)]);
    assert_eq!(check(&widths, &mut allocation, &settings, &cost), [(false, 24), (false, 32)]);
    let window = &mut allocation.groups[0].window;
    assert_eq!(options(window), [0, 1]);
    window.add(3, -9.0);
    for _ in 0..4 {
        assert_eq!(check(&widths, &mut allocation, &settings, &cost), [], "32 was there before");
    }
    allocation.stop_from(1.0, &settings, (1, 0));
    assert_eq!(check(&widths, &mut allocation, &settings, &cost), []);
    assert_eq!(check(&widths, &mut allocation, &settings, &cost), [(false, 32)]);
}

#[test]
fn only_so_many_widths_try_a_wider_option_at_a_time_and_those_that_gain_most_come_first() {
    let widths: Vec<WidthChoice> = (0..3).map(|_| choice(&[32, 64, 128, 256])).collect();
    let grid = Grid { widths: &widths, tile: 64 };
    let grown = |growing| {
        let mut allocation = Allocation::new(grid, &[true; 3], &from(Some(64)));
        for (group, slope) in allocation.groups.iter_mut().zip([2.0, 4.0, 3.0]) {
            group.slope.measure(slope, 0.7);
            group.window.prefer(1, 1.0);
        }
        let settled = vec![vec![0.0, 0.1, 0.2, 0.3]; 3];
        let settings = AllocationSettings { growing, slopes: Slopes::Own, ..AllocationSettings::DEFAULT };
        let mut grown = Vec::new();
        for _ in 0..2 {
            let changes = checked(&mut allocation, grid, &settings, &settled);
            grown.extend(changes.iter().filter_map(|change| allocation.apply(change)).map(|resize| resize.width));
        }
        grown
    };
    // The gain of a doubling is a ln 2 - 0.1. One that tries keeps its place until it has had its time.
    assert_eq!((grown(Some(1)), grown(Some(2)), grown(Some(3))), (vec![1], vec![1, 2], vec![1, 2, 0]));
    assert_eq!(grown(None), [1], "a third of three");
}

#[test]
fn a_ceiling_clips_what_a_width_tries_and_tells_what_it_would_have_tried() {
    // Channels cost nothing, so the widest within the limit of twice the present 64 is the best; 128 would need 128 bytes.
    let widths = [choice(&[32, 48, 64, 80, 96, 112, 128])];
    let grid = Grid { widths: &widths, tile: 64 };
    let settled = vec![vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]];
    let tried = |ceiling: u64| {
        let settings = AllocationSettings { ceiling: Some(Bytes(ceiling)), ..from(Some(64)) };
        let mut allocation = Allocation::new(grid, &[true], &settings);
        allocation.groups[0].slope.measure(20.0, 0.7);
        let channels =
            |sizes: &[usize]| -> Result<Bytes, std::convert::Infallible> { Ok(Bytes(widths[0].options[sizes[0]])) };
        let costs = Costs { settled: &settled, by_task: 1.0 };
        let Ok(changes) = allocation.check(grid, &settings, costs, &mut |sizes| channels(sizes));
        let told = |change: &Change| (change.kind, widths[0].options[change.option]);
        let first: Vec<_> = changes.iter().map(told).collect();
        for change in &changes {
            let resize = allocation.apply(change);
            allocation.note(grid, change, resize, (1, 0));
        }
        // What was held back is told once an epoch.
        let Ok(again) = allocation.check(grid, &settings, costs, &mut |sizes| channels(sizes));
        assert!(again.iter().all(|change| change.kind != Move::HeldBack));
        let noted = allocation.decisions().iter().filter(|noted| noted.kind == AllocationKind::HeldBack);
        (first, allocation.tops()[0], noted.map(|noted| noted.channels).collect::<Vec<_>>())
    };
    assert_eq!(tried(128), (vec![(Move::In, 128)], 6, vec![]));
    assert_eq!(tried(127), (vec![(Move::In, 112), (Move::HeldBack, 128)], 5, vec![Some(128)]));
    assert_eq!(tried(95), (vec![(Move::In, 80), (Move::HeldBack, 128)], 3, vec![Some(128)]));
    // Not even the next one fits; nor what is there already, which stays.
    assert_eq!(tried(79), (vec![(Move::HeldBack, 128)], 2, vec![Some(128)]));
    assert_eq!(tried(10), (vec![(Move::HeldBack, 128)], 2, vec![Some(128)]));
}

/// Costs that rise with channels, with steps at tiles, and with bumps.
fn costs() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0.0..0.2f64, 0.0..1.0f64), 35).prop_map(|steps| {
        let mut cost = 0.0;
        steps
            .into_iter()
            .map(|(rise, jump)| {
                cost += rise + if jump > 0.9 { jump } else { 0.0 } - if jump < 0.1 { 0.15 } else { 0.0 };
                cost
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn plausible_options_are_those_that_a_fine_search_over_slopes_finds(
        cost in costs(), least in 0.01..1.0f64, factor in 1.0..5.0f64, limit in 0usize..35,
    ) {
        let channels: Vec<u64> = (8..=280).step_by(8).collect();
        let curve = Curve { channels: &channels, cost: &cost };
        let found = curve.plausible([least, least * factor], limit);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        for share in 0..=500 {
            let slope = least * (1.0 + (factor - 1.0) * f64::from(share) / 500.0);
            let best = curve.best(slope, limit);
            let worth = |option: usize| curve.worth(option, slope);
            let least = found.iter().map(|&option| worth(option)).fold(f64::INFINITY, f64::min);
            prop_assert!(least <= worth(best) + 1e-12);
        }
        for &option in &found {
            prop_assert!(option <= limit && !curve.is_dominated(option, limit));
        }
    }

    #[test]
    fn windows_keep_their_form_whatever_costs_and_slopes_do(
        rounds in prop::collection::vec((costs(), -0.5..2.0f64, 0usize..6), 1..25), start in 1u64..300,
    ) {
        let (widths, mut allocation) = one_width(start, 0.1);
        let (grid, settings) = (Grid { widths: &widths, tile: 128 }, AllocationSettings::DEFAULT);
        let mut turns = [[0u32; 2]; 35];
        for (cost, slope, steps) in rounds {
            allocation.groups[0].slope.measure(slope, settings.memory);
            let (current, top) = (allocation.likeliest()[0], allocation.tops()[0]);
            let curve = Curve { channels: &widths[0].options, cost: &cost };
            let settled = vec![cost.clone()];
            for change in checked(&mut allocation, grid, &settings, &settled) {
                let resize = allocation.apply(&change);
                prop_assert_eq!(resize.map(|resize| resize.from != resize.to), resize.map(|_| true));
                turns[change.option][usize::from(change.kind == Move::In)] += 1;
                prop_assert!(change.option != current || change.kind == Move::In);
            }
            let window = &allocation.groups[0].window;
            let held = options(window);
            prop_assert!(!held.is_empty() && held.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(window.holds(current));
            let limit = curve.limit(current, grid.tile);
            prop_assert!(window.top() <= limit.max(top));
            let within = if window.top() < top { top } else { limit.max(top) };
            prop_assert!(window.top() == top || !curve.is_dominated(window.top(), within));
            let p = window.probabilities();
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let hardware = Probabilities { operators: Vec::new(), widths: settled };
            for _ in 0..steps {
                allocation.step(grid, &settings, AdamConfig::new(0.1), (&hardware, 1.0));
                allocation.stepped();
            }
        }
        prop_assert!(turns.iter().all(|[dropped, added]| *dropped <= 1 && *added <= 2), "{:?}", turns);
    }
}
