use tch::Device;

use super::*;
use crate::data::{Augment, Dataset, Layout, SplitSizes, Splits, shapes};

const NETWORK: &str = "version: 1
name: n
input: [3, 32, 32]
nodes:
  - { name: c, op: { conv2d: { out-channels: 8, kernel: 3, stride: 4 } } }
  - { name: b, op: batch-norm }
  - { name: a, op: relu }
  - { name: p, op: global-average-pool }
  - { name: f, op: flatten }
  - { name: l, op: { linear: { out-features: 10 } } }
";

fn recipe(learning_rate: f64) -> Recipe {
    Recipe {
        seed: 4,
        epochs: 2,
        batch: 16,
        learning_rate,
        warm_up: 0.25,
        momentum: 0.9,
        weight_decay: 5e-4,
        label_smoothing: 0.1,
        clip: 5.0,
        precision: Precision::Float32,
    }
}

/// No time passes; the epoch hands back after every step where that is asked for.
#[derive(Default)]
struct Clock {
    pauses: bool,
}

impl Observer for Clock {
    fn step(&mut self, _: u32, _: usize, _: usize) {}

    fn interrupted(&self) -> bool {
        self.pauses
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

/// Runs `body` with a trainer's surroundings.
fn with<T>(body: impl FnOnce(&Network, &Loader<'_>, &Splits) -> T) -> T {
    let data = Dataset::new(&shapes::generate(0, 80, 20), Device::Cpu).unwrap();
    let splits = Splits::new(&data, SplitSizes { training: 64, selection: 16, test: None }, 0).unwrap();
    let loader = Loader::new(&data, Augment::STANDARD, Layout::ChannelsLast).unwrap();
    body(&Network::parse(NETWORK, "n").unwrap(), &loader, &splits)
}

#[test]
fn the_rate_rises_to_its_most_and_falls_to_next_to_nothing() {
    let recipe = recipe(0.1);
    assert!((recipe.rate(0.0) - 0.004).abs() < 1e-12); // 0.1 / 25
    assert!((recipe.rate(0.25) - 0.1).abs() < 1e-12);
    assert!((recipe.rate(1.0) - 4e-7).abs() < 1e-12); // 0.004 / 10,000
    assert!(recipe.rate(0.1) < recipe.rate(0.2) && recipe.rate(0.5) > recipe.rate(0.6));
}

#[test]
fn a_training_resumed_at_any_step_ends_bit_equal() {
    with(|network, loader, splits| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let new = || Trainer::new(network, loader, &splits.training, recipe(0.1)).unwrap();
        let mut whole = new();
        let records: Vec<Outcome> = (0..2).map(|_| whole.epoch(&mut Clock::default()).unwrap()).collect();
        // A trainer of its own for every step: 4 steps of 16 images and the epoch's end, twice.
        let mut place = TrainPlace::default();
        let mut again = Vec::new();
        let mut sittings = 0;
        let last = loop {
            let mut trainer = new();
            if sittings > 0 {
                trainer.load(&path, place).unwrap();
            }
            sittings += 1;
            let outcome = trainer.epoch(&mut Clock { pauses: true }).unwrap();
            // Through JSON, as a checkpoint keeps it.
            let kept = serde_json::to_string(&trainer.save(&path).unwrap()).unwrap();
            place = serde_json::from_str(&kept).unwrap();
            if outcome != Outcome::Interrupted {
                again.push(outcome);
            }
            if trainer.is_finished() {
                break trainer;
            }
        };
        assert_eq!((sittings, &again), (10, &records));
        for ((name, a), (_, b)) in whole.state().iter().zip(&last.state()) {
            assert!(a.equal(b), "{name}");
        }
        assert_eq!(whole.evaluate(&splits.test).unwrap(), last.evaluate(&splits.test).unwrap());
    });
}

#[test]
fn a_loss_that_is_no_number_ends_with_the_epoch_and_the_cure() {
    with(|network, loader, splits| {
        let wild = Recipe { clip: 1e9, learning_rate: 1e30, ..recipe(0.1) };
        let mut trainer = Trainer::new(network, loader, &splits.training, wild).unwrap();
        let ended = (0..2).find_map(|_| trainer.epoch(&mut Clock::default()).err()).unwrap().to_string();
        assert!(ended.starts_with("the loss is not finite in epoch"), "{ended}");
        assert!(ended.ends_with("of the training; try a lower `training.learning-rate`"), "{ended}");
    });
}

#[test]
fn an_epoch_reports_means_over_whole_batches() {
    with(|network, loader, splits| {
        let mut trainer = Trainer::new(network, loader, &splits.training, recipe(0.1)).unwrap();
        let Outcome::Epoch(record) = trainer.epoch(&mut Clock::default()).unwrap() else { panic!("nobody interrupts") };
        assert_eq!((record.epoch, record.of), (1, 2));
        // Hits out of 64 images.
        assert!((record.accuracy * 64.0).fract().abs() < 1e-9 && record.loss > 0.0);
    });
}
