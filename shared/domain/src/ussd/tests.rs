//! Whole conversations, in both languages; random ones are in `random`.
//! Plays the shell in memory; never stands for its storage.

use super::*;
use crate::i18n::{Crop, Language};
use crate::id::{PlotId, PolicyId, ProductVersionId};
use crate::money::Money;
use crate::product::Bilingual;
use crate::product::tests::phase_deficit;
use crate::season::Window;
use chrono::{DateTime, Utc};

mod random;

const IN_SALE: &str = "2026-02-01T09:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ward(code: u16, name: &str, constituency: &str, county: &str) -> Ward {
    Ward {
        code: code.try_into().unwrap(),
        name: name.to_owned(),
        constituency: constituency.to_owned(),
        county: county.to_owned(),
    }
}

fn catalogue() -> Catalogue {
    let mut wards = vec![
        ward(321, "Karare", "Saku", "Marsabit"),
        ward(322, "Woodley/Kenyatta Golf Course", "Saku", "Marsabit"),
        ward(721, "Ainabkoi/Olare", "Ainabkoi", "Uasin Gishu"),
    ];
    for county in 0..17_u16 {
        for n in 0..2_u16 {
            let code = 1_000 + county * 10 + n;
            let constituency = format!("Kitutu Chache South {n}");
            wards.push(ward(
                code,
                "Mwingi Central Ng'ombe",
                &constituency,
                &format!("Elgeyo-Marakwet {county}"),
            ));
        }
    }
    let mut house = phase_deficit();
    house.code = "KE-MZ-DI-LR".to_owned();
    house.name = Bilingual {
        en: "Season damage".to_owned(),
        sw: "Hasara ya msimu".to_owned(),
    };
    let version = |n: u8, product| Version {
        id: ProductVersionId::from_parts(1, [n; 10]),
        product,
    };
    Catalogue {
        places: Places::new(wards),
        versions: vec![version(1, phase_deficit()), version(2, house)],
    }
}

/// A phone, and what the shell would have stored for it.
#[derive(Debug, Clone)]
struct Phone {
    catalogue: Catalogue,
    farmer: Option<Farmer>,
    pin: Option<String>,
    misses: u8,
    policies: Vec<PolicySummary>,
    season: Option<SeasonSummary>,
    now: DateTime<Utc>,
    bought: Vec<Purchase>,
}

impl Phone {
    fn new(now: &str) -> Self {
        Self {
            catalogue: catalogue(),
            farmer: None,
            pin: None,
            misses: 0,
            policies: Vec::new(),
            season: None,
            now: at(now),
            bought: Vec::new(),
        }
    }

    fn registered(plots: u8) -> Self {
        let mut phone = Self::new(IN_SALE);
        let plot = |n: u8| Plot {
            id: PlotId::from_parts(1, [n; 10]),
            ward: 321.try_into().unwrap(),
            crop: Crop::Maize,
            acres_e2: 150,
        };
        phone.farmer = Some(Farmer {
            name: "Wanjiku Kamau".to_owned(),
            language: Language::En,
            ward: 321.try_into().unwrap(),
            has_pin: true,
            plots: (0..plots).map(plot).collect(),
        });
        phone.pin = Some("2580".to_owned());
        phone
    }

    fn settle(&mut self, mut decide: impl FnMut(&Turn<'_>) -> Result<Step, Need>) -> Step {
        let mut view = View::default();
        for _ in 0..5 {
            let turn = Turn {
                view: &view,
                catalogue: &self.catalogue,
                now: self.now,
            };
            match decide(&turn) {
                Ok(step) => return self.perform(step),
                Err(Need::Farmer) => view.farmer = Some(self.farmer.clone()),
                Err(Need::Policies) => view.policies = Some(self.policies.clone()),
                Err(Need::Season(_)) => view.season = Some(self.season.clone()),
                Err(Need::PinCheck(pin)) => view.pin = Some(self.check(&pin)),
            }
        }
        panic!("asks for ever");
    }

    fn check(&mut self, pin: &Pin) -> PinCheck {
        if self.misses >= 3 {
            return PinCheck::Locked;
        }
        if self.pin.as_deref() == Some(pin.digits()) {
            return PinCheck::Right;
        }
        self.misses += 1;
        if self.misses >= 3 {
            PinCheck::Locked
        } else {
            PinCheck::Wrong {
                left: 3 - self.misses,
            }
        }
    }

    fn perform(&mut self, step: Step) -> Step {
        for intent in &step.intents {
            match intent {
                Intent::Register {
                    name,
                    ward,
                    language,
                    pin,
                    ..
                } => {
                    assert!(self.farmer.is_none(), "registered twice");
                    self.pin = Some(pin.digits().to_owned());
                    self.farmer = Some(Farmer {
                        name: name.clone(),
                        language: *language,
                        ward: *ward,
                        has_pin: true,
                        plots: Vec::new(),
                    });
                }
                Intent::SetLanguage(language) => self.farmer.as_mut().unwrap().language = *language,
                Intent::AddPlot {
                    ward,
                    crop,
                    acres_e2,
                    ..
                } => {
                    let farmer = self.farmer.as_mut().unwrap();
                    assert!(farmer.plots.len() < PLOTS_MAX);
                    let n = u8::try_from(farmer.plots.len()).unwrap();
                    let id = PlotId::from_parts(2, [n; 10]);
                    farmer.plots.push(Plot {
                        id,
                        ward: *ward,
                        crop: *crop,
                        acres_e2: *acres_e2,
                    });
                }
                Intent::Buy(purchase) => self.bought.push(purchase.clone()),
            }
        }
        step
    }

    fn dial(&mut self, paused: Option<&Paused>) -> Step {
        self.settle(|turn| open(paused.cloned(), turn))
    }

    fn press(&mut self, session: &Session, input: &str, previous: &str) -> Step {
        self.settle(|turn| step(session, Hop { input, previous }, turn))
    }

    /// Dials and presses each input; the last step and every reply.
    fn talk(&mut self, inputs: &[&str]) -> (Step, Vec<String>) {
        let mut last = self.dial(None);
        let mut replies = vec![last.reply.to_string()];
        let mut previous = "";
        for input in inputs {
            assert_eq!(
                last.reply.kind,
                Kind::Con,
                "ended before `{input}`: {}",
                last.reply
            );
            last = self.press(&last.session, input, previous);
            previous = input;
            replies.push(last.reply.to_string());
        }
        (last, replies)
    }

    fn says(&mut self, inputs: &[&str]) -> String {
        self.talk(inputs).0.reply.to_string()
    }
}

const REGISTER: [&str; 8] = [
    "2",
    "Wanjiku Kamau",
    "12345678",
    "0321",
    "1",
    "1",
    "2580",
    "2580",
];
const TO_PIN: [&str; 6] = ["1", "1", "1", "1", "2", "1"];

#[test]
fn a_stranger_registers_adds_a_plot_and_buys_in_swahili() {
    let mut phone = Phone::new(IN_SALE);
    let plot = ["4", "0.5", "1", "1503", "1"];
    let mut inputs = REGISTER.to_vec();
    inputs.extend(plot);
    inputs.extend(TO_PIN);
    inputs.push("2580");
    let (_, replies) = phone.talk(&inputs);
    insta::assert_snapshot!(replies.join("\n----\n"));
    assert_eq!(phone.bought.len(), 1);
    assert_eq!(phone.bought[0].premium, Money::kes(844).unwrap());
}

#[test]
fn a_farmer_with_one_plot_sees_her_quote_after_three_inputs() {
    let said = Phone::registered(1).says(&["1", "1", "1"]);
    assert_eq!(
        said,
        "CON Maize, ward 0321 Karare\nInsured KES 3,000\nPremium KES 844\n\
         Cover 1 Mar-31 May, whatever day you sow\n1. Accept\n2. Change\n0. Back"
    );
}

#[test]
fn with_several_plots_she_picks_one_first() {
    let mut phone = Phone::registered(6);
    assert!(
        phone
            .says(&["1"])
            .starts_with("CON Which plot?\n1. Maize 1.5 acres, 0321\n")
    );
    assert!(phone.says(&["1", "98"]).contains("\n5. "));
    assert!(phone.says(&["1", "98", "0"]).contains("\n1. "));
    assert!(
        phone
            .says(&["1", "2"])
            .starts_with("CON Maize, ward 0321. Cover:\n1. Rain deficit\n2. Season damage")
    );
}

#[test]
fn the_third_wrong_answer_sells_nothing() {
    let mut phone = Phone::registered(1);
    assert!(
        phone
            .says(&["1", "1", "1", "1", "1"])
            .starts_with("CON Wrong, think again.\nQuestion 1")
    );
    assert!(
        phone
            .says(&["1", "1", "1", "1", "1", "1"])
            .starts_with("CON It pays by measured rain")
    );
    assert!(
        phone
            .says(&["1", "1", "1", "1", "1", "1", "1"])
            .starts_with("CON Question 1")
    );
    let ended = phone.says(&["1", "1", "1", "1", "1", "1", "1", "2", "2"]);
    assert!(ended.starts_with("END Nothing was bought."), "{ended}");
    assert!(phone.bought.is_empty());
}

#[test]
fn three_wrong_pins_lock_and_only_the_right_one_buys() {
    let mut phone = Phone::registered(1);
    let mut inputs = TO_PIN.to_vec();
    inputs.extend(["1111", "12x4", "2222"]);
    let (_, replies) = phone.talk(&inputs);
    assert!(replies[7].starts_with("CON Wrong PIN, 2 left."));
    assert!(replies[8].starts_with("CON 4 digits."));
    inputs.push("3333");
    phone.misses = 0;
    assert!(phone.says(&inputs).starts_with("END Too many wrong PINs."));
    assert!(phone.bought.is_empty());
}

#[test]
fn a_farmer_without_a_pin_chooses_one_with_her_first_purchase() {
    let mut phone = Phone::registered(1);
    phone.farmer.as_mut().unwrap().has_pin = false;
    let mut inputs = TO_PIN.to_vec();
    inputs.extend(["4711", "4712"]);
    assert!(phone.says(&inputs).starts_with("CON PINs differ.\nChoose"));
    inputs.extend(["4711", "4711"]);
    assert!(
        phone
            .says(&inputs)
            .starts_with("END An M-PESA prompt for KES 844")
    );
    assert_eq!(phone.bought[0].new_pin, Pin::parse("4711"));
}

#[test]
fn a_broken_off_purchase_is_taken_up_within_a_day() {
    let mut phone = Phone::registered(1);
    let (step, _) = phone.talk(&TO_PIN);
    let saved_at = phone.now;
    let later = at("2026-02-02T09:00:00Z");
    let paused = step.session.paused(saved_at, later).unwrap();
    let again = phone.dial(Some(&paused));
    assert_eq!(
        again.reply.to_string(),
        "CON Welcome back Wanjiku. You were buying Rain deficit KES 3,000.\n8. Continue\n9. Start again"
    );
    let continued = phone.press(&again.session, CONTINUE, "");
    assert!(
        continued
            .reply
            .text
            .starts_with("Pay KES 844 for Rain deficit.")
    );
    let restarted = phone.press(&again.session, "9", "");
    assert_eq!(restarted.session.screen, Screen::Home);
    let garbled = phone.press(&again.session, "?", "");
    assert!(
        garbled
            .reply
            .text
            .starts_with("Not understood.\nWelcome back")
    );
    // any other choice means what it means on the menu
    assert_eq!(
        phone.press(&again.session, "1", "").session.screen,
        Screen::Covers
    );
    assert_eq!(
        step.session.paused(saved_at, at("2026-02-02T09:00:01Z")),
        None
    );
}

#[test]
fn a_new_pin_is_never_taken_up_half_typed() {
    let mut phone = Phone::new(IN_SALE);
    let (step, _) = phone.talk(&REGISTER[..7]);
    assert_eq!(step.session.screen, Screen::PinAgain);
    let stored = serde_json::to_string(&step.session).unwrap();
    assert!(!stored.contains("2580"));
    assert_eq!(
        step.session.paused(phone.now, phone.now).unwrap().screen,
        Screen::PinNew
    );
}

#[test]
fn a_ward_is_found_by_lists_and_bad_codes_are_asked_again() {
    let mut phone = Phone::new(IN_SALE);
    let head = ["1", "Wanjiku Kamau", "1234567"];
    let go = |phone: &mut Phone, tail: &[&str]| phone.says(&[&head[..], tail].concat());
    assert!(go(&mut phone, &["0999"]).starts_with("CON No such ward.\n"));
    assert!(
        go(&mut phone, &["1"]).starts_with("CON County number:\n1. Marsabit\n2. Uasin Gishu\n")
    );
    assert!(go(&mut phone, &["1", "98"]).contains("\n7. "));
    assert_eq!(
        go(&mut phone, &["1", "2", "1", "1"]),
        "CON Ward 0721 Ainabkoi/Olare, Uasin Gishu county. Is this right?\n1. Yes\n2. No"
    );
}

#[test]
fn out_of_sale_she_is_told_when_it_opens() {
    let mut phone = Phone::registered(1);
    phone.now = at("2026-01-02T09:00:00Z");
    assert_eq!(
        phone.says(&["1"]),
        "CON No cover for Maize in ward 0321 is on sale today. Sale opens 15 Jan.\n0. Back"
    );
}

#[test]
fn season_and_policies_tell_the_numbers() {
    let mut phone = Phone::registered(1);
    let window = Window {
        start: "2026-03-01".parse().unwrap(),
        end: "2026-06-01".parse().unwrap(),
    };
    phone.season = Some(SeasonSummary {
        ward: 321.try_into().unwrap(),
        window,
        measured_until: Some("2026-04-20".parse().unwrap()),
        rain_um: 112_400,
        normal_um: Some(150_000),
        trigger_mm: 278,
    });
    assert_eq!(
        phone.says(&["3"]),
        "CON Ward 0321, 1 Mar-20 Apr: rain 112 mm (74% of normal).\n\
         Cover pays when rain by 31 May stays below 278 mm.\n0. Back"
    );
    phone.policies = vec![PolicySummary {
        id: PolicyId::from_parts(1, [9; 10]),
        code: policy_code(PolicyId::from_parts(1, [9; 10])),
        crop: Crop::Maize,
        ward: 321.try_into().unwrap(),
        sum_insured: Money::kes(10_000).unwrap(),
        premium: Money::kes(2_813).unwrap(),
        cover: window,
        status: PolicyStatus::Paid {
            payout: Money::kes(6_332).unwrap(),
            receipt: "SG632NMUAB".to_owned(),
        },
    }];
    assert_eq!(
        phone.says(&["2"]),
        "CON My cover:\n1. Maize 0321 10,000 ended\n0. Back"
    );
    let code = policy_code(phone.policies[0].id);
    assert_eq!(
        phone.says(&["2", "1"]),
        format!(
            "CON {code}: Maize, ward 0321\nInsured KES 10,000\nCover 1 Mar-31 May\nPaid you KES 6,332, M-PESA SG632NMUAB\n0. Back"
        )
    );
}
