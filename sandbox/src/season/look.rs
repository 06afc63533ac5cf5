//! Farmers who look: in mid-season at the rain so far, after it at what became of their cover. Never
//! changes anything. Called by the stages.

use super::advance::Driver;
use super::dial::{Call, Fault};
use super::people::Farmer;
use super::recognise::{Shown, recognise};
use crate::draw;

/// Calls lost before somebody gives up; processes may be on their way back.
const CALLS_MAX: u32 = 20;

/// What is looked at: the inputs after the main menu, and the screens they must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The rain of her season.
    Season,
    /// Her newest policy.
    Policy,
}

impl At {
    fn way(self) -> &'static [(&'static str, Shown)] {
        match self {
            Self::Season => &[("3", Shown::Season)],
            Self::Policy => &[("2", Shown::Policies), ("1", Shown::Policy)],
        }
    }
}

/// Dials, looks, and gives the last screen; the error says what the product did wrong.
pub(crate) async fn look(driver: &Driver, farmer: &Farmer, at: At) -> anyhow::Result<String> {
    let mut trouble = String::new();
    for nth in 0..CALLS_MAX {
        let (what, nth) = (format!("{at:?}"), nth.to_string());
        let id = draw::hex(32, &["look", farmer.phone.digits(), &what, &nth]);
        let mut call = Call::new(&driver.net, &farmer.phone, format!("ATUid_{id}"));
        match walk(&mut call, at).await {
            Ok(Some(screen)) => return Ok(screen),
            Ok(None) => trouble = String::from("the product asked to dial again"),
            Err(Fault::Dropped(reason)) => trouble = reason,
            Err(Fault::Broken(reason)) => {
                anyhow::bail!("farmer {} looked at her {what}: {reason}", farmer.index);
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    anyhow::bail!(
        "farmer {}: {CALLS_MAX} calls dropped, the last: {trouble}",
        farmer.index
    )
}

async fn walk(call: &mut Call<'_>, at: At) -> Result<Option<String>, Fault> {
    let mut screen = call.open().await?;
    let mut expected = Shown::Home;
    for (input, next) in at.way() {
        match recognise(&screen) {
            shown if shown == expected => {}
            Shown::Trouble => return Ok(None),
            _ => return Err(unexpected(&screen)),
        }
        screen = call.answer(input).await?;
        expected = *next;
    }
    match recognise(&screen) {
        shown if shown == expected => Ok(Some(screen)),
        Shown::Trouble => Ok(None),
        _ => Err(unexpected(&screen)),
    }
}

fn unexpected(screen: &str) -> Fault {
    Fault::Broken(format!("an unexpected screen: {screen:?}"))
}
