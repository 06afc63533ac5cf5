//! The settings of every simulated process, all pointing at one scratch database, one sandbox
//! and one broker in memory. Holds no secret worth keeping. Read by `system`.

use backend::Config;
use workers::settings::Settings;

/// Secret part of Africa's Talking's paths.
pub const AT_TOKEN: &str = "simulated-at-token-1234";
/// Secret part of M-Pesa's paths.
pub const MPESA_TOKEN: &str = "simulated-mpesa-token-1234";

const ENCRYPTION_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const PII_INDEX_KEY: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn common(database_url: &str, redis_url: &str) -> Vec<String> {
    [
        ("--database-url", database_url),
        ("--redis-url", redis_url),
        ("--rabbitmq-url", "amqp://in-memory"),
        ("--encryption-key", ENCRYPTION_KEY),
        ("--pii-index-key", PII_INDEX_KEY),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()])
    .collect()
}

/// The backend's settings.
pub fn backend(database_url: &str, redis_url: &str) -> Result<Config, clap::Error> {
    let own = [
        ("--at-callback-token", AT_TOKEN),
        ("--mpesa-callback-token", MPESA_TOKEN),
        ("--jwt-secret", "simulated-jwt-secret-of-32-characters"),
        ("--pin-pepper", "simulated-pin-pepper-of-32-characters"),
        ("--ussd-rate-per-second", "100000"),
        ("--ussd-rate-burst", "100000"),
        ("--ussd-phone-rate-per-second", "100000"),
        ("--ussd-phone-rate-burst", "100000"),
    ];
    let own = own
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
    Config::from_flags(common(database_url, redis_url).into_iter().chain(own))
}

/// The workers' settings, with every provider at the sandbox.
pub fn workers(
    database_url: &str,
    redis_url: &str,
    sandbox_url: &str,
) -> Result<Settings, clap::Error> {
    let at = |path: &str| format!("{sandbox_url}{path}");
    let own = [
        ("--at-base-url", at("/at")),
        ("--at-username", "sandbox".to_owned()),
        ("--at-api-key", "sandbox-at-key".to_owned()),
        ("--swypt-api-url", at("/swypt/api")),
        ("--swypt-api-key", "sandbox-swypt-key".to_owned()),
        ("--swypt-secret-key", "sandbox-swypt-secret".to_owned()),
        (
            "--swypt-user-address",
            "0x742d35Cc6634C0532925a3b844Bc454e4438f44e".to_owned(),
        ),
        (
            "--swypt-token-address",
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".to_owned(),
        ),
        ("--mpesa-base-url", at("/mpesa")),
        ("--mpesa-consumer-key", "sandbox-mpesa-key".to_owned()),
        ("--mpesa-consumer-secret", "sandbox-mpesa-secret".to_owned()),
        ("--mpesa-shortcode", "600992".to_owned()),
        ("--mpesa-initiator-name", "simulation".to_owned()),
        ("--mpesa-security-credential", "simulation".to_owned()),
        ("--mpesa-callback-token", MPESA_TOKEN.to_owned()),
        ("--weatherxm-api-url", at("/weatherxm/api/v1")),
        ("--weatherxm-api-key", "sandbox-weatherxm-key".to_owned()),
        ("--pinata-upload-url", at("/pinata")),
        ("--pinata-gateway", at("/gateway")),
        ("--pinata-jwt", "sandbox-pinata-jwt".to_owned()),
        ("--public-base-url", "http://backend".to_owned()),
    ];
    let own = own
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value]);
    Settings::from_flags(common(database_url, redis_url).into_iter().chain(own))
}
