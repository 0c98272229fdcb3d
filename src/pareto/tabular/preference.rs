//! One search conditioned on the preference of error and latency, and the fan that it ends with.

use super::random::{Shuffled, draws};
use super::reader::{Reader, Stopped};
use super::{Row, Tabular};
use crate::cost::Probabilities;
use crate::search::Settings;
use crate::search::preference::{Judged, LogScale, PreferenceSearch, PreferenceSettings};
use crate::space::{Architecture, Space};

/// Draws for each look-up that is allowed: one of a row that was read before is none.
const DRAWS: usize = 4;
/// Part of the look-ups that is kept for the networks of the fan, one in so many.
const KEPT: usize = 16;
/// First steps, after each of which the scale is found anew, and how often it is later.
const RESCALED: (usize, usize) = (20, 20);
/// Steps between looks at the fan.
const LOOKS: usize = 25;
/// Most restarts of a fan that collapses.
const MOST_RESTARTS: u32 = 3;

/// The networks of a sweep over preferences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fan {
    /// The first preference of each, from 0 (error alone) to 1 (latency alone), and the place of its row.
    pub networks: Vec<(f64, usize)>,
    /// How often it had collapsed and was restarted from what had been read.
    pub restarts: u32,
    /// How it came to be.
    pub looks: Vec<FanLook>,
}

/// The fan at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FanLook {
    /// Look-ups until then.
    pub evaluations: usize,
    /// Networks of the sweep.
    pub networks: usize,
    /// Their hypervolume over that of the whole table, rows that were not read included: who searches cannot know it.
    pub share: f64,
}

/// The search and what it has read.
struct Going<'a> {
    space: &'a Space,
    settings: PreferenceSettings,
    rule: PreferenceSearch,
    judged: Vec<Judged>,
    scale: LogScale,
    fan: Fan,
}

/// Random rows and the fastest one, then draws at the preferences of a shifting grid; at the end the rows of the fan.
///
/// A row that is drawn again is remembered, which is no look-up. A fan that collapses is restarted from what was read.
pub(super) fn search(
    reader: &mut Reader<'_>,
    space: &Space,
    settings: &Settings,
    own: PreferenceSettings,
) -> Result<(), Stopped> {
    let draws = &mut draws(settings.seed);
    let mut others = Shuffled::new(reader.table().rows().len());
    let mut judged = Vec::new();
    let rows = reader.table().rows();
    let fastest = (0..rows.len()).min_by(|&a, &b| rows[a].latency_ms.total_cmp(&rows[b].latency_ms));
    if let Some(place) = fastest {
        judge(reader.read(place)?, space, &mut judged);
    }
    for _ in 0..(own.start as usize).min(reader.left() / 4) {
        let Some(place) = others.fresh(reader, draws) else { break };
        judge(reader.read(place)?, space, &mut judged);
    }
    let rule = PreferenceSearch::new(space, own, draws);
    let scale = scale_of(reader);
    let mut going = Going { space, settings: own, rule, judged, scale, fan: Fan::default() };
    let ended = going.steps(reader, draws);
    // What was drawn until a stop has a fan as well.
    let last = going.finish(reader);
    reader.keep(going.fan);
    ended.and(last)
}

fn judge(row: &Row, space: &Space, judged: &mut Vec<Judged>) {
    let one_hot = Probabilities::one_hot(space, &row.architecture);
    judged.push(Judged { one_hot, objectives: row.objectives() });
}

fn scale_of(reader: &Reader<'_>) -> LogScale {
    LogScale::of(reader.archive().objectives())
}

fn place_of(table: &Tabular, space: &Space, architecture: &Architecture) -> Result<usize, Stopped> {
    let missing = || {
        let arch = space.to_string_of(architecture);
        Stopped::Missing { arch: arch.unwrap_or_else(|| format!("{architecture:?}")) }
    };
    table.place(architecture).ok_or_else(missing)
}

impl Going<'_> {
    /// Steps until all but the kept look-ups are made, or draws enough.
    fn steps(&mut self, reader: &mut Reader<'_>, draws: &mut rand_chacha::ChaCha8Rng) -> Result<(), Stopped> {
        let allowed = reader.left();
        let kept = allowed / KEPT;
        let each = self.settings.preferences as usize;
        let most = (DRAWS * allowed / each).max(1);
        for step in 0..most {
            if reader.left() <= kept {
                break;
            }
            if step < RESCALED.0 || step % RESCALED.1 == 0 {
                self.scale = scale_of(reader);
            }
            let drawn = self.rule.grid().into_iter().map(|z| self.rule.draw(z, draws)).collect::<Vec<_>>();
            let mut known = Vec::with_capacity(drawn.len());
            for one in drawn {
                let place = place_of(reader.table(), self.space, &one.one_hot.argmax())?;
                if reader.is_fresh(place) {
                    judge(reader.read(place)?, self.space, &mut self.judged);
                }
                known.push((one, reader.table().rows()[place].objectives()));
            }
            let made = (allowed - reader.left()) as f64 / allowed as f64;
            let progress = made.max(step as f64 / most as f64);
            self.rule.learn(&known, &self.judged, (&self.scale, progress));
            if (step + 1) % LOOKS == 0 {
                self.look(reader)?;
            }
        }
        Ok(())
    }

    /// Notes the fan, and restarts it where it has collapsed.
    fn look(&mut self, reader: &Reader<'_>) -> Result<(), Stopped> {
        if self.fan.restarts < MOST_RESTARTS && self.rule.has_collapsed(&self.judged, &self.scale) {
            self.rule.restart(&self.judged, &self.scale);
            self.fan.restarts += 1;
        }
        let (table, space) = (reader.table(), self.space);
        let places: Result<Vec<usize>, Stopped> =
            self.rule.fan().iter().map(|(_, network)| place_of(table, space, network)).collect();
        let places = places?;
        let (evaluations, networks) = (reader.evaluations().len(), places.len());
        self.fan.looks.push(FanLook { evaluations, networks, share: table.share(&places) });
        Ok(())
    }

    /// Reads the networks of the fan; of those that cannot be read any more only the others are kept.
    fn finish(&mut self, reader: &mut Reader<'_>) -> Result<(), Stopped> {
        if self.fan.restarts < MOST_RESTARTS && self.rule.has_collapsed(&self.judged, &self.scale) {
            self.rule.restart(&self.judged, &self.scale);
            self.fan.restarts += 1;
        }
        let mut ended = Ok(());
        for (z, network) in self.rule.fan() {
            let place = place_of(reader.table(), self.space, &network)?;
            if reader.is_fresh(place) {
                if ended.is_ok() {
                    ended = reader.read(place).map(|_| ());
                }
                if ended.is_err() {
                    continue;
                }
            }
            self.fan.networks.push((z, place));
        }
        let places: Vec<usize> = self.fan.networks.iter().map(|(_, place)| *place).collect();
        let evaluations = reader.evaluations().len();
        let share = reader.table().share(&places);
        self.fan.looks.push(FanLook { evaluations, networks: places.len(), share });
        ended
    }
}
