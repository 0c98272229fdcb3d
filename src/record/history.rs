//! `history.jsonl`: what each epoch measured, one JSON object a line.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::{self, Moment};
use super::{AllocationEpoch, RecordError, Rollback, Skips, TargetEpoch, nullable, write};

/// One line of the history.
///
/// What is not measured or not finite is written as `null` and read back as `None` or not a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum HistoryRecord {
    /// An epoch of the search.
    Epoch(SearchEpoch),
    /// An architecture that a search over a list has judged.
    Candidate(JudgedCandidate),
    /// An epoch of training a fixed network.
    Train(TrainEpoch),
    /// The run went back to its last checkpoint.
    Rollback(Rollback),
    /// The end of a sitting; a run that goes on takes it away.
    End(Ended),
}

/// The stages of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchStage {
    /// Operators are chosen.
    Operators,
    /// Widths are chosen.
    Widths,
    /// Weights learn on paths drawn uniformly, before architectures are judged by them.
    Supernet,
}

impl SearchStage {
    /// Its name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operators => "operators",
            Self::Widths => "widths",
            Self::Supernet => "supernet",
        }
    }
}

/// An epoch of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchEpoch {
    /// What is being chosen.
    pub stage: SearchStage,
    /// Epoch within the stage, from 1.
    pub epoch: u32,
    /// Epochs that the stage may take.
    pub of: u32,
    /// Temperature of the choices.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub temperature: f64,
    /// Mean loss on the images that train weights, nats.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub train_loss: f64,
    /// Accuracy on them, a fraction.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub train_accuracy: f64,
    /// Mean loss on the images that train choices, nats.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub validation_loss: f64,
    /// Accuracy on them, a fraction.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub validation_accuracy: f64,
    /// Expected latency over the choices, ms, at the job's hardware batch.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub latency_ms: f64,
    /// Expected utilization over the choices, a fraction.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub utilization: f64,
    /// What the search minimises.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub objective: f64,
    /// Time that the epoch took, s.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub seconds: f64,
    /// Mean normalised entropy of the choices that the stage searches, 0 (decided) to 1 (open).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f64>,
    /// Free operators of the likeliest architecture, in the stage that searches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skips: Option<Skips>,
    /// In the last epoch of a stage: accuracy on the images that train choices under the mixed weights, a fraction;
    /// `validation_accuracy` is that of the likeliest architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_accuracy: Option<f64>,
    /// For each place of choice, by name: the probability of each candidate, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable::by_name")]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, Option<f64>>>")]
    pub operators: BTreeMap<String, BTreeMap<String, f64>>,
    /// For each width, by name: what stands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub widths: BTreeMap<String, WidthChoice>,
    /// For each hard target of the job, where the epoch ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetEpoch>,
    /// How widths are allocated, where that is dynamic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<AllocationEpoch>,
}

/// How a width stands, channels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WidthChoice {
    /// The mean over its probabilities.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub expected: f64,
    /// The one with the greatest probability.
    pub most_likely: u64,
}

/// An architecture that a search over a list has judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgedCandidate {
    /// Number, from 1.
    pub number: u32,
    /// How many there will be, where that is known.
    pub of: Option<u32>,
    /// Number of the architecture that it was made of.
    pub parent: Option<u32>,
    /// For each searched operator, by name: its candidate.
    pub operators: BTreeMap<String, String>,
    /// For each searched width, by name: its channels.
    pub widths: BTreeMap<String, u64>,
    /// Loss on the selection split, nats.
    pub loss: Option<f64>,
    /// Accuracy on the selection split, a fraction.
    pub accuracy: Option<f64>,
    /// Logarithm of the synaptic flow.
    pub score: Option<f64>,
    /// Exact latency, ms, at the job's hardware batch.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub latency_ms: f64,
    /// Exact utilization, a fraction.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub utilization: f64,
    /// What the search minimises; nothing where only the whole list tells.
    pub objective: Option<f64>,
    /// Sum over the hard targets of how far each is missed, relative to its bound, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<f64>,
    /// Time that it took, s.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub seconds: f64,
}

/// An epoch of training a fixed network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainEpoch {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Epochs in all.
    pub of: u32,
    /// Learning rate at the epoch's end.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub learning_rate: f64,
    /// Mean training loss, nats.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub loss: f64,
    /// Training accuracy, a fraction.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub accuracy: f64,
    /// Accuracy on images held out, a fraction, where there are any.
    pub validation_accuracy: Option<f64>,
    /// Time that the epoch took, s.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub seconds: f64,
}

/// The end of a sitting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// Why it ended, as in the summary.
    pub stop_reason: String,
}

/// The stages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Operators are chosen.
    Operators,
    /// Widths are chosen.
    Widths,
    /// The supernet of a search over a list is trained.
    Supernet,
    /// Architectures are judged one after the other; the number of one is its epoch.
    Candidates,
    /// The network found is trained.
    Train,
}

impl Stage {
    /// Its name in sentences.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Operators => "stage `operators`",
            Self::Widths => "stage `widths`",
            Self::Supernet => "the training of the supernet",
            Self::Candidates => "the candidates",
            Self::Train => "the training",
        }
    }
}

impl From<SearchStage> for Stage {
    fn from(stage: SearchStage) -> Self {
        match stage {
            SearchStage::Operators => Self::Operators,
            SearchStage::Widths => Self::Widths,
            SearchStage::Supernet => Self::Supernet,
        }
    }
}

/// An epoch of a run, ordered as the run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The stage.
    pub stage: Stage,
    /// The epoch within it, from 1.
    pub epoch: u32,
}

impl HistoryRecord {
    /// Which epoch this is, or comes after this; nothing for the end.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Epoch(epoch) => Some(Position { stage: epoch.stage.into(), epoch: epoch.epoch }),
            Self::Candidate(judged) => Some(Position { stage: Stage::Candidates, epoch: judged.number }),
            Self::Train(epoch) => Some(Position { stage: Stage::Train, epoch: epoch.epoch }),
            Self::Rollback(rollback) => Some(rollback.back_to.position()),
            Self::End(_) => None,
        }
    }

    /// Whether a run whose next epoch is `next` keeps this line. A rollback stands before the epoch that it goes back to.
    fn is_before(&self, next: Position) -> bool {
        match self {
            Self::Rollback(rollback) => rollback.back_to.position() <= next,
            Self::Epoch(_) | Self::Candidate(_) | Self::Train(_) | Self::End(_) => {
                self.position().is_some_and(|position| position < next)
            }
        }
    }
}

/// Appends to a history, a whole line at a time.
#[derive(Debug)]
pub struct HistoryWriter {
    path: PathBuf,
    file: File,
}

impl HistoryWriter {
    /// Starts an empty history at `path`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        write(path, b"")?;
        Self::append_to(path)
    }

    /// Goes on with the history at `path`: keeps what comes before the epoch `next`, the first to run again.
    ///
    /// Ends go, too, and a last line that was torn off. A file that is not there is started.
    ///
    /// # Errors
    /// [`RecordError`] where it cannot be read or written, or a line is no record.
    pub fn resume(path: &Path, next: Position) -> Result<Self, RecordError> {
        if !path.exists() {
            return Self::create(path);
        }
        let text = text(path)?;
        let mut kept = String::new();
        for (number, line) in lines(&text) {
            if parse(path, number, line)?.is_before(next) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        write(path, kept.as_bytes())?;
        Self::append_to(path)
    }

    /// Takes away what comes after the beginning of the epoch `next`, and goes on from there.
    ///
    /// # Errors
    /// As of [`HistoryWriter::resume`].
    pub fn go_back(&mut self, next: Position) -> Result<(), RecordError> {
        *self = Self::resume(&self.path, next)?;
        Ok(())
    }

    /// Writes one record as a line, which is on the disk when this comes back.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    ///
    /// # Panics
    /// Never: records have string keys, so they always serialize.
    pub fn append(&mut self, record: &HistoryRecord) -> Result<(), RecordError> {
        let mut line = serde_json::to_string(record).expect("plain records always serialize");
        line.push('\n');
        if fault::reached(Moment::LineTorn) {
            let _ = self.file.write_all(&line.as_bytes()[..line.len() / 2]);
            fault::die();
        }
        // One call, no buffer: a process that is killed leaves whole lines, or one torn line at the end.
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| RecordError::write(&self.path, source))?;
        fault::pass(Moment::Line);
        Ok(())
    }

    fn append_to(path: &Path) -> Result<Self, RecordError> {
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self { path: path.to_owned(), file: file.map_err(|source| RecordError::write(path, source))? })
    }
}

/// Reads the history at `path`; a last line without its newline was torn off and is left out.
///
/// # Errors
/// [`RecordError::Read`] where it cannot be read, [`RecordError::Json`] with the line where one is no record.
pub fn read_history(path: &Path) -> Result<Vec<HistoryRecord>, RecordError> {
    let text = text(path)?;
    lines(&text).map(|(number, line)| parse(path, number, line)).collect()
}

/// The text, without regard to a torn character at its end.
fn text(path: &Path) -> Result<String, RecordError> {
    let bytes = std::fs::read(path).map_err(|source| RecordError::read(path, source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whole lines that are not blank, with how many lines come before each.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty())
}

fn parse(path: &Path, lines_before: usize, line: &str) -> Result<HistoryRecord, RecordError> {
    serde_json::from_str(line).map_err(|error| RecordError::json(path, &error, lines_before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(stage: SearchStage, epoch: u32) -> HistoryRecord {
        HistoryRecord::Epoch(SearchEpoch {
            stage,
            epoch,
            of: 3,
            temperature: 1.0,
            train_loss: 2.0,
            train_accuracy: 0.5,
            validation_loss: 2.5,
            validation_accuracy: 0.25,
            latency_ms: 0.125,
            utilization: 0.75,
            objective: 3.0,
            seconds: 1.0,
            entropy: Some(0.5),
            skips: Some(Skips::new(1, 0, &[0.5, 0.25])),
            mixed_accuracy: None,
            operators: BTreeMap::from([("cell0/op".to_owned(), BTreeMap::from([("skip".to_owned(), 1.0)]))]),
            widths: BTreeMap::from([("cell0".to_owned(), WidthChoice { expected: 60.5, most_likely: 64 })]),
            targets: Vec::new(),
            allocation: None,
        })
    }

    fn train(epoch: u32, loss: f64) -> HistoryRecord {
        let rest = TrainEpoch {
            epoch,
            of: 9,
            learning_rate: 0.1,
            loss,
            accuracy: 0.5,
            validation_accuracy: None,
            seconds: 1.0,
        };
        HistoryRecord::Train(rest)
    }

    fn end() -> HistoryRecord {
        HistoryRecord::End(Ended { stop_reason: "interrupted".to_owned() })
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let records = [search(SearchStage::Operators, 1), search(SearchStage::Widths, 1), train(1, 0.5), end()];
        let mut writer = HistoryWriter::create(&path).unwrap();
        records.iter().for_each(|record| writer.append(record).unwrap());
        assert_eq!(read_history(&path).unwrap(), records);
    }

    #[test]
    fn a_loss_that_is_not_finite_does_not_break_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let mut writer = HistoryWriter::create(&path).unwrap();
        let HistoryRecord::Epoch(mut epoch) = search(SearchStage::Widths, 1) else { unreachable!("it is an epoch") };
        epoch.operators.get_mut("cell0/op").unwrap().insert("conv".to_owned(), f64::NAN);
        writer.append(&HistoryRecord::Epoch(epoch)).unwrap();
        writer.append(&train(1, f64::INFINITY)).unwrap();
        let back = read_history(&path).unwrap();
        let [HistoryRecord::Epoch(first), HistoryRecord::Train(second)] = &back[..] else { panic!("{back:?}") };
        assert!(first.operators["cell0/op"]["conv"].is_nan() && second.loss.is_nan());
    }

    #[test]
    fn going_on_keeps_what_comes_before_the_next_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let mut writer = HistoryWriter::create(&path).unwrap();
        let (first, second) = (search(SearchStage::Operators, 2), search(SearchStage::Widths, 1));
        for record in [&first, &second, &search(SearchStage::Widths, 2), &end()] {
            writer.append(record).unwrap();
        }
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"record\":\"tr").unwrap();
        let mut writer = HistoryWriter::resume(&path, Position { stage: Stage::Widths, epoch: 2 }).unwrap();
        writer.append(&train(1, 0.5)).unwrap();
        assert_eq!(read_history(&path).unwrap(), [first, second, train(1, 0.5)]);
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "{\"record\":\"end\",\"stop_reason\":\"x\"}\n{\"record\":\"start\"}\n").unwrap();
        let message = read_history(&path).unwrap_err().to_string();
        assert!(message.contains("history.jsonl:2:") && message.contains("unknown variant `start`"), "{message}");
    }
}
