//! What the SMS and USSD gateway tells us afterwards: delivery reports, opt-outs, ended sessions.
//! Nothing here is signed, so nothing here ever changes money or a policy.
//! Called by the processing loop, inside the transaction that marks the callback done.

use chrono::{DateTime, TimeDelta, Utc};
use providers::africastalking::delivery::{DeliveryStatus, OptOut, Report};
use store::provider_events::Claimed;
use store::sms::{self, Reported};
use store::{Connection, StoreError, farmers};

use crate::App;
use crate::webhooks::mpesa::Processed;

/// A report may overtake the answer that told us its id; after this it is about no text of ours.
const UNKNOWN_MINUTES_MAX: i64 = 60;
/// First wait for that answer, seconds.
const WAIT_SECONDS: i64 = 15;

pub(super) async fn process(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    event: &Claimed,
    body: &[u8],
) -> Result<Processed, StoreError> {
    match event.kind.as_str() {
        "sms-delivery" => match Report::parse(body) {
            Ok(report) => on_report(app, conn, now, event, &report).await,
            Err(_) => Ok(Processed::Done("malformed")),
        },
        "sms-opt-out" => match OptOut::parse(body) {
            Ok(opt_out) => {
                let phone_index = app.pii.phone_index(&opt_out.phone);
                let known = farmers::opt_out(conn, now, &phone_index).await?;
                Ok(Processed::Done(if known {
                    "opted_out"
                } else {
                    "unknown_phone"
                }))
            }
            Err(_) => Ok(Processed::Done("malformed")),
        },
        // kept for metering; a session is no proof of anything
        "ussd-events" => Ok(Processed::Done("recorded")),
        _ => Ok(Processed::Done("unknown_kind")),
    }
}

/// Reports move a text forward only, and only the final ones are kept in its row.
async fn on_report(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    event: &Claimed,
    report: &Report,
) -> Result<Processed, StoreError> {
    let reported = if report.status.is_final() {
        let is_delivered = report.status == DeliveryStatus::Delivered;
        let reason = report.failure_reason.as_deref();
        sms::record_report(conn, now, &report.message_id, is_delivered, reason).await?
    } else if sms::is_known(conn, &report.message_id).await? {
        return Ok(Processed::Done("interim"));
    } else {
        Reported::Unknown
    };
    let outcome = match reported {
        Reported::Moved => "moved",
        Reported::OldNews => "old_news",
        Reported::Unknown => {
            let is_young = now - event.received_at < TimeDelta::minutes(UNKNOWN_MINUTES_MAX);
            if is_young {
                let wait = WAIT_SECONDS.saturating_mul(1_i64 << event.attempts.min(6));
                let at = now + TimeDelta::seconds(wait);
                return Ok(Processed::Later(at, "no text has this id yet"));
            }
            "unknown_message"
        }
    };
    if reported == Reported::Moved {
        let word = if report.status == DeliveryStatus::Delivered {
            "delivered"
        } else {
            "failed"
        };
        app.metrics.sms.with_label_values(&["any", word]).inc();
    }
    Ok(Processed::Done(outcome))
}
