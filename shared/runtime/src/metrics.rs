//! Every metric of MicroCrop: names, labels and buckets in one file, so that dashboards and
//! alerts have one place to look. Labels must never hold an id or anything personal.
//! Built once by `main` and passed down; served on the private port by `health`.

use std::sync::Arc;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

/// Buckets for a reply a person waits for, in seconds.
const REPLY_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
];
/// Buckets for calls to providers and for background work, in seconds.
const CALL_SECONDS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident: $kind:ident = $make:ident($name:literal, $help:literal $(, $extra:expr)*);)+) => {
        /// The metrics of one process.
        pub struct Metrics {
            registry: Registry,
            $($(#[$doc])* #[doc = concat!("`", $name, "`: ", $help, ".")] pub $field: $kind,)+
        }

        impl Metrics {
            /// The names of all metrics, for the generated documentation and for tidy.
            pub const NAMES: &[(&str, &str)] = &[$(($name, $help)),+];

            /// All metrics, registered and zero.
            pub fn build() -> Result<Arc<Self>, prometheus::Error> {
                let registry = Registry::new();
                $(
                    let $field = $make($name, $help $(, $extra)*)?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Arc::new(Self { registry, $($field),+ }))
            }
        }
    };
}

metrics! {
    // HTTP in
    http_requests: IntCounterVec = counters("http_requests_total", "HTTP requests answered", &["method", "path", "status"]);
    http_request_seconds: HistogramVec = seconds("http_request_duration_seconds", "time to answer an HTTP request", REPLY_SECONDS, &["method", "path", "status"]);
    rejected_inputs: IntCounterVec = counters("rejected_inputs_total", "inputs refused as malformed, unauthorised or too many", &["surface", "reason"]);
    ussd_reply_seconds: HistogramVec = seconds("ussd_reply_seconds", "time to answer one USSD hop", REPLY_SECONDS, &["outcome"]);
    ussd_sessions: IntCounterVec = counters("ussd_sessions_total", "USSD hops by what came of them and the screen shown", &["outcome", "screen"]);
    redis_failures: IntCounterVec = counters("redis_failures_total", "Redis operations that failed or were dropped", &["op"]);

    // providers out
    provider_call_seconds: HistogramVec = seconds("provider_call_seconds", "time of one call to a provider", CALL_SECONDS, &["provider", "op", "outcome"]);
    provider_events: IntCounterVec = counters("provider_events_total", "provider callbacks by what came of them", &["provider", "outcome"]);

    // outbox and broker
    outbox_oldest_seconds: Gauge = gauge("outbox_oldest_seconds", "age of the oldest due message not yet published");
    outbox_unpublished: IntGauge = int_gauge("outbox_unpublished", "due messages not yet published");
    outbox_published: IntCounterVec = counters("outbox_published_total", "messages published and confirmed", &["topic"]);
    outbox_publish_failures: IntCounterVec = counters("outbox_publish_failures_total", "messages the broker did not confirm", &["reason"]);
    messages: IntCounterVec = counters("messages_total", "messages handled by outcome", &["role", "outcome"]);
    message_seconds: HistogramVec = seconds("message_seconds", "time to handle one message", CALL_SECONDS, &["role", "outcome"]);
    consumer_age_seconds: GaugeVec = gauges("consumer_age_seconds", "seconds since a loop last went round", &["role"]);
    parked_messages: IntGaugeVec = int_gauges("parked_messages", "messages parked for a person", &["role"]);
    queued_messages: IntGaugeVec = int_gauges("queued_messages", "messages waiting in a work queue", &["role"]);

    // business
    policies: IntGaugeVec = int_gauges("policies", "policies by state", &["state"]);
    evaluations: IntGaugeVec = int_gauges("evaluations", "evaluations by state", &["state"]);
    payouts: IntGaugeVec = int_gauges("payouts", "payouts by state", &["state"]);
    payout_in_doubt_oldest_seconds: Gauge = gauge("payout_in_doubt_oldest_seconds", "age of the oldest payout leg sent and unanswered");
    payout_unpaid_oldest_seconds: Gauge = gauge("payout_unpaid_oldest_seconds", "time since the oldest evaluation that still owes money");
    window_unevaluated_oldest_seconds: Gauge = gauge("window_unevaluated_oldest_seconds", "time since the oldest closed window without an evaluation");
    observation_age_hours: GaugeVec = gauges("observation_age_hours", "age of the newest observation", &["source"]);
    suspense_minor: IntGaugeVec = int_gauges("suspense_minor", "money received that belongs to no policy yet", &["currency"]);
    ledger_imbalance_minor: IntGaugeVec = int_gauges("ledger_imbalance_minor", "debits less credits; anything but zero pages", &["currency"]);
    invariant_violations: IntCounterVec = counters("invariant_violations_total", "invariants found broken by the audit sweep", &["id"]);
    sms: IntCounterVec = counters("sms_total", "text messages by kind and outcome", &["kind", "outcome"]);
    deliveries: IntCounterVec = counters("deliveries_total", "attempts to deliver a webhook to a partner by what came of them", &["outcome"]);
    delivery_oldest_seconds: Gauge = gauge("delivery_oldest_seconds", "age of the oldest webhook not yet delivered nor given up");
    endpoints_disabled: IntCounterVec = counters("endpoints_disabled_total", "partners' endpoints disabled by us", &["reason"]);

    // background work
    sweeps: IntCounterVec = counters("sweeps_total", "sweeps by outcome", &["sweep", "outcome"]);
    sweep_seconds: HistogramVec = seconds("sweep_seconds", "time of one sweep", CALL_SECONDS, &["sweep"]);
    faults: IntCounterVec = counters("faults_total", "failures handled by retrying, pausing or restarting", &["component", "kind"]);
    build_info: IntGaugeVec = int_gauges("build_info", "always 1; the running version and role", &["version", "role"]);
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be rendered");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauge(name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
    Gauge::with_opts(Opts::new(name, help))
}

fn int_gauge(name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    IntGauge::with_opts(Opts::new(name, help))
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
    GaugeVec::new(Opts::new(name, help), labels)
}

fn int_gauges(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

fn seconds(
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        labels,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_once_and_rendered() {
        let metrics = Metrics::build().unwrap();
        metrics
            .http_requests
            .with_label_values(&["POST", "/api/ussd", "200"])
            .inc();
        metrics.outbox_oldest_seconds.set(1.5);
        let text = metrics.render();
        assert!(
            text.contains(r#"http_requests_total{method="POST",path="/api/ussd",status="200"} 1"#)
        );
        assert!(text.contains("outbox_oldest_seconds 1.5"));
    }
}
