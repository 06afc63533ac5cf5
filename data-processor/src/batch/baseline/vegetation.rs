//! The vegetation baseline of every cell a sensor has scenes of: each year's season and each
//! dekad's mean, by the very functions that measure the season being settled. Never fills a season
//! nobody saw. Called by `baseline`.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::season::Window;
use store::baselines::{self, Baseline, Of};
use store::{Connection, Pool, StoreError, scenes};

use super::show::{Cell, Report, State};
use super::{CELLS, SEASONS_MIN, Wanted, mark};
use crate::batch::report::progress;
use crate::science::vegetation::season::{Season, dekad_means, micro, of_stored, season};

/// Computes and records the baselines of all sensors.
pub(super) async fn compute(
    pool: &Pool,
    now: DateTime<Utc>,
    wanted: &Wanted,
) -> anyhow::Result<Report> {
    let window = Window {
        start: wanted.days.bind(wanted.first)?.start,
        end: wanted.days.bind(wanted.last)?.end,
    };
    let mut report = Report::new(
        "vegetation",
        &wanted.sensors.join(", "),
        wanted.first,
        wanted.last,
    );
    report.days = Some(wanted.days.to_string());
    for sensor in &wanted.sensors {
        let (before, mut after) = (report.cells.len(), None);
        loop {
            let mut tx = pool.begin().await.map_err(StoreError::from)?;
            let cells = scenes::list_cells(&mut tx, sensor, after, CELLS).await?;
            let Some(last) = cells.last() else { break };
            after = Some(*last);
            let sensors = std::slice::from_ref(sensor);
            let seen = scenes::list(&mut tx, sensors, &cells, window).await?;
            let mut brought = Vec::new();
            for cell in cells {
                let of_cell = seen.get(&(sensor.clone(), cell)).map(Vec::as_slice);
                let values: Vec<(NaiveDate, f64)> = of_cell
                    .unwrap_or_default()
                    .iter()
                    .map(|scene| (scene.day, of_stored(scene.ndvi_e4)))
                    .collect();
                let computed = of(&values, wanted)?;
                let state = keep(&mut tx, now, (sensor, cell), wanted, &computed).await?;
                if state == State::New {
                    brought.push(cell);
                }
                report.cells.push(shown(sensor, cell, computed, state));
            }
            report.risks = report.risks.saturating_add(mark(&mut tx, &brought).await?);
            tx.commit().await.map_err(StoreError::from)?;
            progress(&format!("{sensor}: {} cells", report.cells.len() - before));
        }
        if report.cells.len() == before {
            progress(&format!("there are no scenes of {sensor}"));
        }
    }
    ensure!(
        !report.cells.is_empty(),
        "there are no scenes of {}: import them first, with `import vegetation --sensor`",
        wanted.sensors.join(" or of ")
    );
    Ok(report)
}

/// The baseline of a cell from its scenes.
fn of(scenes: &[(NaiveDate, f64)], wanted: &Wanted) -> anyhow::Result<Baseline> {
    let seasons = (wanted.first..=wanted.last)
        .map(|year| Ok(season(scenes, wanted.days.bind(year)?)))
        .collect::<anyhow::Result<Vec<Season>>>()?;
    let kept = |value: Option<f64>| {
        let micros = value.map(|ndvi| micro(ndvi).context("a mean that is no NDVI"));
        micros.transpose()
    };
    let dekads = dekad_means(&seasons).into_iter().map(kept);
    Ok(Baseline {
        seasons: seasons
            .iter()
            .map(|season| kept(season.mean))
            .collect::<anyhow::Result<_>>()?,
        dekads: dekads.collect::<anyhow::Result<_>>()?,
    })
}

async fn keep(
    conn: &mut Connection,
    now: DateTime<Utc>,
    (sensor, cell): (&str, RiskCell),
    wanted: &Wanted,
    computed: &Baseline,
) -> anyhow::Result<State> {
    if computed.seasons.iter().flatten().count() < SEASONS_MIN {
        return Ok(State::Refused);
    }
    let of = Of {
        sensor: sensor.to_owned(),
        cell,
        days: wanted.days.to_string(),
        first_year: wanted.first,
        last_year: wanted.last,
    };
    if baselines::record(conn, now, &of, computed).await? {
        return Ok(State::New);
    }
    let years = (wanted.first, wanted.last);
    let known = baselines::list(conn, &[of.sensor], &[cell], &of.days, years).await?;
    let is_same = known.values().any(|known| known == computed);
    Ok(if is_same {
        State::Known
    } else {
        State::Different
    })
}

fn shown(sensor: &str, cell: RiskCell, computed: Baseline, state: State) -> Cell {
    let seen = computed.seasons.iter().flatten().count();
    let of = computed.seasons.len();
    let wide = |values: Vec<Option<i32>>| values.into_iter().map(|v| v.map(i64::from)).collect();
    Cell {
        source: sensor.to_owned(),
        cell,
        state,
        reason: (state == State::Refused)
            .then(|| format!("{seen} of {of} seasons were seen, {SEASONS_MIN} are needed")),
        seasons: wide(computed.seasons),
        dekads: wide(computed.dekads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_has_a_season_a_year_and_a_mean_a_dekad() {
        let wanted = Wanted {
            sensors: vec!["modis-terra".to_owned()],
            days: "12-21..01-20".parse().unwrap(),
            first: 2001,
            last: 2003,
        };
        let scenes: Vec<(NaiveDate, f64)> = [
            ("2001-12-25", 0.2),
            ("2002-01-05", 0.3),
            ("2002-01-15", 0.4),
            ("2002-12-25", 0.4),
            ("2003-12-25", 0.3),
            ("2004-01-05", 0.5),
            ("2004-01-15", 0.7),
        ]
        .into_iter()
        .map(|(day, ndvi)| (day.parse().unwrap(), ndvi))
        .collect();
        let found = of(&scenes, &wanted).unwrap();
        assert_eq!(found.seasons, [Some(300_000), None, Some(500_000)]);
        assert_eq!(found.dekads, [Some(300_000), Some(400_000), Some(550_000)]);
    }
}
