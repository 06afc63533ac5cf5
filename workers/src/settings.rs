//! Every setting of the worker binaries: what all processes share, and the providers they call.
//! One struct for all of them, each process checking only what it needs; all faults are reported
//! together. Must never print a secret. Parsed by `role`, read by each handler's `build`.

use clap::{ArgAction, Args, FromArgMatches};
use runtime::config::{Common, Environment, Faults, Need, Secret};

use crate::role::Process;

/// Settings of a worker process.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Servers, time, logs, keys.
    #[command(flatten)]
    pub common: Common,
    /// Texts.
    #[command(flatten)]
    pub africastalking: AfricasTalking,
    /// Premiums.
    #[command(flatten)]
    pub swypt: Swypt,
    /// Payouts.
    #[command(flatten)]
    pub mpesa: Mpesa,
    /// Weather.
    #[command(flatten)]
    pub weatherxm: WeatherXm,
    /// Vegetation.
    #[command(flatten)]
    pub sentinel2: Sentinel2,
    /// Evidence.
    #[command(flatten)]
    pub pinata: Pinata,
    /// Where providers reach us, without a trailing slash: https://api.example.org.
    #[arg(long, env = "PUBLIC_BASE_URL", default_value = "")]
    pub public_base_url: String,
    /// Whether payouts within the product's limits are released without a person.
    #[arg(long, env = "ENABLE_AUTO_PAYOUTS", default_value_t = true, action = ArgAction::Set)]
    pub enable_auto_payouts: bool,
}

/// Africa's Talking.
#[derive(Debug, Clone, Args)]
pub struct AfricasTalking {
    /// Root of the API.
    #[arg(
        long,
        env = "AT_BASE_URL",
        default_value = "https://api.africastalking.com"
    )]
    pub at_base_url: String,
    /// The app's user name.
    #[arg(long, env = "AT_USERNAME", default_value = "")]
    pub at_username: String,
    /// The app's key.
    #[arg(
        long,
        env = "AT_API_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub at_api_key: Secret,
    /// Approved alphanumeric sender; the shared one when empty.
    #[arg(long, env = "AT_SENDER_ID", default_value = "")]
    pub at_sender_id: String,
}

/// Swypt on-ramp.
#[derive(Debug, Clone, Args)]
pub struct Swypt {
    /// Root of the API.
    #[arg(
        long,
        env = "SWYPT_API_URL",
        default_value = "https://pool.swypt.io/api"
    )]
    pub swypt_api_url: String,
    /// Public key.
    #[arg(
        long,
        env = "SWYPT_API_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub swypt_api_key: Secret,
    /// Secret key.
    #[arg(
        long,
        env = "SWYPT_SECRET_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub swypt_secret_key: Secret,
    /// Our address on the chain.
    #[arg(long, env = "SWYPT_USER_ADDRESS", default_value = "")]
    pub swypt_user_address: String,
    /// The token's contract.
    #[arg(long, env = "SWYPT_TOKEN_ADDRESS", default_value = "")]
    pub swypt_token_address: String,
}

/// M-Pesa B2C.
#[derive(Debug, Clone, Args)]
pub struct Mpesa {
    /// Root of the API.
    #[arg(
        long,
        env = "MPESA_BASE_URL",
        default_value = "https://api.safaricom.co.ke"
    )]
    pub mpesa_base_url: String,
    /// App key.
    #[arg(
        long,
        env = "MPESA_CONSUMER_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub mpesa_consumer_key: Secret,
    /// App secret.
    #[arg(
        long,
        env = "MPESA_CONSUMER_SECRET",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub mpesa_consumer_secret: Secret,
    /// The paying shortcode.
    #[arg(long, env = "MPESA_SHORTCODE", default_value = "")]
    pub mpesa_shortcode: String,
    /// API operator with the B2C initiator role.
    #[arg(long, env = "MPESA_INITIATOR_NAME", default_value = "")]
    pub mpesa_initiator_name: String,
    /// The operator's password under Safaricom's certificate, base64.
    #[arg(
        long,
        env = "MPESA_SECURITY_CREDENTIAL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub mpesa_security_credential: Secret,
    /// Secret part of the callback paths.
    #[arg(
        long,
        env = "MPESA_CALLBACK_TOKEN",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub mpesa_callback_token: Secret,
}

/// WeatherXM Pro.
#[derive(Debug, Clone, Args)]
pub struct WeatherXm {
    /// Root of the API.
    #[arg(
        long,
        env = "WEATHERXM_API_URL",
        default_value = "https://pro.weatherxm.com/api/v1"
    )]
    pub weatherxm_api_url: String,
    /// Key.
    #[arg(
        long,
        env = "WEATHERXM_API_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub weatherxm_api_key: Secret,
}

/// Sentinel-2 through Earth Search.
#[derive(Debug, Clone, Args)]
pub struct Sentinel2 {
    /// Root of a catalogue of Sentinel-2 level 2A scenes, https://earth-search.aws.element84.com/v1;
    /// when empty no scene is looked for, which is recorded, and products apply their rule for
    /// absent vegetation.
    #[arg(long, env = "SENTINEL2_API_URL", default_value = "")]
    pub sentinel2_api_url: String,
}

/// Pinata.
#[derive(Debug, Clone, Args)]
pub struct Pinata {
    /// Root of the upload API.
    #[arg(
        long,
        env = "PINATA_UPLOAD_URL",
        default_value = "https://uploads.pinata.cloud"
    )]
    pub pinata_upload_url: String,
    /// Root of the gateway, the part before /ipfs/.
    #[arg(
        long,
        env = "PINATA_GATEWAY",
        default_value = "https://gateway.pinata.cloud"
    )]
    pub pinata_gateway: String,
    /// Token.
    #[arg(
        long,
        env = "PINATA_JWT",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub pinata_jwt: Secret,
}

impl Settings {
    /// Settings from flags alone, as `["--mpesa-base-url", "http://…"]`; what is not given comes
    /// from the environment or its default. For tests and the simulation.
    pub fn from_flags<I, T>(flags: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let command = Self::augment_args(clap::Command::new("settings").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    /// Everything that keeps `process` from running with these settings.
    pub fn check(&self, process: Process) -> Result<(), Faults> {
        let mut faults = Faults::new();
        self.common
            .check(&[Need::Database, Need::Broker, Need::Keys], &mut faults);
        match process {
            Process::Weather => self.check_weather(&mut faults),
            Process::Damage => self.check_evidence(&mut faults),
            Process::Payout => {
                self.check_premiums(&mut faults);
                self.check_payouts(&mut faults);
            }
            Process::Notify => self.check_texts(&mut faults),
            Process::Satellite => self.check_scenes(&mut faults),
            Process::Relay => {}
        }
        faults.into_result()
    }

    fn check_weather(&self, faults: &mut Faults) {
        self.check_url(
            "WEATHERXM_API_URL",
            &self.weatherxm.weatherxm_api_url,
            faults,
        );
        faults.require_set(
            "WEATHERXM_API_KEY",
            self.weatherxm.weatherxm_api_key.expose(),
        );
    }

    /// None at all is no fault: it is recorded as such.
    fn check_scenes(&self, faults: &mut Faults) {
        let url = &self.sentinel2.sentinel2_api_url;
        if !url.is_empty() {
            self.check_url("SENTINEL2_API_URL", url, faults);
        }
    }

    fn check_evidence(&self, faults: &mut Faults) {
        self.check_url("PINATA_UPLOAD_URL", &self.pinata.pinata_upload_url, faults);
        self.check_url("PINATA_GATEWAY", &self.pinata.pinata_gateway, faults);
        faults.require_set("PINATA_JWT", self.pinata.pinata_jwt.expose());
    }

    fn check_premiums(&self, faults: &mut Faults) {
        let swypt = &self.swypt;
        self.check_url("SWYPT_API_URL", &swypt.swypt_api_url, faults);
        faults.require_set("SWYPT_API_KEY", swypt.swypt_api_key.expose());
        faults.require_set("SWYPT_SECRET_KEY", swypt.swypt_secret_key.expose());
        faults.require_set("SWYPT_USER_ADDRESS", &swypt.swypt_user_address);
        faults.require_set("SWYPT_TOKEN_ADDRESS", &swypt.swypt_token_address);
    }

    fn check_payouts(&self, faults: &mut Faults) {
        let mpesa = &self.mpesa;
        self.check_url("MPESA_BASE_URL", &mpesa.mpesa_base_url, faults);
        self.check_url("PUBLIC_BASE_URL", &self.public_base_url, faults);
        faults.require_set("MPESA_CONSUMER_KEY", mpesa.mpesa_consumer_key.expose());
        faults.require_set(
            "MPESA_CONSUMER_SECRET",
            mpesa.mpesa_consumer_secret.expose(),
        );
        faults.require_set("MPESA_SHORTCODE", &mpesa.mpesa_shortcode);
        faults.require_set("MPESA_INITIATOR_NAME", &mpesa.mpesa_initiator_name);
        faults.require_set(
            "MPESA_SECURITY_CREDENTIAL",
            mpesa.mpesa_security_credential.expose(),
        );
        faults.require_set("MPESA_CALLBACK_TOKEN", mpesa.mpesa_callback_token.expose());
    }

    fn check_texts(&self, faults: &mut Faults) {
        self.check_url("AT_BASE_URL", &self.africastalking.at_base_url, faults);
        faults.require_set("AT_USERNAME", &self.africastalking.at_username);
        faults.require_set("AT_API_KEY", self.africastalking.at_api_key.expose());
    }

    /// Plain HTTP is for sandboxes on the same machine or network, never for production.
    fn check_url(&self, name: &str, url: &str, faults: &mut Faults) {
        let production = self.common.environment == Environment::Production;
        if url.is_empty() {
            faults.add(format!("{name} is missing"));
        } else if !url.starts_with("https://") && (production || !url.starts_with("http://")) {
            faults.add(format!("{name} must start with https://"));
        } else if url.ends_with('/') {
            faults.add(format!("{name} must not end with a slash"));
        }
    }
}
