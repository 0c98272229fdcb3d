//! Moments of a write at which a debug build can be told to die, to see that what it leaves is whole. Other builds know
//! nothing of it.

/// A moment of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A new file is there, and empty.
    Begun,
    /// Half of it is written.
    Torn,
    /// All of it is written, under a name of its own still.
    Written,
    /// It has its name.
    Renamed,
    /// Half a line of the history is written.
    LineTorn,
    /// A line of the history is written.
    Line,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Begun, Self::Torn, Self::Written, Self::Renamed, Self::LineTorn, Self::Line];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Torn => "torn",
            Self::Written => "written",
            Self::Renamed => "renamed",
            Self::LineTorn => "line-torn",
            Self::Line => "line",
        }
    }
}

/// Dies at `moment` if that is the one.
pub(super) fn pass(moment: Moment) {
    if reached(moment) {
        die();
    }
}

/// Whether `moment` is the one to die at, now that it is passed once more.
#[cfg(debug_assertions)]
pub(super) fn reached(moment: Moment) -> bool {
    armed::reached(moment)
}

/// Never: only a debug build can be told to die.
#[cfg(not(debug_assertions))]
pub(super) fn reached(_: Moment) -> bool {
    false
}

/// Ends the process as a kill would: nothing is flushed, nothing is dropped.
pub(super) fn die() -> ! {
    std::process::abort()
}

#[cfg(debug_assertions)]
pub use armed::arm;

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Moment;

    /// Which moment, or any, and the how manieth, from 1.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct At {
        pub(super) moment: Option<Moment>,
        pub(super) number: u64,
    }

    static ARMED: OnceLock<At> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// Lets this process die at `text`: `NUMBER`, the so manieth moment of any kind from 1, or `MOMENT:NUMBER`.
    ///
    /// # Errors
    /// Where `text` is neither.
    pub fn arm(text: &str) -> Result<(), String> {
        let at = read(text).ok_or_else(|| {
            let names = Moment::ALL.map(Moment::name).join(", ");
            format!("`{text}` must be NUMBER or MOMENT:NUMBER with NUMBER from 1 and MOMENT one of {names}")
        })?;
        ARMED.get_or_init(|| at);
        Ok(())
    }

    pub(super) fn read(text: &str) -> Option<At> {
        let (moment, number) = match text.split_once(':') {
            Some((name, number)) => (Some(Moment::ALL.into_iter().find(|moment| moment.name() == name)?), number),
            None => (None, text),
        };
        let number = number.parse().ok().filter(|&number| number > 0)?;
        Some(At { moment, number })
    }

    pub(super) fn reached(moment: Moment) -> bool {
        let Some(at) = ARMED.get() else { return false };
        let counts = at.moment.is_none_or(|wanted| wanted == moment);
        counts && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == at.number
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_one_and_named() {
        let at = |text: &str| armed::read(text).map(|at| (at.moment, at.number));
        assert_eq!(at("7"), Some((None, 7)));
        for moment in Moment::ALL {
            assert_eq!(at(&format!("{}:2", moment.name())), Some((Some(moment), 2)));
        }
        for bad in ["", "0", "-1", "torn", "torn:", "torn:0", "tear:1", ":1"] {
            assert_eq!(at(bad), None, "{bad}");
        }
        let message = arm("tear:1").unwrap_err();
        assert!(message.starts_with("`tear:1` must be NUMBER or MOMENT:NUMBER") && message.contains("line-torn"));
    }
}
