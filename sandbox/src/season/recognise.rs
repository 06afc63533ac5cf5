//! Which screen a farmer is looking at, read from its words as she would read them, in both
//! languages. Never guesses: words it does not know are `Unknown` and fail the season.
//! Called by the farmer at every hop.

/// A screen, as far as a farmer must tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shown {
    Start,
    Resume,
    Home,
    Name,
    NationalId,
    WardCode,
    WardConfirm,
    Consent,
    PinNew,
    PinAgain,
    Acres,
    Crop,
    Sowing,
    PlotWard,
    PlotPick,
    Covers,
    Sums,
    Quote,
    QuizFirst,
    QuizSecond,
    Explain,
    Pin,
    Policies,
    Policy,
    Season,
    /// The purchase is made and the prompt announced.
    Bought,
    /// The plot has this cover already, paid.
    Insured,
    /// The product cannot serve now and says so.
    Trouble,
    /// Another last word.
    Ended,
    Unknown,
}

/// Words that only one screen has. Notes may stand above them, so they may be anywhere.
const OPEN: [(Shown, [&str; 2]); 25] = [
    (Shown::Resume, ["8. Continue", "8. Endelea"]),
    (
        Shown::Start,
        ["1. English\n2. Kiswahili", "1. English\n2. Kiswahili"],
    ),
    (Shown::Home, ["4. Add plot", "4. Ongeza shamba"]),
    (Shown::Name, ["full name", "jina lako kamili"]),
    (
        Shown::NationalId,
        ["national ID number", "nambari ya kitambulisho"],
    ),
    (Shown::WardCode, ["4-digit code", "nambari ya WADI"]),
    (Shown::WardConfirm, ["Is this right?", "Sahihi?"]),
    (Shown::Consent, ["1. I agree", "1. Nakubali"]),
    (Shown::PinNew, ["Choose a secret", "Chagua PIN ya siri"]),
    (Shown::PinAgain, ["the same PIN again", "PIN hiyo tena"]),
    (Shown::Acres, ["plot in acres", "shamba kwa ekari"]),
    (
        Shown::Crop,
        ["1. Maize\n2. Beans", "1. Mahindi\n2. Maharagwe"],
    ),
    (Shown::Sowing, ["as DDMM", "kama DDMM"]),
    (Shown::PlotWard, ["Where is the plot?", "Shamba liko wapi?"]),
    (Shown::PlotPick, ["Which plot?", "Shamba gani?"]),
    (Shown::Covers, [". Cover:", ". Bima:"]),
    (Shown::Sums, ["Insured (premium)", "Kiwango (mchango)"]),
    (Shown::Quote, ["1. Accept", "1. Kubali"]),
    (Shown::QuizFirst, ["Question 1:", "Swali 1:"]),
    (Shown::QuizSecond, ["Question 2:", "Swali 2:"]),
    (Shown::Explain, ["1. Go on", "1. Endelea"]),
    (Shown::Pin, ["your MicroCrop PIN", "PIN yako ya MicroCrop"]),
    (Shown::Policies, ["My cover:\n", "Bima yangu:\n"]),
    (Shown::Policy, [": Maize, ward", ": Mahindi, wadi"]),
    (Shown::Season, [" pays when rain", " hulipa mvua ikiwa"]),
];

/// Last words that matter.
const LAST: [(Shown, [&str; 2]); 5] = [
    (
        Shown::Bought,
        ["An M-PESA prompt for KES", "Ombi la M-PESA la KES"],
    ),
    (
        Shown::Insured,
        ["already has this cover", "tayari lina bima hii"],
    ),
    (
        Shown::Trouble,
        ["failed on our side", "kuna hitilafu kwetu"],
    ),
    (
        Shown::Trouble,
        ["Many people are dialling", "Watu wengi wanapiga"],
    ),
    (
        Shown::Trouble,
        ["call has become too long", "imekuwa ndefu mno"],
    ),
];

/// The screen of an answer with its `CON ` or `END ` prefix.
pub(crate) fn recognise(answer: &str) -> Shown {
    let find = |table: &[(Shown, [&str; 2])]| {
        let has = |words: &&(Shown, [&str; 2])| words.1.iter().any(|word| answer.contains(word));
        table.iter().find(has).map(|(shown, _)| *shown)
    };
    if answer.starts_with("END ") {
        return find(&LAST).unwrap_or(Shown::Ended);
    }
    find(&OPEN).unwrap_or(Shown::Unknown)
}

/// Items of a numbered list on a screen, without the navigation below it (`0`, `98`).
pub(crate) fn items(answer: &str) -> Vec<(u32, &str)> {
    let body = answer.get(4..).unwrap_or_default();
    body.lines()
        .filter_map(|line| {
            let (number, text) = line.split_once(". ").or_else(|| line.split_once('.'))?;
            let number: u32 = number.trim().parse().ok()?;
            ((1..90).contains(&number)).then_some((number, text.trim()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_are_told_apart_in_both_languages() {
        for (text, shown) in [
            (
                "CON MicroCrop: crop insurance\nBima ya mazao\n1. English\n2. Kiswahili",
                Shown::Start,
            ),
            (
                "CON Karibu tena Asha. Ulikuwa unajisajili.\n8. Endelea\n9. Anza upya",
                Shown::Resume,
            ),
            (
                "CON PIN si sahihi, bado 2.\nLipa KES 844, X. Andika PIN yako ya MicroCrop:\n0. Rudi",
                Shown::Pin,
            ),
            (
                "CON Bima hulipa kwa kipimo.\n1. Endelea\n0. Rudi",
                Shown::Explain,
            ),
            (
                "CON Maize, ward 0231. Cover:\n1. Rain deficit\n0. Back",
                Shown::Covers,
            ),
            ("END An M-PESA prompt for KES 844 is coming", Shown::Bought),
            ("END Asante. Piga tena wakati wowote.", Shown::Ended),
            ("CON Something new", Shown::Unknown),
        ] {
            assert_eq!(recognise(text), shown, "{text}");
        }
    }

    #[test]
    fn list_items_are_read_without_the_way_back() {
        let list =
            "CON Insured (premium), KES:\n1. 3,000 (844)\n2. 5,000 (1,407)\n98. More\n0. Back";
        assert_eq!(items(list), [(1, "3,000 (844)"), (2, "5,000 (1,407)")]);
    }
}
