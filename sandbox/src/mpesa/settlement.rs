//! Settling what was accepted: the checks in M-Pesa's order, the money, the receipt, and the result
//! to be called back. Money moves exactly once an originator id, told or untold.
//! Called by the world's step when a settlement or an enquiry is due.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

use super::{Disbursement, NAME, Outcome, results};
use crate::schedule::{Action, Enquiry};
use crate::wallets::{B2cBehaviour, MovementKind};
use crate::world::State;
use crate::{Callback, draw};

/// Most money a wallet holds, and receives in a day, cents (Daraja B2C page).
const WALLET_MINOR_MAX: i64 = 50_000_000;
/// Kenya's offset from UTC, seconds.
const EAT_SECONDS: i32 = 3 * 3_600;

/// Settles an accepted payment and schedules its result.
pub(crate) fn settle(state: &mut State, originator_id: &str, at: DateTime<Utc>) {
    let Some(payment) = state.mpesa.by_originator.get(originator_id).cloned() else {
        return;
    };
    if payment.outcome != Outcome::Moving {
        return;
    }
    let behaviour = state.wallets.phone(&payment.digits).b2c.clone();
    let outcome = if let Some(code) = refusal(state, &payment, &behaviour, at) {
        Outcome::Failed { code }
    } else {
        let minor = payment.shillings.saturating_mul(100);
        state
            .wallets
            .disburse(&payment.digits, minor, originator_id, at);
        state.mpesa.float_minor -= minor;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let receipt = draw::text(10, alphabet, &[&state.salt, "b2c-receipt", originator_id]);
        Outcome::Paid { receipt, at }
    };
    let payment = Disbursement { outcome, ..payment };
    let is_timeout = behaviour == B2cBehaviour::QueueTimeout;
    let callback = Callback {
        provider: NAME,
        kind: if is_timeout {
            "b2c-timeout"
        } else {
            "b2c-result"
        },
        url: if is_timeout {
            payment.timeout_url.clone()
        } else {
            payment.result_url.clone()
        },
        content_type: "application/json",
        body: if is_timeout {
            results::timeout(&payment)
        } else {
            results::b2c(&payment, state.mpesa.float_minor, at)
        },
    };
    match behaviour {
        B2cBehaviour::Never => state.faults.count("never"),
        B2cBehaviour::Twice => {
            state.faults.count("repeats");
            let again = at + TimeDelta::seconds(30);
            state.schedule.add(at, Action::Deliver(callback.clone()));
            state.schedule.add(again, Action::Deliver(callback));
        }
        _ => state.call_back(at, at, &payment.digits, callback),
    }
    state
        .mpesa
        .by_originator
        .insert(originator_id.to_owned(), payment);
}

/// The result code of a payment that cannot be made.
fn refusal(
    state: &State,
    payment: &Disbursement,
    behaviour: &B2cBehaviour,
    at: DateTime<Utc>,
) -> Option<String> {
    if let B2cBehaviour::Code(code) = behaviour {
        return Some(code.clone());
    }
    let minor = payment.shillings.saturating_mul(100);
    let phone = state
        .wallets
        .phones
        .get(&payment.digits)
        .filter(|phone| phone.is_registered);
    let code = match phone {
        _ if !payment.is_initiator_known => "2001",
        None => "2040",
        Some(_) if payment.shillings < 10 => "2",
        Some(_) if payment.shillings > 250_000 => "3",
        Some(_) if received_on_day(state, &payment.digits, at) + minor > WALLET_MINOR_MAX => "4",
        Some(phone) if phone.balance_minor.saturating_add(minor) > WALLET_MINOR_MAX => "8",
        Some(_) if state.mpesa.float_minor < minor => "1",
        Some(_) => return None,
    };
    Some(code.to_owned())
}

/// Cents paid to a phone on the local day of `at`.
fn received_on_day(state: &State, digits: &str, at: DateTime<Utc>) -> i64 {
    let Some(zone) = FixedOffset::east_opt(EAT_SECONDS) else {
        return 0;
    };
    let day = at.with_timezone(&zone).date_naive();
    state
        .wallets
        .book
        .iter()
        .rev()
        .take_while(|movement| at - movement.at < TimeDelta::days(1))
        .filter(|movement| {
            movement.kind == MovementKind::Disburse
                && movement.msisdn == digits
                && movement.at.with_timezone(&zone).date_naive() == day
        })
        .map(|movement| movement.amount_minor)
        .sum()
}

/// Answers a status enquiry by what is true now.
pub(crate) fn answer_enquiry(state: &mut State, enquiry: &Enquiry, at: DateTime<Utc>) {
    let found = state.mpesa.by_originator.get(&enquiry.subject).or_else(|| {
        // enquiries may also name the receipt
        state.mpesa.by_originator.values().find(|payment| {
            matches!(&payment.outcome, Outcome::Paid { receipt, .. } if *receipt == enquiry.subject)
        })
    });
    let key = found.map_or_else(String::new, |payment| payment.digits.clone());
    let callback = Callback {
        provider: NAME,
        kind: "status-result",
        url: enquiry.result_url.clone(),
        content_type: "application/json",
        body: results::status(enquiry, found),
    };
    state.call_back(at, at, &key, callback);
}
