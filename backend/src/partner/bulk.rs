//! Many farmers at once, from CSV or JSON: every row that is in order is enrolled, every other is
//! reported with its number, field and reason. A dry run is the real run that is not committed, so
//! that it cannot differ. Must never stop at the first bad row. Called over HTTP by partners.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::id::OrganisationId;
use runtime::ids::Ids;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::api_keys::Scope;
use store::enrolments::{self, NewEnrolment};
use store::{Connection, Pii, StoreError};
use utoipa::{IntoParams, ToSchema};

use super::caller::Partner;
use super::change::{Begun, Mutation, Reply};
use super::enrolment::{self, Checked, FarmerInput, Known};
use super::farmers::refusal;
use super::input::FieldFault;
use super::issue::{self, Actor};
use super::page::Filter;
use super::rows::{self, Row};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Most rows of a file.
pub(super) const ROWS_MAX: usize = 10_000;
/// Largest file, bytes.
const BYTES_MAX: usize = 5 * 1024 * 1024;
/// Longest a file may take, seconds; ten thousand rows take a few.
const SECONDS_MAX: u64 = 60;
/// Rows of one insert.
const BATCH_ROWS: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    let path = "/api/v1/farmers/bulk";
    let route = Route::partner_post(path, Scope::FarmersWrite, enrol);
    vec![route.body_max(BYTES_MAX).seconds_max(SECONDS_MAX)]
}

/// How a file is taken. A name it does not know is refused: a misspelt dry run must not be a real one.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BulkQuery {
    /// `true` only says what the real run would; it needs no Idempotency-Key.
    #[serde(default)]
    dry_run: bool,
}

/// Farmers as JSON; as CSV, the columns are phone, name, national_id, language, ward_code, group,
/// agent, consent_version, consent_obtained, consent_at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkInput {
    /// At most 10,000.
    #[serde(deserialize_with = "rows::bounded")]
    #[schema(value_type = Vec<FarmerInput>)]
    pub(super) farmers: Vec<serde_json::Value>,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkBody {
    /// Whether nothing was enrolled because nothing was to be.
    dry_run: bool,
    /// Rows of the file.
    rows: usize,
    /// Rows that were, or would be, enrolled.
    enrolled: usize,
    /// Rows that were not.
    refused: usize,
    /// Who was enrolled; empty in a dry run.
    farmers: Vec<EnrolledRow>,
    /// What is wrong with the others, in the order of rows.
    errors: Vec<RowFault>,
}

/// A row that was enrolled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolledRow {
    /// Its number, from 1, the header not counted.
    row: usize,
    /// `far_…`.
    id: String,
}

/// A fault of a row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowFault {
    /// Its number, from 1, the header not counted.
    row: usize,
    /// What is wrong.
    #[serde(flatten)]
    fault: FieldFault,
}

/// Enrols the farmers of a file, or says what is wrong with it.
#[utoipa::path(
    post, path = "/api/v1/farmers/bulk", tag = "farmers", params(BulkQuery),
    request_body(content((BulkInput = "application/json"), (String = "text/csv"))),
    responses((status = 200, body = BulkBody), (status = 400), (status = 413), (status = 422))
)]
pub(crate) async fn enrol(
    partner: Partner,
    State(app): State<App>,
    Filter(query): Filter<BulkQuery>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let (kind, body) = (mutation.content_type.clone(), mutation.body.clone());
    let rows = apart(move || rows::read(&kind, &body)).await??;
    if query.dry_run {
        let mut tx = partner.begin(&app).await?;
        let now = app.clock.now();
        let done = run(&app, &mut tx, now, partner.organisation, rows).await?;
        drop(tx); // not committed: that is what makes it dry
        // what a dry run asks about people it enrols nobody of is written down
        let mut tx = partner.begin(&app).await?;
        note(&app, &mut tx, now, &partner, "farmers.checked", &done).await?;
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(Reply::ok(&done.report(true))?.answer());
    }
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let done = run(&app, change.conn(), now, partner.organisation, rows).await?;
    note(
        &app,
        change.conn(),
        now,
        &partner,
        "farmers.enrolled",
        &done,
    )
    .await?;
    change.finish(&app, Reply::ok(&done.report(false))?).await
}

async fn note(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    partner: &Partner,
    action: &str,
    done: &Done,
) -> Result<(), StoreError> {
    let actor = Actor(partner.key.to_string());
    let details = json!({ "rows": done.rows, "enrolled": done.farmers.len() });
    let subject = partner.organisation.to_string();
    issue::note(conn, now, &app.ids, &actor, (action, &subject, details)).await
}

/// A row's number and its farmer, ready for the table.
type Sealed = (usize, NewEnrolment);

/// What a run has come to.
struct Done {
    rows: usize,
    farmers: Vec<EnrolledRow>,
    errors: Vec<RowFault>,
}

impl Done {
    fn report(self, dry_run: bool) -> BulkBody {
        let enrolled = self.farmers.len();
        BulkBody {
            dry_run,
            rows: self.rows,
            enrolled,
            refused: self.rows.saturating_sub(enrolled),
            farmers: if dry_run { Vec::new() } else { self.farmers },
            errors: self.errors,
        }
    }
}

async fn run(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    organisation: OrganisationId,
    rows: Vec<Row>,
) -> Result<Done, ApiError> {
    let count = rows.len();
    let readable = rows.iter().filter_map(|row| row.as_ref().ok());
    let known = Known::load(conn, organisation, readable).await?;
    let (pii, ids) = (Arc::clone(&app.pii), app.ids.clone());
    let (mut sealed, mut errors) = apart(move || prepare(&pii, &ids, now, &known, rows)).await??;
    // two files with the same people in another order must not wait for each other
    sealed.sort_by(|(_, one), (_, other)| one.phone_index.cmp(&other.phone_index));
    let mut farmers = Vec::with_capacity(sealed.len());
    while !sealed.is_empty() {
        let batch: Vec<_> = sealed.drain(..BATCH_ROWS.min(sealed.len())).collect();
        insert(conn, now, organisation, batch, (&mut farmers, &mut errors)).await?;
    }
    farmers.sort_by_key(|farmer| farmer.row);
    errors.sort_by_key(|error| error.row);
    Ok(Done {
        rows: count,
        farmers,
        errors,
    })
}

/// Checks and seals every row, and finds rows that name the same person.
fn prepare(
    pii: &Pii,
    ids: &Ids,
    now: DateTime<Utc>,
    known: &Known,
    rows: Vec<Row>,
) -> Result<(Vec<Sealed>, Vec<RowFault>), ApiError> {
    let (mut sealed, mut errors) = (Vec::new(), Vec::new());
    let (mut phones, mut national_ids) = (HashMap::new(), HashMap::new());
    for (index, row) in rows.into_iter().enumerate() {
        let number = index.saturating_add(1);
        let checked = row.and_then(|input| enrolment::check(&input, known, now));
        let checked =
            checked.and_then(|checked| once(checked, number, &mut phones, &mut national_ids));
        match checked {
            Ok(checked) => sealed.push((number, enrolment::seal(pii, ids, now, checked)?)),
            Err(faults) => errors.extend(
                faults
                    .into_iter()
                    .map(|fault| RowFault { row: number, fault }),
            ),
        }
    }
    Ok((sealed, errors))
}

/// The first row of a person counts.
fn once(
    checked: Checked,
    number: usize,
    phones: &mut HashMap<String, usize>,
    national_ids: &mut HashMap<String, usize>,
) -> Result<Checked, Vec<FieldFault>> {
    let mut faults = Vec::new();
    for (field, value, seen) in [
        ("phone", checked.phone.digits(), &*phones),
        ("national_id", checked.national_id.as_str(), &*national_ids),
    ] {
        if let Some(first) = seen.get(value) {
            let reason = format!("row {first} has the same {field}");
            faults.push(FieldFault::new(field, "repeated_in_file", reason));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    phones.insert(checked.phone.digits().to_owned(), number);
    national_ids.insert(checked.national_id.clone(), number);
    Ok(checked)
}

/// Inserts a batch; who was not taken is known already, with us or with somebody else.
async fn insert(
    conn: &mut Connection,
    now: DateTime<Utc>,
    organisation: OrganisationId,
    batch: Vec<Sealed>,
    (farmers, errors): (&mut Vec<EnrolledRow>, &mut Vec<RowFault>),
) -> Result<(), ApiError> {
    let (numbers, new): (Vec<usize>, Vec<NewEnrolment>) = batch.into_iter().unzip();
    let taken: HashSet<_> = enrolments::insert_many(conn, now, organisation, &new)
        .await?
        .into_iter()
        .collect();
    let (mut phones, mut national_ids, mut known) = (Vec::new(), Vec::new(), Vec::new());
    for (number, farmer) in numbers.into_iter().zip(new) {
        if taken.contains(&farmer.id) {
            farmers.push(EnrolledRow {
                row: number,
                id: farmer.id.to_string(),
            });
        } else {
            known.push(number);
            phones.push(farmer.phone_index);
            national_ids.push(farmer.national_id_index);
        }
    }
    if known.is_empty() {
        return Ok(());
    }
    let own = enrolments::list_known(conn, organisation, &phones, &national_ids).await?;
    let (own_phones, own_ids): (HashSet<_>, HashSet<_>) = own.into_iter().unzip();
    for ((number, phone), id) in known.into_iter().zip(phones).zip(national_ids) {
        let is_own = own_phones.contains(&phone) || own_ids.contains(&id);
        let (code, reason) = refusal(is_own);
        let field = if own_ids.contains(&id) && !own_phones.contains(&phone) {
            "national_id"
        } else {
            "phone"
        };
        let fault = FieldFault::new(field, code, reason);
        errors.push(RowFault { row: number, fault });
    }
    Ok(())
}

/// Long work off the threads that answer others.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)
}
