//! Text messages to farmers: from typed facts to a text of at most two segments, in each language.
//! Holds no personal data but what the message is about; never decides whether to send.
//! Called by the notify worker.

use serde::{Deserialize, Serialize};

use crate::i18n::{Crop, Language, Slot, fill, millimetres, shillings, window};
use crate::money::{BasisPoints, Money};
use crate::premium::SuspenseReason;
use crate::season::Window;

/// Septets of two concatenated GSM-7 segments (153 each).
pub const SMS_MAX: usize = 306;

/// Which message; one row per (subject, kind, language).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsKind {
    /// Registration confirmed.
    Registered,
    /// Cover is on: the certificate.
    PolicyActivated,
    /// Money came that does not fit; it waits in suspense.
    PremiumSuspended,
    /// The premium was not paid in time.
    PolicyLapsed,
    /// The payout reached the phone.
    PayoutPaid,
    /// The season ended above the trigger.
    NoPayout,
    /// The rail refused the payout for good; people see to it.
    PayoutRefused,
    /// The decision or the payment takes longer than it should.
    PayoutDelayed,
}

impl SmsKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Registered,
        Self::PolicyActivated,
        Self::PremiumSuspended,
        Self::PolicyLapsed,
        Self::PayoutPaid,
        Self::NoPayout,
        Self::PayoutRefused,
        Self::PayoutDelayed,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::PolicyActivated => "policy_activated",
            Self::PremiumSuspended => "premium_suspended",
            Self::PolicyLapsed => "policy_lapsed",
            Self::PayoutPaid => "payout_paid",
            Self::NoPayout => "no_payout",
            Self::PayoutRefused => "payout_refused",
            Self::PayoutDelayed => "payout_delayed",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it is sent even to who opted out: what concerns her contract and her money.
    #[must_use]
    pub fn is_legal_notice(self) -> bool {
        self != Self::Registered
    }
}

/// Why a season paid or not, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// Rain of the phase that decided, µm.
    pub rain_um: i64,
    /// Rain below which that phase pays, mm.
    pub trigger_mm: i32,
    /// Damage index and the index from which it pays, for products that have one.
    pub damage_index: Option<(BasisPoints, BasisPoints)>,
}

/// A message with the facts it states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sms {
    /// See [`SmsKind::Registered`].
    Registered,
    /// See [`SmsKind::PolicyActivated`].
    PolicyActivated {
        /// Short code of the policy.
        code: String,
        /// Crop insured.
        crop: Crop,
        /// Ward code.
        ward: String,
        /// Sum insured.
        sum_insured: Money,
        /// Premium paid.
        premium: Money,
        /// Days covered.
        cover: Window,
    },
    /// See [`SmsKind::PremiumSuspended`].
    PremiumSuspended {
        /// What came in.
        amount: Money,
        /// Why it waits.
        reason: SuspenseReason,
    },
    /// See [`SmsKind::PolicyLapsed`].
    PolicyLapsed {
        /// Short code of the policy.
        code: String,
        /// Premium not paid.
        premium: Money,
    },
    /// See [`SmsKind::PayoutPaid`].
    PayoutPaid {
        /// Ward code.
        ward: String,
        /// What was paid.
        payout: Money,
        /// Of which sum insured.
        sum_insured: Money,
        /// Why.
        ground: Ground,
        /// M-Pesa's receipt number.
        receipt: String,
        /// Short code of the evidence.
        evidence: String,
    },
    /// See [`SmsKind::NoPayout`].
    NoPayout {
        /// Ward code.
        ward: String,
        /// Why not.
        ground: Ground,
        /// Short code of the evidence.
        evidence: String,
    },
    /// See [`SmsKind::PayoutRefused`].
    PayoutRefused {
        /// What is owed.
        payout: Money,
    },
    /// See [`SmsKind::PayoutDelayed`].
    PayoutDelayed {
        /// Ward code.
        ward: String,
    },
}

impl Sms {
    /// Which message it is.
    #[must_use]
    pub fn kind(&self) -> SmsKind {
        match self {
            Self::Registered => SmsKind::Registered,
            Self::PolicyActivated { .. } => SmsKind::PolicyActivated,
            Self::PremiumSuspended { .. } => SmsKind::PremiumSuspended,
            Self::PolicyLapsed { .. } => SmsKind::PolicyLapsed,
            Self::PayoutPaid { .. } => SmsKind::PayoutPaid,
            Self::NoPayout { .. } => SmsKind::NoPayout,
            Self::PayoutRefused { .. } => SmsKind::PayoutRefused,
            Self::PayoutDelayed { .. } => SmsKind::PayoutDelayed,
        }
    }

    /// The text, at most [`SMS_MAX`] septets.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let words = match language {
            Language::En => &EN,
            Language::Sw => &SW,
        };
        let whole = |name: &'static str, value: &dyn std::fmt::Display| (name, Slot::whole(value));
        let (template, slots) = match self {
            Self::Registered => (words.registered.to_owned(), Vec::new()),
            Self::PolicyActivated {
                code,
                crop,
                ward,
                sum_insured,
                premium,
                cover,
            } => (
                words.activated.to_owned(),
                vec![
                    whole("code", code),
                    whole("crop", &crop.name(language)),
                    whole("ward", ward),
                    whole("sum", &shillings(*sum_insured)),
                    whole("premium", &shillings(*premium)),
                    whole("cover", &window(language, cover)),
                    whole("year", &cover.last_day().format("%Y")),
                ],
            ),
            Self::PremiumSuspended { amount, reason } => {
                let why = match reason {
                    SuspenseReason::Late => words.late,
                    SuspenseReason::Doubled => words.doubled,
                    SuspenseReason::Mismatched => words.mismatched,
                };
                let template = words.suspended.replace("{why}", why);
                (template, vec![whole("amount", &shillings(*amount))])
            }
            Self::PolicyLapsed { code, premium } => (
                words.lapsed.to_owned(),
                vec![whole("code", code), whole("premium", &shillings(*premium))],
            ),
            Self::PayoutPaid {
                ward,
                payout,
                sum_insured,
                ground,
                receipt,
                evidence,
            } => {
                let mut slots = ground.slots();
                slots.extend([
                    whole("ward", ward),
                    whole("payout", &shillings(*payout)),
                    whole("sum", &shillings(*sum_insured)),
                    ("receipt", Slot::elastic(receipt)),
                    ("evidence", Slot::elastic(evidence)),
                ]);
                (
                    words.paid.replace("{ground}", ground.template(words)),
                    slots,
                )
            }
            Self::NoPayout {
                ward,
                ground,
                evidence,
            } => {
                let mut slots = ground.slots();
                slots.extend([whole("ward", ward), ("evidence", Slot::elastic(evidence))]);
                (
                    words.unpaid.replace("{ground}", ground.template(words)),
                    slots,
                )
            }
            Self::PayoutRefused { payout } => (
                words.refused.to_owned(),
                vec![whole("payout", &shillings(*payout))],
            ),
            Self::PayoutDelayed { ward } => (words.delayed.to_owned(), vec![whole("ward", ward)]),
        };
        fill(&template, &slots, SMS_MAX)
    }
}

impl Ground {
    fn template(&self, words: &Words) -> &'static str {
        if self.damage_index.is_some() {
            words.ground_index
        } else {
            words.ground_rain
        }
    }

    fn slots(&self) -> Vec<(&'static str, Slot)> {
        let (index, attach) = self.damage_index.unwrap_or_default();
        vec![
            ("rain", Slot::whole(millimetres(self.rain_um))),
            ("trigger", Slot::whole(self.trigger_mm)),
            ("index", Slot::whole(index)),
            ("attach", Slot::whole(attach)),
        ]
    }
}

/// Every message of one language.
struct Words {
    registered: &'static str,
    activated: &'static str,
    suspended: &'static str,
    late: &'static str,
    doubled: &'static str,
    mismatched: &'static str,
    lapsed: &'static str,
    paid: &'static str,
    unpaid: &'static str,
    ground_rain: &'static str,
    ground_index: &'static str,
    refused: &'static str,
    delayed: &'static str,
}

static EN: Words = Words {
    registered: "MicroCrop: you are registered. Dial again to add your plot and buy cover. Never tell anyone your PIN.",
    activated: "MicroCrop: cover {code} is on. {crop}, ward {ward}, {cover} {year}. Insured KES {sum}, premium KES {premium} received. It pays by measurements, not by the state of your farm. Keep this SMS, it is your certificate.",
    suspended: "MicroCrop: we received KES {amount}, but {why}. It buys no cover; we keep it safe and our staff will refund you. Questions? Dial us and choose 5.",
    late: "it came after the sale had closed or the cover had lapsed",
    doubled: "your cover was already paid",
    mismatched: "it is not the premium we asked for",
    lapsed: "MicroCrop: the premium of KES {premium} was not paid in time, so cover {code} is not on. Nothing was charged. Dial again to buy while the sale is open.",
    paid: "MicroCrop: season over, ward {ward}. {ground} You are paid KES {payout} of KES {sum} by M-PESA, {receipt}. Evidence: {evidence}. Complaint? Dial us and choose 5 within 14 days.",
    unpaid: "MicroCrop: season over, ward {ward}. {ground} So there is no payout. Evidence: {evidence}. You disagree? Dial us and choose 5 within 14 days.",
    ground_rain: "Rain was {rain} mm; it pays below {trigger} mm.",
    ground_index: "Rain was {rain} mm (limit {trigger} mm), damage index {index}; it pays from {attach}.",
    refused: "MicroCrop: M-PESA refused your payout of KES {payout}. It is still yours: our staff will call you to pay it another way. Is your M-PESA account active?",
    delayed: "MicroCrop: the decision on your cover in ward {ward} takes longer because two people must check the measurements. Nothing for you to do; we will text you the result.",
};

static SW: Words = Words {
    registered: "MicroCrop: umesajiliwa. Piga tena uongeze shamba na kununua bima. Usimwambie mtu yeyote PIN yako.",
    activated: "MicroCrop: bima {code} imeanza. {crop}, wadi {ward}, {cover} {year}. Kiwango KES {sum}, mchango KES {premium} umepokelewa. Hulipa kwa vipimo, si kwa hali ya shamba. Hifadhi SMS hii, ndiyo cheti chako.",
    suspended: "MicroCrop: tumepokea KES {amount}, lakini {why}. Hazijanunua bima; tumezihifadhi na wahudumu wetu watakurudishia. Swali? Tupigie, chagua 5.",
    late: "zimefika baada ya mauzo kufungwa au bima kupitwa na wakati",
    doubled: "bima yako ilikuwa imeshalipwa",
    mismatched: "si kiasi cha mchango tulichoomba",
    lapsed: "MicroCrop: mchango wa KES {premium} haukulipwa kwa wakati, kwa hivyo bima {code} haijaanza. Hujatozwa chochote. Piga tena kununua mauzo yakiwa wazi.",
    paid: "MicroCrop: msimu umeisha, wadi {ward}. {ground} Umelipwa KES {payout} kati ya KES {sum} kwa M-PESA, {receipt}. Ushahidi: {evidence}. Malalamiko? Tupigie, chagua 5, siku 14.",
    unpaid: "MicroCrop: msimu umeisha, wadi {ward}. {ground} Kwa hivyo hakuna fidia. Ushahidi: {evidence}. Unapinga? Tupigie, chagua 5, siku 14.",
    ground_rain: "Mvua ilikuwa mm {rain}; hulipa ikiwa chini ya mm {trigger}.",
    ground_index: "Mvua ilikuwa mm {rain} (kikomo mm {trigger}), kipimo cha hasara {index}; hulipa kuanzia {attach}.",
    refused: "MicroCrop: M-PESA imekataa fidia yako ya KES {payout}. Bado ni yako: wahudumu wetu watakupigia wakulipe kwa njia nyingine. Je, akaunti yako ya M-PESA iko hai?",
    delayed: "MicroCrop: uamuzi wa bima yako wadi {ward} unachelewa kwa sababu watu wawili lazima wakague vipimo. Huhitaji kufanya lolote; tutakutumia SMS ya matokeo.",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ussd::gsm7;

    fn money() -> impl Strategy<Value = Money> {
        (0_i64..=50_000_000).prop_map(Money::kes_minor)
    }

    fn ground() -> impl Strategy<Value = Ground> {
        let index = (0_u16..=10_000, 0_u16..=10_000);
        let index =
            index.prop_map(|(a, b)| (BasisPoints::new(a).unwrap(), BasisPoints::new(b).unwrap()));
        (0_i64..5_000_000, 0..10_000, prop::option::of(index)).prop_map(
            |(rain_um, trigger_mm, damage_index)| Ground {
                rain_um,
                trigger_mm,
                damage_index,
            },
        )
    }

    fn cover() -> Window {
        let start = chrono::NaiveDate::from_ymd_opt(2026, 9, 28).unwrap();
        Window {
            start,
            end: start + chrono::Days::new(200),
        }
    }

    fn sms() -> impl Strategy<Value = Sms> {
        let code = "[A-Z2-7]{8}";
        let ward = "[0-9]{4}";
        let reason = prop::sample::select(vec![
            SuspenseReason::Late,
            SuspenseReason::Doubled,
            SuspenseReason::Mismatched,
        ]);
        prop_oneof![
            Just(Sms::Registered),
            (
                code,
                prop::sample::select(Crop::ALL.to_vec()),
                ward,
                money(),
                money()
            )
                .prop_map(|(code, crop, ward, sum_insured, premium)| {
                    Sms::PolicyActivated {
                        code,
                        crop,
                        ward,
                        sum_insured,
                        premium,
                        cover: cover(),
                    }
                }),
            (money(), reason).prop_map(|(amount, reason)| Sms::PremiumSuspended { amount, reason }),
            (code, money()).prop_map(|(code, premium)| Sms::PolicyLapsed { code, premium }),
            (ward, money(), money(), ground(), "\\PC{0,80}", code).prop_map(
                |(ward, payout, sum_insured, ground, receipt, evidence)| Sms::PayoutPaid {
                    ward,
                    payout,
                    sum_insured,
                    ground,
                    receipt,
                    evidence,
                }
            ),
            (ward, ground(), code).prop_map(|(ward, ground, evidence)| Sms::NoPayout {
                ward,
                ground,
                evidence
            }),
            money().prop_map(|payout| Sms::PayoutRefused { payout }),
            ward.prop_map(|ward| Sms::PayoutDelayed { ward }),
        ]
    }

    proptest! {
        #[test]
        fn every_message_is_whole_and_fits_two_segments(sms in sms()) {
            for language in Language::ALL {
                let text = sms.text(language);
                prop_assert!(gsm7::length(&text).is_some_and(|n| n <= SMS_MAX), "{text}");
                prop_assert!(!text.contains(['{', '}']), "{text}");
                // its last sentence is there: nothing was cut off
                prop_assert!(text.ends_with(['.', '?']), "{text}");
            }
        }
    }

    #[test]
    fn a_payout_message_states_number_reason_receipt_and_evidence() {
        let ground = Ground {
            rain_um: 162_120,
            trigger_mm: 278,
            damage_index: None,
        };
        let paid = Sms::PayoutPaid {
            ward: "0721".to_owned(),
            payout: Money::kes(6_332).unwrap(),
            sum_insured: Money::kes(10_000).unwrap(),
            ground,
            receipt: "SG632NMUAB".to_owned(),
            evidence: "BAFKREIA".to_owned(),
        };
        assert_eq!(
            paid.text(Language::Sw),
            "MicroCrop: msimu umeisha, wadi 0721. Mvua ilikuwa mm 162; hulipa ikiwa chini ya mm \
             278. Umelipwa KES 6,332 kati ya KES 10,000 kwa M-PESA, SG632NMUAB. Ushahidi: \
             BAFKREIA. Malalamiko? Tupigie, chagua 5, siku 14."
        );
    }

    #[test]
    fn kinds_survive_storage() {
        for kind in SmsKind::ALL {
            assert_eq!(SmsKind::parse(kind.as_str()), Some(kind));
        }
    }
}
