//! What webhooks are about, and only where a partner is concerned: a policy, a payout with each round
//! of it, an index with the organisations that have policies of its risk. Also the bells that were
//! lost before anybody told of them. Reads only, and nothing personal. Called by the outbound worker.

use chrono::{DateTime, Utc};
use domain::id::{IndexRunId, OrganisationId, PayoutId, PolicyId};
use domain::money::{Currency, Money};
use domain::season::Window;
use domain::webhook::{EventKind, IndexFacts, PayoutFacts, PolicyFacts};
use sqlx::PgConnection;

use crate::decode::{corrupt, json, money};
use crate::error::StoreError;
use crate::outbox::Claimed;

/// A policy of a partner's farmer.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whose.
    pub organisation_id: OrganisationId,
    /// What is told of it.
    pub facts: PolicyFacts,
    /// When it came on risk.
    pub activated_at: Option<DateTime<Utc>>,
    /// When it ended unpaid.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A payout to a partner's farmer.
#[derive(Debug, Clone)]
pub struct Payout {
    /// Whose.
    pub organisation_id: OrganisationId,
    /// What is told of it.
    pub facts: PayoutFacts,
    /// Each time that it was released, in order; none, while it is held.
    pub rounds: Vec<Round>,
}

/// A payout's release, and what came of it. A refused payout that is tried again is released once
/// more, and each of its refused legs gets another attempt: the attempt is the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// From 1.
    pub number: u16,
    /// When it was released.
    pub released_at: DateTime<Utc>,
    /// `PayoutPaid` once all of it has arrived, or `PayoutRefused` if the farmer's account did not
    /// take it, and when. That we must mend something ourselves is no news to a partner.
    pub ended: Option<(EventKind, DateTime<Utc>)>,
}

/// An index of a risk with policies of partners.
#[derive(Debug, Clone)]
pub struct Index {
    /// What is told of it.
    pub facts: IndexFacts,
    /// When it was computed.
    pub computed_at: DateTime<Utc>,
    /// Organisations with policies of the risk, and how many each has.
    pub organisations: Vec<(OrganisationId, i64)>,
}

/// A policy, if it is a partner's farmer's.
pub async fn find_policy(
    conn: &mut PgConnection,
    id: PolicyId,
) -> Result<Option<Policy>, StoreError> {
    let row = sqlx::query!(
        r#"-- announcements.find_policy
        select p.organisation_id as "organisation_id!", p.farmer_id, p.plot_id, p.risk_id,
               p.short_code, v.code, v.document -> 'season' ->> 'code' as season_code,
               p.season_year, p.window_start, p.window_end, p.sum_insured_minor, p.premium_minor,
               p.currency, p.activated_at, p.ended_at
        from policies p join product_versions v on v.id = p.product_version_id
        where p.id = $1 and p.organisation_id is not null"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let currency =
        Currency::parse(&row.currency).ok_or_else(|| corrupt("policies", "currency", id))?;
    let facts = PolicyFacts {
        policy_id: id,
        farmer_id: row.farmer_id.into(),
        plot_id: row.plot_id.into(),
        risk_id: row.risk_id.map(Into::into),
        code: row.short_code,
        product: row.code,
        season: season(row.season_code, row.season_year),
        cover: Window {
            start: row.window_start,
            end: row.window_end,
        },
        sum_insured: Money {
            minor: row.sum_insured_minor,
            currency,
        },
        premium: Money {
            minor: row.premium_minor,
            currency,
        },
    };
    Ok(Some(Policy {
        organisation_id: row.organisation_id.into(),
        facts,
        activated_at: row.activated_at,
        ended_at: row.ended_at,
    }))
}

/// A payout, if it is a partner's farmer's.
pub async fn find_payout(
    conn: &mut PgConnection,
    id: PayoutId,
) -> Result<Option<Payout>, StoreError> {
    let row = sqlx::query!(
        r#"-- announcements.find_payout
        select p.organisation_id as "organisation_id!", o.policy_id, p.farmer_id, o.evaluation_id,
               o.amount_minor, o.currency, o.approved_at, e.cid
        from payouts o
        join policies p on p.id = o.policy_id
        join evaluations e on e.id = o.evaluation_id
        where o.id = $1 and p.organisation_id is not null"#,
        id.uuid(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let rounds = match row.approved_at {
        Some(at) => list_rounds(conn, id, at).await?,
        None => Vec::new(),
    };
    Ok(Some(Payout {
        organisation_id: row.organisation_id.into(),
        facts: PayoutFacts {
            payout_id: id,
            policy_id: row.policy_id.into(),
            farmer_id: row.farmer_id.into(),
            evaluation_id: row.evaluation_id.into(),
            amount: money(row.amount_minor, &row.currency, "payouts", id.uuid())?,
            evidence: row.cid,
        },
        rounds,
    }))
}

/// The rounds of a payout that was first released at `approved_at`.
async fn list_rounds(
    conn: &mut PgConnection,
    id: PayoutId,
    approved_at: DateTime<Utc>,
) -> Result<Vec<Round>, StoreError> {
    let rows = sqlx::query!(
        r#"-- announcements.list_rounds
        select attempt, min(planned_at) as planned_at,
               case when bool_and(state in ('paid', 'refused')) then max(decided_at) end as ended_at,
               bool_and(state = 'paid') as "is_paid!", bool_or(concerns_farmer) as "is_hers!"
        from payout_legs where payout_id = $1
        group by attempt order by attempt"#,
        id.uuid(),
    )
    .fetch_all(conn)
    .await?;
    let read = rows.into_iter().map(|row| {
        let kind = if row.is_paid {
            Some(EventKind::PayoutPaid)
        } else {
            row.is_hers.then_some(EventKind::PayoutRefused)
        };
        let retried_at = row.planned_at.filter(|_| row.attempt > 1);
        Ok(Round {
            number: u16::try_from(row.attempt)
                .map_err(|_| corrupt("payout_legs", "attempt", id))?,
            released_at: retried_at.unwrap_or(approved_at),
            ended: kind.zip(row.ended_at),
        })
    });
    read.collect()
}

/// An index run, with the organisations that have policies of its risk.
pub async fn get_index(conn: &mut PgConnection, id: IndexRunId) -> Result<Index, StoreError> {
    let row = sqlx::query!(
        "-- announcements.get_index
        select i.risk_id, v.code, v.document -> 'season' ->> 'code' as season_code, r.season_year,
               r.risk_cell, i.as_of_day, i.phases, i.missing_days, i.confidence, i.final,
               i.computed_at
        from index_runs i
        join risks r on r.id = i.risk_id
        join product_versions v on v.id = r.product_version_id
        where i.id = $1",
        id.uuid(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let concerned = sqlx::query!(
        r#"-- announcements.list_concerned
        select organisation_id as "organisation_id!", count(*) as "policies!"
        from policies
        where risk_id = $1 and organisation_id is not null and state in ('active', 'settled')
        group by organisation_id order by organisation_id"#,
        row.risk_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(Index {
        facts: IndexFacts {
            index_run_id: id,
            risk_id: row.risk_id.into(),
            product: row.code,
            season: season(row.season_code, row.season_year),
            cell: row.risk_cell,
            as_of_day: row.as_of_day,
            phases: json(row.phases, "index_runs", "phases", id.uuid())?,
            missing_days: row.missing_days,
            confidence: row.confidence,
            is_final: row.r#final,
        },
        computed_at: row.computed_at,
        organisations: concerned
            .into_iter()
            .map(|row| (row.organisation_id.into(), row.policies))
            .collect(),
    })
}

/// Bells of these topics that were published before `before` and that `consumer` never heard:
/// their messages are lost. The oldest `limit` of them, without a lock.
pub async fn list_unheard(
    conn: &mut PgConnection,
    topics: &[&str],
    consumer: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let unheard = sqlx::query_as!(
        Claimed,
        r#"-- announcements.list_unheard
        select id, topic, body::text as "body!", traceparent
        from outbox
        where topic = any ($1) and published_at < $3
          and not exists (select 1 from consumed
                          where consumed.consumer = $2 and consumed.message_id = outbox.id)
        order by published_at, id limit $4"#,
        &topics,
        consumer,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(unheard)
}

fn season(code: Option<String>, year: i32) -> String {
    format!("{}-{year}", code.unwrap_or_default())
}
