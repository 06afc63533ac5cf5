//! What a conversion would give. There is no quote id and no expiry: a quote is an estimate and
//! never a price anyone is held to; its limits are what we use.
//! Called by operators' checks before a season opens.

use domain::money::Money;
use serde::Deserialize;
use serde_json::json;

use super::Client;
use super::reply::{Answer, common, read};
use crate::ProviderError;
use crate::scalar::{Decimal, Scalar};
use crate::wire::Effect;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuoteKind {
    /// Shillings to stablecoin; the amount is in shillings.
    Onramp,
    /// Stablecoin to shillings; the amount is in USDC.
    Offramp,
}

/// An estimate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What comes out, in the output currency, exact as written.
    pub output: Decimal,
    /// Shillings for one coin, exact as written.
    pub rate: Option<Decimal>,
    /// Least amount the rail takes.
    pub min: Option<Money>,
    /// Most the rail takes at once.
    pub max: Option<Money>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "outputAmount")]
    output: Scalar,
    #[serde(rename = "exchangeRate", default)]
    rate: Option<Scalar>,
    #[serde(default)]
    limits: Option<Limits>,
}

#[derive(Deserialize)]
struct Limits {
    #[serde(default)]
    min: Option<Scalar>,
    #[serde(default)]
    max: Option<Scalar>,
    #[serde(default)]
    currency: Option<String>,
}

impl Client {
    /// Asks for an estimate between KES and USDC; `amount` is a decimal text.
    pub async fn quote(&self, kind: QuoteKind, amount: &str) -> Result<Quote, ProviderError> {
        let side = match kind {
            QuoteKind::Onramp => "onramp",
            QuoteKind::Offramp => "offramp",
        };
        let body = json!({
            "type": side,
            "amount": amount,
            "fiatCurrency": "KES",
            "cryptoCurrency": "USDC",
            "network": self.config.chain,
        });
        let reply = self.post("fx-quotes", &body, Effect::Read).await?;
        match read(&reply, Effect::Read)? {
            Answer::Ok(envelope) => envelope
                .data::<Data>()
                .and_then(estimate)
                .ok_or_else(|| ProviderError::transient("undecodable", "quote was not understood")),
            Answer::No(text) => Err(common(&reply, &text, Effect::Read)),
        }
    }
}

fn estimate(data: Data) -> Option<Quote> {
    let limits = data
        .limits
        .filter(|limits| limits.currency.as_deref() == Some("KES"));
    let money =
        |scalar: &Option<Scalar>| scalar.as_ref()?.decimal()?.exact(2).map(Money::kes_minor);
    Some(Quote {
        output: data.output.decimal()?,
        rate: data.rate.and_then(|rate| rate.decimal()),
        min: limits.as_ref().and_then(|limits| money(&limits.min)),
        max: limits.as_ref().and_then(|limits| money(&limits.max)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_text_and_as_number() {
        let offramp = r#"{"inputAmount":"0.2","outputAmount":"25.8900","exchangeRate":129.45,"limits":{"min":10,"max":30000,"currency":"KES"}}"#;
        let quote = estimate(serde_json::from_str(offramp).unwrap()).unwrap();
        assert_eq!(quote.output.exact(2), Some(2_589));
        assert_eq!(quote.max, Some(Money::kes_minor(3_000_000)));
        let onramp = r#"{"outputAmount":0.7738740133106331,"limits":{"min":1,"max":10000,"currency":"KES"}}"#;
        let quote = estimate(serde_json::from_str(onramp).unwrap()).unwrap();
        assert_eq!(quote.output.exact(16), Some(7_738_740_133_106_331));
    }
}
