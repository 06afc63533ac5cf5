//! What M-Pesa calls back with, and when it is believed. Daraja signs nothing, so a result counts
//! only when its conversation is the one our own TLS call was acknowledged under: of the payment,
//! or of the status enquiry. Never ends a leg on anything less, and never pays on another amount.
//! Called by the processing of stored callbacks, inside its transaction.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::LegId;
use domain::money::Money;
use domain::payout::LegState;
use providers::mpesa::callback::{B2cResult, FoundStatus, QueueTimeout, StatusResult};
use providers::mpesa::codes::{CodeClass, classify};
use runtime::ids::Ids;
use sha2::{Digest, Sha256};
use store::legs::{self, Leg, NeedsPerson};
use store::payouts::{self, Ending, Payout};
use store::{Connection, StoreError};

/// First wait for an acknowledgement that is not recorded yet, seconds; doubled each time.
const WAIT_SECONDS: i64 = 15;
/// Looks after which an answer to a question we do not remember asking is put aside: a later
/// question has replaced it, and its own answer decides.
const STATUS_LOOKS_MAX: u32 = 6;
/// Code booked for a payment that a status enquiry found to have failed.
const FOUND_FAILED: &str = "status_failed";

/// What came of a stored callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processed {
    /// It has had its effect, or never will; the word says which.
    Done(&'static str),
    /// It cannot be judged yet: look again then.
    Later(DateTime<Utc>, &'static str),
}

/// What makes a repeat of a callback the same event. A body that cannot be read is its own key.
#[must_use]
pub fn event_key(kind: &str, body: &[u8]) -> String {
    let key = match kind {
        "b2c-result" => B2cResult::parse(body).ok().map(|result| result.event_key()),
        "status-result" => StatusResult::parse(body)
            .ok()
            .map(|result| result.event_key()),
        _ => QueueTimeout::parse(body).event_key(),
    };
    key.unwrap_or_else(|| {
        format!(
            "body:{}",
            data_encoding::HEXLOWER.encode(&Sha256::digest(body))
        )
    })
}

/// Applies a stored callback. `attempts` is how often it was looked at before.
pub async fn process(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    (kind, body): (&str, &[u8]),
    attempts: u32,
) -> Result<Processed, StoreError> {
    match kind {
        "b2c-result" => match B2cResult::parse(body) {
            Ok(result) => on_result(conn, now, ids, &result, attempts).await,
            Err(_) => Ok(Processed::Done("malformed")),
        },
        "status-result" => match StatusResult::parse(body) {
            Ok(result) => on_status(conn, now, ids, &result, attempts).await,
            Err(_) => Ok(Processed::Done("malformed")),
        },
        "b2c-timeout" | "status-timeout" => on_timeout(conn, now, &QueueTimeout::parse(body)).await,
        _ => Ok(Processed::Done("unknown_kind")),
    }
}

/// The result of a payment.
async fn on_result(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    result: &B2cResult,
    attempts: u32,
) -> Result<Processed, StoreError> {
    let acknowledged = match &result.conversation_id {
        Some(conversation) => legs::find_by_conversation(conn, conversation).await?,
        None => None,
    };
    let Some(leg_id) = acknowledged else {
        let named = result.originator_id.as_deref();
        // acknowledged under another conversation: whoever sent this does not know ours
        let foreign = |leg: &Leg| leg.conversation_id.is_some();
        return unacknowledged(conn, now, (named, attempts), foreign).await;
    };
    let Some((payout, leg)) = legs::lock(conn, leg_id).await? else {
        return Ok(Processed::Done("unknown"));
    };
    let code = result.result_code.as_str();
    let evidence = match classify(code) {
        CodeClass::Paid => Evidence::Paid {
            amount: result.amount,
            receipt: result
                .receipt
                .as_deref()
                .or(result.transaction_id.as_deref()),
        },
        CodeClass::Unknown => Evidence::Nothing,
        class => Evidence::Refused(needs(class, code)),
    };
    apply(conn, now, ids, (&payout, &leg), (code, evidence)).await
}

/// The answer to a status enquiry.
async fn on_status(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    result: &StatusResult,
    attempts: u32,
) -> Result<Processed, StoreError> {
    let asked = match &result.conversation_id {
        Some(conversation) => legs::find_by_status_conversation(conn, conversation).await?,
        None => None,
    };
    let Some(leg_id) = asked else {
        // its acknowledgement may still be on its way into the row
        let named = result.subject_originator_id.as_deref();
        return if attempts < STATUS_LOOKS_MAX {
            unacknowledged(conn, now, (named, attempts), |_| false).await
        } else {
            Ok(Processed::Done("superseded"))
        };
    };
    let Some((payout, leg)) = legs::lock(conn, leg_id).await? else {
        return Ok(Processed::Done("unknown"));
    };
    let subject = result.subject_originator_id.as_deref();
    if subject.is_some_and(|subject| subject != leg.originator_id) {
        return Ok(Processed::Done("disbelieved"));
    }
    let (code, evidence) = match result.found {
        FoundStatus::Completed => {
            let receipt = result.receipt.as_deref();
            (
                "0",
                Evidence::Paid {
                    amount: result.amount,
                    receipt,
                },
            )
        }
        FoundStatus::Failed => (FOUND_FAILED, Evidence::Refused(NeedsPerson::RequestRefused)),
        FoundStatus::Undetermined => ("", Evidence::Nothing),
    };
    apply(conn, now, ids, (&payout, &leg), (code, evidence)).await
}

/// A request waited too long in the rail's queue: its outcome is unknown, so it is asked about.
async fn on_timeout(
    conn: &mut Connection,
    now: DateTime<Utc>,
    timeout: &QueueTimeout,
) -> Result<Processed, StoreError> {
    let Some(conversation) = &timeout.conversation_id else {
        return Ok(Processed::Done("unknown"));
    };
    let Some(leg_id) = legs::find_by_conversation(conn, conversation).await? else {
        return Ok(Processed::Done("unknown"));
    };
    ask_soon(conn, now, leg_id).await?;
    Ok(Processed::Done("noted"))
}

/// What a believed callback proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence<'a> {
    /// Money arrived.
    Paid {
        amount: Option<Money>,
        receipt: Option<&'a str>,
    },
    /// No money moved and none will under this id.
    Refused(NeedsPerson),
    /// Nothing.
    Nothing,
}

/// Who must see to a refusal.
fn needs(class: CodeClass, code: &str) -> NeedsPerson {
    match (class, code.trim()) {
        // 4: her daily limit, 8: her wallet would overflow
        (CodeClass::RefusedForNow, "4" | "8") => NeedsPerson::ReceiverLimit,
        // 1: our float; 26: traffic barred
        (CodeClass::RefusedForNow | CodeClass::RefusedByOurAccount, _) => {
            NeedsPerson::SendingPaused
        }
        // 2 and 3: we sent an amount the rail never takes
        (_, "2" | "3") => NeedsPerson::RequestRefused,
        _ => NeedsPerson::NumberRefused,
    }
}

/// Ends a leg by evidence, or says why it does not.
async fn apply(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    (payout, leg): (&Payout, &Leg),
    (code, evidence): (&str, Evidence<'_>),
) -> Result<Processed, StoreError> {
    match (leg.state, evidence) {
        (_, Evidence::Nothing) => {
            if leg.state == LegState::Sent {
                return Ok(Processed::Done("undetermined"));
            }
            Ok(Processed::Done("repeated"))
        }
        (LegState::Paid, Evidence::Paid { .. }) | (LegState::Refused, Evidence::Refused(_)) => {
            Ok(Processed::Done("repeated"))
        }
        (LegState::Paid, Evidence::Refused(_)) | (LegState::Refused, Evidence::Paid { .. }) => {
            tracing::error!(leg = %leg.id, code, "the rail contradicts itself about a leg");
            legs::flag(conn, leg.id, NeedsPerson::Contradicted).await?;
            Ok(Processed::Done("contradicted"))
        }
        // an acknowledged leg is never planned again: whoever says so knows our ids
        (LegState::Planned, _) => Ok(Processed::Done("disbelieved")),
        (LegState::Sent, _) if leg.needs_person.is_some_and(NeedsPerson::bars_evidence) => {
            Ok(Processed::Done("left_to_person"))
        }
        (LegState::Sent, Evidence::Paid { amount: None, .. }) => {
            // paid, but how much? A status enquiry says.
            ask_soon(conn, now, leg.id).await?;
            Ok(Processed::Done("without_amount"))
        }
        (
            LegState::Sent,
            Evidence::Paid {
                amount: Some(amount),
                ..
            },
        ) if amount != leg.amount => {
            tracing::error!(leg = %leg.id, expected = leg.amount.minor, told = amount.minor,
                "the rail says that it paid another amount");
            legs::flag(conn, leg.id, NeedsPerson::AmountMismatch).await?;
            Ok(Processed::Done("amount_mismatch"))
        }
        (LegState::Sent, Evidence::Paid { receipt, .. }) => {
            let ending = Ending::Paid { receipt, code };
            payouts::end_leg(conn, now, (payout, leg), ending, ids.mint(now)).await?;
            Ok(Processed::Done("paid"))
        }
        (LegState::Sent, Evidence::Refused(needs)) => {
            let ending = Ending::Refused { code, needs };
            payouts::end_leg(conn, now, (payout, leg), ending, ids.mint(now)).await?;
            Ok(Processed::Done("refused"))
        }
    }
}

/// A callback whose conversation no acknowledgement of ours carries. If it names a leg that waits
/// for its acknowledgement it may be true: the leg's own next check asks the rail, and this is
/// looked at again.
async fn unacknowledged(
    conn: &mut Connection,
    now: DateTime<Utc>,
    (originator, attempts): (Option<&str>, u32),
    is_foreign: impl Fn(&Leg) -> bool,
) -> Result<Processed, StoreError> {
    let named = match originator {
        Some(originator) => legs::find_by_originator(conn, originator).await?,
        None => None,
    };
    let Some(leg_id) = named else {
        return Ok(Processed::Done("unknown"));
    };
    let Some((_, leg)) = legs::lock(conn, leg_id).await? else {
        return Ok(Processed::Done("unknown"));
    };
    Ok(match leg.state {
        LegState::Paid | LegState::Refused => Processed::Done("decided_otherwise"),
        LegState::Planned => Processed::Done("disbelieved"),
        LegState::Sent if is_foreign(&leg) => Processed::Done("disbelieved"),
        LegState::Sent => {
            let wait = WAIT_SECONDS.saturating_mul(1_i64 << attempts.min(8));
            Processed::Later(now + TimeDelta::seconds(wait), "no acknowledgement yet")
        }
    })
}

/// Has a leg that is with the rail looked at at once.
async fn ask_soon(
    conn: &mut Connection,
    now: DateTime<Utc>,
    leg_id: LegId,
) -> Result<(), StoreError> {
    match legs::lock(conn, leg_id).await? {
        Some((_, leg)) if leg.state == LegState::Sent => legs::postpone(conn, leg_id, now).await,
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_go_to_whoever_can_mend_them() {
        let who = |code| needs(classify(code), code);
        assert_eq!(who("2040"), NeedsPerson::NumberRefused);
        assert_eq!(who("SFC_IC0003"), NeedsPerson::NumberRefused);
        assert_eq!(who("8"), NeedsPerson::ReceiverLimit);
        assert_eq!(who("1"), NeedsPerson::SendingPaused);
        assert_eq!(who("8006"), NeedsPerson::SendingPaused);
        assert_eq!(who("3"), NeedsPerson::RequestRefused);
    }

    #[test]
    fn a_body_nobody_can_read_is_its_own_event() {
        for kind in [
            "b2c-result",
            "status-result",
            "b2c-timeout",
            "status-timeout",
        ] {
            let key = event_key(kind, b"{");
            assert!(key.starts_with("body:"), "{kind}");
            assert_ne!(key, event_key(kind, b"["));
        }
    }
}
