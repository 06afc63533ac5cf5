//! Another attempt at a refused payout, which only a person may order: each refused leg gets a new
//! id and its money is reserved anew. Never touches a leg that is paid or in doubt.
//! Called by operators once they have mended what refused it; also lets paused sending go on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::event::{Envelope, Event};
use domain::id::PayoutId;
use domain::payout::{LEG_CODE_LENGTH, LegState, PayoutState};
use serde::Serialize;
use serde_json::json;
use store::legs::{self, NewLeg};
use store::{StoreError, outbox, payouts};
use utoipa::ToSchema;

use super::{Reason, audited};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// A payout that is tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryShown {
    /// `pay_…`.
    payout: String,
    /// The highest number of attempts of any part of it.
    attempts: u16,
}

/// Has a refused payout tried again, once what refused it is mended.
#[utoipa::path(
    post, path = "/api/v1/payouts/{payout}/retry", tag = "operators",
    params(("payout" = String, Path, description = "`pay_…`")), request_body = Reason,
    responses(
        (status = 200, description = "It is tried again", body = RetryShown),
        (status = 404, description = "`unknown_payout`"),
        (status = 409, description = "`not_refused` or `contradicted`"),
        (status = 422, description = "`reason_missing` or `reason_too_long`"),
    )
)]
pub(crate) async fn retry(
    operator: Operator,
    State(app): State<App>,
    Path(payout): Path<String>,
    body: Bytes,
) -> Result<Json<RetryShown>, ApiError> {
    let reason = Reason::read(&body)?;
    if reason.is_empty() {
        let rule = "say in `reason` what has been mended since it was refused";
        return Err(ApiError::refused("reason_missing", rule));
    }
    let unknown = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_payout",
            "there is no such payout",
        )
    };
    let id: PayoutId = payout.parse().map_err(|_| unknown())?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let locked = payouts::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    if locked.state != PayoutState::Refused {
        let detail = format!(
            "the payout is {}; only a refused one is tried again",
            locked.state.as_str()
        );
        return Err(ApiError::conflict("not_refused", detail));
    }
    let mut attempts = 0_u16;
    for leg in legs::list(&mut tx, id).await? {
        if leg.state != LegState::Refused {
            continue;
        }
        if legs::is_contradicted(&mut tx, id, leg.leg).await? {
            let detail = "the rail's word on this payout contradicts itself, and the money may have \
                          gone out: find it in the rail's statement first";
            return Err(ApiError::conflict("contradicted", detail));
        }
        let attempt = leg.attempt.saturating_add(1);
        let originator_id = format!("MC{}", app.ids.base32(LEG_CODE_LENGTH));
        let new = NewLeg {
            id: app.ids.mint(now),
            payout_id: id,
            leg: leg.leg,
            attempt,
            originator_id: &originator_id,
            amount: leg.amount,
        };
        legs::plan(&mut tx, now, &new).await?;
        legs::unflag(&mut tx, leg.id).await?;
        attempts = attempts.max(attempt);
    }
    payouts::refresh(&mut tx, now, &locked).await?;
    let event = Event::PayoutApproved { payout_id: id };
    let envelope = Envelope {
        id: app.ids.mint(now),
        event,
        traceparent: None,
    };
    outbox::push(&mut tx, now, &envelope, now).await?;
    let details = json!({ "reason": reason, "attempt": attempts });
    let what = ("payout.retried", id.to_string());
    audited(
        &mut tx,
        now,
        &app.ids,
        &operator,
        (what.0, &what.1, details),
    )
    .await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(RetryShown {
        payout: id.to_string(),
        attempts,
    }))
}
