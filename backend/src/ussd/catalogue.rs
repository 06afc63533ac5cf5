//! Wards and products on sale, held in memory so that an ordinary hop needs no database; read
//! again once a minute by whichever hop comes first, while the others go on with what there is.
//! Must never sell what the store did not list as on sale at the last reading.
//! Called at every hop.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::ussd::{Catalogue, Places, Version, Ward, WardCode};
use store::{Pool, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a reading is good for, real time.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// A reading and when it was made.
type Reading = Option<(Arc<Catalogue>, Instant)>;

/// The catalogue of the moment.
#[derive(Default)]
pub(super) struct Shelf {
    reading: RwLock<Reading>,
    turn: Mutex<()>,
}

impl Shelf {
    /// What is on it, if it was read less than a minute ago.
    pub(super) fn fresh(&self) -> Option<Arc<Catalogue>> {
        let (catalogue, at) = self.last()?;
        (at.elapsed() < READ_AGAIN).then_some(catalogue)
    }

    /// What is on it now. Fails only when nothing was ever read.
    pub(super) async fn current(&self, pool: &Pool) -> Result<Arc<Catalogue>, StoreError> {
        let last = self.last();
        let turn = match &last {
            Some((catalogue, at)) if at.elapsed() < READ_AGAIN => return Ok(Arc::clone(catalogue)),
            Some((catalogue, _)) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(Arc::clone(catalogue)),
            },
            None => self.turn.lock().await,
        };
        if let (None, Some((catalogue, _))) = (&last, self.last()) {
            return Ok(catalogue); // read while this hop waited for its turn
        }
        let read = match (read(pool).await, last) {
            (Ok(catalogue), _) => Arc::new(catalogue),
            // better an older list than no answer; prices are checked again at purchase
            (Err(_), Some((catalogue, _))) => catalogue,
            (Err(error), None) => return Err(error),
        };
        // an empty database is one that is still being filled
        if !read.places.counties().is_empty() {
            let fresh = Some((Arc::clone(&read), Instant::now()));
            *self.reading.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        drop(turn);
        Ok(read)
    }

    fn last(&self) -> Reading {
        self.reading
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn read(pool: &Pool) -> Result<Catalogue, StoreError> {
    let mut conn = pool.acquire().await?;
    let mut wards = Vec::new();
    for ward in store::wards::list_all(&mut conn).await? {
        let code = WardCode::parse(&ward.code).map_err(|_| StoreError::Corrupt {
            table: "wards",
            column: "code",
            id: ward.code.clone(),
        })?;
        let store::wards::Ward {
            name,
            constituency,
            county,
            ..
        } = ward;
        wards.push(Ward {
            code,
            name,
            constituency,
            county,
        });
    }
    let versions = store::products::list_on_sale(&mut conn).await?;
    let versions = versions
        .into_iter()
        .map(|version| Version {
            id: version.id,
            product: version.product,
        })
        .collect();
    Ok(Catalogue {
        places: Places::new(wards),
        versions,
    })
}
