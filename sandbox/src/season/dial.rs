//! The USSD gateway for one call: keeps the session and the joined text, posts each hop in Africa's
//! Talking's form, posts it again when the answer was lost, and holds every answer to the
//! network's rules. Never interprets a screen. Used by the farmer.

use std::time::Duration;

use domain::msisdn::Msisdn;
use domain::ussd::gsm7;

use super::net::Net;

/// The dialled code.
const SERVICE_CODE: &str = "*384*57#";
/// Longest screen, GSM-7 characters with its prefix.
const SCREEN_SEPTETS_MAX: usize = 150;
/// How often a gateway posts a hop whose answer was lost before the call drops.
const POSTS_MAX: u32 = 4;
/// Pause between those, long enough for a killed process to be back within a few.
const POST_PAUSE: Duration = Duration::from_millis(350);

/// Why a hop gave no screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The network dropped the call; one may dial again.
    Dropped(String),
    /// The product broke the rules; the season fails.
    Broken(String),
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    net: &'a Net,
    phone: &'a Msisdn,
    session_id: String,
    inputs: Vec<String>,
    /// Hops that had to be posted again.
    pub(crate) reposts: u32,
}

impl<'a> Call<'a> {
    /// A call not yet dialled.
    pub(crate) fn new(net: &'a Net, phone: &'a Msisdn, session_id: String) -> Self {
        Self {
            net,
            phone,
            session_id,
            inputs: Vec::new(),
            reposts: 0,
        }
    }

    /// Dials: the hop with an empty text.
    pub(crate) async fn open(&mut self) -> Result<String, Fault> {
        self.post().await
    }

    /// Answers the screen.
    pub(crate) async fn answer(&mut self, input: &str) -> Result<String, Fault> {
        self.inputs.push(input.to_owned());
        self.post().await
    }

    /// Posts the last hop once more, as a gateway that lost the answer does.
    pub(crate) async fn repeat(&mut self) -> Result<String, Fault> {
        self.post().await
    }

    async fn post(&mut self) -> Result<String, Fault> {
        let (phone, text) = (self.phone.e164(), self.inputs.join("*"));
        let form = [
            ("sessionId", self.session_id.as_str()),
            ("serviceCode", SERVICE_CODE),
            ("phoneNumber", phone.as_str()),
            ("text", text.as_str()),
            ("networkCode", "63902"),
        ];
        let mut last = String::new();
        for nth in 0..POSTS_MAX {
            if nth > 0 {
                self.reposts += 1;
                tokio::time::sleep(POST_PAUSE).await;
            }
            match self.net.hop(&form).await {
                Ok(answer) => return lawful(answer),
                Err(trouble) => last = trouble,
            }
        }
        Err(Fault::Dropped(last))
    }
}

/// An answer the network would show.
fn lawful(answer: String) -> Result<String, Fault> {
    if !answer.starts_with("CON ") && !answer.starts_with("END ") {
        return Err(Fault::Broken(format!(
            "an answer without CON or END: {answer:?}"
        )));
    }
    match gsm7::length(&answer) {
        Some(length) if length <= SCREEN_SEPTETS_MAX => Ok(answer),
        Some(length) => Err(Fault::Broken(format!(
            "a screen of {length} characters: {answer:?}"
        ))),
        None => Err(Fault::Broken(format!("a screen outside GSM-7: {answer:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_outside_the_networks_rules_is_refused() {
        assert!(lawful("CON hello".to_owned()).is_ok());
        for bad in [
            "hello".to_owned(),
            format!("END {}", "a".repeat(147)),
            "CON \u{4e16}".to_owned(),
        ] {
            assert!(matches!(lawful(bad), Err(Fault::Broken(_))));
        }
    }
}
