//! Who calls: farmers looked up by phone, those who dial at the same time in one statement.
//! Must never remember a farmer from one hop to another: what a look-up says was in the database
//! after the hop had asked. Called by the needs of a hop.

use std::collections::HashMap;
use std::sync::Arc;

use runtime::lifecycle::Lifecycle;
use runtime::together::{Limits, Together};
use store::farmers::{self, Caller};
use store::{Pii, Pool, StoreError};

/// Dials that may wait for the look-up before them, and those of one look-up.
const LIMITS: Limits = Limits {
    waiting_max: 1_024,
    batch_max: 128,
};

/// A look-up's answer; `None` when the whole look-up failed.
type Found = Option<Option<Caller>>;

/// Looks callers up.
pub(super) struct Callers {
    together: Together<Vec<u8>, Found>,
    pool: Pool,
    pii: Arc<Pii>,
}

impl Callers {
    pub(super) fn new(lifecycle: &Lifecycle, pool: &Pool, pii: &Arc<Pii>) -> Self {
        let (from, keys) = (pool.clone(), Arc::clone(pii));
        let together = Together::new(lifecycle.clone(), LIMITS, move |phones| {
            look_up(from.clone(), Arc::clone(&keys), phones)
        });
        Self {
            together,
            pool: pool.clone(),
            pii: Arc::clone(pii),
        }
    }

    /// The farmer with this phone.
    pub(super) async fn find(&self, phone_index: &[u8]) -> Result<Option<Caller>, StoreError> {
        if let Ok(Some(caller)) = self.together.ask(phone_index.to_vec()).await {
            return Ok(caller);
        }
        // a fault of one row, or of the moment, is each caller's own
        let mut conn = self.pool.acquire().await?;
        farmers::find_caller(&mut conn, &self.pii, phone_index).await
    }
}

async fn look_up(pool: Pool, pii: Arc<Pii>, phones: Vec<Vec<u8>>) -> Vec<Found> {
    let read = async {
        let mut conn = pool.acquire().await?;
        farmers::list_callers(&mut conn, &pii, &phones).await
    };
    match read.await {
        Ok(callers) => {
            let callers: HashMap<Vec<u8>, Caller> = callers.into_iter().collect();
            // cloned: a phone may dial twice at once
            let found = |phone: &Vec<u8>| Some(callers.get(phone).cloned());
            phones.iter().map(found).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "callers are looked up one by one");
            phones.iter().map(|_| None).collect()
        }
    }
}
