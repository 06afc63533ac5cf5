//! Who calls: farmers looked up by phone, those who dial at the same time in one statement.
//! Must never remember a farmer from one hop to another: what a look-up says was in the database
//! after the hop had asked. Called by the needs of a hop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::lifecycle::Lifecycle;
use runtime::together::{Limits, Together};
use store::farmers::{self, Caller};
use store::{Alone, Pii, Pool, StoreError};

/// Dials that may wait for the look-up before them, and those of one look-up.
const LIMITS: Limits = Limits {
    waiting_max: 1_024,
    batch_max: 128,
    crowd_min: 128,
    batches_max: 1,
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
        let line = Arc::new(Line {
            pool: pool.clone(),
            idle: Mutex::default(),
        });
        let keys = Arc::clone(pii);
        let together = Together::new(lifecycle.clone(), LIMITS, move |phones| {
            look_up(Arc::clone(&line), Arc::clone(&keys), phones)
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

/// The look-ups' own connection, opened at the first one and again after a failure.
struct Line {
    pool: Pool,
    idle: Mutex<Option<Alone>>,
}

impl Line {
    /// Takes the connection, if the pool is still open; a look-up that is cut drops it.
    async fn take(&self) -> Result<Alone, StoreError> {
        let idle = self.idle().take().filter(|_| !self.pool.is_closed());
        match idle {
            Some(connection) => Ok(connection),
            None => store::connect_alone(&self.pool).await,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Alone>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(line: Arc<Line>, pii: Arc<Pii>, phones: Vec<Vec<u8>>) -> Vec<Found> {
    let read = async {
        let mut connection = line.take().await?;
        let callers = farmers::list_callers(&mut connection, &pii, &phones).await?;
        *line.idle() = Some(connection);
        Ok::<_, StoreError>(callers)
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
