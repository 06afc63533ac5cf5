//! What just happened, in words: the difference between two looks at the product's report, the
//! wallets' book, the inboxes and the rain. Holds no secret, and of the people only the page's own
//! made-up numbers. Written by the watch, read by the view.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use domain::money::grouped;
use serde::Serialize;

use super::land::Dekad;
use crate::season::report::{Report, Risk};
use crate::wallets::{Movement, MovementKind};

/// Lines kept; the page shows the newest.
const EVENTS_MAX: usize = 200;
/// Less rain than this in ten days is called dry, µm.
const DRY_UM: i64 = 10_000;

/// How much of a text a line repeats.
const TEXT_CHARS_SHOWN: usize = 60;

/// What a line is about; the page gives each a sign of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Person,
    Policy,
    Rain,
    Decision,
    Money,
    Payout,
    Text,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// Position since the page began, from 1.
    pub(crate) nth: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// The lines, and what was seen already.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) lines: VecDeque<Line>,
    told: u64,
    farmers: i64,
    awaiting: i64,
    lapsed: i64,
    policies: BTreeMap<String, i64>,
    decided: BTreeMap<String, String>,
    dekads: BTreeSet<(String, NaiveDate)>,
    entries: u64,
    texts: BTreeMap<String, usize>,
}

/// Shillings of cents.
pub(crate) fn kes(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    match minor % 100 {
        0 => format!("{sign}KES {}", grouped(minor / 100)),
        cents => format!("{sign}KES {}.{cents:02}", grouped(minor / 100)),
    }
}

/// Micrometres as people write them.
pub(crate) fn millimetres(um: i64) -> String {
    format!("{}.{} mm", um / 1_000, um % 1_000 / 100)
}

/// A number as a phone shows it, `0712 000 001`.
pub(crate) fn local(digits: &str) -> String {
    let tail = digits.strip_prefix("254").unwrap_or(digits);
    match (tail.get(..3), tail.get(3..6), tail.get(6..)) {
        (Some(a), Some(b), Some(c)) => format!("0{a} {b} {c}"),
        _ => tail.to_owned(),
    }
}

/// Where a risk is.
pub(crate) fn place(risk: &Risk) -> String {
    let names: Vec<&str> = risk.wards.iter().map(|ward| ward.name.as_str()).collect();
    if names.is_empty() {
        risk.cell.clone()
    } else {
        names.join(", ")
    }
}

fn some(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl Events {
    fn tell(&mut self, at: DateTime<Utc>, kind: Kind, text: String) {
        self.told = self.told.saturating_add(1);
        let nth = self.told;
        self.lines.push_back(Line {
            nth,
            at,
            kind,
            text,
        });
        if self.lines.len() > EVENTS_MAX {
            self.lines.pop_front();
        }
    }

    /// The product's report as of `now`.
    pub(crate) fn see_report(&mut self, now: DateTime<Utc>, report: &Report) {
        if report.farmers > self.farmers {
            let more = report.farmers - self.farmers;
            let text = format!("{} registered", some(more, "farmer", "farmers"));
            self.tell(now, Kind::Person, text);
        }
        self.farmers = report.farmers;
        let policies = &report.policies;
        if policies.awaiting_premium > self.awaiting {
            let more = policies.awaiting_premium - self.awaiting;
            let text = format!(
                "{} bought, waiting for the premium",
                some(more, "cover", "covers")
            );
            self.tell(now, Kind::Policy, text);
        }
        self.awaiting = policies.awaiting_premium;
        if policies.lapsed > self.lapsed {
            let more = policies.lapsed - self.lapsed;
            let text = format!("{} lapsed unpaid", some(more, "cover", "covers"));
            self.tell(now, Kind::Policy, text);
        }
        self.lapsed = policies.lapsed;
        for risk in &report.risks {
            self.see_risk(now, risk);
        }
    }

    fn see_risk(&mut self, now: DateTime<Utc>, risk: &Risk) {
        let key = format!("{} {} {}", risk.product, risk.cell, risk.season);
        let known = self.policies.insert(key.clone(), risk.policies);
        if risk.policies > known.unwrap_or(0) {
            let text = format!(
                "Cover on in {}: {} in the cell",
                place(risk),
                some(risk.policies, "policy", "policies")
            );
            self.tell(now, Kind::Policy, text);
        }
        let Some(evaluation) = &risk.evaluation else {
            return;
        };
        let was = self.decided.insert(key, evaluation.state.clone());
        let at = evaluation.evaluated_at.unwrap_or(now);
        match was.as_deref() {
            None => {
                let held = if evaluation.state == "held" {
                    "; two people must release it"
                } else {
                    ""
                };
                let text = format!(
                    "Decided for {}: {} of rain, {} of the sum insured is paid{held}. Evidence {}",
                    place(risk),
                    evaluation.rain,
                    evaluation.payout,
                    evaluation.short_code
                );
                self.tell(at, Kind::Decision, text);
            }
            Some("held") if evaluation.state == "approved" => {
                let text = format!("Two people released the payouts of {}", place(risk));
                self.tell(now, Kind::Decision, text);
            }
            Some(_) => {}
        }
    }

    /// The rain of a cell: ten days are told once they are over.
    pub(crate) fn see_rain(&mut self, cell: &str, place: &str, dekads: &[Dekad]) {
        for dekad in dekads.iter().filter(|dekad| dekad.is_over) {
            if !self.dekads.insert((cell.to_owned(), dekad.first)) {
                continue;
            }
            let dry = if dekad.rain_um < DRY_UM { ", dry" } else { "" };
            let text = format!(
                "{place}, {} to {}: {}{dry}",
                dekad.first.format("%-d"),
                dekad.last.format("%-d %B"),
                millimetres(dekad.rain_um)
            );
            let at = domain::season::day_starts_at(domain::season::next_day(dekad.last));
            self.tell(at, Kind::Rain, text);
        }
    }

    /// The wallets' book; of wallets that are not on the page only the amount is told.
    pub(crate) fn see_book(&mut self, book: &[Movement], is_ours: impl Fn(&str) -> bool) {
        let told = self.entries;
        for movement in book.iter().filter(|line| line.entry > told) {
            let whose = if is_ours(&movement.msisdn) {
                local(&movement.msisdn)
            } else {
                "another phone".to_owned()
            };
            let amount = kes(movement.amount_minor);
            let (kind, text) = match movement.kind {
                MovementKind::Collect => (Kind::Money, format!("{whose} paid {amount} by M-Pesa")),
                MovementKind::Disburse => {
                    (Kind::Payout, format!("{amount} paid to {whose} by M-Pesa"))
                }
            };
            self.tell(movement.at, kind, text);
        }
        self.entries = book.last().map_or(self.entries, |line| line.entry);
    }

    /// The inbox of one of the page's phones: when each text came, and how it begins.
    pub(crate) fn see_inbox(&mut self, digits: &str, came: &[(DateTime<Utc>, String)]) {
        let known = self.texts.insert(digits.to_owned(), came.len());
        for (at, text) in came.iter().skip(known.unwrap_or(0)) {
            let begins = text.strip_prefix("MicroCrop: ").unwrap_or(text);
            let begins: String = begins.chars().take(TEXT_CHARS_SHOWN).collect();
            let line = format!("SMS to {}: {begins}…", local(digits));
            self.tell(*at, Kind::Text, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::season::report::{Evaluation, Policies, RiskWard};

    fn texts(events: &Events) -> Vec<&str> {
        events.lines.iter().map(|l| l.text.as_str()).collect()
    }

    fn risk(policies: i64, evaluation: Option<Evaluation>) -> Risk {
        Risk {
            cell: "877a63556ffffff".to_owned(),
            season: "MAM-2026".to_owned(),
            product: "KE-MZ-PD-LR".to_owned(),
            wards: vec![RiskWard {
                code: "0234".to_owned(),
                name: "Karare".to_owned(),
            }],
            policies,
            evaluation,
            ..Risk::default()
        }
    }

    #[test]
    fn each_thing_is_told_once_and_only_when_it_is_new() {
        let (mut events, now) = (Events::default(), DateTime::<Utc>::UNIX_EPOCH);
        let mut report = Report {
            farmers: 1,
            policies: Policies {
                awaiting_premium: 1,
                ..Policies::default()
            },
            ..Report::default()
        };
        events.see_report(now, &report);
        events.see_report(now, &report);
        assert_eq!(
            texts(&events),
            [
                "1 farmer registered",
                "1 cover bought, waiting for the premium"
            ]
        );
        report.policies.awaiting_premium = 0;
        report.risks = vec![risk(1, None)];
        events.see_report(now, &report);
        let held = Evaluation {
            state: "held".to_owned(),
            rain: "61.20 mm".to_owned(),
            payout: "100.00%".to_owned(),
            short_code: "ABCDEFGH".to_owned(),
            ..Evaluation::default()
        };
        report.risks = vec![risk(1, Some(held.clone()))];
        events.see_report(now, &report);
        let approved = Evaluation {
            state: "approved".to_owned(),
            ..held
        };
        report.risks = vec![risk(1, Some(approved))];
        events.see_report(now, &report);
        events.see_report(now, &report);
        assert_eq!(
            texts(&events).split_off(2),
            [
                "Cover on in Karare: 1 policy in the cell",
                "Decided for Karare: 61.20 mm of rain, 100.00% of the sum insured is paid; two \
                 people must release it. Evidence ABCDEFGH",
                "Two people released the payouts of Karare",
            ]
        );
    }

    #[test]
    fn a_strangers_number_is_not_told() {
        let mut events = Events::default();
        let line = |entry, msisdn: &str, kind| Movement {
            entry,
            kind,
            msisdn: msisdn.to_owned(),
            amount_minor: 281_300,
            reference: "D-1".to_owned(),
            at: DateTime::<Utc>::UNIX_EPOCH,
        };
        let book = [
            line(1, "254712000001", MovementKind::Collect),
            line(2, "254799999999", MovementKind::Disburse),
        ];
        let is_ours = |digits: &str| digits == "254712000001";
        events.see_book(&book, is_ours);
        events.see_book(&book, is_ours);
        assert_eq!(
            texts(&events),
            [
                "0712 000 001 paid KES 2,813 by M-Pesa",
                "KES 2,813 paid to another phone by M-Pesa"
            ]
        );
    }

    #[test]
    fn amounts_and_rain_are_written_as_people_write_them() {
        assert_eq!(kes(1_234_500), "KES 12,345");
        assert_eq!(kes(-50), "-KES 0.50");
        assert_eq!(millimetres(3_149), "3.1 mm");
        assert_eq!(local("254712000001"), "0712 000 001");
    }
}
