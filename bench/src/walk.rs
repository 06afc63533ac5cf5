//! The walk every contestant answers: dial, `1`, `1*1`, `1*1*1`, with the screens it must give.
//! One file, `walk.json`, is read by the generator, the floors and the peer alike.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The one copy of the walk in this process.
pub static WALK: LazyLock<Walk> = LazyLock::new(|| {
    let document: Document =
        serde_json::from_str(include_str!("../walk.json")).expect("walk.json is checked in");
    let mut screens = HashMap::new();
    let mut texts = Vec::new();
    for hop in document.hops {
        let with_names = document
            .names
            .iter()
            .map(|name| hop.screen.replace("{name}", name))
            .collect();
        screens.insert(hop.text.clone(), with_names);
        texts.push(hop.text);
    }
    Walk {
        ward: document.ward,
        names: document.names,
        texts,
        screens,
    }
});

#[derive(Deserialize)]
struct Document {
    ward: String,
    names: Vec<String>,
    hops: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    text: String,
    screen: String,
}

/// The walk.
pub struct Walk {
    /// Where every seeded farmer grows.
    pub ward: String,
    /// First names, by the phone's number.
    pub names: Vec<String>,
    /// The cumulative text of each hop.
    pub texts: Vec<String>,
    /// Text to screens, one a name.
    screens: HashMap<String, Vec<String>>,
}

impl Walk {
    /// First name of the farmer with phone number `number`.
    pub fn name(&self, number: u32) -> &str {
        &self.names[number as usize % self.names.len()]
    }

    /// What must be answered to `text` dialled by that farmer.
    pub fn screen(&self, text: &str, number: u32) -> Option<&str> {
        let with_names = self.screens.get(text)?;
        Some(&with_names[number as usize % with_names.len()])
    }
}

/// `+2547` and eight digits.
pub fn phone(number: u32) -> String {
    format!("+2547{number:08}")
}

/// The number in a phone as the gateway sends it.
pub fn number(phone: &str) -> Option<u32> {
    phone.strip_prefix("+2547")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_has_a_screen_for_every_hop_and_farmer() {
        assert_eq!(WALK.texts, ["", "1", "1*1", "1*1*1"]);
        for number in [1, 16, 100_000] {
            let home = WALK.screen("", number).unwrap();
            assert!(home.contains(&format!("welcome {}\n", WALK.name(number))));
            assert!(WALK.screen("1*1*1", number).unwrap().contains("KES 802"));
        }
        assert_eq!(WALK.screen("2", 1), None);
        assert_eq!(number(&phone(99_999)), Some(99_999));
    }
}
