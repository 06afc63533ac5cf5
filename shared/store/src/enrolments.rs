//! Farmers as partners enrol and see them. A person is enrolled once, whoever does it: the phone
//! and the national ID are each unique over all tenants. Never reads nor writes a PIN, and never
//! tells whose a farmer of another tenant is. Called by partners' routes.

use chrono::{DateTime, Utc};
use domain::i18n::Language;
use domain::id::{AgentId, FarmerId, GroupId, OrganisationId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};
use crate::page::Slice;
use crate::patch::Patch;
use crate::pii::Pii;

/// How a farmer said yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentObtained {
    /// On the phone, by herself.
    Ussd,
    /// A signature on paper.
    Paper,
    /// Before a witness.
    Spoken,
    /// In the partner's own app.
    Electronic,
}

impl ConsentObtained {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Ussd, Self::Paper, Self::Spoken, Self::Electronic];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ussd => "ussd",
            Self::Paper => "paper",
            Self::Spoken => "spoken",
            Self::Electronic => "electronic",
        }
    }

    /// From storage or a request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == text)
    }
}

/// A farmer to enrol; personal data already sealed.
#[derive(Debug, Clone)]
pub struct NewEnrolment {
    /// Id.
    pub id: FarmerId,
    /// Keyed hash of the phone.
    pub phone_index: Vec<u8>,
    /// Sealed phone, twelve digits.
    pub phone_cipher: Vec<u8>,
    /// Sealed name.
    pub name_cipher: Vec<u8>,
    /// Keyed hash of the national ID.
    pub national_id_index: Vec<u8>,
    /// Sealed national ID.
    pub national_id_cipher: Vec<u8>,
    /// Language.
    pub language: Language,
    /// Ward code.
    pub ward_code: String,
    /// Her group.
    pub group: Option<GroupId>,
    /// Who enrolled her and took her consent.
    pub agent: Option<AgentId>,
    /// Version of the consent text.
    pub consent_version: String,
    /// How she agreed.
    pub consent_obtained: ConsentObtained,
    /// When she agreed.
    pub consented_at: DateTime<Utc>,
}

/// A farmer as her partner sees her, opened.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Id.
    pub id: FarmerId,
    /// Phone, twelve digits.
    pub phone: String,
    /// Name.
    pub name: String,
    /// National ID.
    pub national_id: String,
    /// Language.
    pub language: Language,
    /// Ward code.
    pub ward_code: String,
    /// Her group.
    pub group: Option<GroupId>,
    /// Who enrolled her.
    pub agent: Option<AgentId>,
    /// Version of the consent text.
    pub consent_version: String,
    /// How she agreed.
    pub consent_obtained: ConsentObtained,
    /// When she agreed.
    pub consented_at: DateTime<Utc>,
    /// Changes with every correction.
    pub version: i32,
    /// When she was enrolled.
    pub created_at: DateTime<Utc>,
}

/// Which farmers are listed.
#[derive(Debug, Clone, Default)]
pub struct EnrolmentFilter {
    /// Of this ward.
    pub ward_code: Option<String>,
    /// Of this group.
    pub group: Option<GroupId>,
    /// Enrolled at or after.
    pub created_from: Option<DateTime<Utc>>,
    /// Enrolled before.
    pub created_before: Option<DateTime<Utc>>,
}

/// What may be corrected; `None` leaves it.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnrolmentPatch<'a> {
    /// Sealed name.
    pub name_cipher: Option<&'a [u8]>,
    /// Language.
    pub language: Option<Language>,
    /// Ward code.
    pub ward_code: Option<&'a str>,
    /// Her group, or none.
    pub group: Patch<GroupId>,
}

/// Enrols those whose phone and national ID are both unknown, in one statement; who was enrolled.
pub async fn insert_many(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    organisation: OrganisationId,
    farmers: &[NewEnrolment],
) -> Result<Vec<FarmerId>, StoreError> {
    fn column<T>(farmers: &[NewEnrolment], of: impl Fn(&NewEnrolment) -> T) -> Vec<T> {
        farmers.iter().map(of).collect()
    }
    let groups: Vec<Option<Uuid>> = column(farmers, |f| f.group.map(GroupId::uuid));
    let agents: Vec<Option<Uuid>> = column(farmers, |f| f.agent.map(AgentId::uuid));
    let ids = sqlx::query_scalar!(
        "-- enrolments.insert_many
        insert into farmers
            (id, phone_index, phone_cipher, name_cipher, national_id_index, national_id_cipher,
             language, ward_code, group_id, agent_id, consent_version, consent_obtained,
             consented_at, organisation_id, created_at)
        select given.*, $14::uuid, $15::timestamptz
        from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[],
                    $7::text[], $8::text[], $9::uuid[], $10::uuid[], $11::text[], $12::text[],
                    $13::timestamptz[]) as given
        on conflict do nothing
        returning id",
        &column(farmers, |f| f.id.uuid()),
        &column(farmers, |f| f.phone_index.clone()),
        &column(farmers, |f| f.phone_cipher.clone()),
        &column(farmers, |f| f.name_cipher.clone()),
        &column(farmers, |f| f.national_id_index.clone()),
        &column(farmers, |f| f.national_id_cipher.clone()),
        &column(farmers, |f| f.language.as_str().to_owned()),
        &column(farmers, |f| f.ward_code.clone()),
        &groups as _,
        &agents as _,
        &column(farmers, |f| f.consent_version.clone()),
        &column(farmers, |f| f.consent_obtained.as_str().to_owned()),
        &column(farmers, |f| f.consented_at),
        organisation.uuid(),
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(FarmerId::from).collect())
}

/// Which of these hashes of phones and of national IDs are the organisation's own farmers'.
pub async fn list_known(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    phone_indexes: &[Vec<u8>],
    national_id_indexes: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let rows = sqlx::query!(
        "-- enrolments.list_known
        select phone_index, national_id_index from farmers
        where organisation_id = $1 and (phone_index = any($2) or national_id_index = any($3))",
        organisation.uuid(),
        phone_indexes,
        national_id_indexes,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.phone_index, row.national_id_index))
        .collect())
}

struct Row {
    id: Uuid,
    phone_cipher: Vec<u8>,
    name_cipher: Vec<u8>,
    national_id_cipher: Vec<u8>,
    language: String,
    ward_code: String,
    group_id: Option<Uuid>,
    agent_id: Option<Uuid>,
    consent_version: String,
    consent_obtained: String,
    consented_at: DateTime<Utc>,
    version: i32,
    created_at: DateTime<Utc>,
}

fn decode(pii: &Pii, row: Row) -> Result<Enrolment, StoreError> {
    let broken = |column| corrupt("farmers", column, FarmerId::from(row.id));
    Ok(Enrolment {
        id: row.id.into(),
        phone: pii.open_text(&row.phone_cipher)?,
        name: pii.open_text(&row.name_cipher)?,
        national_id: pii.open_text(&row.national_id_cipher)?,
        language: Language::parse(&row.language).ok_or_else(|| broken("language"))?,
        ward_code: row.ward_code,
        group: row.group_id.map(GroupId::from),
        agent: row.agent_id.map(AgentId::from),
        consent_version: row.consent_version,
        consent_obtained: ConsentObtained::parse(&row.consent_obtained)
            .ok_or_else(|| broken("consent_obtained"))?,
        consented_at: row.consented_at,
        version: row.version,
        created_at: row.created_at,
    })
}

/// A farmer of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    pii: &Pii,
    organisation: OrganisationId,
    id: FarmerId,
) -> Result<Option<Enrolment>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- enrolments.find
        select id, phone_cipher, name_cipher, national_id_cipher, language, ward_code, group_id,
               agent_id, consent_version, consent_obtained, consented_at, version, created_at
        from farmers where organisation_id = $1 and id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| decode(pii, row)).transpose()
}

/// Farmers of an organisation.
pub async fn list(
    conn: &mut PgConnection,
    pii: &Pii,
    organisation: OrganisationId,
    filter: &EnrolmentFilter,
    slice: Slice,
) -> Result<Vec<Enrolment>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- enrolments.list
        select id, phone_cipher, name_cipher, national_id_cipher, language, ward_code, group_id,
               agent_id, consent_version, consent_obtained, consented_at, version, created_at
        from farmers
        where organisation_id = $1 and ($2::uuid is null or id > $2)
          and ($3::text is null or ward_code = $3)
          and ($4::uuid is null or group_id = $4)
          and ($5::timestamptz is null or created_at >= $5)
          and ($6::timestamptz is null or created_at < $6)
        order by id limit $7",
        organisation.uuid(),
        slice.after,
        filter.ward_code,
        filter.group.map(GroupId::uuid),
        filter.created_from,
        filter.created_before,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| decode(pii, row)).collect()
}

/// Corrects a farmer of this version; stale when the version is another.
pub async fn update(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    (id, version): (FarmerId, i32),
    patch: EnrolmentPatch<'_>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- enrolments.update
        update farmers set
            name_cipher = coalesce($4, name_cipher),
            language = coalesce($5, language),
            ward_code = coalesce($6, ward_code),
            group_id = case when $7 then $8 else group_id end,
            version = version + 1
        where organisation_id = $1 and id = $2 and version = $3",
        organisation.uuid(),
        id.uuid(),
        version,
        patch.name_cipher,
        patch.language.map(Language::as_str),
        patch.ward_code,
        patch.group.is_change(),
        patch.group.value().map(GroupId::uuid),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "farmer", id)
}
