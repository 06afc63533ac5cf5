//! Random conversations of people who type anything, over hostile names of people, places and
//! products: no reply ever leaves the screen, and a replay ends where the first run did.

use proptest::prelude::*;

use super::*;

/// What a person might type, sense and nonsense.
fn input() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => "[1-6]",
        2 => "0|00|98|8|9",
        3 => prop::sample::select(vec!["2580", "1111", "0321", "0721", "1503", "0.5", "12345678", "Wanjiku Kamau"]).prop_map(str::to_owned),
        1 => "[0-9]{1,9}",
        1 => "\\PC{0,60}",
        1 => "[a-zA-Z' -]{2,60}",
    ]
}

/// A phone somewhere in its life, with hostile data in every place that takes any.
fn phone() -> impl Strategy<Value = Phone> {
    let texts = ("\\PC{0,80}", "\\PC{0,60}", "\\PC{0,60}", "\\PC{1,20}");
    let cover = (
        0_u8..10,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0_i64..50_000_000,
    );
    (texts, cover).prop_map(
        |((name, ward_name, county, product), (plots, known, sw, has_pin, minor))| {
            let mut phone = Phone::registered(plots);
            let mut wards = vec![ward(321, &ward_name, &county, &county)];
            wards.extend(
                (1..=9).map(|n| ward(400 + n, &ward_name, &county, &format!("{county}{n}"))),
            );
            phone.catalogue.places = Places::new(wards);
            for version in &mut phone.catalogue.versions {
                version.product.name = Bilingual {
                    en: product.clone(),
                    sw: product.clone(),
                };
                version.product.sums_insured_kes = vec![1_000, 3_000, 5_000, 10_000, 13_000];
            }
            let farmer = phone.farmer.as_mut().unwrap();
            farmer.name.clone_from(&name);
            farmer.has_pin = has_pin;
            farmer.language = if sw { Language::Sw } else { Language::En };
            let window = Window {
                start: "2026-09-28".parse().unwrap(),
                end: "2027-03-29".parse().unwrap(),
            };
            let amount = Money::kes_minor(minor);
            let statuses = [
                PolicyStatus::AwaitingPremium,
                PolicyStatus::Active,
                PolicyStatus::Paid {
                    payout: amount,
                    receipt: name,
                },
                PolicyStatus::Coming(amount),
                PolicyStatus::UnderReview(amount),
                PolicyStatus::NoPayout,
                PolicyStatus::Lapsed,
                PolicyStatus::Cancelled,
            ];
            phone.policies = statuses
                .into_iter()
                .map(|status| PolicySummary {
                    id: PolicyId::from_parts(1, [3; 10]),
                    code: policy_code(PolicyId::from_parts(1, [3; 10])),
                    crop: Crop::GreenGrams,
                    ward: 321.try_into().unwrap(),
                    sum_insured: amount,
                    premium: amount,
                    cover: window,
                    status,
                })
                .collect();
            phone.season = Some(SeasonSummary {
                ward: 321.try_into().unwrap(),
                window,
                measured_until: sw.then(|| "2026-12-31".parse().unwrap()),
                rain_um: minor,
                normal_um: has_pin.then_some(minor / 2),
                trigger_mm: 9_999,
            });
            if !known {
                phone.farmer = None;
                phone.pin = None;
            }
            phone
        },
    )
}

/// The rule of the channel.
fn fits(reply: &Reply) -> bool {
    let text = reply.to_string();
    (text.starts_with("CON ") || text.starts_with("END "))
        && text.len() > 4
        && gsm7::length(&text).is_some_and(|length| length <= SCREEN_MAX)
        && !text.contains(['{', '}'])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_conversation_leaves_the_screen_or_repeats_differently(
        mut phone in phone(),
        start in prop::sample::select(vec![&[][..], &TO_PIN[..3], &TO_PIN[..], &REGISTER[..5], &["4", "2"][..], &["2"][..]]),
        inputs in prop::collection::vec(input(), 0..25),
    ) {
        let fresh = phone.clone();
        let mut last = phone.dial(None);
        prop_assert!(fits(&last.reply), "{}", last.reply);
        let typed: Vec<String> = start.iter().map(|s| (*s).to_owned()).chain(inputs).collect();
        let mut previous = String::new();
        let mut used = 0;
        for input in &typed {
            if last.reply.kind == Kind::End {
                break;
            }
            let stored = serde_json::to_vec(&last.session).unwrap();
            prop_assert!(stored.len() < 8_192);
            let session: Session = serde_json::from_slice(&stored).unwrap();
            prop_assert_eq!(&session, &last.session);
            last = phone.press(&session, input, &previous);
            prop_assert!(fits(&last.reply), "{input:?}: {}", last.reply);
            if last.reply.kind == Kind::Con && !matches!(last.session.screen, Screen::Home | Screen::Start) {
                // whatever was cut, the way on is still on the screen
                let way = last.reply.text.lines().last().unwrap_or("");
                let hint = way.starts_with("0. ") || way.starts_with("2. ") || way.starts_with("9. ");
                prop_assert!(hint, "{}", last.reply);
            }
            previous.clone_from(input);
            used += 1;
        }
        // the same inputs from the same beginning: the same session
        let mut twin = fresh;
        let mut replay = twin.dial(None);
        let mut previous = "";
        for input in &typed[..used] {
            replay = twin.press(&replay.session, input, previous);
            previous = input;
        }
        prop_assert_eq!(replay.reply, last.reply);
        prop_assert_eq!(replay.session, last.session);
    }
}

#[test]
fn every_notice_and_refusal_fits_a_screen() {
    for language in Language::ALL {
        for kind in [
            Notice::Closed,
            Notice::Busy,
            Notice::Failed,
            Notice::Garbled,
            Notice::TooLong,
        ] {
            assert!(fits(&notice(Some(language), kind)));
            let both = notice(None, kind);
            let (sw, en) = (
                notice(Some(Language::Sw), kind),
                notice(Some(Language::En), kind),
            );
            assert!(fits(&both));
            assert_eq!(
                both.text,
                format!("{}\n{}", sw.text, en.text),
                "nothing is cut off"
            );
        }
        for kind in [
            Refusal::IdTaken,
            Refusal::PlotsFull,
            Refusal::SaleClosed,
            Refusal::SoldOut,
            Refusal::AlreadyInsured,
            Refusal::PriceChanged,
            Refusal::Gone,
        ] {
            assert!(fits(&refused(language, kind)));
        }
    }
}
