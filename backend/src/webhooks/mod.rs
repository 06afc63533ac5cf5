//! Callbacks of providers: received (`receive`), then processed (`process`) provider by provider.
//! What arrives is stored encrypted before it is believed or even understood; nothing a callback
//! says changes money without evidence of our own (`mpesa`). Its routes are in `crate::routes`.

mod africastalking;
pub mod mpesa;
pub mod process;
mod receive;

use crate::routes::{Auth, Limit, Route};

pub(crate) fn routes() -> Vec<Route> {
    let (auth, limit) = (Auth::PathToken, Limit::Webhook);
    vec![
        Route::post(
            "/api/webhooks/africastalking/{token}/{kind}",
            auth,
            limit,
            receive::africastalking,
        ),
        Route::post(
            "/api/webhooks/mpesa/{token}/{kind}",
            auth,
            limit,
            receive::mpesa,
        ),
    ]
}
