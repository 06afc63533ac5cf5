//! The log of what people and switches did: read in parts, and walked from its first line to its
//! last to see that none was altered, deleted or moved. Changes nothing.
//! Called by auditors and administrators, and by `backend audit verify`.

use std::io::Write;

use axum::Json;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use serde::Serialize;
use store::audit::{self, Break, Chain, Recorded};

use super::{Slice, cut, rows_and_one};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// Lines read at once by the walk.
const LINES_PAGE: i64 = 1_000;

/// A line of the log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LineShown {
    /// Place in the log, from 1.
    sequence: i64,
    /// When.
    at: DateTime<Utc>,
    /// Who: an operator's id, a command, or `anybody` who was not known.
    actor: String,
    /// What.
    action: String,
    /// On what, by its id or code.
    subject: String,
    /// The rest.
    #[schema(value_type = Object)]
    details: serde_json::Value,
    /// SHA-256 of the line before it, hexadecimal.
    previous_hash: String,
    /// SHA-256 of this line, hexadecimal.
    hash: String,
}

impl From<Recorded> for LineShown {
    fn from(line: Recorded) -> Self {
        Self {
            sequence: line.sequence,
            at: line.recorded_at,
            actor: line.actor,
            action: line.action,
            subject: line.subject,
            details: line.details,
            previous_hash: HEXLOWER.encode(&line.previous_hash),
            hash: HEXLOWER.encode(&line.hash),
        }
    }
}

/// A part of the log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinePage {
    /// Newest first.
    items: Vec<LineShown>,
    /// Where the next, older part begins; null at the end.
    next_cursor: Option<String>,
}

/// The log, newest line first.
#[utoipa::path(
    get, path = "/api/v1/operator/audit", tag = "people", params(Slice),
    responses((status = 200, description = "A part of the log", body = LinePage)),
    security(("operator" = []))
)]
pub(crate) async fn list(
    _: Operator,
    State(app): State<App>,
    Query(slice): Query<Slice>,
) -> Result<Json<LinePage>, ApiError> {
    let (rows, before) = (slice.rows()?, slice.place::<i64>()?);
    let mut conn = app.acquire().await?;
    let mut found = audit::list(&mut conn, before, rows_and_one(rows)).await?;
    let next_cursor = cut(&mut found, rows, |line| line.sequence.to_string());
    let items = found.into_iter().map(LineShown::from).collect();
    Ok(Json(LinePage { items, next_cursor }))
}

/// Walks the log in parts and says on `out` how far it is and how it ends; an error when a line is
/// broken. Lines that are written meanwhile are left to the next walk.
pub async fn verify(pool: &store::Pool, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let head = audit::head(&mut conn).await?;
    if head.last_sequence > head.sequence {
        anyhow::bail!("audit: {}", Break::Added(head.sequence.saturating_add(1)));
    }
    let mut chain = Chain::default();
    loop {
        let (after, until) = (chain.sequence(), head.sequence);
        let links = audit::walk(&mut conn, after, until, LINES_PAGE).await?;
        if links.is_empty() {
            break;
        }
        for link in &links {
            chain
                .follow(link)
                .map_err(|broken| anyhow::anyhow!("audit: {broken}"))?;
        }
        writeln!(out, "audit: {} of {until} lines", chain.sequence())?;
    }
    chain
        .end(&head)
        .map_err(|broken| anyhow::anyhow!("audit: {broken}"))?;
    writeln!(out, "audit: {} lines, chain whole", head.sequence)?;
    // to be kept elsewhere: who rewrites the whole log cannot rewrite that
    writeln!(out, "audit: end {}", HEXLOWER.encode(&head.hash))?;
    Ok(())
}
