//! Plots: where a farmer grows, as cells. A plot's risk cell is the parent of its own cell.
//! Never holds coordinates. Called by the USSD shell, by partners and by purchases.

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::PlotCell;
use domain::i18n::Crop;
use domain::id::{FarmerId, OrganisationId, PlotId};
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::page::Slice;

/// A plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// Id.
    pub id: PlotId,
    /// Whose.
    pub farmer_id: FarmerId,
    /// Ward code.
    pub ward_code: String,
    /// Its cell.
    pub cell: PlotCell,
    /// Size, hundredths of an acre.
    pub acres_e2: u32,
    /// Crop.
    pub crop: Crop,
}

impl Plot {
    pub(crate) fn decode(
        id: PlotId,
        farmer_id: FarmerId,
        ward_code: String,
        cell: &str,
        acres_e2: i32,
        crop: &str,
    ) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt {
            table: "plots",
            column,
            id: id.to_string(),
        };
        Ok(Self {
            id,
            farmer_id,
            ward_code,
            cell: cell.parse().map_err(|_| corrupt("plot_cell"))?,
            acres_e2: u32::try_from(acres_e2).map_err(|_| corrupt("acres_e2"))?,
            crop: Crop::parse(crop).ok_or_else(|| corrupt("crop"))?,
        })
    }
}

/// A plot to add.
#[derive(Debug, Clone)]
pub struct NewPlot<'a> {
    /// Id.
    pub id: PlotId,
    /// Whose.
    pub farmer_id: FarmerId,
    /// Ward code.
    pub ward_code: &'a str,
    /// Its cell.
    pub cell: PlotCell,
    /// Size, hundredths of an acre.
    pub acres_e2: u32,
    /// Crop.
    pub crop: Crop,
    /// When it was or will be sown.
    pub sown_on: Option<NaiveDate>,
    /// Key of the intent that adds it, unique.
    pub intent_key: Option<&'a str>,
}

/// Adds a plot; adding the same intent again changes nothing and says `false`.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    plot: &NewPlot<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- plots.insert
        insert into plots
            (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, sown_on, intent_key, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (intent_key) do nothing",
        plot.id.uuid(),
        plot.farmer_id.uuid(),
        plot.ward_code,
        plot.cell.to_string(),
        plot.cell.risk_cell().to_string(),
        i32::try_from(plot.acres_e2).unwrap_or(i32::MAX),
        plot.crop.code(),
        plot.sown_on,
        plot.intent_key,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A plot of a farmer.
pub async fn find_of_farmer(
    conn: &mut PgConnection,
    farmer_id: FarmerId,
    id: PlotId,
) -> Result<Option<Plot>, StoreError> {
    let row = sqlx::query!(
        "-- plots.find_of_farmer
        select ward_code, plot_cell, acres_e2, crop from plots where id = $1 and farmer_id = $2",
        id.uuid(),
        farmer_id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|r| {
        Plot::decode(
            id,
            farmer_id,
            r.ward_code,
            &r.plot_cell,
            r.acres_e2,
            &r.crop,
        )
    })
    .transpose()
}

/// How many plots a farmer has, holding others off from adding one until the transaction ends.
pub async fn count_locked(conn: &mut PgConnection, farmer_id: FarmerId) -> Result<i64, StoreError> {
    sqlx::query!(
        "-- plots.lock_farmer
        select id from farmers where id = $1 for update",
        farmer_id.uuid(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let count = sqlx::query_scalar!(
        r#"-- plots.count_locked
        select count(*) as "count!" from plots where farmer_id = $1"#,
        farmer_id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// How a plot was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocatedBy {
    /// By its ward alone.
    Ward,
    /// By a point.
    Point,
    /// By its outline.
    Polygon,
}

impl LocatedBy {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ward => "ward",
            Self::Point => "point",
            Self::Polygon => "polygon",
        }
    }
}

/// A plot as a partner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerPlot {
    /// The plot.
    pub plot: Plot,
    /// How it was placed.
    pub located_by: String,
    /// When it was or will be sown.
    pub sown_on: Option<NaiveDate>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

struct PartnerRow {
    id: uuid::Uuid,
    farmer_id: uuid::Uuid,
    ward_code: String,
    plot_cell: String,
    acres_e2: i32,
    crop: String,
    located_by: String,
    sown_on: Option<NaiveDate>,
    created_at: DateTime<Utc>,
}

impl PartnerRow {
    fn decode(self) -> Result<PartnerPlot, StoreError> {
        let (id, farmer_id) = (self.id.into(), self.farmer_id.into());
        Ok(PartnerPlot {
            plot: Plot::decode(
                id,
                farmer_id,
                self.ward_code,
                &self.plot_cell,
                self.acres_e2,
                &self.crop,
            )?,
            located_by: self.located_by,
            sown_on: self.sown_on,
            created_at: self.created_at,
        })
    }
}

/// Adds a plot that a partner has placed. It becomes its farmer's organisation's.
pub async fn insert_located(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    plot: &NewPlot<'_>,
    located_by: LocatedBy,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- plots.insert_located
        insert into plots
            (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, sown_on, located_by, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        plot.id.uuid(),
        plot.farmer_id.uuid(),
        plot.ward_code,
        plot.cell.to_string(),
        plot.cell.risk_cell().to_string(),
        i32::try_from(plot.acres_e2).unwrap_or(i32::MAX),
        plot.crop.code(),
        plot.sown_on,
        located_by.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A plot of an organisation's farmer.
pub async fn find_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: PlotId,
) -> Result<Option<PartnerPlot>, StoreError> {
    let row = sqlx::query_as!(
        PartnerRow,
        "-- plots.find_of_organisation
        select id, farmer_id, ward_code, plot_cell, acres_e2, crop, located_by, sown_on, created_at
        from plots where organisation_id = $1 and id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(PartnerRow::decode).transpose()
}

/// Plots of an organisation's farmers, or of one of them.
pub async fn list_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    farmer_id: Option<FarmerId>,
    slice: Slice,
) -> Result<Vec<PartnerPlot>, StoreError> {
    let rows = sqlx::query_as!(
        PartnerRow,
        "-- plots.list_of_organisation
        select id, farmer_id, ward_code, plot_cell, acres_e2, crop, located_by, sown_on, created_at
        from plots
        where organisation_id = $1 and ($2::uuid is null or farmer_id = $2)
          and ($3::uuid is null or id > $3)
        order by id limit $4",
        organisation.uuid(),
        farmer_id.map(FarmerId::uuid),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(PartnerRow::decode).collect()
}
