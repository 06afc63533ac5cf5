//! One farmer as a partner sends her, checked by the same rules whether she comes alone, in a file
//! or as JSON, and sealed as the phone's own registration seals. Must never repeat her data in a
//! fault. Used by `farmers` and `bulk`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::i18n::Language;
use domain::id::{AgentId, GroupId, OrganisationId};
use domain::msisdn::Msisdn;
use domain::ussd::{CONSENT_VERSION, read_name, read_national_id};
use runtime::ids::Ids;
use serde::Deserialize;
use store::enrolments::{ConsentObtained, NewEnrolment};
use store::{Connection, Pii, StoreError, agents, groups, wards};
use utoipa::ToSchema;

use super::input::{self, FieldFault};

/// Day on which Kenya's Data Protection Act, 2019 (No. 24 of 2019) began to apply: no consent under it
/// is older.
const CONSENT_AT_MIN: NaiveDate = match NaiveDate::from_ymd_opt(2019, 11, 25) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// A farmer to enrol. She chooses her PIN herself, at her first purchase.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FarmerInput {
    /// A Kenyan mobile number: `+254712345678` or `0712345678`.
    #[schema(required = true, nullable = false)]
    pub(super) phone: Option<String>,
    /// Name, 2 to 40 letters, spaces, dots, dashes or apostrophes.
    #[schema(required = true, nullable = false)]
    pub(super) name: Option<String>,
    /// National identity number, 6 to 8 digits.
    #[schema(required = true, nullable = false)]
    pub(super) national_id: Option<String>,
    /// `en` or `sw`; `sw` if left out.
    pub(super) language: Option<String>,
    /// Code of her ward, four digits.
    #[schema(required = true, nullable = false)]
    pub(super) ward_code: Option<String>,
    /// Her group: its id or its code.
    pub(super) group: Option<String>,
    /// The agent who enrols her and took her consent: id or code.
    pub(super) agent: Option<String>,
    /// Her consent.
    #[schema(required = true, nullable = false)]
    pub(super) consent: Option<ConsentInput>,
}

/// What a farmer agreed to, and how.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentInput {
    /// Version of the consent text that was read to her.
    #[schema(required = true, nullable = false)]
    pub(super) version: Option<String>,
    /// `paper`, `spoken` or `electronic`.
    #[schema(required = true, nullable = false)]
    pub(super) obtained: Option<String>,
    /// When, RFC 3339, not in the future; now if left out.
    pub(super) at: Option<String>,
}

/// A farmer whose every field is in order.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) phone: Msisdn,
    pub(super) name: String,
    pub(super) national_id: String,
    language: Language,
    ward_code: String,
    group: Option<GroupId>,
    agent: Option<AgentId>,
    consent_obtained: ConsentObtained,
    consented_at: DateTime<Utc>,
}

/// Wards, groups and agents that farmers name.
#[derive(Debug, Default)]
pub(super) struct Known {
    wards: HashSet<String>,
    groups: HashMap<String, GroupId>,
    agents: HashMap<String, AgentId>,
}

impl Known {
    /// Looks up at once what these farmers name.
    pub(super) async fn load<'a>(
        conn: &mut Connection,
        organisation: OrganisationId,
        farmers: impl Iterator<Item = &'a FarmerInput> + Clone,
    ) -> Result<Self, StoreError> {
        let named = |of: fn(&FarmerInput) -> Option<&String>| -> Vec<String> {
            let once: HashSet<&String> = farmers.clone().filter_map(of).collect();
            once.into_iter().cloned().collect()
        };
        let codes = named(|farmer| farmer.ward_code.as_ref());
        let wards = wards::list_known(conn, &codes).await?;
        let named_groups = named(|farmer| farmer.group.as_ref());
        let ids: Vec<GroupId> = named_groups.iter().filter_map(|t| t.parse().ok()).collect();
        let mut found_groups = HashMap::new();
        for (code, id) in groups::list_referred(conn, organisation, &named_groups, &ids).await? {
            found_groups.insert(id.to_string(), id);
            found_groups.insert(code, id);
        }
        let named_agents = named(|farmer| farmer.agent.as_ref());
        let ids: Vec<AgentId> = named_agents.iter().filter_map(|t| t.parse().ok()).collect();
        let mut found_agents = HashMap::new();
        for (code, id) in agents::list_referred(conn, organisation, &named_agents, &ids).await? {
            found_agents.insert(id.to_string(), id);
            found_agents.insert(code, id);
        }
        Ok(Self {
            wards: wards.into_iter().collect(),
            groups: found_groups,
            agents: found_agents,
        })
    }
}

/// Checks a farmer: all that is wrong with her, at once.
pub(super) fn check(
    input: &FarmerInput,
    known: &Known,
    now: DateTime<Utc>,
) -> Result<Checked, Vec<FieldFault>> {
    let mut faults = Vec::new();
    let phone = keep(&mut faults, phone(input.phone.as_deref()));
    let name = keep(&mut faults, name(input.name.as_deref()));
    let national_id = keep(&mut faults, national_id(input.national_id.as_deref()));
    let language = keep(&mut faults, language(input.language.as_deref()));
    let ward_code = keep(&mut faults, ward(input.ward_code.as_deref(), known));
    let group = keep(
        &mut faults,
        referred("group", input.group.as_deref(), &known.groups),
    );
    let agent = keep(
        &mut faults,
        referred("agent", input.agent.as_deref(), &known.agents),
    );
    let consent = keep(&mut faults, consent(input.consent.as_ref(), now));
    match (
        phone,
        name,
        national_id,
        language,
        ward_code,
        group,
        agent,
        consent,
    ) {
        (
            Some(phone),
            Some(name),
            Some(national_id),
            Some(language),
            Some(ward_code),
            Some(group),
            Some(agent),
            Some((consent_obtained, consented_at)),
        ) => Ok(Checked {
            phone,
            name,
            national_id,
            language,
            ward_code,
            group,
            agent,
            consent_obtained,
            consented_at,
        }),
        _ => Err(faults),
    }
}

fn keep<T>(faults: &mut Vec<FieldFault>, read: Result<T, FieldFault>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn phone(text: Option<&str>) -> Result<Msisdn, FieldFault> {
    let text = text.ok_or_else(|| FieldFault::missing("phone"))?;
    Msisdn::parse(text).map_err(|fault| FieldFault::new("phone", "malformed", fault.to_string()))
}

/// Her name as screens can show it.
pub(super) fn name(text: Option<&str>) -> Result<String, FieldFault> {
    let text = text.ok_or_else(|| FieldFault::missing("name"))?;
    read_name(text).ok_or_else(|| {
        let rule = "name must have 2 to 40 letters, spaces, dots, dashes or apostrophes";
        FieldFault::new("name", "malformed", rule)
    })
}

fn national_id(text: Option<&str>) -> Result<String, FieldFault> {
    let text = text.ok_or_else(|| FieldFault::missing("national_id"))?;
    read_national_id(text).ok_or_else(|| {
        let rule = "national_id must have 6 to 8 digits";
        FieldFault::new("national_id", "malformed", rule)
    })
}

/// The language she is texted in.
pub(super) fn language(text: Option<&str>) -> Result<Language, FieldFault> {
    let text = text.unwrap_or("sw");
    Language::parse(text)
        .ok_or_else(|| FieldFault::new("language", "malformed", "language must be en or sw"))
}

fn ward(text: Option<&str>, known: &Known) -> Result<String, FieldFault> {
    let code = text.ok_or_else(|| FieldFault::missing("ward_code"))?;
    if known.wards.contains(code) {
        return Ok(code.to_owned());
    }
    let rule = "no ward has this code; codes are four digits, 0001 to 1450";
    Err(FieldFault::new("ward_code", "unknown_ward", rule))
}

fn referred<T: Copy>(
    field: &'static str,
    text: Option<&str>,
    known: &HashMap<String, T>,
) -> Result<Option<T>, FieldFault> {
    let Some(text) = text else {
        return Ok(None);
    };
    known.get(text).copied().map(Some).ok_or_else(|| {
        let rule = format!("no {field} of yours has this id or code; add it first");
        FieldFault::new(field, "unknown", rule)
    })
}

fn consent(
    consent: Option<&ConsentInput>,
    now: DateTime<Utc>,
) -> Result<(ConsentObtained, DateTime<Utc>), FieldFault> {
    let consent = consent.ok_or_else(|| FieldFault::missing("consent"))?;
    let version = consent.version.as_deref();
    let version = version.ok_or_else(|| FieldFault::missing("consent.version"))?;
    if version != CONSENT_VERSION {
        let rule = format!("consent.version must be {CONSENT_VERSION}, the text in force");
        return Err(FieldFault::new("consent.version", "unknown_version", rule));
    }
    let obtained = consent.obtained.as_deref();
    let obtained = obtained.ok_or_else(|| FieldFault::missing("consent.obtained"))?;
    let obtained = ConsentObtained::parse(obtained)
        .filter(|way| *way != ConsentObtained::Ussd)
        .ok_or_else(|| {
            let rule = "consent.obtained must be paper, spoken or electronic";
            FieldFault::new("consent.obtained", "malformed", rule)
        })?;
    let at = match consent.at.as_deref() {
        Some(text) => input::instant("consent.at", text)?,
        None => now,
    };
    if at > now {
        let rule = "consent.at must not be in the future";
        return Err(FieldFault::new("consent.at", "in_the_future", rule));
    }
    if at.date_naive() < CONSENT_AT_MIN {
        let rule = format!("consent.at must be {CONSENT_AT_MIN} or later");
        return Err(FieldFault::new("consent.at", "too_long_ago", rule));
    }
    Ok((obtained, at))
}

/// Seals a farmer for the store.
pub(super) fn seal(
    pii: &Pii,
    ids: &Ids,
    now: DateTime<Utc>,
    checked: Checked,
) -> Result<NewEnrolment, StoreError> {
    let seal = |plain: &str| pii.seal(ids.bytes(), plain.as_bytes());
    Ok(NewEnrolment {
        id: ids.mint(now),
        phone_index: pii.phone_index(&checked.phone),
        phone_cipher: seal(checked.phone.digits())?,
        name_cipher: seal(&checked.name)?,
        national_id_index: pii.national_id_index(&checked.national_id),
        national_id_cipher: seal(&checked.national_id)?,
        language: checked.language,
        ward_code: checked.ward_code,
        group: checked.group,
        agent: checked.agent,
        consent_version: CONSENT_VERSION.to_owned(),
        consent_obtained: checked.consent_obtained,
        consented_at: checked.consented_at,
    })
}
