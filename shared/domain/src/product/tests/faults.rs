//! Every rule has a document that breaks it, and the fault names the field. Each case is one change
//! to a document that is otherwise valid. Tests only; run with the crate's.

mod figures;

use super::*;

/// A document of schema 2 with every kind of start, limits and two zones.
const ROOT: &str = r#"
schema = 2
status = "draft"
code = "KE-MZ-XX-LR"
crop = "maize"
currency = "KES"
sums_insured_kes = [3000, 5000, 10000]
release_auto_max_kes = 100000
capacity_kes_per_cell = 5000000
payout_min_kes = 10
name = { en = "Everything", sw = "Vyote" }
payout = { function = "linear" }
terms = { deductible_bp = 500, payout_max_bp = 9000, waiting_days = 5 }
[season]
code = "MAM"
sale = "01-15..02-20"
cover = "03-01..08-31"
sowing = { days = "03-10..04-10", undeclared = "last_day" }
[season.onset]
search = "03-01..04-20"
detector = { kind = "rain_event", event_mm = 20, event_days = 3, event_ends = "all_days", wet_day_mm = 1, dry_days = 7, watch_days = 21 }
none = "pays_all"
[[phases]]
code = "est"
days = "03-01..05-14"
weight_bp = 2000
daily_cap_mm = 60
anchor = { on = "onset", from_day = 0, to_day = 24 }
[[phases]]
code = "veg"
days = "04-01..06-05"
weight_bp = 3000
anchor = { on = "sowing", from_day = 25, to_day = 54 }
index = { kind = "dry_spell_blocks", length_days = 14, below_mm = "15.5", step_days = 1 }
direction = "excess"
[[phases]]
code = "flo"
days = "05-10..06-30"
weight_bp = 3000
steps = [
    { at_percent = 80, pays_bp = 0 },
    { at_percent = "62.5", pays_bp = 4000 },
    { at_percent = 0, pays_bp = 10000 },
]
[[phases]]
code = "end"
days = "07-01..08-31"
weight_bp = 2000
index = { kind = "wrsi", whc_mm = 100, lgp_dekads = 12, kp = "0.45", kc_initial = "0.3", kc_peak = "1.2", kc_late = "0.35", pre_season_dekads = 6, branch = "corrected" }
direction = "deficit"
[settlement]
dataset = "weatherxm"
fallback = ["weatherxm-second", "weatherxm-idw"]
filled_days_max_bp = 1000
decide_after_days = 20
stations_min = 2
borderline_se = 1
[[zones]]
code = "kitui"
wards = ["0331"]
rate_bp = 1200
triggers = [
    { phase = "est", trigger = 60, exit = "15.5" },
    { phase = "veg", trigger = 0, exit = 10 },
    { phase = "flo", normal = 160 },
    { phase = "end", trigger = 75, exit = 45 },
]
"#;

/// Cases, one a line: `field <- text -> other text`, where `\n` is a new line and `nothing` none.
fn assert_faults(root: &str, cases: &str) {
    Product::from_toml(root).unwrap();
    for case in cases.lines().filter(|line| !line.is_empty()) {
        let (field, change) = case.split_once(" <- ").unwrap();
        let (from, to) = change.split_once(" -> ").unwrap();
        let to = if to == "nothing" { "" } else { to };
        let lines = |text: &str| text.replace("\\n", "\n");
        assert_fault(root, &lines(from), &lines(to), field);
    }
}

fn assert_fault(root: &str, from: &str, to: &str, field: &str) {
    let Err(error) = Product::from_toml(&with(root, &[(from, to)])) else {
        panic!("{from} may become {to}");
    };
    assert_eq!(error.field, field, "{to}: {error}");
    assert!(!error.rule.is_empty());
}

/// A document with other lines, each in the place of one that it has.
fn with(root: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(root.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the document has no {from}");
        text.replacen(from, to, 1)
    })
}

const VEGETATION: &str = r#"[vegetation]
days = "03-01..05-31"
measure = "percentile"
none_at = 30
all_at = 5
sensor = "sentinel-2"
fallback = ["modis-terra"]
baseline_first = 2001
baseline_last = 2015
wait_days = 20
absent = "weather_capped"
[settlement]"#;

const TIERS: &str = r#"payout = { function = "tiers", weather_weight_bp = 6000, attach_bp = 3000, attach_pays_bp = 3000, exhaust_bp = 6000, exhaust_pays_bp = 5000, borderline_bp = 50, vegetation_absent_cap_bp = 5000 }"#;

const LINEAR: &str = r#"payout = { function = "linear" }"#;

#[test]
fn a_document_with_everything_is_valid_and_says_the_same_in_other_words() {
    let product = Product::from_toml(ROOT).unwrap();
    let other = ROOT
        .replace("trigger = 60,", "trigger = \"60.0\",")
        .replace("\"15.5\"", "\"15.500\"");
    assert_eq!(product.hash(), Product::from_toml(&other).unwrap().hash());
}

#[test]
fn a_document_of_schema_1_has_nothing_of_schema_2() {
    assert_faults(
        PHASE,
        r#"
schema <- schema = 1 -> schema = 3
status <- schema = 1 -> schema = 1\nstatus = "draft"
terms <- schema = 1 -> schema = 1\nterms = { waiting_days = 0 }
season.sowing <- cover = -> sowing = { days = "03-10..04-10", undeclared = "last_day" }, cover =
season.onset <- cover = -> onset = { search = "03-01..04-10", detector = { kind = "dekads", first_mm = 25, next_mm = 20 }, none = "pays_all" }, cover =
settlement.borderline_se <- stations_min = 2 -> stations_min = 2\nborderline_se = 1
phases.season.index <- weight_bp -> index = { kind = "rain_sum" }\nweight_bp
phases.season.direction <- weight_bp -> direction = "deficit"\nweight_bp
phases.season.anchor <- weight_bp -> anchor = { on = "calendar" }\nweight_bp
phases.season.steps <- weight_bp -> steps = []\nweight_bp
zones.marsabit.triggers <- trigger_mm = 278, exit_mm = 95 -> trigger = 278, exit = 95
zones.marsabit.triggers <- trigger_mm = 278 -> trigger_mm = 278, normal = 300
zones.marsabit.triggers <- trigger_mm = 278, exit_mm = 95 -> trigger_mm = 0, exit_mm = 0
zones.marsabit.triggers <- trigger_mm = 278,  -> nothing
zones.marsabit.triggers <- , exit_mm = 95 -> nothing
"#,
    );
    assert_fault(PHASE, "[settlement]", VEGETATION, "vegetation");
}

#[test]
fn form_windows_price_and_law_are_checked_as_ever() {
    // 184 days of cover allow a premium of KES 7,360: 12 % of less than 61,334
    assert_faults(
        ROOT,
        r#"
document <- crop = "maize" -> crop = "maize"\ncolour = "red"
document <- exit = "15.5" -> exit = 15.5
currency <- currency = "KES" -> currency = "USDC"
name.en <- en = "Everything" -> en = ""
name.sw <- sw = "Vyote" -> sw = "Vyote vilivyo na kila kitu"
season.cover <- cover = "03-01..08-31" -> cover = "02-29..02-28"
season.sale <- sale = "01-15..02-20" -> sale = "01-15..03-01"
sums_insured_kes <- [3000, 5000, 10000] -> []
sums_insured_kes <- [3000, 5000, 10000] -> [5000, 3000]
sums_insured_kes <- [3000, 5000, 10000] -> [0, 3000]
sums_insured_kes <- [3000, 5000, 10000] -> [3000, 500001]
sums_insured_kes <- [3000, 5000, 10000] -> [1, 2, 3, 4, 5, 6]
zones.kitui.rate_bp <- [3000, 5000, 10000] -> [61334, 70000]
zones.kitui.rate_bp <- rate_bp = 1200 -> rate_bp = 0
capacity_kes_per_cell <- capacity_kes_per_cell = 5000000 -> capacity_kes_per_cell = 0
capacity_kes_per_cell <- release_auto_max_kes = 100000 -> release_auto_max_kes = -1
payout_min_kes <- payout_min_kes = 10 -> payout_min_kes = 9
payout_min_kes <- payout_min_kes = 10 -> payout_min_kes = 101
phases.code <- code = "veg" -> code = "est"
phases.end.days <- days = "07-01..08-31" -> days = "07-01..09-01"
phases.est.daily_cap_mm <- daily_cap_mm = 60 -> daily_cap_mm = 0
zones.kitui.wards <- wards = ["0331"] -> wards = ["331"]
zones.kitui.wards <- wards = ["0331"] -> wards = ["0331", "0331"]
zones.kitui.triggers <-     { phase = "flo", normal = 160 },\n -> nothing
zones.kitui.triggers <- { phase = "flo", normal = 160 }, -> { phase = "flo", normal = 160 }, { phase = "rest", trigger = 2, exit = 1 },
"#,
    );
    let phase = "[[phases]]\ncode = \"p\"\ndays = \"03-01..03-02\"\nweight_bp = 1\n";
    let seven = phase.repeat(7);
    assert_fault(
        ROOT,
        "[settlement]",
        &format!("{seven}[settlement]"),
        "phases",
    );
    let zone = ROOT.split("[[zones]]").nth(1).unwrap();
    let twice = format!("{ROOT}[[zones]]{}", zone.replace("0331", "0332"));
    let error = Product::from_toml(&twice).unwrap_err();
    assert_eq!(error.field, "zones.kitui.code");
    let none = Product {
        zones: vec![],
        ..Product::from_toml(ROOT).unwrap()
    };
    assert_eq!(none.validate().unwrap_err().field, "zones");
}

#[test]
fn weights_and_limits_are_checked() {
    // from 21 February, nine days reach 1 March in a leap year alone
    assert_faults(
        ROOT,
        r#"
phases.weight_bp <- weight_bp = 2000 -> weight_bp = 0
phases.weight_bp <- payout_max_bp = 9000 -> combine = "worst"
terms.payout_max_bp <- weight_bp = 3000 -> weight_bp = 1000
terms.payout_max_bp <- payout_max_bp = 9000 -> payout_max_bp = 0
document <- payout_max_bp = 9000 -> payout_max_bp = 10001
terms.franchise_bp <- deductible_bp = 500 -> deductible_bp = 500, franchise_bp = 500
terms.franchise_bp <- deductible_bp = 500 -> franchise_bp = 9000
terms.deductible_bp <- deductible_bp = 500 -> deductible_bp = 0
terms.deductible_bp <- deductible_bp = 500 -> deductible_bp = 9000
terms.waiting_days <- waiting_days = 5 -> waiting_days = 9
settlement.borderline_se <- borderline_se = 1 -> borderline_se = 0
settlement.borderline_se <- borderline_se = 1 -> borderline_se = 5
"#,
    );
    let whole = with(ROOT, &[("payout_max_bp = 9000, ", "")]);
    assert_faults(
        &whole,
        "phases.weight_bp <- weight_bp = 2000 -> weight_bp = 1999",
    );
    let worst = "payout_max_bp = 3000, combine = \"worst\"";
    let worst = with(ROOT, &[("payout_max_bp = 9000", worst)]);
    assert_faults(
        &worst,
        "terms.payout_max_bp <- payout_max_bp = 3000 -> payout_max_bp = 3001",
    );
}

#[test]
fn tiers_and_vegetation_are_checked() {
    let tiers = with(
        ROOT,
        &[
            (LINEAR, TIERS),
            ("deductible_bp = 500, ", ""),
            ("[settlement]", VEGETATION),
        ],
    );
    // the weather index must reach the whole, whatever is paid at most
    assert_faults(
        &tiers,
        r#"
phases.weight_bp <- weight_bp = 2000 -> weight_bp = 1999
payout.weather_weight_bp <- weather_weight_bp = 6000 -> weather_weight_bp = 0
payout.exhaust_bp <- exhaust_bp = 6000 -> exhaust_bp = 3000
payout.exhaust_bp <- attach_bp = 3000 -> attach_bp = 0
payout.exhaust_pays_bp <- exhaust_pays_bp = 5000 -> exhaust_pays_bp = 2999
terms.deductible_bp <- payout_max_bp = 9000 -> deductible_bp = 500
terms.franchise_bp <- payout_max_bp = 9000 -> franchise_bp = 500
terms.combine <- payout_max_bp = 9000 -> combine = "worst"
vegetation.days <- days = "03-01..05-31" -> days = "02-28..05-31"
vegetation.days <- days = "03-01..05-31" -> days = "03-01..09-01"
vegetation.none_at <- none_at = 30 -> none_at = 5
vegetation.none_at <- none_at = 30 -> none_at = 101
vegetation.none_at <- all_at = 5 -> all_at = -1
vegetation.none_at <- measure = "percentile"\nnone_at = 30 -> measure = "z"\nnone_at = 11
vegetation.sensor <- sensor = "sentinel-2" -> sensor = ""
vegetation.sensor <- sensor = "sentinel-2" -> sensor = "modis-terra"
vegetation.wait_days <- wait_days = 20 -> wait_days = 21
vegetation.baseline_last <- baseline_first = 2001 -> baseline_first = 2007
vegetation.baseline_last <- baseline_first = 2001 -> baseline_first = 1980
vegetation.baseline_last <- baseline_last = 2015 -> baseline_last = 2101
document <- none_at = 30 -> nothing
document <- absent = "weather_capped" -> nothing
"#,
    );
    assert_fault(&tiers, TIERS, LINEAR, "vegetation");
}
