//! A farmer as the gateway sees her: a phone number and the keys she will press. Knows nothing of
//! the system but its screens' menu numbers. Driven by `system`.

/// Keys of registration, in English.
const REGISTRATION: [&str; 8] = ["1", "NAME", "ID", "WARD", "1", "1", "2580", "2580"];
/// Keys that add a plot from the main menu.
const PLOT: [&str; 5] = ["4", "0.5", "1", "1", "1"];
/// Keys that buy from the main menu up to and with the PIN.
const PURCHASE: [&str; 7] = ["1", "COVER", "SUM", "1", "2", "1", "2580"];

/// A farmer with a phone.
#[derive(Debug, Clone)]
pub struct Farmer {
    /// Twelve digits.
    pub phone: String,
    keys: Vec<String>,
    pressed: usize,
    session: u32,
    sent: Vec<String>,
    last: Option<(String, String)>,
}

impl Farmer {
    /// The `number`th farmer, living in a ward; what she buys follows from her number.
    #[must_use]
    pub fn new(number: u8, ward: &str) -> Self {
        let cover = (number % 2 + 1).to_string();
        let sum = (number % 3 + 1).to_string();
        let keys = REGISTRATION
            .iter()
            .chain(&PLOT)
            .chain(&PURCHASE)
            .map(|key| match *key {
                "NAME" => format!("Farmer {}", char::from(b'A' + number % 26)),
                "ID" => format!("{}", 20_000_000 + u32::from(number)),
                "WARD" => ward.to_owned(),
                "COVER" => cover.clone(),
                "SUM" => sum.clone(),
                plain => plain.to_owned(),
            })
            .collect();
        Self {
            phone: format!("2547{:08}", 10_000 + u32::from(number)),
            keys,
            pressed: 0,
            session: 0,
            sent: Vec::new(),
            last: None,
        }
    }

    /// Whether she has pressed everything she meant to.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pressed >= self.keys.len()
    }

    /// The next hop: session and cumulative text. The first hop of a session is the dial itself.
    pub fn press(&mut self) -> Option<(String, String)> {
        if self.is_done() {
            return None;
        }
        if self.last.is_some() {
            self.sent.push(self.keys[self.pressed].clone());
            self.pressed += 1;
        }
        let hop = (
            format!("ATUid_{}_{}", self.phone, self.session),
            self.sent.join("*"),
        );
        self.last = Some(hop.clone());
        Some(hop)
    }

    /// The hop sent last, once more.
    #[must_use]
    pub fn repeat(&self) -> Option<(String, String)> {
        self.last.clone()
    }

    /// The system offers to go on or to start again: she presses 9 next.
    pub fn start_again(&mut self) {
        self.keys.insert(self.pressed, "9".to_owned());
    }

    /// Takes the last key back: the network lost the hop, she will press it again.
    pub fn lost(&mut self) {
        if self.sent.pop().is_some() {
            self.pressed = self.pressed.saturating_sub(1);
        } else {
            self.last = None;
        }
    }

    /// The session ended. She dials anew and begins where the system lets her: registered or not.
    pub fn hang_up(&mut self, is_registered: bool, has_plot: bool, has_bought: bool) {
        self.session += 1;
        self.sent.clear();
        self.last = None;
        self.pressed = match (is_registered, has_plot, has_bought) {
            (false, ..) => 0,
            (true, false, _) => REGISTRATION.len(),
            (true, true, false) => REGISTRATION.len() + PLOT.len(),
            (true, true, true) => self.keys.len(),
        };
    }
}
