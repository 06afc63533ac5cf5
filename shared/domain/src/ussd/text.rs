//! Every text of the USSD conversation: one struct, one table a language, so that a text missing
//! in a language does not compile. Slots in braces are filled by [`crate::i18n::fill`].
//! Never holds logic. Read by the screens and by the shell's notices.

use crate::i18n::Language;

/// Version of the consent text below; recorded with each consent. Raise it when the text changes.
pub const CONSENT_VERSION: &str = "2026-01";

macro_rules! texts {
    ($($field:ident),+ $(,)?) => {
        /// The texts of one language.
        pub(super) struct Texts { $(pub(super) $field: &'static str),+ }

        impl Texts {
            /// Every text with its name.
            #[cfg(test)]
            pub(super) fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($field), self.$field)),+]
            }
        }
    };
}

texts! {
    // menus and asking
    start, home_hello, home_registered, home_plot_saved, home_language, home, resume,
    resume_buying, resume_registering, resume_plot, language,
    name, national_id, ward, county, constituency, ward_pick, ward_confirm, consent, pin_new,
    pin_again, acres, crop, sowing, plot_ward,
    plot_pick, plot_item, covers, sums, quote, quiz_first, quiz_second, explain, pin,
    no_cover, no_cover_opens, policies, policy, season, season_dry, season_normal, season_none, help,
    item_more,
    // notes above a screen that is asked again
    bad, bad_name, bad_id, bad_ward, bad_pin, bad_acres, bad_date, pin_differs, pin_wrong,
    quiz_wrong, plots_full,
    // states of a policy
    state_awaiting, state_active, state_settled, state_lapsed, state_cancelled,
    told_awaiting, told_active, told_paid, told_coming, told_review, told_none, told_lapsed,
    told_cancelled,
    // last words
    bye, consent_refused, quiz_failed, pin_locked, bought, no_policies,
    refused_id, refused_plots, refused_sale, refused_capacity, refused_insured, refused_price,
    refused_gone,
    closed, busy, failed, garbled, too_long,
}

/// The table of a language.
pub(super) fn texts(language: Language) -> &'static Texts {
    match language {
        Language::En => &EN,
        Language::Sw => &SW,
    }
}

static EN: Texts = Texts {
    start: "MicroCrop: crop insurance\nBima ya mazao\n1. English\n2. Kiswahili",
    home_hello: "MicroCrop: welcome {name}",
    home_registered: "You are registered, {name}.",
    home_plot_saved: "Plot saved. 1 to insure it.",
    home_language: "Language: English",
    home: "{headline}\n1. Buy cover\n2. My cover, payouts\n3. My season\n4. Add plot\n5. Help\n6. Lugha/Language\n0. Exit",
    resume: "Welcome back {name}. {what}\n8. Continue\n9. Start again",
    resume_buying: "You were buying {cover} KES {sum}.",
    resume_registering: "You were registering.",
    resume_plot: "You were adding a plot.",
    language: "Language/Lugha\n1. English\n2. Kiswahili\n0. Back",
    name: "Type your full name as on your ID:\n0. Back",
    national_id: "Type your national ID number (6 to 8 digits):\n0. Back",
    ward: "Type the ward's 4-digit code (see poster or agent card):\n1. Find it by county\n0. Back",
    county: "County number:\n{items}{more}0. Back",
    constituency: "{county}, constituency:\n{items}{more}0. Back",
    ward_pick: "{constituency}, ward:\n{items}{more}0. Back",
    ward_confirm: "Ward {code} {ward}, {county} county. Is this right?\n1. Yes\n2. No",
    consent: "We use your name, ID, phone and farm's ward for this insurance only. You may withdraw at any time.\n1. I agree\n2. I refuse",
    pin_new: "Choose a secret 4-digit PIN for MicroCrop. Not your M-PESA PIN!\n0. Back",
    pin_again: "Type the same PIN again:\n0. Back",
    acres: "Size of the plot in acres, such as 0.5 or 2:\n0. Back",
    crop: "Crop:\n{items}0. Back",
    sowing: "Sowing day and month as DDMM, such as 1503 for 15 March:\n1. Not yet known\n0. Back",
    plot_ward: "Where is the plot?\n1. Ward {code} {ward}\n2. Another ward\n0. Back",
    plot_pick: "Which plot?\n{items}{more}0. Back",
    plot_item: "{crop} {acres} acres, {code}",
    covers: "{crop}, ward {code}. Cover:\n{items}{more}0. Back",
    sums: "Insured (premium), KES:\n{items}0. Back",
    quote: "{crop}, ward {code} {ward}\nInsured KES {sum}\nPremium KES {premium}\nCover {window}, whatever day you sow\n1. Accept\n2. Change\n0. Back",
    quiz_first: "Question 1: What decides a payout?\n1. A visit to my farm\n2. Measurements of my area\n0. Back",
    quiz_second: "Question 2: Can you have a loss and be paid nothing?\n1. Yes, it can happen\n2. No, never\n0. Back",
    explain: "It pays by measured rain and plant growth, nobody visits farms. You can have a loss and be paid nothing.\n1. Go on\n0. Back",
    pin: "Pay KES {premium} for {cover}. Type your MicroCrop PIN:\n0. Back",
    no_cover: "No cover for {crop} in ward {code} is on sale today.{opens}\n0. Back",
    no_cover_opens: " Sale opens {day}.",
    policies: "My cover:\n{items}{more}0. Back",
    policy: "{code}: {crop}, ward {ward}\nInsured KES {sum}\nCover {window}\n{status}\n0. Back",
    season: "Ward {code}, {since}-{until}: rain {rain} mm{normal}.\nCover pays when rain by {end} stays below {trigger} mm.\n0. Back",
    season_dry: "Ward {code}: no rain measured yet.\nCover {window} pays when rain stays below {trigger} mm.\n0. Back",
    season_normal: " ({normal}% of normal)",
    season_none: "This plot has no active cover. Choose 1 in the menu to buy.\n0. Back",
    help: "Cover pays by measurements, straight to M-PESA: no claim form. Complaint? Within 14 days of our SMS, through your agent.\n0. Back",
    item_more: "98. More\n",
    bad: "Not understood.",
    bad_name: "2 to 40 letters.",
    bad_id: "6 to 8 digits.",
    bad_ward: "No such ward.",
    bad_pin: "4 digits.",
    bad_acres: "0.1 to 100 acres.",
    bad_date: "Not a date.",
    pin_differs: "PINs differ.",
    pin_wrong: "Wrong PIN, {left} left.",
    quiz_wrong: "Wrong, think again.",
    plots_full: "9 plots at most.",
    state_awaiting: "unpaid",
    state_active: "active",
    state_settled: "ended",
    state_lapsed: "lapsed",
    state_cancelled: "cancelled",
    told_awaiting: "Premium KES {premium} not paid yet",
    told_active: "Active, premium KES {premium} paid",
    told_paid: "Paid you KES {payout}, M-PESA {receipt}",
    told_coming: "Payout KES {payout} is coming",
    told_review: "Payout KES {payout} under review",
    told_none: "Season ended, no payout",
    told_lapsed: "Lapsed: premium not paid in time",
    told_cancelled: "Cancelled",
    bye: "Thank you. Dial again any time.",
    consent_refused: "We have kept nothing about you. Dial again if you change your mind.",
    quiz_failed: "Nothing was bought. Ask your agent to explain the cover, then dial again.",
    pin_locked: "Too many wrong PINs. Buying is locked for 24 hours.",
    bought: "An M-PESA prompt for KES {premium} is coming: enter your M-PESA PIN there. Cover is on once it is paid, an SMS confirms it.",
    no_policies: "You have no cover yet. Choose 1 in the menu to buy.\n0. Back",
    refused_id: "This ID is registered with another phone number. Please see your agent.",
    refused_plots: "You already have 9 plots. Please see your agent.",
    refused_sale: "The sale of this cover has closed. Nothing was bought.",
    refused_capacity: "This cover is sold out in your area. Nothing was bought.",
    refused_insured: "This plot already has this cover for the season. Nothing was bought.",
    refused_price: "The price has changed. Nothing was bought, please dial again.",
    refused_gone: "We cannot find that plot any more. Please dial again.",
    closed: "MicroCrop by phone is closed at the moment. Please dial again later.",
    busy: "Many people are dialling now. Please dial again in a minute.",
    failed: "Sorry, that failed on our side. Please dial again in a minute.",
    garbled: "We could not read this request. Please dial again.",
    too_long: "This call has become too long. Please dial again to continue.",
};

static SW: Texts = Texts {
    start: "MicroCrop: bima ya mazao\nCrop insurance\n1. English\n2. Kiswahili",
    home_hello: "MicroCrop: karibu {name}",
    home_registered: "Umesajiliwa, {name}.",
    home_plot_saved: "Shamba limehifadhiwa.",
    home_language: "Lugha: Kiswahili",
    home: "{headline}\n1. Nunua bima\n2. Bima na fidia yangu\n3. Msimu wangu\n4. Ongeza shamba\n5. Msaada\n6. Language/Lugha\n0. Toka",
    resume: "Karibu tena {name}. {what}\n8. Endelea\n9. Anza upya",
    resume_buying: "Ulikuwa unanunua {cover} KES {sum}.",
    resume_registering: "Ulikuwa unajisajili.",
    resume_plot: "Ulikuwa unaongeza shamba.",
    language: "Lugha/Language\n1. English\n2. Kiswahili\n0. Rudi",
    name: "Andika jina lako kamili kama kwenye kitambulisho:\n0. Rudi",
    national_id: "Andika nambari ya kitambulisho (tarakimu 6 hadi 8):\n0. Rudi",
    ward: "Weka nambari ya WADI (tarakimu 4), iko kwenye bango au kadi ya wakala:\n1. Tafuta kwa kaunti\n0. Rudi",
    county: "Nambari ya kaunti:\n{items}{more}0. Rudi",
    constituency: "{county}, eneo bunge:\n{items}{more}0. Rudi",
    ward_pick: "{constituency}, wadi:\n{items}{more}0. Rudi",
    ward_confirm: "Wadi {code} {ward}, kaunti ya {county}. Sahihi?\n1. Ndiyo\n2. Hapana",
    consent: "Tutatumia jina, kitambulisho, simu na wadi ya shamba kwa bima hii tu. Unaweza kufuta kibali wakati wowote.\n1. Nakubali\n2. Sikubali",
    pin_new: "Chagua PIN ya siri ya MicroCrop, tarakimu 4. Si PIN ya M-PESA!\n0. Rudi",
    pin_again: "Andika PIN hiyo tena:\n0. Rudi",
    acres: "Ukubwa wa shamba kwa ekari, mfano 0.5 au 2:\n0. Rudi",
    crop: "Zao:\n{items}0. Rudi",
    sowing: "Siku na mwezi wa kupanda kama DDMM, mfano 1503 ni 15 Machi:\n1. Bado sijui\n0. Rudi",
    plot_ward: "Shamba liko wapi?\n1. Wadi {code} {ward}\n2. Wadi nyingine\n0. Rudi",
    plot_pick: "Shamba gani?\n{items}{more}0. Rudi",
    plot_item: "{crop} ekari {acres}, {code}",
    covers: "{crop}, wadi {code}. Bima:\n{items}{more}0. Rudi",
    sums: "Kiwango (mchango), KES:\n{items}0. Rudi",
    quote: "{crop}, wadi {code} {ward}\nKiwango KES {sum}\nMchango KES {premium}\nKinga {window}, siku ya kupanda haihusiki\n1. Kubali\n2. Badili\n0. Rudi",
    quiz_first: "Swali 1: Nini huamua fidia?\n1. Ukaguzi wa shamba langu\n2. Vipimo vya eneo langu\n0. Rudi",
    quiz_second: "Swali 2: Unaweza kupata hasara bila fidia?\n1. Ndiyo, inawezekana\n2. Hapana, kamwe\n0. Rudi",
    explain: "Bima hulipa kwa vipimo vya mvua na mimea, hakuna ukaguzi wa shamba. Unaweza kupata hasara bila fidia.\n1. Endelea\n0. Rudi",
    pin: "Lipa KES {premium}, {cover}. Andika PIN yako ya MicroCrop:\n0. Rudi",
    no_cover: "Leo hakuna bima ya {crop} inayouzwa wadi {code}.{opens}\n0. Rudi",
    no_cover_opens: " Itauzwa kuanzia {day}.",
    policies: "Bima yangu:\n{items}{more}0. Rudi",
    policy: "{code}: {crop}, wadi {ward}\nKiwango KES {sum}\nKinga {window}\n{status}\n0. Rudi",
    season: "Wadi {code}, {since}-{until}: mvua mm {rain}{normal}.\nBima hulipa mvua ikiwa chini ya mm {trigger} hadi {end}.\n0. Rudi",
    season_dry: "Wadi {code}: mvua bado haijapimwa.\nKinga {window} hulipa mvua ikiwa chini ya mm {trigger}.\n0. Rudi",
    season_normal: " ({normal}% ya kawaida)",
    season_none: "Shamba hili halina bima hai. Chagua 1 kwenye menyu kununua.\n0. Rudi",
    help: "Bima hulipa kwa vipimo, moja kwa moja M-PESA, bila fomu. Malalamiko? Kwa wakala, siku 14 baada ya SMS yetu.\n0. Rudi",
    item_more: "98. Zaidi\n",
    bad: "Haijaeleweka.",
    bad_name: "Herufi 2 hadi 40.",
    bad_id: "Tarakimu 6 hadi 8.",
    bad_ward: "Hakuna wadi hiyo.",
    bad_pin: "Tarakimu 4.",
    bad_acres: "Ekari 0.1 hadi 100.",
    bad_date: "Si tarehe.",
    pin_differs: "PIN hazifanani.",
    pin_wrong: "PIN si sahihi, bado {left}.",
    quiz_wrong: "Si sahihi, fikiri tena.",
    plots_full: "Mashamba 9 tu.",
    state_awaiting: "haijalipwa",
    state_active: "hai",
    state_settled: "imekamilika",
    state_lapsed: "imepitwa",
    state_cancelled: "imefutwa",
    told_awaiting: "Mchango KES {premium} haujalipwa",
    told_active: "Hai, mchango KES {premium} umelipwa",
    told_paid: "Umelipwa KES {payout}, M-PESA {receipt}",
    told_coming: "Fidia KES {payout} inakuja",
    told_review: "Fidia KES {payout} inakaguliwa",
    told_none: "Msimu umeisha, hakuna fidia",
    told_lapsed: "Imepitwa: mchango haukulipwa",
    told_cancelled: "Imefutwa",
    bye: "Asante. Piga tena wakati wowote.",
    consent_refused: "Hatujahifadhi chochote kukuhusu. Piga tena ukibadili nia.",
    quiz_failed: "Hakuna kilichonunuliwa. Muulize wakala akueleze bima, kisha piga tena.",
    pin_locked: "PIN imekosewa mara nyingi. Kununua kumefungwa kwa saa 24.",
    bought: "Ombi la M-PESA la KES {premium} linakuja: weka PIN ya M-PESA hapo. Bima huanza ikishalipwa, SMS itathibitisha.",
    no_policies: "Bado huna bima. Chagua 1 kwenye menyu kununua.\n0. Rudi",
    refused_id: "Kitambulisho hiki kimesajiliwa na simu nyingine. Tafadhali muone wakala.",
    refused_plots: "Tayari una mashamba 9. Tafadhali muone wakala.",
    refused_sale: "Mauzo ya bima hii yamefungwa. Hakuna kilichonunuliwa.",
    refused_capacity: "Bima hii imeisha eneo lako. Hakuna kilichonunuliwa.",
    refused_insured: "Shamba hili tayari lina bima hii msimu huu. Hakuna kilichonunuliwa.",
    refused_price: "Bei imebadilika. Hakuna kilichonunuliwa, tafadhali piga tena.",
    refused_gone: "Hatupati shamba hilo tena. Tafadhali piga tena.",
    closed: "MicroCrop kwa simu imefungwa kwa sasa. Tafadhali piga tena baadaye.",
    busy: "Watu wengi wanapiga sasa. Tafadhali piga tena baada ya dakika moja.",
    failed: "Samahani, kuna hitilafu kwetu. Tafadhali piga tena baada ya dakika.",
    garbled: "Hatukuweza kusoma ombi hili. Tafadhali piga tena.",
    too_long: "Simu hii imekuwa ndefu mno. Tafadhali piga tena uendelee.",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::slots_of;
    use crate::ussd::gsm7;

    #[test]
    fn both_languages_fill_the_same_slots_in_plain_gsm7() {
        for ((name, en), (_, sw)) in EN.all().into_iter().zip(SW.all()) {
            assert_eq!(slots_of(en), slots_of(sw), "{name}");
            for text in [en, sw] {
                let bare = text.replace(['{', '}'], "");
                assert!(
                    gsm7::length(&bare).is_some_and(|n| n <= 146),
                    "{name}: {text}"
                );
                assert_eq!(gsm7::length(&bare), Some(bare.chars().count()), "{name}");
                assert!(!text.is_empty(), "{name}");
            }
        }
    }
}
