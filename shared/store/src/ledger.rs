//! Posting transfers and summing the ledger. Append-only: SQL refuses anything else.
//! Called inside the transaction of the effect it books.

use chrono::{DateTime, Utc};
use domain::ledger::{Account, Transfer};
use sqlx::PgConnection;

use crate::error::StoreError;

/// Whether a transfer was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    /// Written now.
    Fresh,
    /// The same cause had posted it before: nothing changed.
    Exists,
}

/// Posts one transfer; its id makes posting it twice the same as once.
pub async fn post(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    transfer: &Transfer,
) -> Result<Posting, StoreError> {
    let done = sqlx::query!(
        "-- ledger.post
        insert into ledger_transfers
            (id, kind, pending_id, debit_account, credit_account, amount_minor, currency, subject_id, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (id) do nothing",
        transfer.id.uuid(),
        transfer.kind.as_str(),
        transfer.pending_id.map(domain::id::TransferId::uuid),
        transfer.debit.as_str(),
        transfer.credit.as_str(),
        transfer.amount.minor,
        transfer.amount.currency.code(),
        transfer.subject,
        now,
    )
    .execute(conn)
    .await?;
    Ok(if done.rows_affected() == 1 {
        Posting::Fresh
    } else {
        Posting::Exists
    })
}

/// Posted debits less credits of one account, minor units.
pub async fn balance(
    conn: &mut PgConnection,
    account: Account,
    currency: &str,
) -> Result<i64, StoreError> {
    let row = sqlx::query!(
        "-- ledger.balance
        select coalesce(sum(case side when 'debit' then amount_minor else -amount_minor end), 0)::bigint as \"minor!\"
        from ledger_entries where account = $1 and currency = $2",
        account.as_str(),
        currency,
    )
    .fetch_one(conn)
    .await?;
    Ok(row.minor)
}

/// Posted debits and credits of each currency, minor units: `(currency, debits, credits)`.
pub async fn trial_balance(conn: &mut PgConnection) -> Result<Vec<(String, i64, i64)>, StoreError> {
    let rows = sqlx::query!(
        "-- ledger.trial_balance
        select currency,
               coalesce(sum(amount_minor) filter (where side = 'debit'), 0)::bigint as \"debits!\",
               coalesce(sum(amount_minor) filter (where side = 'credit'), 0)::bigint as \"credits!\"
        from ledger_entries group by currency order by currency",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| (r.currency, r.debits, r.credits))
        .collect())
}
