//! What one width costs by its option, and which options may be the best.

/// The exact cost of one width by option, all else at its distribution, beside the value of channels.
///
/// With `C(c)` the objective's hardware part and `a` the slope of the task's loss, `d loss / d ln c = -a`, an option is
/// worth `F(c; a) = C(c) - a ln c`.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// Channels of every option, increasing.
    pub channels: &'a [u64],
    /// `C` of every option.
    pub cost: &'a [f64],
}

impl Curve<'_> {
    #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
    fn logarithm(&self, option: usize) -> f64 {
        (self.channels[option] as f64).ln()
    }

    /// `ln (to / from)`.
    #[must_use]
    pub fn logarithms_apart(&self, from: usize, to: usize) -> f64 {
        self.logarithm(to) - self.logarithm(from)
    }

    /// `F(c; a)`.
    #[must_use]
    pub fn worth(&self, option: usize, slope: f64) -> f64 {
        self.cost[option] - slope * self.logarithm(option)
    }

    /// The slope at which two options are worth the same, `a* = (C(c') - C(c)) / ln(c' / c)`: the wider is better iff the
    /// slope is greater.
    #[must_use]
    pub fn break_even(&self, from: usize, to: usize) -> f64 {
        (self.cost[to] - self.cost[from]) / self.logarithms_apart(from, to)
    }

    /// The widest option that `current` may go to: up to `max(2 c, (floor(c / tile) + 1) tile)` channels, but always the
    /// next one. The limit clips; an option beyond it leaves those within to be chosen from.
    #[must_use]
    pub fn limit(&self, current: usize, tile: u64) -> usize {
        let channels = self.channels[current];
        let most = (2 * channels).max((channels / tile + 1) * tile);
        let within = self.channels.partition_point(|&channels| channels <= most) - 1;
        within.max((current + 1).min(self.channels.len() - 1))
    }

    /// The best option up to `limit` at `slope`, the first of equals.
    #[must_use]
    pub fn best(&self, slope: f64, limit: usize) -> usize {
        (0..=limit)
            .fold(0, |best, option| if self.worth(option, slope) < self.worth(best, slope) { option } else { best })
    }

    /// Whether a wider option up to `limit` costs no more.
    #[must_use]
    pub fn is_dominated(&self, option: usize, limit: usize) -> bool {
        (option + 1..=limit).any(|wider| self.cost[wider] <= self.cost[option])
    }

    /// `option`, or the next wider one up to `limit` that no wider one dominates.
    #[must_use]
    pub fn undominated(&self, option: usize, limit: usize) -> usize {
        (option..=limit.max(option)).find(|&option| !self.is_dominated(option, limit)).unwrap_or(option)
    }

    /// Every option up to `limit` that is the best at some slope from `least` to `most`: vertices of the convex hull of
    /// `C` over `ln c`, found from break-even to break-even. None is dominated, where `least` is above nought.
    #[must_use]
    pub fn plausible(&self, [least, most]: [f64; 2], limit: usize) -> Vec<usize> {
        let mut found = vec![self.best(least, limit)];
        let mut slope = least;
        while let Some(&last) = found.last() {
            let steps = (last + 1..=limit).map(|wider| (self.break_even(last, wider), wider));
            // Of equals the widest: those between are on the same side of the hull.
            let next = steps.fold(None, |next: Option<(f64, usize)>, step| match next {
                Some(next) if next.0 < step.0 => Some(next),
                Some(_) | None => Some(step),
            });
            match next {
                Some((at, wider)) if at.max(slope) <= most => {
                    slope = slope.max(at);
                    found.push(wider);
                }
                Some(_) | None => break,
            }
        }
        found
    }

    /// The best option below `current` that is not dominated by one up to `limit`.
    #[must_use]
    pub fn best_below(&self, current: usize, slope: f64, limit: usize) -> Option<usize> {
        let below = (0..current).filter(|&option| !self.is_dominated(option, limit));
        below.reduce(|best, option| if self.worth(option, slope) < self.worth(best, slope) { option } else { best })
    }
}
