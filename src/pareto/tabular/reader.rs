//! Who reads the table, and counts.

use super::archive::Archive;
use super::{Fan, Row, Tabular};
use crate::space::Architecture;

/// Why a search read no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// There is nothing left to read.
    #[error("there is nothing left to read")]
    Done,
    /// All evaluations were made.
    #[error("all evaluations were made")]
    Limit,
    /// It was asked to stop.
    #[error("it was asked to stop")]
    Interrupted,
    /// A row is not there.
    #[error("the table has no row `{arch}`")]
    Missing {
        /// Its string.
        arch: String,
    },
    /// The search itself failed.
    #[error("{reason}")]
    Failed {
        /// Why.
        reason: String,
    },
}

/// One look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Place of the row in the table.
    pub place: usize,
    /// Different rows that were read until then, this one included.
    pub rows_read: usize,
    /// Hypervolume of what was read until then, over that of the whole table.
    pub share: f64,
}

/// Who is told of each evaluation.
pub trait Watch {
    /// Whether the search is to stop before the next evaluation.
    fn interrupted(&self) -> bool;

    /// One more evaluation was made.
    fn evaluated(&mut self);
}

/// Reads at most so many rows.
pub struct Reader<'a> {
    table: &'a Tabular,
    limit: usize,
    watch: &'a mut dyn Watch,
    evaluations: Vec<Evaluation>,
    read: Vec<bool>,
    archive: Archive,
    fan: Option<Fan>,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("limit", &self.limit).field("evaluations", &self.evaluations).finish()
    }
}

impl<'a> Reader<'a> {
    /// A reader of `table` that makes `limit` evaluations at most.
    pub fn new(table: &'a Tabular, limit: u32, watch: &'a mut dyn Watch) -> Self {
        let read = vec![false; table.rows().len()];
        Self {
            table,
            limit: limit as usize,
            watch,
            evaluations: Vec::new(),
            read,
            archive: Archive::default(),
            fan: None,
        }
    }

    /// What was read, in order.
    #[must_use]
    pub fn evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    /// The networks of a sweep over preferences, where the search has one.
    #[must_use]
    pub fn fan(&self) -> Option<&Fan> {
        self.fan.as_ref()
    }

    pub(super) fn keep(&mut self, fan: Fan) {
        self.fan = Some(fan);
    }

    /// The table.
    pub(super) fn table(&self) -> &'a Tabular {
        self.table
    }

    /// The rows that no other row that was read dominates.
    pub(super) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Evaluations that are left.
    pub(super) fn left(&self) -> usize {
        self.limit - self.evaluations.len()
    }

    /// Different rows that were read.
    #[must_use]
    pub fn rows_read(&self) -> usize {
        self.evaluations.last().map_or(0, |last| last.rows_read)
    }

    /// Whether every row was read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.rows_read() == self.read.len()
    }

    /// The row at `place`, unless it was read before.
    pub(super) fn is_fresh(&self, place: usize) -> bool {
        !self.read[place]
    }

    /// The place of the row of `architecture`, where there is one that was not read.
    pub(super) fn fresh(&self, architecture: &Architecture) -> Option<usize> {
        self.table.place(architecture).filter(|&place| self.is_fresh(place))
    }

    /// Reads the row at `place`.
    pub(super) fn read(&mut self, place: usize) -> Result<&'a Row, Stopped> {
        if self.evaluations.len() >= self.limit {
            return Err(Stopped::Limit);
        }
        if self.watch.interrupted() {
            return Err(Stopped::Interrupted);
        }
        let row = &self.table.rows()[place];
        let fresh = !std::mem::replace(&mut self.read[place], true);
        if fresh {
            self.archive.add(place, row.objectives());
        }
        let rows_read = self.rows_read() + usize::from(fresh);
        let share = match self.evaluations.last() {
            Some(last) if !fresh => last.share,
            Some(_) | None => self.archive.hypervolume(self.table.exact().reference) / self.table.exact().hypervolume,
        };
        self.evaluations.push(Evaluation { place, rows_read, share });
        self.watch.evaluated();
        Ok(row)
    }
}
