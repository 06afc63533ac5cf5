//! Tests of dry days, spells and blocks: edges, gaps, trace rain, and what must always hold.
//! Touches no file. Run with the crate's unit tests.

use super::*;
use proptest::prelude::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// `..5.x20` a day a mark: `.` dry, a digit that many millimetres, `w` 20 mm, `?` missing.
fn rain(marks: &str) -> Vec<Option<f64>> {
    marks
        .chars()
        .map(|mark| match mark {
            '.' => Some(0.0),
            'w' => Some(20.0),
            '?' => None,
            digit => digit.to_digit(10).map(f64::from),
        })
        .collect()
}

#[test]
fn trace_rain_and_drizzle_do_not_end_a_dry_spell() {
    // 0 < P < 0.2 is a trace; the threshold itself is wet
    let drizzle = [Some(0.0), Some(0.05), Some(0.199), Some(0.999), Some(1.0)];
    let found = days(&drizzle, WET_DAY_MM);
    assert_eq!((found.dry, found.wet, found.longest_dry), (4, 1, 4));
}

#[test]
fn a_missing_day_breaks_the_run_and_is_neither_dry_nor_wet() {
    let found = days(&rain("....?...2.."), WET_DAY_MM);
    let expected = Days {
        dry: 9,
        wet: 1,
        missing: 1,
        longest_dry: 4,
    };
    assert_eq!(found, expected);
    assert_eq!(days(&[], WET_DAY_MM), Days::default());
    assert_eq!(days(&rain("???"), WET_DAY_MM).longest_dry, 0);
}

#[test]
fn a_run_over_the_edge_of_the_window_is_clipped() {
    let series = rain("..........2.....");
    let window = Window {
        start: day("2001-03-04"),
        end: day("2001-03-14"),
    };
    let clipped = clip(&series, day("2001-03-01"), window);
    assert_eq!((clipped.days.len(), clipped.absent), (10, 0));
    assert_eq!(days(clipped.days, WET_DAY_MM).longest_dry, 7);
    let late = clip(&series, day("2001-03-10"), window);
    assert_eq!((late.days.len(), late.absent, late.missing()), (4, 6, 6));
    let apart = clip(&series, day("2002-03-10"), window);
    assert_eq!((apart.days.len(), apart.missing()), (0, 10));
}

#[test]
fn spells_are_maximal_runs_of_at_least_k_days() {
    let series = rain("..........2....?.........w...........");
    let found = dry_spells(&series, WET_DAY_MM, 10);
    assert_eq!((found.count, found.total, found.missing), (2, 21, 1));
    assert_eq!(dry_spells(&series, WET_DAY_MM, 9).count, 3);
    assert_eq!(dry_spells(&series, WET_DAY_MM, 14).count, 0);
}

#[test]
fn dry_pentads_add_up_the_long_runs_only() {
    // dry, wet, dry, dry, missing, dry, dry, dry and a rest of three days
    let series = rain(
        &[
            ".....", "w....", ".1...", ".....", "..?..", ".....", ".....", ".....", "...",
        ]
        .concat(),
    );
    let found = dry_pentads(&series, 5.0, 2);
    assert_eq!((found.count, found.total, found.missing), (2, 5, 1));
    assert_eq!(dry_pentads(&series, 5.0, 3).total, 3);
}

#[test]
fn fourteen_day_blocks_of_a_four_week_stage_are_fifteen() {
    let mut blocks = Blocks {
        length: 14,
        step: 1,
        trigger_mm: 15.0,
        daily_cap_mm: None,
        count: BlockCount::EveryStart,
    };
    assert_eq!(blocks.number(28), 15);
    assert_eq!((blocks.number(14), blocks.number(13)), (1, 0));
    blocks.step = 14;
    assert_eq!(blocks.number(28), 2);
    blocks.count = BlockCount::Bimapima;
    assert_eq!(blocks.number(28), 1, "the open engine leaves the last out");
    blocks.step = 1;
    assert_eq!(blocks.number(28), 15);
}

#[test]
fn a_block_is_a_loss_only_below_the_trigger_and_only_when_whole() {
    let blocks = Blocks {
        length: 3,
        step: 1,
        trigger_mm: 5.0,
        daily_cap_mm: Some(4.0),
        count: BlockCount::EveryStart,
    };
    // caps: 9 counts 4; blocks: 0+4+0 loss, 4+0+1 = trigger, 0+1+? open, 1+?+4 = trigger, ?+4+0 open
    let found = blocks.losses(&rain(".9.1?4."));
    let expected = BlockLoss {
        blocks: 5,
        loss: 1,
        undecided: 2,
        missing: 1,
    };
    assert_eq!(found, expected);
}

#[test]
fn readings_that_sum_to_the_trigger_reach_it() {
    // Sabaret, November 2010: 15.00 mm to the last digit, and in binary a little less
    let mm = [4.41, 0.0, 0.06, 5.68, 4.8, 0.02, 0.0, 0.03, 0.0, 0.0];
    let rain: Vec<Option<f64>> = mm.into_iter().map(Some).collect();
    assert!(mm.iter().sum::<f64>() < 15.0);
    let blocks = Blocks {
        length: 10,
        step: 1,
        trigger_mm: 15.0,
        daily_cap_mm: None,
        count: BlockCount::EveryStart,
    };
    assert_eq!(blocks.losses(&rain).loss, 0);
    let mut drier = rain;
    drier[0] = Some(4.409);
    assert_eq!(blocks.losses(&drier).loss, 1);
}

#[test]
fn budgets_are_shares_of_the_window() {
    assert!(is_within_budget(9, 92, 1_000));
    assert!(!is_within_budget(10, 92, 1_000));
    assert!(is_within_budget(0, 0, 0));
    assert!(!is_within_budget(1, 92, 0));
}

fn series() -> impl Strategy<Value = Vec<Option<f64>>> {
    prop::collection::vec(
        prop_oneof![
            5 => Just(Some(0.0)),
            3 => (0.0_f64..40.0).prop_map(Some),
            1 => Just(None),
        ],
        0..120,
    )
}

proptest! {
    #[test]
    fn every_day_is_dry_or_wet_or_missing(rain in series()) {
        let found = days(&rain, WET_DAY_MM);
        let all = u32::try_from(rain.len()).unwrap();
        prop_assert_eq!(found.dry + found.wet + found.missing, all);
        prop_assert_eq!(dry_spells(&rain, WET_DAY_MM, 1).total, found.dry);
        prop_assert!(found.longest_dry <= found.dry);
        prop_assert_eq!(u32::from(found.longest_dry > 0), dry_spells(&rain, WET_DAY_MM, found.longest_dry).count.min(1));
    }

    #[test]
    fn losing_a_day_never_lengthens_a_spell_or_makes_a_loss(rain in series(), at in 0_usize..120) {
        let blocks = Blocks {
            length: 7, step: 1, trigger_mm: 10.0, daily_cap_mm: None, count: BlockCount::EveryStart,
        };
        let mut holed = rain.clone();
        if let Some(day) = holed.get_mut(at) {
            *day = None;
        }
        prop_assert!(days(&holed, WET_DAY_MM).longest_dry <= days(&rain, WET_DAY_MM).longest_dry);
        prop_assert!(blocks.losses(&holed).loss <= blocks.losses(&rain).loss);
    }
}
