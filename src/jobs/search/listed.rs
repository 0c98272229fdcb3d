//! A search over a list: architectures judged one after the other, each trained by itself, scored, or run with the weights
//! of a supernet.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keep::Keep;
use super::{Run, SearchJobError, lines};
use crate::cost::{self, CostKind, Probabilities};
use crate::estimate;
use crate::jobs::progress::Progress;
use crate::network::Network;
use crate::record::{
    HardTarget, HistoryRecord, JudgedCandidate, Position, RunFolder, Stage as Recorded, read_json, write_json,
};
use crate::search::methods::{Budget, Costs, Judged, Listing, Method, Proposal, SinglePaths, Verdict};
use crate::search::{self, At, Driven, Outcome, Search, SearchError, Settings, Stage, StageSettings, TaskLoss};
use crate::space::{Architecture, Space};
use crate::supernet::{Running, Supernet};
use crate::train::{self, Recipe, TrainError, Trainer};

/// Least seconds between two writings of the list: what is lost is drawn and judged again.
const WRITE_SECONDS: f64 = 2.0;
/// Least time between two writings over the time that one takes: less than a hundredth is spent on them.
const WRITE_FACTOR: f64 = 100.0;

/// `checkpoint/candidates.json`: all that a search over a list must remember, besides the supernet's tensors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Epochs of the supernet that are done.
    supernet_epochs: u32,
    /// The file of the supernet's tensors.
    tensors: Option<String>,
    /// What was judged, in order.
    judged: Vec<Judged>,
    /// Whether the search came to its end.
    over: bool,
}

impl Kept {
    /// What `folder` holds of a search over `space`, or the beginning.
    pub(super) fn read(folder: &RunFolder, space: &Space) -> Result<Self, SearchJobError> {
        let path = path(folder);
        if !path.exists() {
            return Ok(Self::default());
        }
        let read: Self = read_json(&path)?;
        if read.judged.iter().all(|judged| space.holds(&judged.architecture)) {
            return Ok(read);
        }
        let reason = format!("{}: its choices are not those of the space", path.display());
        Err(SearchJobError::Checkpoint { reason })
    }

    /// The record that comes next.
    pub(super) fn position(&self) -> Position {
        let next = |done: usize| u32::try_from(done + 1).unwrap_or(u32::MAX);
        if self.judged.is_empty() && !self.over {
            return Position { stage: Recorded::Supernet, epoch: self.supernet_epochs + 1 };
        }
        Position { stage: Recorded::Candidates, epoch: next(self.judged.len()) }
    }

    fn write(&self, run: &Run<'_>, keep: &mut Keep<'_>) -> Result<(), SearchJobError> {
        write_json(&path(run.folder), self)?;
        keep.measures()
    }
}

fn path(folder: &RunFolder) -> PathBuf {
    folder.checkpoint().join("candidates.json")
}

/// Who judges an architecture.
enum Judge<'a> {
    /// It is trained by itself.
    Alone(Recipe),
    /// It is scored without data.
    Flow,
    /// It runs with the weights of the supernet, batch norms on the batch's own statistics.
    Inherited(Box<Supernet<'a>>),
}

impl<'a> Judge<'a> {
    /// The verdict; nothing where it was asked to stop in the middle.
    fn verdict(
        &mut self,
        run: &Run<'a>,
        (architecture, network): (&Architecture, &Network),
        progress: &mut dyn Progress,
    ) -> Result<Option<Verdict>, SearchJobError> {
        match self {
            Self::Alone(recipe) => alone(run, network, *recipe, progress),
            Self::Flow => {
                let score = train::log_synflow(network, run.device, run.job.settings.seed)?;
                Ok(Some(Verdict { score: finite(score), ..Verdict::default() }))
            }
            Self::Inherited(supernet) => {
                let report = supernet.report(&SinglePaths::path(&run.job.space, architecture))?;
                let (loss, accuracy) = (finite(report.validation_loss), finite(report.validation_accuracy));
                Ok(Some(Verdict { loss, accuracy, score: None }))
            }
        }
    }
}

/// Trains the network on the training split and judges it on the selection split. One whose loss is no number has no
/// verdict: it is no error, since no one chose it.
fn alone(
    run: &Run<'_>,
    network: &Network,
    recipe: Recipe,
    progress: &mut dyn Progress,
) -> Result<Option<Verdict>, SearchJobError> {
    let mut trainer = Trainer::new(network, run.loader, &run.splits.training, recipe)?;
    while !trainer.is_finished() {
        match trainer.epoch(&mut Untold(progress)) {
            Ok(train::Outcome::Epoch(_)) => {}
            Ok(train::Outcome::Interrupted) => return Ok(None),
            Err(TrainError::NotFinite { .. }) => return Ok(Some(Verdict::default())),
            Err(error) => return Err(error.into()),
        }
    }
    let found = trainer.evaluate(&run.splits.selection)?;
    Ok(Some(Verdict { loss: finite(found.loss), accuracy: finite(found.accuracy), score: None }))
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// Settings in which what is searched has a stage, if only to tell the unit of latency.
fn with_stages(settings: &Settings) -> Settings {
    let stage = StageSettings { epochs: 1, warm_up_epochs: 0 };
    Settings {
        operators: Some(settings.operators.unwrap_or((stage, None))),
        widths: Some(settings.widths.unwrap_or(stage)),
        ..settings.clone()
    }
}

impl<'a> Run<'a> {
    /// The best architecture of the list, and how the search ended.
    pub(super) fn list(&self, kept: &mut Kept, keep: &mut Keep<'_>) -> Result<(Architecture, Driven), SearchJobError> {
        let (space, settings) = (&self.job.space, with_stages(&self.job.settings));
        let search = Search::new(space, self.cost, settings.clone());
        let listing = Listing::new(space, settings.method, settings.seed, search.objective().clone());
        let first = listing.next(0.0).ok_or(SearchError::Unreachable)?.architecture;
        let mut listing = listing.resumed(std::mem::take(&mut kept.judged));
        let mut finished = kept.over;
        if !kept.over {
            let paths = SinglePaths::new(space, self.cost, &settings, search.epochs(), first.clone());
            let judge = self.judge(&paths, search.epochs(), kept, keep)?;
            if let Some(mut judge) = judge {
                finished = self.judge_all(&mut listing, &mut judge, kept, keep)?;
            }
        }
        let best = listing.best().map(|judged| judged.architecture.clone());
        if finished && best.is_none() {
            return Err(SearchJobError::NoCandidate { judged: listing.judged().len() });
        }
        if let (true, Some(number)) = (finished, listing.best_number()) {
            keep.progress.say(&format!("candidate {number} of {} is the best", listing.judged().len()));
        }
        let ended = if finished { Driven::Done } else { Driven::Stopped };
        Ok((best.unwrap_or(first), ended))
    }

    /// Who judges, ready to; nothing where it was asked to stop before.
    fn judge(
        &self,
        paths: &SinglePaths<'_>,
        epochs: u32,
        kept: &mut Kept,
        keep: &mut Keep<'_>,
    ) -> Result<Option<Judge<'a>>, SearchJobError> {
        match self.job.settings.method {
            Method::Random { epochs, .. } => Ok(Some(Judge::Alone(Recipe { epochs, ..self.recipe() }))),
            Method::Synflow { .. } => Ok(Some(Judge::Flow)),
            Method::Evolution(_) => self.supernet(paths, epochs, kept, keep),
            Method::Systole | Method::Darts { .. } | Method::Gdas => unreachable!("these search by gradients"),
            Method::Nsga2 { .. } => unreachable!("it was refused before the folder was made"),
        }
    }

    /// The supernet after its training.
    fn supernet(
        &self,
        paths: &SinglePaths<'_>,
        epochs: u32,
        kept: &mut Kept,
        keep: &mut Keep<'_>,
    ) -> Result<Option<Judge<'a>>, SearchJobError> {
        let mut supernet = Supernet::new(&self.job.space, self.splits, self.loader, self.supernet_settings());
        supernet.enter(&Stage::Whole)?;
        if let Some(name) = &kept.tensors {
            let at = At { stage: Stage::Whole.number(), epoch: kept.supernet_epochs, step: 0 };
            let loaded = supernet.load(&self.folder.checkpoint().join(name), at, Running::default());
            loaded.map_err(|error| SearchJobError::from(error).of_checkpoint())?;
        }
        let steps = u64::from(supernet.steps());
        keep.progress.begin("supernet", steps * u64::from(epochs), steps * u64::from(kept.supernet_epochs));
        while kept.supernet_epochs < epochs {
            let outcome = paths.epoch(kept.supernet_epochs, &mut supernet, &mut Told(&mut *keep.progress))?;
            let Outcome::Epoch(record) = outcome else {
                keep.measures()?;
                return Ok(None);
            };
            keep.progress.say(&lines::supernet(&record));
            keep.history.append(&HistoryRecord::Epoch(*record))?;
            kept.supernet_epochs += 1;
            self.keep_supernet(&supernet, kept, keep)?;
        }
        Ok(Some(Judge::Inherited(Box::new(supernet))))
    }

    /// The list names the new tensors before the old ones go: at any moment one whole checkpoint lies there.
    fn keep_supernet(
        &self,
        supernet: &Supernet<'_>,
        kept: &mut Kept,
        keep: &mut Keep<'_>,
    ) -> Result<(), SearchJobError> {
        let name = format!("supernet-{}.safetensors", kept.supernet_epochs);
        supernet.save(&self.folder.checkpoint().join(&name))?;
        let old = kept.tensors.replace(name);
        kept.write(self, keep)?;
        self.forget(old);
        Ok(())
    }

    /// Judges what the list proposes until it has no more; whether that is so.
    fn judge_all(
        &self,
        listing: &mut Listing<'_>,
        judge: &mut Judge<'a>,
        kept: &mut Kept,
        keep: &mut Keep<'_>,
    ) -> Result<bool, SearchJobError> {
        keep.count();
        let mut bar = Bar::begin(self.job.settings.method, listing, keep.checkpoint.search_seconds, keep.progress);
        let mut write_at = keep.progress.seconds() + WRITE_SECONDS;
        let mut lowest =
            listing.judged().iter().map(|judged| listing.objective_of(judged)).fold(f64::INFINITY, f64::min);
        let over = loop {
            keep.count();
            let Some(proposal) = listing.next(keep.checkpoint.search_seconds) else { break true };
            if keep.progress.interrupted() {
                break false;
            }
            let began = keep.progress.seconds();
            let judged = self.judged(listing, judge, &proposal, keep.progress)?;
            let took = keep.progress.seconds() - began;
            let Some(judged) = judged else { break false };
            let judged = Judged { seconds: took, ..judged };
            let record = self.record(listing, &judged);
            if let Some(objective) = record.objective.filter(|objective| *objective < lowest) {
                lowest = objective;
                keep.progress.say(&lines::candidate(&record));
            }
            keep.history.append(&HistoryRecord::Candidate(record))?;
            listing.push(judged);
            keep.count();
            bar.judged(keep.checkpoint.search_seconds, keep.progress);
            let began = keep.progress.seconds();
            if began > write_at {
                kept.judged = listing.judged().to_vec();
                kept.write(self, keep)?;
                let took = keep.progress.seconds() - began;
                write_at = began + WRITE_SECONDS.max(WRITE_FACTOR * took);
            }
        };
        kept.judged = listing.judged().to_vec();
        kept.over = over;
        let supernet = if over { kept.tensors.take() } else { None };
        kept.write(self, keep)?;
        self.forget(supernet);
        Ok(over)
    }

    /// Removes a file of tensors that nothing names any more.
    fn forget(&self, name: Option<String>) {
        if let Some(name) = name {
            // A file that stays costs only room.
            let _ = std::fs::remove_file(self.folder.checkpoint().join(name));
        }
    }

    /// The proposal with what was found of it; nothing where it was asked to stop in the middle.
    fn judged(
        &self,
        listing: &Listing<'_>,
        judge: &mut Judge<'a>,
        proposal: &Proposal,
        progress: &mut dyn Progress,
    ) -> Result<Option<Judged>, SearchJobError> {
        let Proposal { parent, architecture, .. } = proposal;
        if let Some(known) = listing.known(architecture) {
            return Ok(Some(Judged { parent: *parent, ..known.clone() }));
        }
        let network = self.job.space.derive(architecture)?;
        let costs = self.exact(architecture, &network)?;
        let verdict = judge.verdict(self, (architecture, &network), progress)?;
        Ok(verdict.map(|verdict| Judged {
            architecture: architecture.clone(),
            parent: *parent,
            verdict,
            costs,
            seconds: 0.0,
        }))
    }

    /// What the network costs by its estimate; latency and utilization by the objective's own cost where that is another.
    fn exact(&self, architecture: &Architecture, network: &Network) -> Result<Costs, SearchJobError> {
        let Run { job, .. } = self;
        let estimate = estimate::network(network, &self.target)?;
        let (latency_ms, utilization) = match CostKind::from(job.file.objective.cost) {
            CostKind::Expected => (estimate.total.latency_ms, estimate.total.end_to_end_utilization.unwrap_or(0.0)),
            CostKind::Flops | CostKind::SmoothCeil | CostKind::Roofline | CostKind::Lookup => {
                let hardware = self.cost.hardware(&Probabilities::one_hot(&job.space, architecture));
                (hardware.latency_ms, hardware.utilization)
            }
        };
        let prices = job.settings.prices.iter().map(|&(metric, _)| cost::exact(metric, &estimate)).collect();
        let missed = |target: &HardTarget| target.violation(cost::exact(target.metric, &estimate)).max(0.0);
        let violation = job.settings.targets.iter().map(missed).sum();
        Ok(Costs { latency_ms, utilization, prices, violation })
    }

    fn record(&self, listing: &Listing<'_>, judged: &Judged) -> JudgedCandidate {
        let space = &self.job.space;
        let Judged { architecture, parent, verdict, costs, seconds } = judged;
        let operators = space.operators.iter().zip(&architecture.operators);
        let widths = space.widths.iter().zip(&architecture.widths);
        JudgedCandidate {
            number: u32::try_from(listing.judged().len() + 1).unwrap_or(u32::MAX),
            of: listing.length(),
            parent: *parent,
            operators: operators
                .filter(|(choice, _)| choice.candidates.len() > 1)
                .map(|(choice, &chosen)| (choice.name.clone(), choice.candidates[chosen].label()))
                .collect(),
            widths: widths
                .filter(|(choice, _)| choice.options.len() > 1)
                .map(|(choice, &chosen)| (choice.name.clone(), choice.options[chosen]))
                .collect(),
            loss: verdict.loss,
            accuracy: verdict.accuracy,
            score: verdict.score,
            latency_ms: costs.latency_ms,
            utilization: costs.utilization,
            objective: finite(listing.objective_of(judged)),
            violation: (!self.job.settings.targets.is_empty()).then_some(costs.violation),
            seconds: *seconds,
        }
    }
}

/// Progress of the supernet's training. It can be stopped, but is not asked for checkpoints: those lie between epochs.
struct Told<'a>(&'a mut dyn Progress);

impl search::Observer for Told<'_> {
    fn step(&mut self, _at: At, _steps: u32) {
        self.0.step();
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.0.seconds()
    }
}

/// Progress of a candidate's training: it can be stopped, but its steps are not told.
struct Untold<'a>(&'a mut dyn Progress);

impl train::Observer for Untold<'_> {
    fn step(&mut self, _epoch: u32, _step: usize, _steps: usize) {}

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.0.seconds()
    }
}

/// Progress of a list: one step a candidate, or one a second where seconds are its budget.
enum Bar {
    Candidates,
    Seconds { told: u64, of: u64 },
}

impl Bar {
    fn begin(method: Method, listing: &Listing<'_>, spent: f64, progress: &mut dyn Progress) -> Self {
        match method {
            Method::Random { budget: Budget::Seconds(seconds), .. }
            | Method::Synflow { budget: Budget::Seconds(seconds) } => {
                let (told, of) = (whole(spent.min(seconds)), whole(seconds));
                progress.begin("search", of, told);
                Self::Seconds { told, of }
            }
            Method::Random { .. }
            | Method::Synflow { .. }
            | Method::Evolution(_)
            | Method::Nsga2 { .. }
            | Method::Systole
            | Method::Darts { .. }
            | Method::Gdas => {
                let length = listing.length().map_or(0, u64::from);
                progress.begin("search", length, listing.judged().len() as u64);
                Self::Candidates
            }
        }
    }

    fn judged(&mut self, spent: f64, progress: &mut dyn Progress) {
        match self {
            Self::Candidates => progress.step(),
            Self::Seconds { told, of } => {
                let now = whole(spent).min(*of);
                (*told..now).for_each(|_| progress.step());
                *told = now.max(*told);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a budget is at most 1e9 seconds")]
fn whole(seconds: f64) -> u64 {
    seconds.max(0.0) as u64
}
