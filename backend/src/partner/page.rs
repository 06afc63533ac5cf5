//! Lists: `?limit=1..200&cursor=…` in, `{"items": […], "next_cursor": …}` out. A cursor is the last
//! id that was shown, disguised so that nobody builds one. Must never count rows nor skip by number.
//! Used by every partner route that lists.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::page::Slice;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::App;
use crate::error::ApiError;

/// Rows of a page when nothing is said.
pub(crate) const LIMIT_DEFAULT: u16 = 50;
/// Most rows of a page.
pub(crate) const LIMIT_MAX: u16 = 200;

/// The query of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Rows wanted, 1 to 200; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    /// For the store.
    pub(crate) slice: Slice,
}

impl FromRequestParts<App> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let query: PageQuery = read(parts)?;
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let rule = format!("limit must be 1 to {LIMIT_MAX}");
            return Err(ApiError::malformed(rule));
        }
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        Ok(Self {
            slice: Slice { after, limit },
        })
    }
}

/// The query of a request, with faults answered as the API answers. Take [`Paging`] beside it for
/// `limit` and `cursor`; a filter's own struct must not deny unknown fields.
#[derive(Debug)]
pub(crate) struct Filter<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Filter<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("%00") {
            let rule = "texts must not have the character U+0000";
            return Err(ApiError::refused("unstorable", rule));
        }
        read(parts).map(Self)
    }
}

fn read<T: DeserializeOwned>(parts: &Parts) -> Result<T, ApiError> {
    Query::try_from_uri(&parts.uri)
        .map(|Query(query)| query)
        .map_err(|fault| ApiError::malformed(fault.body_text()))
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The rows.
    items: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// A page from what the store gave (one row more than asked for, if there is another page).
    pub(crate) fn of<R>(
        mut rows: Vec<R>,
        paging: Paging,
        id: impl Fn(&R) -> Uuid,
        show: impl Fn(R) -> T,
    ) -> Self {
        let limit = usize::from(paging.slice.limit);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more).map(id);
        Self {
            items: rows.into_iter().map(show).collect(),
            next_cursor: last.map(write_cursor),
        }
    }
}

/// What the store would give of a list that is whole in memory: the rows of a page and one more.
pub(crate) fn cut<R>(mut rows: Vec<R>, paging: Paging, id: impl Fn(&R) -> Uuid) -> Vec<R> {
    rows.sort_by_key(&id);
    let after = paging.slice.after;
    rows.retain(|row| after.is_none_or(|after| id(row) > after));
    rows.truncate(usize::from(paging.slice.limit).saturating_add(1));
    rows
}

fn write_cursor(id: Uuid) -> String {
    BASE64URL_NOPAD.encode(id.as_bytes())
}

fn read_cursor(text: &str) -> Result<Uuid, ApiError> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| Uuid::from_slice(&bytes).ok())
        .ok_or_else(|| ApiError::malformed("cursor must be a next_cursor that was given"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_cursor_only_when_there_is_more() {
        let rows: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let page = |limit| {
            let slice = Slice::first(limit);
            Listed::of(rows.clone(), Paging { slice }, |id| *id, |id| id.as_u128())
        };
        let cut = page(2);
        assert_eq!(cut.items, [1, 2]);
        let cursor = cut.next_cursor.unwrap();
        assert_eq!(read_cursor(&cursor).unwrap(), Uuid::from_u128(2));
        assert_eq!(page(3).next_cursor, None);
        assert!(read_cursor("zz!").is_err());
    }
}
