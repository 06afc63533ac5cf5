//! Whole tables of one partner as CSV, streamed a page at a time, each page in its own transaction
//! behind the wall. Must never let a cell compute in a spreadsheet. Called over HTTP by partners.

use std::future::Future;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::stream;
use serde_json::json;
use store::api_keys::Scope;
use store::enrolments::{self, EnrolmentFilter};
use store::exports;
use store::page::Slice;
use uuid::Uuid;

use super::caller::Partner;
use super::farmers::masked;
use super::issue::{self, Actor};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Rows of a page.
const PAGE_ROWS: u16 = 500;

const FARMERS: [&str; 11] = [
    "id",
    "phone",
    "name",
    "national_id",
    "language",
    "ward_code",
    "group_id",
    "agent_id",
    "consent_version",
    "consented_at",
    "created_at",
];
const POLICIES: [&str; 15] = [
    "id",
    "short_code",
    "farmer_id",
    "plot_id",
    "product",
    "season_year",
    "zone",
    "cover_from",
    "cover_before",
    "sum_insured_minor",
    "premium_minor",
    "currency",
    "state",
    "bought_at",
    "activated_at",
];
const PAYOUTS: [&str; 9] = [
    "id",
    "policy_id",
    "evaluation_id",
    "amount_minor",
    "currency",
    "state",
    "planned_at",
    "approved_at",
    "decided_at",
];

pub(super) fn routes() -> Vec<Route> {
    let scope = Scope::ExportsRead;
    vec![
        Route::partner_get("/api/v1/exports/farmers.csv", scope, farmers),
        Route::partner_get("/api/v1/exports/policies.csv", scope, policies),
        Route::partner_get("/api/v1/exports/payouts.csv", scope, payouts),
    ]
}

/// Every farmer of the organisation; needs `farmers:read` as well.
#[utoipa::path(
    get, path = "/api/v1/exports/farmers.csv", tag = "exports",
    responses((status = 200, body = String, content_type = "text/csv"))
)]
pub(crate) async fn farmers(
    partner: Partner,
    State(app): State<App>,
) -> Result<Response, ApiError> {
    partner.require(Scope::FarmersRead)?;
    export(app, partner, "farmers.csv", &FARMERS, farmer_page).await
}

/// Every policy of the organisation.
#[utoipa::path(
    get, path = "/api/v1/exports/policies.csv", tag = "exports",
    responses((status = 200, body = String, content_type = "text/csv"))
)]
pub(crate) async fn policies(
    partner: Partner,
    State(app): State<App>,
) -> Result<Response, ApiError> {
    partner.require(Scope::PoliciesRead)?;
    export(app, partner, "policies.csv", &POLICIES, policy_page).await
}

/// Every payout of the organisation.
#[utoipa::path(
    get, path = "/api/v1/exports/payouts.csv", tag = "exports",
    responses((status = 200, body = String, content_type = "text/csv"))
)]
pub(crate) async fn payouts(
    partner: Partner,
    State(app): State<App>,
) -> Result<Response, ApiError> {
    partner.require(Scope::PayoutsRead)?;
    export(app, partner, "payouts.csv", &PAYOUTS, payout_page).await
}

/// Lines of a page with their ids, and whether there are more.
type Page = Vec<(Uuid, Vec<String>)>;

async fn farmer_page(app: App, partner: Partner, slice: Slice) -> Result<Page, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let all = EnrolmentFilter::default();
    let rows = enrolments::list(&mut tx, &app.pii, partner.organisation, &all, slice).await?;
    let line = |row: enrolments::Enrolment| {
        let cells = vec![
            row.id.to_string(),
            row.phone,
            row.name,
            masked(&row.national_id),
            row.language.as_str().to_owned(),
            row.ward_code,
            row.group.map(|id| id.to_string()).unwrap_or_default(),
            row.agent.map(|id| id.to_string()).unwrap_or_default(),
            row.consent_version,
            time(Some(row.consented_at)),
            time(Some(row.created_at)),
        ];
        (row.id.uuid(), cells)
    };
    Ok(rows.into_iter().map(line).collect())
}

async fn policy_page(app: App, partner: Partner, slice: Slice) -> Result<Page, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let rows = exports::list_policies(&mut tx, partner.organisation, slice).await?;
    let line = |row: exports::PolicyLine| {
        let cells = vec![
            row.id.to_string(),
            row.short_code,
            row.farmer_id.to_string(),
            row.plot_id.to_string(),
            row.product_code,
            row.season_year.to_string(),
            row.zone,
            row.window_start.to_string(),
            row.window_end.to_string(),
            row.sum_insured_minor.to_string(),
            row.premium_minor.to_string(),
            row.currency,
            row.state,
            time(Some(row.bought_at)),
            time(row.activated_at),
        ];
        (row.id.uuid(), cells)
    };
    Ok(rows.into_iter().map(line).collect())
}

async fn payout_page(app: App, partner: Partner, slice: Slice) -> Result<Page, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let rows = exports::list_payouts(&mut tx, partner.organisation, slice).await?;
    let line = |row: exports::PayoutLine| {
        let cells = vec![
            row.id.to_string(),
            row.policy_id.to_string(),
            row.evaluation_id.to_string(),
            row.amount_minor.to_string(),
            row.currency,
            row.state,
            time(Some(row.planned_at)),
            time(row.approved_at),
            time(row.decided_at),
        ];
        (row.id.uuid(), cells)
    };
    Ok(rows.into_iter().map(line).collect())
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
        .unwrap_or_default()
}

/// Where a stream is.
enum At {
    Header,
    After(Option<Uuid>),
    End,
}

async fn export<F>(
    app: App,
    partner: Partner,
    name: &'static str,
    columns: &'static [&'static str],
    page: fn(App, Partner, Slice) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Page, ApiError>> + Send + 'static,
{
    let now = app.clock.now();
    let mut tx = partner.begin(&app).await?;
    let actor = Actor(partner.key.to_string());
    let subject = partner.organisation.to_string();
    let noted = ("export.taken", subject.as_str(), json!({ "file": name }));
    issue::note(&mut tx, now, &app.ids, &actor, noted).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    let lines = stream::try_unfold(
        (app, partner, At::Header),
        move |(app, partner, at)| async move {
            let slice = match at {
                At::End => return Ok(None),
                At::Header => {
                    let header = write(std::iter::once(columns.iter().copied()))?;
                    return Ok(Some((header, (app, partner, At::After(None)))));
                }
                At::After(after) => Slice {
                    after,
                    limit: PAGE_ROWS,
                },
            };
            let mut rows = page(app.clone(), partner.clone(), slice).await?;
            let has_more = rows.len() > usize::from(PAGE_ROWS);
            rows.truncate(usize::from(PAGE_ROWS));
            let next = match rows.last() {
                Some((id, _)) if has_more => At::After(Some(*id)),
                _ => At::End,
            };
            let bytes = write(
                rows.iter()
                    .map(|(_, cells)| cells.iter().map(String::as_str)),
            )?;
            Ok::<_, ApiError>(Some((bytes, (app, partner, next))))
        },
    );
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    let disposition = format!("attachment; filename=\"{name}\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

fn write<'a>(rows: impl Iterator<Item = impl Iterator<Item = &'a str>>) -> Result<Bytes, ApiError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        for cell in row {
            writer
                .write_field(guarded(cell))
                .map_err(ApiError::internal)?;
        }
        writer
            .write_record(None::<&[u8]>)
            .map_err(ApiError::internal)?;
    }
    let bytes = writer.into_inner();
    let bytes = bytes.map_err(|fault| ApiError::internal(fault.into_error()))?;
    Ok(bytes.into())
}

/// A cell that no spreadsheet computes: `=`, `+`, `-`, `@` and their full-width twins at its start,
/// also behind blanks, would begin a formula, and so may a control character (OWASP, "CSV
/// injection").
fn guarded(cell: &str) -> String {
    let begins = cell.trim_start();
    let computes = begins.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if computes || cell.starts_with(char::is_control) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_would_compute_is_quoted_and_commas_stay_in_their_cell() {
        let row = [
            "=1+1", "+254", "-1", "@a", "\ta", "\ra", " =1", "\n@a", "＝1", "plain", "a,\"b\"", "",
        ];
        let bytes = write(std::iter::once(row.into_iter())).unwrap();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(bytes.as_ref());
        let read = reader.records().next().unwrap().unwrap();
        let cells: Vec<_> = read.iter().collect();
        let expected = [
            "'=1+1", "'+254", "'-1", "'@a", "'\ta", "'\ra", "' =1", "'\n@a", "'＝1", "plain",
            "a,\"b\"", "",
        ];
        assert_eq!(cells, expected);
    }
}
