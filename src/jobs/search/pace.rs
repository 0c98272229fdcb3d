//! When a checkpoint is due: by the clock, and seldom enough to cost next to nothing.

/// Seconds between two checkpoints, where they are cheap enough.
const INTERVAL: f64 = 5.0;
/// Most that checkpoints may take of the time of a run, a fraction.
pub(super) const MOST_SHARE: f64 = 0.02;

/// Times of the checkpoints of a run, s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Between two of them, whatever they cost; nothing for [`INTERVAL`] or more.
    asked: Option<f64>,
    /// On the run's clock, when the last one was done.
    last: f64,
    /// What the last one took.
    cost: f64,
    /// What all of them took, over all sittings.
    spent: f64,
    /// Time of the run until the last one, over all sittings.
    worked: f64,
}

impl Pace {
    /// From `now` on, after `spent` of `worked` seconds went into checkpoints in sittings before.
    pub(super) fn new(asked: Option<f64>, now: f64, spent: f64, worked: f64) -> Self {
        Self { asked, last: now, cost: 0.0, spent, worked }
    }

    /// Whether one is due: after the time that was asked for, otherwise after 5 s at least and where this one, if it takes
    /// as long as the last, leaves all of them below a fiftieth of the time.
    pub(super) fn is_due(&self, now: f64) -> bool {
        let since = now - self.last;
        match self.asked {
            Some(asked) => since >= asked,
            None => since >= INTERVAL && self.spent + self.cost <= MOST_SHARE * (self.worked + since),
        }
    }

    /// One was made from `began` to `ended`.
    pub(super) fn made(&mut self, began: f64, ended: f64) {
        self.worked += ended - self.last;
        self.cost = ended - began;
        self.spent += self.cost;
        self.last = ended;
    }

    /// Time in checkpoints, over all sittings.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs for `seconds` in steps of 0.1 s with checkpoints of `cost(number)` seconds; the moments when they began.
    fn run(pace: &mut Pace, seconds: f64, cost: impl Fn(usize) -> f64) -> Vec<f64> {
        let (mut now, mut began) = (0.0, Vec::new());
        while now < seconds {
            now += 0.1;
            if pace.is_due(now) {
                began.push(now);
                let ended = now + cost(began.len() - 1);
                pace.made(now, ended);
                now = ended;
            }
        }
        began
    }

    #[test]
    fn cheap_ones_come_every_five_seconds() {
        let mut pace = Pace::new(None, 0.0, 0.0, 0.0);
        let began = run(&mut pace, 60.0, |_| 0.01);
        // One every 5 s and the step that passes them, 5.1 s at most.
        assert!((11..=12).contains(&began.len()), "{began:?}");
        assert!((pace.spent() - 0.01 * began.len() as f64).abs() < 1e-9);
    }

    #[test]
    fn dear_ones_are_stretched_until_all_of_them_are_a_fiftieth() {
        let mut pace = Pace::new(None, 0.0, 0.0, 0.0);
        let began = run(&mut pace, 1000.0, |_| 1.0);
        // The first, whose cost nobody knows, after 5 s; then the n-th where n * 1 s is a fiftieth: at 50 n.
        assert!((began[0] - 5.0).abs() < 0.2 && (began[1] - 100.0).abs() < 0.2 && (began[2] - 150.0).abs() < 0.2);
        assert!(pace.spent() <= MOST_SHARE * 1000.0);
    }

    #[test]
    fn one_that_took_long_is_made_up_for() {
        let mut pace = Pace::new(None, 0.0, 0.0, 0.0);
        let began = run(&mut pace, 500.0, |number| if number == 3 { 4.0 } else { 0.01 });
        // 4.03 s are spent and as many as 4 s may be next: a fiftieth of 401.5 s.
        assert!((began[4] - 401.5).abs() < 0.2, "{began:?}");
        assert!(pace.spent() <= MOST_SHARE * 500.0);
    }

    #[test]
    fn sittings_before_count() {
        // 1 s of 40 s was spent: the next is due where 1 s is a fiftieth, 10 s later.
        let mut pace = Pace::new(None, 100.0, 1.0, 40.0);
        assert!(!pace.is_due(109.0) && pace.is_due(110.0));
        pace.made(110.0, 110.1);
        assert!((pace.spent() - 1.1).abs() < 1e-9);
    }

    #[test]
    fn what_is_asked_for_is_done() {
        assert_eq!(run(&mut Pace::new(Some(0.0), 0.0, 0.0, 0.0), 1.0, |_| 0.4).len(), 2);
        assert!(!Pace::new(Some(60.0), 0.0, 0.0, 0.0).is_due(59.0));
    }
}
