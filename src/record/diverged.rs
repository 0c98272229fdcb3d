//! Losses that are finite and yet tell that nothing was learned.

use super::{HistoryRecord, Stage};

/// A loss above so many times that of guessing, `ln(classes)` nats, is no bad network but a step size too large: a
/// network that spreads its answers evenly has the loss of guessing, whatever it has learned.
const FACTOR: f64 = 1.5;

/// One sentence for each stage whose last epoch has a training loss above 1.5 times `ln(classes)`.
#[must_use]
pub fn diverged(records: &[HistoryRecord], classes: u64) -> Vec<String> {
    #[expect(clippy::cast_precision_loss, reason = "classes are far below 2^52")]
    let guessing = (classes as f64).ln();
    let stages = [
        (Stage::Operators, "the operator stage", "search.weights.learning-rate"),
        (Stage::Widths, "the width stage", "search.weights.learning-rate"),
        (Stage::Supernet, "the training of the supernet", "search.weights.learning-rate"),
        (Stage::Train, "the training", "training.learning-rate"),
    ];
    let mut told = Vec::new();
    for (stage, name, cure) in stages {
        let of_stage = |record: &&HistoryRecord| record.position().is_some_and(|at| at.stage == stage);
        let mut losses = records.iter().filter(of_stage).filter_map(loss);
        if let Some(loss) = losses.next_back().filter(|loss| *loss > FACTOR * guessing) {
            told.push(format!(
                "{name} diverged: its last epoch has a training loss of {loss:.3} nats, and guessing has {guessing:.3}; \
                 try a lower `{cure}`"
            ));
        }
    }
    told
}

fn loss(record: &HistoryRecord) -> Option<f64> {
    match record {
        HistoryRecord::Epoch(epoch) => Some(epoch.train_loss),
        HistoryRecord::Train(epoch) => Some(epoch.loss),
        HistoryRecord::Candidate(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TrainEpoch;

    fn train(loss: f64) -> HistoryRecord {
        HistoryRecord::Train(TrainEpoch {
            epoch: 1,
            of: 2,
            learning_rate: 0.1,
            loss,
            accuracy: 0.1,
            validation_accuracy: None,
            seconds: 1.0,
        })
    }

    #[test]
    fn a_last_loss_far_above_guessing_is_told_with_the_cure() {
        // ln 10 = 2.303, times 1.5 is 3.454.
        let told = diverged(&[train(2.0), train(1e6)], 10);
        assert_eq!(
            told,
            ["the training diverged: its last epoch has a training loss of 1000000.000 nats, and guessing has 2.303; \
              try a lower `training.learning-rate`"]
        );
        assert_eq!(diverged(&[train(3.5)], 10).len(), 1);
    }

    #[test]
    fn a_poor_network_and_one_that_recovered_are_not() {
        for losses in [&[3.4][..], &[1e6, 2.4], &[]] {
            let records: Vec<_> = losses.iter().map(|&loss| train(loss)).collect();
            assert!(diverged(&records, 10).is_empty(), "{losses:?}");
        }
    }
}
