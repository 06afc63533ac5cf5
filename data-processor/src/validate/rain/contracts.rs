//! Published contracts: area yield, rain steps, dry blocks, three-phase deficit, damage tiers. The
//! truncating and the exact form are held apart; the integers that pay are asked directly. Pure
//! over the vectors. Called by the rain families.

use anyhow::{Context, anyhow};
use domain::damage::{damage_index, tiered};
use domain::index::deficit;
use domain::measure::{UM_PER_MM, from_millimetres};
use domain::money::BasisPoints;
use domain::product::PayoutTerms;
use serde_json::Value;

use crate::science::phases::ayii::Terms;
use crate::science::phases::stage::Stage;
use crate::science::phases::steps::{SCIC_CORN_RAIN, Steps};
use crate::science::phases::{Line, PolicyTerms, shillings};
use crate::science::spells::{BlockCount, Blocks, days, dry_spells};
use crate::science::whole;
use crate::validate::vectors::{Compared, at, half_digit, keyed, number, numbers, table};
use crate::validate::{Outcome, Row};

pub(super) fn rows(vectors: &Value) -> Outcome {
    let mut rows = area_yield(vectors)?;
    rows.push(corn_rain_steps(vectors)?);
    rows.push(dry_blocks(vectors)?);
    rows.extend(satellite_sample(vectors)?);
    rows.extend(three_phases(vectors)?);
    rows.push(float_and_integer_lines()?);
    rows.extend(damage_tiers(vectors)?);
    Ok(rows)
}

/// Half a unit of the area-yield contract, 2^-25: a whole payout is printed as 0.9, which the
/// contract holds as 15,099,494 units.
const HALF_UNIT: f64 = 1.0 / 33_554_432.0;

fn area_yield(vectors: &Value) -> Outcome {
    let of = |name: &str| number(vectors, &format!("/ayii_etherisc/params/{name}"));
    let terms = Terms {
        insured: of("tsi")?,
        trigger: of("trigger")?,
        exit: of("exit")?,
        yield_average: of("aph")?,
    };
    let extra = |name: &str| number(vectors, &format!("/ayii_etherisc/extra/{name}"));
    let small = Terms {
        yield_average: extra("aph")?,
        ..terms
    };
    let mut published: Vec<(Terms, f64, f64)> = keyed(vectors, "/ayii_etherisc/aaay_to_payout")?
        .into_iter()
        .map(|(yielded, paid)| (terms, yielded, paid))
        .collect();
    published.push((small, extra("aaay")?, extra("payout")?));
    let (mut exact, mut truncated) = (Compared::default(), Compared::default());
    for (terms, yielded, paid) in published {
        exact.near(terms.payout(yielded).ok(), paid);
        truncated.near(terms.payout_truncated(yielded).ok(), paid);
    }
    Ok(vec![
        exact.row(
            "area yield, exact (AYII of Etherisc)",
            number(vectors, "/ayii_etherisc/tol")?,
            "the contract truncates in units of 2^-24",
        ),
        truncated.row(
            "area yield, truncated in 2^24 units (AYII of Etherisc)",
            HALF_UNIT,
            "published cut to eight digits, whole payouts as 0.9",
        ),
    ])
}

fn corn_rain_steps(vectors: &Value) -> anyhow::Result<Row> {
    let published = table(vectors, "/scic_corn_rain_steps/lower_bound_pct_to_pay_pct")?;
    let steps = Steps::new(&SCIC_CORN_RAIN)?;
    let mut compared = Compared::default();
    let mut above = f64::INFINITY;
    for row in &published {
        let [bound, pays] = row[..] else {
            return Err(anyhow!(
                "a step of the corn rain schedule is not two numbers"
            ));
        };
        // at its bound, and just below the bound of the step above
        compared.near(Some(steps.pays(bound)), pays);
        if above.is_finite() {
            compared.near(Some(steps.pays(above - 1e-3)), pays);
        }
        above = bound;
    }
    Ok(compared.row(
        "corn rainfall steps (SCIC)",
        0.0,
        "25 steps, each at its bound and just below the one above",
    ))
}

fn dry_blocks(vectors: &Value) -> anyhow::Result<Row> {
    let of = |name: &str| number(vectors, &format!("/bimapima_stage/{name}"));
    let whole_number = |name: &str| -> anyhow::Result<u32> {
        whole(of(name)?)
            .and_then(|n| u32::try_from(n).ok())
            .with_context(|| format!("bimapima_stage {name} is not a number of days"))
    };
    let stage = Stage {
        blocks: Blocks {
            length: whole_number("in/block_length")?,
            step: whole_number("in/block_step")?,
            trigger_mm: 15.0,
            daily_cap_mm: None,
            count: BlockCount::Bimapima,
        },
        weight: of("in/weight")?,
    };
    // a stage whose first block alone is dry: 14 mm in it, and 2 mm more in every later one
    let length = usize::try_from(stage.blocks.length)?;
    let total = usize::try_from(whole_number("in/days")?)?;
    let rain: Vec<Option<f64>> = (0..total)
        .map(|day| Some(if day < length { 1.0 } else { 3.0 }))
        .collect();
    let found = stage.blocks.losses(&rain);
    let mut compared = Compared::default();
    compared.near(Some(f64::from(found.blocks)), of("out/blocks")?);
    compared.near(Some(f64::from(found.loss)), of("in/loss_blocks")?);
    compared.near(stage.payout(found)?, of("out/payout")?);
    Ok(compared.row(
        "dry blocks of a stage (BimaPima)",
        1e-6,
        "published cut to six digits",
    ))
}

/// The fixed-point door keeps a satellite's odd digits to half a micrometre, and its zeros are
/// measured zeros; its trace days are dry at 1 mm and wet at 0.3 mm.
fn satellite_sample(vectors: &Value) -> Outcome {
    let sample = keyed(vectors, "/arc2_sample/mm")?;
    let mut door = Compared::default();
    let (mut sum_um, mut sum_mm) = (0.0, 0.0);
    for (_, mm) in &sample {
        let um = from_millimetres(*mm)?;
        door.near(Some(f64::from(um.0) / f64::from(UM_PER_MM)), *mm);
        sum_um += f64::from(um.0);
        sum_mm += mm;
    }
    let mut total = Compared::default();
    total.near(Some(sum_um / f64::from(UM_PER_MM)), sum_mm);
    door.values = door.values.saturating_add(total.values);
    let rain: Vec<Option<f64>> = sample.iter().map(|(_, mm)| Some(*mm)).collect();
    let (at_one, at_trace) = (days(&rain, 1.0), days(&rain, 0.3));
    let mut counts = Compared::default();
    counts.same(&(at_one.dry, at_one.wet, at_one.longest_dry), &(4, 3, 2));
    counts.same(
        &(at_trace.dry, at_trace.wet, at_trace.longest_dry),
        &(2, 5, 1),
    );
    counts.same(&dry_spells(&rain, 1.0, 2).count, &1);
    counts.same(&(at_one.missing, total.deviation < 0.0035), &(0, true));
    Ok(vec![
        door.row(
            "satellite days in whole micrometres (ARC2 sample)",
            half_digit(3),
            "each day; the week's sum moves by less than 0.0035 mm",
        ),
        counts.row(
            "dry and wet days of a week (ARC2 sample)",
            0.0,
            "4 dry days at 1 mm, 2 at 0.3 mm: a wet-day threshold below 1 mm follows revisions",
        ),
    ])
}

fn three_phases(vectors: &Value) -> Outcome {
    let name = |field: &str| format!("/three_phase_deficit/{field}");
    let sum_insured = number(vectors, &name("SI"))?;
    let mut phases = Vec::new();
    let mut floats = Compared::default();
    let mut integers = Compared::default();
    let published = numbers(vectors, &name("pay"))?;
    for (row, pays) in table(vectors, &name("phases"))?.iter().zip(published) {
        let [rain, trigger, exit, weight] = row[..] else {
            return Err(anyhow!(
                "a phase of the deficit contract is not four numbers"
            ));
        };
        let loss = Line::rain_deficit(trigger, exit)?.loss(rain);
        floats.near(Some(sum_insured * weight * loss), pays);
        phases.push((loss, weight));
        let share = share_of(rain, trigger, exit)?;
        integers.near(Some(sum_insured * weight * share), pays);
    }
    let paid = sum_insured * PolicyTerms::PLAIN.payout(&phases)?;
    floats.near(Some(paid), number(vectors, &name("total"))?);
    let mut rounded = Compared::default();
    rounded.same(
        &shillings(paid),
        &at(vectors, &name("kes_rounded"))?.as_i64(),
    );
    Ok(vec![
        floats.row(
            "three-phase deficit",
            half_digit(4),
            "1,666.67 + 1,000 + 800",
        ),
        integers.row(
            "three-phase deficit, the integers that pay",
            half_digit(4),
            "domain::index",
        ),
        rounded.row("three-phase deficit, whole shillings", 0.0, "KES 3,467"),
    ])
}

/// The exact share of `domain::index` as a float.
pub(super) fn share_of(rain_mm: f64, trigger_mm: f64, exit_mm: f64) -> anyhow::Result<f64> {
    let millimetres = |mm: f64| {
        whole(mm)
            .and_then(|mm| i32::try_from(mm).ok())
            .context("trigger and exit are whole millimetres")
    };
    let rain = from_millimetres(rain_mm)?;
    let share = deficit(
        rain.0.into(),
        millimetres(trigger_mm)?,
        millimetres(exit_mm)?,
    )?;
    let float = |part: i64| -> anyhow::Result<f64> { Ok(f64::from(i32::try_from(part)?)) };
    Ok(float(share.numerator())? / float(share.denominator())?)
}

/// The line of back-tests against the line that pays, over the whole range of a contract.
fn float_and_integer_lines() -> anyhow::Result<Row> {
    let mut compared = Compared::default();
    for (trigger, exit) in [
        (278.0, 95.0),
        (25.0, 5.0),
        (60.0, 15.0),
        (100.0, 100.0),
        (80.0, 0.0),
    ] {
        let line = Line::deficit(trigger, exit)?;
        for hundredths in 0..30_000_u32 {
            let rain = f64::from(hundredths) / 100.0;
            compared.near(Some(line.loss(rain)), share_of(rain, trigger, exit)?);
        }
    }
    Ok(compared.row(
        "deficit line in floats against the integers that pay",
        1e-12,
        "five contracts, every hundredth of a millimetre to 300 mm",
    ))
}

fn damage_tiers(vectors: &Value) -> Outcome {
    let terms: PayoutTerms = serde_json::from_value(serde_json::json!({
        "function": "tiers",
        "weather_weight_bp": 6_000,
        "attach_bp": 3_000,
        "attach_pays_bp": 3_000,
        "exhaust_bp": 6_000,
        "exhaust_pays_bp": 5_000,
        "borderline_bp": 50,
        "vegetation_absent_cap_bp": 5_000,
    }))?;
    let points = |value: f64| -> anyhow::Result<BasisPoints> {
        let value = whole(value).context("basis points are whole")?;
        Ok(BasisPoints::new(u16::try_from(value)?)?)
    };
    let (mut index, mut paid) = (Compared::default(), Compared::default());
    for case in table(vectors, "/di_tiers_bp/cases")? {
        let [weather, vegetation, damage, percent] = case[..] else {
            return Err(anyhow!("a case of the damage tiers is not four numbers"));
        };
        let found = damage_index(points(weather)?, points(vegetation)?, points(6_000.0)?)?;
        index.same(&found, &points(damage)?);
        let share = tiered(&terms, found)?.share;
        let float = |part: i64| -> anyhow::Result<f64> { Ok(f64::from(i32::try_from(part)?)) };
        let share = float(share.numerator())? / float(share.denominator())?;
        paid.near(Some(100.0 * share), percent);
    }
    Ok(vec![
        index.row("damage index in basis points", 0.0, "domain::damage"),
        paid.row(
            "damage tiers, percent paid",
            half_digit(4),
            "domain::damage, the cliffs included",
        ),
    ])
}
