//! Faults of starts, of indices and of the figures stated in their units: one change to a valid
//! document each. Tests only; run with the crate's.

use super::*;

const WRSI: &str = r#"index = { kind = "wrsi", whc_mm = 100, lgp_dekads = 12, kp = "0.45", kc_initial = "0.3", kc_peak = "1.2", kc_late = "0.35", pre_season_dekads = 6, branch = "corrected" }"#;

const DETECTOR: &str = r#"detector = { kind = "rain_event", event_mm = 20, event_days = 3, event_ends = "all_days", wet_day_mm = 1, dry_days = 7, watch_days = 21 }"#;

#[test]
fn starts_are_checked() {
    assert_faults(
        ROOT,
        r#"
phases.veg.anchor <- sowing = { days = "03-10..04-10", undeclared = "last_day" } -> nothing
phases.veg.anchor <- from_day = 25, to_day = 54 -> from_day = 25, to_day = 24
phases.est.days <- days = "03-01..05-14" -> days = "03-01..05-13"
phases.est.days <- days = "03-01..05-14" -> days = "03-02..05-14"
phases.veg.days <- days = "03-10..04-10" -> days = "03-10..04-15"
phases.est.days <- search = "03-01..04-20" -> search = "02-25..04-20"
season.onset <- anchor = { on = "onset", from_day = 0, to_day = 24 } -> nothing
season.sowing <- anchor = { on = "sowing", from_day = 25, to_day = 54 } -> nothing
season.onset.detector <- wet_day_mm = 1 -> wet_day_mm = 0
season.onset.detector <- event_mm = 20 -> event_mm = "0.5"
season.onset.detector <- event_days = 3 -> event_days = 0
season.onset.detector <- event_days = 3 -> event_days = 32
season.onset.detector <- dry_days = 7 -> dry_days = 0
season.onset.detector <- dry_days = 7 -> dry_days = 22
season.onset.detector <- watch_days = 21 -> watch_days = 61
document <- none = "pays_all" -> nothing
document <- , undeclared = "last_day" -> nothing
"#,
    );
    let search = "search = \"03-01..04-20\"";
    let onset = format!("[season.onset]\n{search}\n{DETECTOR}\nnone = \"pays_all\"\n");
    assert_fault(ROOT, &onset, "", "phases.est.anchor");
    let dekads = "detector = { kind = \"dekads\", first_mm = 25, next_mm = 20 }";
    assert_faults(
        &with(ROOT, &[(DETECTOR, dekads)]),
        "season.onset.detector <- first_mm = 25 -> first_mm = 0
season.onset.detector <- next_mm = 20 -> next_mm = -1",
    );
    // what confirms an onset must be covered: 3 days from 15 July and 46 after them end in September
    let late = [
        (search, "search = \"03-01..07-15\""),
        ("days = \"03-01..05-14\"", "days = \"03-01..08-31\""),
        ("watch_days = 21", "watch_days = 45"),
    ];
    let late = with(ROOT, &late);
    let longer = "season.onset.search <- watch_days = 45 -> watch_days = 46";
    assert_faults(&late, longer);
    let later = with(ROOT, &[("from_day = 0", "from_day = 10")]);
    assert_fault(
        &later,
        search,
        "search = \"02-25..04-20\"",
        "season.onset.search",
    );
    // three dekads from 11 July on end on 10 August, from 11 August on in September
    let (wide, wider) = ("search = \"03-01..07-15\"", "search = \"03-01..08-07\"");
    let third = with(&late, &[(&late_detector(&late), dekads)]);
    Product::from_toml(&third).unwrap();
    Product::from_toml(&with(&third, &[(wide, wider)])).unwrap();
    let widest = with(&third, &[("to_day = 24", "to_day = 20")]);
    assert_fault(
        &widest,
        wide,
        "search = \"03-01..08-11\"",
        "season.onset.search",
    );
}

fn late_detector(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("detector"));
    line.unwrap().to_owned()
}

#[test]
fn indices_and_their_parameters_are_checked() {
    assert_faults(
        ROOT,
        r#"
phases.veg.direction <- direction = "excess" -> nothing
phases.end.daily_cap_mm <- weight_bp = 2000\nindex -> weight_bp = 2000\ndaily_cap_mm = 60\nindex
phases.veg.index <- length_days = 14 -> length_days = 31
phases.veg.index <- length_days = 14 -> length_days = 0
phases.veg.index <- step_days = 1 -> step_days = 0
phases.veg.index <- below_mm = "15.5" -> below_mm = 0
phases.end.index <- whc_mm = 100 -> whc_mm = 0
phases.end.index <- lgp_dekads = 12 -> lgp_dekads = 37
phases.end.index <- kp = "0.45" -> kp = "1.001"
phases.end.index <- kp = "0.45" -> kp = 0
phases.end.index <- kc_peak = "1.2" -> kc_peak = "2.001"
phases.end.index <- kc_late = "0.35" -> kc_late = 0
phases.end.index <- pre_season_dekads = 6 -> pre_season_dekads = 13
"#,
    );
    let ndvi = "sensor = \"s\", baseline_first = 2001, baseline_last = 2015";
    let unnamed = ndvi.replace("\"s\"", "\"\"");
    let short = ndvi.replace("2001", "2010");
    for (index, field) in [
        ("kind = \"luck\"".to_owned(), "document"),
        (
            "kind = \"longest_dry_spell\", wet_day_mm = 0".to_owned(),
            "phases.end.index",
        ),
        (
            "kind = \"wet_days\", wet_day_mm = 0".to_owned(),
            "phases.end.index",
        ),
        (
            "kind = \"dry_days\", wet_day_mm = -1".to_owned(),
            "phases.end.index",
        ),
        (
            "kind = \"hot_days\", celsius = 61".to_owned(),
            "phases.end.index",
        ),
        ("kind = \"rx\", days = 0".to_owned(), "phases.end.index"),
        ("kind = \"rx\", days = 63".to_owned(), "phases.end.index"),
        (format!("kind = \"ndvi_z\", {unnamed}"), "phases.end.index"),
        (
            format!("kind = \"ndvi_percentile\", {unnamed}"),
            "phases.end.index",
        ),
        (
            format!("kind = \"ndvi_z\", {short}"),
            "phases.end.index.baseline_last",
        ),
    ] {
        assert_fault(ROOT, WRSI, &format!("index = {{ {index} }}"), field);
    }
}

#[test]
fn triggers_and_tables_are_checked() {
    // thirty days have seventeen blocks of fourteen
    assert_faults(
        ROOT,
        r#"
zones.kitui.triggers <- trigger = 60, exit = "15.5" -> trigger_mm = 60, exit_mm = 15
zones.kitui.triggers <- trigger = 60, exit = "15.5" -> trigger = 15, exit = 60
zones.kitui.triggers <- trigger = 60, exit = "15.5" -> normal = 60
zones.kitui.triggers <- trigger = 60,  -> nothing
zones.kitui.triggers <- trigger = 60,  -> trigger = 10001, 
zones.kitui.triggers <- exit = "15.5" -> exit = -1
zones.kitui.triggers <- trigger = 0, exit = 10 -> trigger = 10, exit = 0
zones.kitui.triggers <- trigger = 0, exit = 10 -> trigger = 17, exit = 17
zones.kitui.triggers <- trigger = 60, exit = "15.5" -> trigger = 0, exit = 0
zones.kitui.triggers <- trigger = 0, exit = 10 -> trigger = 0, exit = 18
zones.kitui.triggers <- trigger = 75 -> trigger = 101
zones.kitui.triggers <- normal = 160 -> normal = 0
zones.kitui.triggers <- normal = 160 -> normal = 10001
zones.kitui.triggers <- normal = 160 -> trigger = 100, exit = 50
zones.kitui.triggers <- normal = 160 -> normal = 160, exit = 50
phases.flo.steps <- at_percent = 80, pays_bp = 0 -> at_percent = 80, pays_bp = 1
phases.flo.steps <- at_percent = 0, -> at_percent = 1,
phases.flo.steps <- at_percent = 80 -> at_percent = 60
phases.flo.steps <- pays_bp = 4000 -> pays_bp = 10000
phases.flo.steps <- steps = [ -> direction = "excess"\nsteps = [
phases.flo.steps <- steps = [ -> index = { kind = "ndvi_z", sensor = "s", baseline_first = 2001, baseline_last = 2015 }\ndirection = "deficit"\nsteps = [
"#,
    );
    let row = |at: u32, pays: u32| format!("    {{ at_percent = {at}, pays_bp = {pays} }},\n");
    let rows: String = (1..=50).map(|n| row(80 - n, n)).collect();
    let first = row(80, 0);
    assert_fault(ROOT, &first, &format!("{first}{rows}"), "phases.flo.steps");
    let half = "    { at_percent = \"62.5\", pays_bp = 4000 },\n";
    assert_fault(ROOT, &format!("{first}{half}"), "", "phases.flo.steps");
    // spans of 9,999.989 and 99.989 beside a table have no common multiple of 64 bits
    let odd = (
        "trigger = 60, exit = \"15.5\"",
        "trigger = \"9999.991\", exit = \"0.002\"",
    );
    assert_faults(
        &with(ROOT, &[odd]),
        r#"zones.kitui.triggers <- trigger = 75, exit = 45 -> trigger = "99.991", exit = "0.002""#,
    );
}
