//! The table: ratios first, absolute figures beside them only for orientation. Pure text.
//! Called by the bench and by its pages.

use std::fmt::Write as _;

use super::profile::Profile;

/// What is hoped for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    /// A figure as it is shown, with the goal and whether it is met.
    fn judge(self, value: f64, shown: &str) -> String {
        let outcome = if self.is_met(value) { "met" } else { "missed" };
        format!("**{shown}** (goal {}: {outcome})", self.words())
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What was measured.
    pub(super) what: String,
    /// Of the absolute figures.
    pub(super) unit: &'static str,
    /// Median of the backend.
    pub(super) ours: f64,
    /// Median of the floor.
    pub(super) floor: Option<f64>,
    /// Median of the peer.
    pub(super) peer: Option<f64>,
    /// Median of the rounds' ratios.
    pub(super) to_floor: Option<f64>,
    /// Median of the rounds' ratios.
    pub(super) to_peer: Option<f64>,
    /// Hoped for against the floor.
    pub(super) floor_goal: Option<Goal>,
    /// Hoped for against the peer.
    pub(super) peer_goal: Option<Goal>,
    /// Hoped for by itself.
    pub(super) own_goal: Option<Goal>,
}

/// What was measured for one page.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// The table.
    pub(super) lines: Vec<Line>,
    /// Sentences below it.
    pub(super) notes: Vec<String>,
    /// Where the backend's time goes, if that was asked for.
    pub(super) profile: Option<Profile>,
}

/// With thousands apart, or one decimal.
pub(super) fn number(value: f64) -> String {
    if value >= 100.0 {
        // thousands apart
        let digits = format!("{value:.0}");
        let mut out = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                out.push(',');
            }
            out.push(digit);
        }
        out
    } else {
        format!("{value:.1}")
    }
}

fn judged(value: Option<f64>, goal: Option<Goal>, decimals: usize) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let shown = format!("{value:.decimals$}");
    match goal {
        Some(goal) => goal.judge(value, &shown),
        None => format!("**{shown}**"),
    }
}

impl Outcome {
    /// The table in Markdown.
    pub(super) fn table(&self) -> String {
        let mut out = String::from(
            "| What | Ours ÷ floor | Ours ÷ peer | Unit | Ours | Floor | Peer |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let ours = match line.own_goal {
                Some(goal) => goal.judge(line.ours, &number(line.ours)),
                None => number(line.ours),
            };
            let absolute = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {ours} | {} | {} |",
                line.what,
                judged(line.to_floor, line.floor_goal, 2),
                judged(line.to_peer, line.peer_goal, 2),
                line.unit,
                absolute(line.floor),
                absolute(line.peer),
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_shown_as_missed() {
        let line = Line {
            what: "hops".to_owned(),
            unit: "a second",
            ours: 12_345.6,
            floor: Some(20_000.0),
            peer: None,
            to_floor: Some(0.617),
            to_peer: None,
            floor_goal: Some(Goal::AtLeast(0.70)),
            peer_goal: Some(Goal::AtLeast(10.0)),
            own_goal: None,
        };
        let outcome = Outcome {
            lines: vec![line],
            ..Outcome::default()
        };
        let table = outcome.table();
        assert!(
            table.ends_with(
                "| hops | **0.62** (goal ≥ 0.7: missed) | – | a second | 12,346 | 20,000 | – |\n"
            ),
            "{table}"
        );
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert!(Goal::AtMost(2.0).is_met(2.0));
    }
}
