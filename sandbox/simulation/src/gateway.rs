//! Farmers' hops over the real router, as the gateway posts them, and what must be true of every
//! answer: HTTP 200, `CON ` or `END `, at most 150 GSM-7 septets, the same for the same hop.
//! Called by `system`.

use anyhow::ensure;
use axum::http::StatusCode;
use domain::msisdn::Msisdn;

use crate::settings;
use crate::system::System;

/// Largest screen, as the channel promises.
const SCREEN_SEPTETS_MAX: usize = 150;

impl System {
    async fn hop(
        &mut self,
        index: usize,
        hop: &(String, String),
    ) -> anyhow::Result<Option<String>> {
        let phone = format!("+{}", self.farmers[index].phone);
        let form = serde_urlencoded::to_string([
            ("sessionId", hop.0.as_str()),
            ("serviceCode", "*384*57#"),
            ("phoneNumber", phone.as_str()),
            ("text", hop.1.as_str()),
            ("networkCode", "63902"),
        ])?;
        let path = format!("/api/ussd/{}", settings::AT_TOKEN);
        let (status, screen) = self
            .post(
                &path,
                "application/x-www-form-urlencoded",
                form.into_bytes(),
            )
            .await?;
        ensure!(status == StatusCode::OK, "USSD answered {status}");
        let known = screen.starts_with("CON ") || screen.starts_with("END ");
        ensure!(known, "USSD answered without CON or END: {screen:?}");
        let septets = domain::ussd::gsm7::length(&screen);
        let fits = septets.is_some_and(|septets| septets <= SCREEN_SEPTETS_MAX);
        ensure!(fits, "screen has {septets:?} septets: {screen:?}");
        Ok(Some(screen))
    }

    pub(crate) async fn dial(&mut self, farmer: u8) -> anyhow::Result<()> {
        let index = usize::from(farmer) % self.farmers.len();
        let Some(hop) = self.farmers[index].press() else {
            return Ok(());
        };
        let screen = self.hop(index, &hop).await?.unwrap_or_default();
        if screen.contains("8. ") && screen.contains("9. ") {
            self.farmers[index].start_again();
        } else if screen.starts_with("END ") && !self.farmers[index].is_done() {
            self.hang_up(farmer).await?;
        }
        Ok(())
    }

    pub(crate) async fn dial_again(&mut self, farmer: u8) -> anyhow::Result<()> {
        let index = usize::from(farmer) % self.farmers.len();
        let Some(hop) = self.farmers[index].repeat() else {
            return Ok(());
        };
        let first = self.hop(index, &hop).await?;
        let second = self.hop(index, &hop).await?;
        ensure!(
            first == second,
            "a repeated hop changed: {first:?} then {second:?}"
        );
        Ok(())
    }

    pub(crate) async fn hang_up(&mut self, farmer: u8) -> anyhow::Result<()> {
        let index = usize::from(farmer) % self.farmers.len();
        let phone: Msisdn = self.farmers[index].phone.parse()?;
        let pii = &self.context.pii;
        let phone_index = pii.phone_index(&phone);
        let mut conn = self.scratch.pool.acquire().await?;
        let caller = store::farmers::find_caller(&mut conn, pii, &phone_index).await?;
        let policies = store::seasons::list_policies(&mut conn, &phone_index, 1).await?;
        let has_plot = caller
            .as_ref()
            .is_some_and(|caller| !caller.plots.is_empty());
        self.farmers[index].hang_up(caller.is_some(), has_plot, !policies.is_empty());
        Ok(())
    }
}
