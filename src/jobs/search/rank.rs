//! `--rank-check`: networks judged with the supernet's weights, then trained by themselves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::keep::{Keep, Phase};
use super::training::{Role, Training};
use super::{Run, SearchJobError};
use crate::cost::Probabilities;
use crate::estimate::calibrate::{kendall, spearman};
use crate::record::{RankCheck, RankCorrelation, RankNetwork, RankStage, RankSummary, SearchStage, write_json};
use crate::search::{self, Choices, Paths, Stage, TaskLoss};
use crate::space::Architecture;
use crate::supernet::Supernet;
use crate::torch::mix;
use crate::train::Recipe;

/// A network of the check, as a checkpoint keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ranked {
    stage: SearchStage,
    operators: Vec<usize>,
    widths: Vec<usize>,
    /// Accuracy with the supernet's weights.
    inherited: f64,
    /// What its own training came to.
    alone: Alone,
}

/// What the training of a network came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Alone {
    /// Nothing so far.
    ToCome,
    /// This accuracy.
    Accuracy(f64),
    /// Its loss was not finite.
    Lost,
}

impl Ranked {
    fn architecture(&self) -> Architecture {
        Architecture { operators: self.operators.clone(), widths: self.widths.clone() }
    }
}

/// Judges `count` networks of the space of `stage` with the weights of `supernet`, which has come to the end of it.
pub(super) fn judge(
    run: &Run<'_>,
    stage: &Stage,
    supernet: &mut Supernet<'_>,
    count: u32,
) -> Result<Vec<Ranked>, SearchJobError> {
    let space = &run.job.space;
    let mut judged = Vec::new();
    for mut architecture in search::uniform(space, stage, run.job.settings.seed, count) {
        // Where widths are allocated nothing wider has weights.
        for (option, &top) in architecture.widths.iter_mut().zip(supernet.tops().unwrap_or_default()) {
            *option = (*option).min(top);
        }
        let choices = Choices { weights: Probabilities::one_hot(space, &architecture), paths: Paths::ONE };
        let inherited = supernet.report(&choices)?.validation_accuracy;
        let Architecture { operators, widths } = architecture;
        judged.push(Ranked { stage: stage.name(), operators, widths, inherited, alone: Alone::ToCome });
    }
    Ok(judged)
}

/// Trains every judged network that has not been, and writes `rank-check.json`; whether it came to its end.
///
/// `stages` is how many stages the search has.
pub(super) fn check(run: &Run<'_>, keep: &mut Keep<'_>, stages: usize) -> Result<bool, SearchJobError> {
    keep.enter(Phase::Training);
    if keep.checkpoint.training.is_some() {
        // The tensors that are kept are those of the final training.
        if keep.checkpoint.ranked.iter().any(|ranked| ranked.alone == Alone::ToCome) {
            keep.progress.say("warning: the rank check is left out: the final training began without it");
        }
        return Ok(true);
    }
    let judged: BTreeSet<&str> = keep.checkpoint.ranked.iter().map(|ranked| ranked.stage.name()).collect();
    if judged.len() < stages {
        let told = "warning: the rank check leaves out what had ended before --rank-check was given: of";
        keep.progress.say(&format!("{told} {stages} stages it has {}", judged.len()));
    }
    let recipe = Recipe { epochs: run.job.training.rank_check_epochs, ..run.recipe() };
    let count = keep.checkpoint.ranked.len();
    while let Some(place) = keep.checkpoint.ranked.iter().position(|ranked| ranked.alone == Alone::ToCome) {
        keep.progress.say(&format!("rank check: network {} of {count}", place + 1));
        let network = run.job.space.derive(&keep.checkpoint.ranked[place].architecture())?;
        let recipe = Recipe { seed: mix(&[recipe.seed, place as u64]), ..recipe };
        let training = Training { run, network: &network, split: &run.splits.training, recipe, role: Role::Ranked };
        let alone = match training.to_the_end(keep) {
            Ok(trained) if !trained.finished => return Ok(false),
            Ok(trained) => trained.validation.map_or(Alone::Lost, Alone::Accuracy),
            Err(SearchJobError::Train(error)) if error.is_not_finite() => Alone::Lost,
            Err(error) => return Err(error),
        };
        keep.checkpoint.ranked[place].alone = alone;
        keep.ranked()?;
    }
    write_json(&run.folder.rank_check(), &report(run, &keep.checkpoint.ranked))?;
    Ok(true)
}

fn report(run: &Run<'_>, ranked: &[Ranked]) -> RankCheck {
    let stage = |stage: SearchStage| {
        let of_stage: Vec<&Ranked> = ranked.iter().filter(|ranked| ranked.stage == stage).collect();
        let network = |ranked: &&Ranked| RankNetwork {
            architecture: run.job.space.architecture_file(&ranked.architecture()),
            inherited_accuracy: ranked.inherited,
            alone_accuracy: match ranked.alone {
                Alone::Accuracy(accuracy) => Some(accuracy),
                Alone::ToCome | Alone::Lost => None,
            },
        };
        let networks: Vec<RankNetwork> = of_stage.iter().map(network).collect();
        (!networks.is_empty()).then(|| RankStage { stage, correlation: correlation(&networks), networks })
    };
    let stages = [SearchStage::Operators, SearchStage::Widths].into_iter().filter_map(stage).collect();
    RankCheck { epochs: run.job.training.rank_check_epochs, stages }
}

fn correlation(networks: &[RankNetwork]) -> RankCorrelation {
    let pairs = networks.iter().filter_map(|network| Some((network.inherited_accuracy, network.alone_accuracy?)));
    let (inherited, alone): (Vec<f64>, Vec<f64>) = pairs.unzip();
    RankCorrelation { n: alone.len(), spearman: spearman(&inherited, &alone), kendall: kendall(&inherited, &alone) }
}

/// The correlations of a check that is done.
pub(super) fn summaries(run: &Run<'_>, keep: &Keep<'_>) -> Vec<RankSummary> {
    let ranked = &keep.checkpoint.ranked;
    if ranked.iter().any(|ranked| ranked.alone == Alone::ToCome) {
        return Vec::new();
    }
    let stages = report(run, ranked).stages;
    stages.iter().map(|stage| RankSummary { stage: stage.stage, correlation: stage.correlation }).collect()
}
