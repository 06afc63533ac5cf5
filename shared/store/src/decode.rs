//! Stored columns as domain values: JSON documents, amounts, cells. A value that does not decode is
//! `Corrupt`, never a default. Used by the modules of money out and of the number work.

use domain::cell::RiskCell;
use domain::money::{Currency, Money};
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// A JSON column as a domain type.
pub(crate) fn json<T: DeserializeOwned>(
    value: serde_json::Value,
    table: &'static str,
    column: &'static str,
    id: uuid::Uuid,
) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|_| corrupt(table, column, id))
}

/// A stored value that does not decode.
pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    id: impl std::fmt::Display,
) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        id: id.to_string(),
    }
}

/// An amount with its stored currency.
pub(crate) fn money(
    minor: i64,
    currency: &str,
    table: &'static str,
    id: uuid::Uuid,
) -> Result<Money, StoreError> {
    let currency = Currency::parse(currency).ok_or_else(|| corrupt(table, "currency", id))?;
    Ok(Money { minor, currency })
}

/// A stored cell; in tables that are keyed by it.
pub(crate) fn cell(name: &str, table: &'static str) -> Result<RiskCell, StoreError> {
    cell_of(name, table, name)
}

/// The stored cell of a row with another key.
pub(crate) fn cell_of(
    name: &str,
    table: &'static str,
    id: impl std::fmt::Display,
) -> Result<RiskCell, StoreError> {
    name.parse().map_err(|_| corrupt(table, "risk_cell", id))
}
