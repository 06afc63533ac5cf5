//! Who the farmers are: names, numbers, PINs, languages, and how each of them behaves at the
//! handset and with her money. All of it follows from the seed and her position alone.
//! Called by the plan.

use domain::i18n::Language;
use domain::msisdn::Msisdn;

use super::recognise::Shown;
use crate::draw;

const FIRST: [&str; 16] = [
    "Asha", "Brian", "Chebet", "Daudi", "Esther", "Fatuma", "Guyo", "Halima", "Isaac", "Jane",
    "Kamau", "Lokwang", "Mwende", "Njeri", "Odhiambo", "Wanjiku",
];
const LAST: [&str; 12] = [
    "Abdi",
    "Barasa",
    "Cherono",
    "Galgallo",
    "Kilonzo",
    "Lesuuda",
    "Mutua",
    "Mwikali",
    "Ng'ang'a",
    "Otieno",
    "Roba",
    "wa Kariuki",
];

/// Screens at which a call may drop so that it can be taken up again.
const DROPS: [Shown; 9] = [
    Shown::WardCode,
    Shown::WardConfirm,
    Shown::Consent,
    Shown::Crop,
    Shown::Sowing,
    Shown::Quote,
    Shown::QuizFirst,
    Shown::QuizSecond,
    Shown::Pin,
];

/// A peculiarity at the handset; each shows once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Types what is asked.
    Steady,
    /// Mistypes at this screen.
    Mistypes(Shown),
    /// The call drops when this screen is shown; she dials again later.
    Drops(Shown),
    /// The gateway posts the hop that leads to this screen twice.
    Repeats(Shown),
    /// Types another PIN at first.
    WrongPin,
    /// Gets the first question wrong twice and is explained the cover.
    WrongAnswers,
}

/// What she does with the payment prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pay {
    AtOnce,
    /// Hours later, in time: the prompt went out while the sale was open.
    Late,
    /// A day later; the prompt that is still out keeps her policy waiting.
    DayLate,
    Twice,
    Never,
    Cancels,
    /// Has not got the money.
    Short,
    /// Pays, but the provider takes, and its history shows, another amount than was asked.
    WrongHistory,
}

impl Pay {
    /// Whether her policy becomes active.
    pub(crate) fn is_covered(self) -> bool {
        matches!(
            self,
            Self::AtOnce | Self::Late | Self::DayLate | Self::Twice
        )
    }
}

/// A farmer.
#[derive(Debug, Clone)]
pub(crate) struct Farmer {
    pub(crate) index: u32,
    pub(crate) phone: Msisdn,
    pub(crate) name: String,
    pub(crate) national_id: String,
    pub(crate) pin: String,
    pub(crate) language: Language,
    /// Her ward's code.
    pub(crate) ward: String,
    pub(crate) acres: String,
    /// `DDMM`, or `1` for not yet known.
    pub(crate) sowing: String,
    /// The cover she wants, by its names on screens (English, Swahili).
    pub(crate) cover: (String, String),
    /// The sum insured she wants, as a position in a menu of three.
    pub(crate) sum: u32,
    pub(crate) habit: Habit,
    pub(crate) pay: Pay,
}

/// A number in `0..below` about one farmer.
pub(crate) fn draw_of(seed: u64, index: u32, what: &str, below: u32) -> u32 {
    draw::below(
        below,
        &[&seed.to_string(), "farmer", &index.to_string(), what],
    )
}

fn pick<T: Copy>(from: &[T], seed: u64, index: u32, what: &str) -> Option<T> {
    let size = u32::try_from(from.len()).unwrap_or(1);
    from.get(usize::try_from(draw_of(seed, index, what, size)).unwrap_or(0))
        .copied()
}

impl Farmer {
    /// The `index`th farmer, in a ward, wanting a cover at a sum.
    pub(crate) fn new(
        seed: u64,
        index: u32,
        ward: &str,
        cover: (String, String),
        sum: u32,
        pay: Pay,
    ) -> anyhow::Result<Self> {
        let first = pick(&FIRST, seed, index, "first").unwrap_or("Asha");
        let last = pick(&LAST, seed, index, "last").unwrap_or("Abdi");
        let acres = pick(&["0.5", "1", "1,25", "2", "3.5"], seed, index, "acres").unwrap_or("1");
        let sowing = pick(&["1", "0103", "1503", "2802"], seed, index, "sowing").unwrap_or("1");
        let swahili = draw_of(seed, index, "language", 100) < 55;
        Ok(Self {
            index,
            // +2547 and eight digits; far from the numbers the bench seeds
            phone: Msisdn::parse(&format!("2547{:08}", 20_000_000_u32.saturating_add(index)))?,
            name: format!("{first} {last}"),
            national_id: format!("{:08}", 20_000_000_u32.saturating_add(index)),
            pin: format!("{:04}", draw_of(seed, index, "pin", 10_000)),
            language: if swahili { Language::Sw } else { Language::En },
            ward: ward.to_owned(),
            acres: acres.to_owned(),
            sowing: sowing.to_owned(),
            cover,
            sum,
            habit: habit(seed, index),
            pay,
        })
    }

    /// Another PIN than hers.
    pub(crate) fn other_pin(&self) -> String {
        let first = if self.pin.starts_with('7') { "3" } else { "7" };
        format!("{first}{}", self.pin.get(1..).unwrap_or("000"))
    }
}

/// The first eight show one habit each, so that even a small season sees them all.
fn habit(seed: u64, index: u32) -> Habit {
    let drop_at = pick(&DROPS, seed, index, "drop").unwrap_or(Shown::Quote);
    let typo_at = pick(
        &[
            Shown::Home,
            Shown::NationalId,
            Shown::WardCode,
            Shown::Acres,
            Shown::Sums,
        ],
        seed,
        index,
        "typo",
    )
    .unwrap_or(Shown::Home);
    match index {
        1 => return Habit::Drops(Shown::Quote),
        2 => return Habit::WrongPin,
        3 => return Habit::Repeats(Shown::Bought),
        4 => return Habit::Mistypes(typo_at),
        5 => return Habit::Drops(Shown::Consent),
        6 => return Habit::WrongAnswers,
        7 => return Habit::Repeats(Shown::Quote),
        _ => {}
    }
    match draw_of(seed, index, "habit", 100) {
        0..12 => Habit::Drops(drop_at),
        12..24 => Habit::Mistypes(typo_at),
        24..30 => Habit::Repeats(Shown::Bought),
        30..36 => Habit::Repeats(Shown::Quote),
        36..41 => Habit::WrongPin,
        41..45 => Habit::WrongAnswers,
        _ => Habit::Steady,
    }
}

/// How a farmer pays: a few odd ones among the first if there are enough farmers, then one in
/// twenty late and one in twenty-five twice.
pub(crate) fn pay(index: u32, farmers: u32) -> Pay {
    let odd = [
        (9, Pay::Twice),
        (10, Pay::Late),
        (11, Pay::WrongHistory),
        (12, Pay::Never),
        (13, Pay::Short),
        (14, Pay::DayLate),
        (15, Pay::Cancels),
    ];
    // a ward needs its ordinary farmers as well
    if farmers < 16 {
        return Pay::AtOnce;
    }
    if let Some((_, pay)) = odd.iter().find(|(at, _)| *at == index) {
        return *pay;
    }
    match index {
        0..16 => Pay::AtOnce,
        _ if index.is_multiple_of(20) => Pay::Late,
        _ if index.is_multiple_of(25) => Pay::Twice,
        _ => Pay::AtOnce,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_makes_the_same_people_with_numbers_of_their_own() {
        let make = |seed, index| {
            let cover = ("Rain deficit".to_owned(), "Upungufu wa mvua".to_owned());
            Farmer::new(seed, index, "0231", cover, 1, pay(index, 200)).unwrap()
        };
        assert_eq!(make(7, 3).pin, make(7, 3).pin);
        let phones: BTreeSet<_> = (0..200).map(|i| make(7, i).phone.e164()).collect();
        assert_eq!(phones.len(), 200);
        assert!((0..200).any(|i| make(7, i).pin != make(8, i).pin));
        assert!((0..200).all(|i| make(7, i).other_pin() != make(7, i).pin));
    }

    #[test]
    fn twenty_farmers_show_every_way_to_pay() {
        let ways: BTreeSet<String> = (0..20).map(|i| format!("{:?}", pay(i, 20))).collect();
        assert_eq!(ways.len(), 8, "{ways:?}");
        assert!((0..10).all(|i| pay(i, 10) == Pay::AtOnce));
    }
}
