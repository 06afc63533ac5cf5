//! Looks for a vegetation scene of a risk's cell. No source of scenes is configured, and that is
//! recorded as it is, so that the product's rule for absent vegetation applies. Must never make up
//! a scene. Heard on scene.due.

use domain::event::Event;
use domain::id::RiskId;
use runtime::broker::Message;
use runtime::topology::Role;
use store::{StoreError, scenes};

use crate::consumer::{Handler, Outcome, decode, first_time};
use crate::role::Context;

/// The satellite role.
#[derive(Debug, Clone)]
pub struct Satellite {
    context: Context,
}

/// The satellite role.
#[must_use]
pub fn build(context: &Context) -> Satellite {
    Satellite {
        context: context.clone(),
    }
}

impl Handler for Satellite {
    const ROLE: Role = Role::Satellite;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

impl Satellite {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        match decode(message)? {
            Event::SceneDue { risk_id } => self.check(risk_id, Some(message)).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Records that a risk has no scene; `false` when that was known.
    pub async fn check(&self, risk_id: RiskId, message: Option<&Message>) -> Result<bool, Outcome> {
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        if let Some(message) = message {
            first_time(&mut tx, &self.context, Role::Satellite, message).await?;
        }
        let now = self.context.clock.now();
        let is_new = scenes::record_unconfigured(&mut tx, now, risk_id).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(is_new)
    }
}
