//! The dekadal climate of every cell a dataset has days of: mean rain of each dekad of the year over
//! the years in which it is whole. Never counts a dekad with a day missing. Called by `baseline`.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::measure::RainUm;
use domain::season::Window;
use store::grids::{self, Climate};
use store::{Connection, Pool, StoreError};

use super::show::{Cell, Report, State};
use super::{CELLS, SEASONS_MIN, mark};
use crate::batch::report::progress;
use crate::science::dekad::spans;
use crate::science::sources::climatology;
use crate::science::whole;

/// Micrometres in a millimetre.
const UM_PER_MM: f64 = 1_000.0;
/// Dekads of a year.
const DEKADS: usize = 36;

/// A cell's climate and the fewest years that one of its dekads has.
struct Computed {
    dekads: Vec<Option<i64>>,
    years_min: usize,
}

/// Computes and records the climates of all cells.
pub(super) async fn compute(
    pool: &Pool,
    now: DateTime<Utc>,
    dataset: &str,
    (first, last): (i32, i32),
) -> anyhow::Result<Report> {
    let opens = |year| NaiveDate::from_yo_opt(year, 1).context("a year outside the calendar");
    let window = Window {
        start: opens(first)?,
        end: opens(last.saturating_add(1))?,
    };
    let mut report = Report::new("rain", dataset, first, last);
    let mut after = None;
    loop {
        let mut tx = pool.begin().await.map_err(StoreError::from)?;
        let cells = grids::list_cells(&mut tx, dataset, after, CELLS).await?;
        let Some(last_cell) = cells.last() else { break };
        after = Some(*last_cell);
        let known = grids::list(&mut tx, &[dataset.to_owned()], &cells, window).await?;
        let mut brought = Vec::new();
        for cell in cells {
            let days = known.get(&(dataset.to_owned(), cell)).map(Vec::as_slice);
            let computed = of(days.unwrap_or_default(), window)?;
            let state = keep(&mut tx, now, (dataset, cell), (first, last), &computed).await?;
            if state == State::New {
                brought.push(cell);
            }
            let years = computed.years_min;
            report.cells.push(Cell {
                source: dataset.to_owned(),
                cell,
                state,
                reason: (state == State::Refused).then(|| {
                    format!("a dekad is whole in {years} years only, {SEASONS_MIN} are needed")
                }),
                seasons: Vec::new(),
                dekads: computed.dekads,
            });
        }
        report.risks = report.risks.saturating_add(mark(&mut tx, &brought).await?);
        tx.commit().await.map_err(StoreError::from)?;
        progress(&format!("{dataset}: {} cells", report.cells.len()));
    }
    ensure!(
        !report.cells.is_empty(),
        "there are no days of {dataset}: import them first, with `import rain --dataset {dataset}`"
    );
    Ok(report)
}

/// The climate of a cell from its days within the window.
fn of(days: &[(NaiveDate, RainUm)], window: Window) -> anyhow::Result<Computed> {
    let mut known = days.iter().peekable();
    let rain_mm: Vec<Option<f64>> = window
        .days()
        .map(|day| {
            let is_day = |(known, _): &&(NaiveDate, RainUm)| *known == day;
            let found = known.next_if(is_day);
            found.map(|(_, rain)| f64::from(rain.0) / UM_PER_MM)
        })
        .collect();
    let mut years = [0_usize; DEKADS];
    for span in spans(window.start, rain_mm.len()) {
        let days = rain_mm.get(span.from..span.until).unwrap_or_default();
        let at = usize::try_from(span.dekad.number().saturating_sub(1)).unwrap_or(DEKADS);
        if let Some(years) = years.get_mut(at) {
            let is_whole = span.absent == 0 && days.iter().all(Option::is_some);
            *years = years.saturating_add(usize::from(is_whole));
        }
    }
    let um = |mm: Option<f64>| {
        let um = mm.map(|mm| whole(mm * UM_PER_MM).context("a mean that is no number"));
        um.transpose()
    };
    let climate = climatology(window.start, &rain_mm).into_iter().map(um);
    Ok(Computed {
        dekads: climate.collect::<anyhow::Result<_>>()?,
        years_min: years.into_iter().min().unwrap_or(0),
    })
}

async fn keep(
    conn: &mut Connection,
    now: DateTime<Utc>,
    (dataset, cell): (&str, RiskCell),
    (first_year, last_year): (i32, i32),
    computed: &Computed,
) -> anyhow::Result<State> {
    if computed.years_min < SEASONS_MIN {
        return Ok(State::Refused);
    }
    let climate = Climate {
        first_year,
        last_year,
        dekads: computed.dekads.clone(),
    };
    if grids::record_climate(conn, now, dataset, cell, &climate).await? {
        return Ok(State::New);
    }
    let known = grids::list_climates(conn, &[dataset.to_owned()], &[cell]).await?;
    let is_same = known.values().any(|known| *known == climate);
    Ok(if is_same {
        State::Known
    } else {
        State::Different
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dekad_with_a_day_missing_does_not_count_for_its_year() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let window = Window {
            start: day("2001-01-01"),
            end: day("2003-01-01"),
        };
        let mut days: Vec<(NaiveDate, RainUm)> = window
            .days()
            .map(|day| (day, RainUm(if day < second() { 1_000 } else { 3_000 })))
            .collect();
        let both = of(&days, window).unwrap();
        // ten days of 1 mm in one year, of 3 mm in the other
        assert_eq!((both.dekads[0], both.years_min), (Some(20_000), 2));
        days.retain(|(one, _)| *one != day("2002-01-05"));
        let one = of(&days, window).unwrap();
        assert_eq!((one.dekads[0], one.years_min), (Some(10_000), 1));
        assert_eq!(one.dekads[1], Some(20_000));
        assert_eq!(of(&[], window).unwrap().dekads[0], None);
    }

    fn second() -> NaiveDate {
        "2002-01-01".parse().unwrap()
    }
}
