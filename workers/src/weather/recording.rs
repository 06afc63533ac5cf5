//! Writes what fetches of days came to: those that end at the same time by one transaction, each
//! kind of row by one statement, so that a thousand stations cost few round trips. A fetch that is
//! stale or that the database refuses fails alone; its neighbours are written.
//! Must never write a part of a day. Called by the weather role.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::event::Envelope;
use domain::id::MessageId;
use runtime::together::{Limits, Together, Unanswered};
use runtime::topology::Role;
use store::observations::{self, Fetch, FetchState, Reading, Readings, Reply, UtcDay};
use store::{Pool, StoreError, outbox};
use uuid::Uuid;

use crate::consumer::Outcome;
use crate::role::Context;

/// How much gathers while a batch is under way; more than are ever handled at once. Half a batch does
/// not wait for the one before it, so that the database works while replies are parsed.
const LIMITS: Limits = Limits {
    waiting_max: 1_024,
    batch_max: 64,
    crowd_min: 32,
    batches_max: 2,
};

/// What a fetch of a day came to.
#[derive(Debug, Clone)]
pub(super) struct Done {
    /// The day as it was before.
    pub(super) day: UtcDay,
    /// Where it stands now.
    pub(super) state: FetchState,
    /// When it is looked at again.
    pub(super) next_check_at: Option<DateTime<Utc>>,
    /// Data quality of that day, 1e-4.
    pub(super) data_quality_e4: Option<i16>,
    /// Location quality, 1e-4.
    pub(super) location_quality_e4: Option<i16>,
    /// What the provider said of it, if it did.
    pub(super) reply: Option<Answer>,
    /// Rung with it.
    pub(super) bell: Option<Envelope>,
    /// The message that asked for it.
    pub(super) heard: Option<MessageId>,
}

/// The provider's answer about a day.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The bytes as they came.
    pub(super) raw: Vec<u8>,
    /// Their digest, lower-case hex.
    pub(super) sha256: String,
    /// The readings in them that belong to the day.
    pub(super) readings: Vec<Reading>,
}

/// Reads and writes days together; clones share the batches.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    found: Together<Uuid, Result<Option<UtcDay>, Outcome>>,
    written: Together<Done, Result<(), Outcome>>,
}

impl Recording {
    pub(super) fn new(context: &Context) -> Self {
        let (reading, writing) = (context.clone(), context.clone());
        let lifecycle = || context.lifecycle.clone();
        Self {
            found: Together::new(lifecycle(), LIMITS, move |ids| {
                let pool = reading.pool.clone();
                async move { find_all(&pool, ids).await }
            }),
            written: Together::new(lifecycle(), LIMITS, move |done| {
                let context = writing.clone();
                async move { write_all(&context, done).await }
            }),
        }
    }

    /// A day of the work.
    pub(super) async fn find(&self, id: Uuid) -> Result<Option<UtcDay>, Outcome> {
        self.found.ask(id).await.map_err(unanswered)?
    }

    /// Writes what a fetch came to.
    pub(super) async fn write(&self, done: Done) -> Result<(), Outcome> {
        self.written.ask(done).await.map_err(unanswered)?
    }
}

fn unanswered(error: Unanswered) -> Outcome {
    Outcome::Pause(error.to_string())
}

async fn find_all(pool: &Pool, ids: Vec<Uuid>) -> Vec<Result<Option<UtcDay>, Outcome>> {
    let found = async {
        let mut conn = pool.acquire().await?;
        observations::find_days(&mut conn, &ids).await
    };
    match found.await {
        Ok(days) => ids
            .iter()
            .map(|id| Ok(days.iter().find(|day| day.id == *id).cloned()))
            .collect(),
        Err(error) => {
            let outcome = Outcome::from(error);
            ids.iter().map(|_| Err(outcome.clone())).collect()
        }
    }
}

/// Writes fetches by one transaction; when that fails, each by its own.
async fn write_all(context: &Context, done: Vec<Done>) -> Vec<Result<(), Outcome>> {
    match transact(context, &done).await {
        Ok(answers) => answers,
        Err(error) if error.is_unavailable() || done.len() == 1 => {
            let outcome = Outcome::from(error);
            done.iter().map(|_| Err(outcome.clone())).collect()
        }
        Err(error) => {
            tracing::warn!(days = done.len(), %error, "days are written one by one");
            let mut answers = Vec::with_capacity(done.len());
            for one in &done {
                let answer = transact(context, std::slice::from_ref(one)).await;
                answers.push(match answer {
                    Ok(mut answers) => answers.pop().unwrap_or(Ok(())),
                    Err(error) => Err(error.into()),
                });
            }
            answers
        }
    }
}

async fn transact(
    context: &Context,
    done: &[Done],
) -> Result<Vec<Result<(), Outcome>>, StoreError> {
    let now = context.clock.now();
    let mut tx = context.pool.begin().await?;
    let mut days = BTreeSet::new();
    // two fetches of one day may end together: the second of them is stale
    let fetches: Vec<Fetch<'_>> = done
        .iter()
        .filter(|done| days.insert(done.day.id))
        .map(|done| Fetch {
            day: &done.day,
            state: done.state,
            next_check_at: done.next_check_at,
            reply_sha256: done.reply.as_ref().map(|reply| reply.sha256.as_str()),
            data_quality_e4: done.data_quality_e4,
            location_quality_e4: done.location_quality_e4,
        })
        .collect();
    let mut recorded = observations::record_fetches(&mut tx, now, &fetches).await?;
    // the first of each day that was recorded, and the others with their answers
    let (mut fresh, mut answers) = (Vec::with_capacity(done.len()), Vec::new());
    for one in done {
        if recorded.remove(&one.day.id) {
            fresh.push(one);
            answers.push(Ok(()));
        } else {
            let stale = StoreError::Stale {
                entity: "station day",
                id: one.day.id.to_string(),
            };
            answers.push(Err(stale.into()));
        }
    }
    let heard: Vec<MessageId> = fresh.iter().filter_map(|done| done.heard).collect();
    if !heard.is_empty() {
        let role = Role::Weather.name();
        store::consumed::first_times(&mut tx, now, role, &heard).await?;
    }
    let replies: Vec<(Reply<'_>, &Answer)> = fresh
        .iter()
        .filter_map(|done| Some((done, done.reply.as_ref()?)))
        .map(|(done, answer)| {
            let reply = Reply {
                id: context.ids.uuid(now),
                station_id: &done.day.station_id,
                utc_date: done.day.utc_date,
                sha256: &answer.sha256,
                raw: &answer.raw,
            };
            (reply, answer)
        })
        .collect();
    if !replies.is_empty() {
        let given: Vec<Reply<'_>> = replies.iter().map(|(reply, _)| *reply).collect();
        let revisions = observations::store_replies(&mut tx, now, &given).await?;
        let readings: Vec<Readings<'_>> = replies
            .iter()
            .filter_map(|(reply, answer)| {
                Some(Readings {
                    station_id: reply.station_id,
                    utc_date: reply.utc_date,
                    revision: *revisions.get(&reply.id)?,
                    readings: &answer.readings,
                })
            })
            .collect();
        if !readings.is_empty() {
            observations::insert_batch(&mut tx, &readings).await?;
        }
    }
    let bells: Vec<Envelope> = fresh.iter().filter_map(|done| done.bell.clone()).collect();
    outbox::push_all(&mut tx, now, &bells, now).await?;
    tx.commit().await?;
    Ok(answers)
}
