//! Product versions: inserted by hash, never changed. Read by quote, settlement and verification.
//! Never validates again what was validated before it was stored, and never publishes a draft.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::id::ProductVersionId;
use domain::product::Product;
use domain::quote::may_be_sold;
use sqlx::PgConnection;

use crate::error::StoreError;

/// A stored version.
#[derive(Debug, Clone)]
pub struct ProductVersion {
    /// Id.
    pub id: ProductVersionId,
    /// Hash of the document.
    pub hash: String,
    /// The document.
    pub product: Product,
}

/// Inserts a version unless its hash is known, and retires older versions of its code: they stay
/// for the policies that have them. Returns whether it was new. [`StoreError::Unsellable`], and
/// nothing written, for a draft and for what a buyer cannot be told of.
pub async fn publish(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ProductVersionId,
    product: &Product,
) -> Result<bool, StoreError> {
    may_be_sold(product).map_err(|fault| StoreError::Unsellable {
        code: product.code.clone(),
        fault,
    })?;
    let hash = product.hash();
    let done = sqlx::query!(
        "-- products.publish
        insert into product_versions (id, hash, code, document, created_at)
        values ($1, $2, $3, $4, $5) on conflict (hash) do nothing",
        id.uuid(),
        hash,
        product.code,
        serde_json::to_value(product).unwrap_or_default(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- products.retire_older
        update product_versions set retired_at = case when hash = $2 then null else $3::timestamptz end
        where code = $1 and (retired_at is null) <> (hash = $2)",
        product.code,
        hash,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Every version that is sold now.
pub async fn list_on_sale(conn: &mut PgConnection) -> Result<Vec<ProductVersion>, StoreError> {
    let rows = sqlx::query!(
        "-- products.list_on_sale
        select id, hash, document from product_versions where retired_at is null order by code limit 100"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| decode(r.id.into(), r.hash, r.document))
        .collect()
}

/// A version by id.
pub async fn get(
    conn: &mut PgConnection,
    id: ProductVersionId,
) -> Result<ProductVersion, StoreError> {
    let row = sqlx::query!(
        "-- products.get
        select id, hash, document from product_versions where id = $1",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    decode(row.id.into(), row.hash, row.document)
}

/// Versions by id.
pub async fn list(
    conn: &mut PgConnection,
    ids: &[ProductVersionId],
) -> Result<BTreeMap<ProductVersionId, ProductVersion>, StoreError> {
    let uuids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "-- products.list
        select id, hash, document from product_versions where id = any($1)",
        &uuids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| {
            let version = decode(r.id.into(), r.hash, r.document)?;
            Ok((version.id, version))
        })
        .collect()
}

fn decode(
    id: ProductVersionId,
    hash: String,
    document: serde_json::Value,
) -> Result<ProductVersion, StoreError> {
    let product = serde_json::from_value(document).map_err(|_| StoreError::Corrupt {
        table: "product_versions",
        column: "document",
        id: id.to_string(),
    })?;
    Ok(ProductVersion { id, hash, product })
}
