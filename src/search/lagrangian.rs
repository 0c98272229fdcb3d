//! Hard targets in the loss: the augmented Lagrangian, and how its multipliers grow.
//!
//! A target is violated by `g = E[cost] / target - 1` (a lower bound by `1 - E[cost] / target`), and adds
//!
//! ```text
//! psi(g) = (max(0, mu + rho g)^2 - mu^2) / (2 rho),    d psi / d g = max(0, mu + rho g)
//! ```
//!
//! to the loss (Powell 1969, Hestenes 1969, Rockafellar 1973 for inequalities): nothing presses where there is room
//! beyond `mu / rho`. After each architecture step the multiplier follows as in the method of multipliers, spread over the `n`
//! architecture steps of an epoch (Platt and Barr 1988): `mu <- min(limit, max(0, mu + rho g / n))`. After an epoch whose
//! violation is above that of the epoch before times [`ENOUGH`], `rho <- min(limit, rho * growth)` (Bertsekas 1982).

use serde::{Deserialize, Serialize};

/// Share of the violation that may stay after an epoch before the penalty grows (Bertsekas 1982: 1/4).
pub const ENOUGH: f64 = 0.25;

/// How hard targets press.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    /// Penalty factor `rho` in the first epoch of a stage, nats.
    pub start: f64,
    /// Factor on it after an epoch that left too much of a violation, at least 1.
    pub growth: f64,
    /// Most that `rho` or a multiplier may be, nats.
    pub limit: f64,
}

/// What one target's term remembers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Multiplier {
    /// `mu`: what a relative violation costs, nats, at least 0.
    pub value: f64,
    /// `rho`, nats.
    pub penalty: f64,
    /// Violation at the end of the last epoch of the stage, at least 0; nothing before.
    pub violation: Option<f64>,
}

impl Multiplier {
    /// Before the first epoch of a stage.
    #[must_use]
    pub fn new(penalty: &Penalty) -> Self {
        Self { value: 0.0, penalty: penalty.start, violation: None }
    }

    /// `d psi / d g`.
    #[must_use]
    pub fn pressure(&self, violation: f64) -> f64 {
        (self.value + self.penalty * violation).max(0.0)
    }

    /// `psi(g)`.
    #[must_use]
    pub fn term(&self, violation: f64) -> f64 {
        (self.pressure(violation).powi(2) - self.value.powi(2)) / (2.0 * self.penalty)
    }

    /// After an architecture step at `violation`, one of `steps` in an epoch.
    pub fn follow(&mut self, violation: f64, steps: u32, penalty: &Penalty) {
        let moved = self.value + self.penalty * violation / f64::from(steps.max(1));
        self.value = moved.clamp(0.0, penalty.limit);
    }

    /// After an epoch that ends at `violation`.
    pub fn end_epoch(&mut self, violation: f64, penalty: &Penalty) {
        let left = violation.max(0.0);
        if self.violation.is_some_and(|before| left > ENOUGH * before) && left > 0.0 {
            self.penalty = (self.penalty * penalty.growth).min(penalty.limit);
        }
        self.violation = Some(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PENALTY: Penalty = Penalty { start: 2.0, growth: 3.0, limit: 10.0 };

    #[test]
    fn the_term_and_its_pressure_are_worked_by_hand() {
        let multiplier = Multiplier { value: 1.0, penalty: 2.0, violation: None };
        // max(0, 1 + 2 * 0.5) = 2; (2^2 - 1^2) / (2 * 2)
        assert_eq!((multiplier.pressure(0.5), multiplier.term(0.5)), (2.0, 0.75));
        // Room of 1/2 is as much as mu / rho: nothing presses there and beyond, and the term is -1 / 4.
        assert_eq!((multiplier.pressure(-0.5), multiplier.term(-0.5)), (0.0, -0.25));
        assert_eq!((multiplier.pressure(-3.0), multiplier.term(-3.0)), (0.0, -0.25));
    }

    #[test]
    fn the_pressure_is_the_slope_of_the_term() {
        let multiplier = Multiplier { value: 0.7, penalty: 3.0, violation: None };
        for violation in [-2.0, -0.24, -0.2, 0.0, 0.3, 4.0] {
            let difference = (multiplier.term(violation + 1e-5) - multiplier.term(violation - 1e-5)) / 2e-5;
            assert!((multiplier.pressure(violation) - difference).abs() < 1e-8, "{violation}");
        }
    }

    #[test]
    fn the_multiplier_follows_the_violation_and_stays_between_nought_and_its_limit() {
        let mut multiplier = Multiplier::new(&PENALTY);
        multiplier.follow(0.5, 4, &PENALTY);
        // 0 + 2 * 0.5 / 4
        assert_eq!(multiplier.value, 0.25);
        multiplier.follow(-9.0, 4, &PENALTY);
        assert_eq!(multiplier.value, 0.0);
        multiplier.follow(1e6, 4, &PENALTY);
        assert_eq!(multiplier.value, 10.0);
    }

    #[test]
    fn the_penalty_grows_where_an_epoch_left_too_much_of_the_violation() {
        let mut multiplier = Multiplier::new(&PENALTY);
        let mut after = |violation: f64| {
            multiplier.end_epoch(violation, &PENALTY);
            multiplier.penalty
        };
        // The first has nothing before it; 0.1 is a quarter of 0.4, and 0.05 is more than a quarter of 0.1.
        assert_eq!([after(0.4), after(0.1), after(0.05), after(-1.0), after(0.3)], [2.0, 2.0, 6.0, 6.0, 10.0]);
        // Kept before and kept after: nothing grows.
        multiplier = Multiplier::new(&PENALTY);
        multiplier.end_epoch(0.0, &PENALTY);
        multiplier.end_epoch(-0.5, &PENALTY);
        assert_eq!(multiplier.penalty, 2.0);
    }
}
