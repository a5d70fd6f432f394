//! What a figure is held to, and whether it was reached.

use std::fmt;

/// The point that asks for the table.
const TABLE: &str = "3.1";

/// A figure with its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Issue and point that ask for it.
    point: &'static str,
    what: String,
    /// As it is shown, unit included.
    figure: String,
    value: f64,
    at_most: f64,
    unit: &'static str,
}

impl Goal {
    /// `value` is to be no more than `at_most`; `figure` shows the value, with its spread if it has one.
    pub fn new(
        what: impl Into<String>,
        figure: impl fmt::Display,
        value: f64,
        at_most: f64,
        unit: &'static str,
    ) -> Goal {
        Goal { point: TABLE, what: what.into(), figure: figure.to_string(), value, at_most, unit }
    }

    /// The same figure for a point of another issue.
    pub fn shown_for(mut self, point: &'static str) -> Goal {
        self.point = point;
        self
    }

    /// Whether this is a row of the table, and not a repetition of one for an earlier issue.
    pub fn is_of_table(&self) -> bool {
        self.point == TABLE
    }

    pub fn is_reached(&self) -> bool {
        self.value <= self.at_most
    }

    /// The line that `prove` collects.
    pub fn proof(&self) -> String {
        format!("PROOF {} | {} | {}", self.point, self.what, self.outcome())
    }

    fn outcome(&self) -> String {
        let Goal { figure, at_most, unit, .. } = self;
        let verdict = if self.is_reached() { "reached" } else { "missed" };
        format!("{figure}; goal ≤ {at_most}{unit}: {verdict}")
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "- {}: {}", self.what, self.outcome())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_says_whether_it_was_reached() {
        let goal = |value| Goal::new("chain over bare", format!("{value:.1} µs"), value, 4.0, " µs");
        assert_eq!(goal(3.96).to_string(), "- chain over bare: 4.0 µs; goal ≤ 4 µs: reached");
        assert_eq!(goal(4.1).shown_for("2.4").proof(), "PROOF 2.4 | chain over bare | 4.1 µs; goal ≤ 4 µs: missed");
    }
}
