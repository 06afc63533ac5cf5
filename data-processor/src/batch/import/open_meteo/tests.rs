//! Open-Meteo's shapes, small and as its documentation prints them, and what is wrong with others.
//! Must not ask the provider.

use super::*;

const DAILY_JSON: &str = r#"{"latitude":-1.3,"longitude":36.8,"generationtime_ms":0.2,
    "utc_offset_seconds":10800,"timezone":"Africa/Nairobi","timezone_abbreviation":"EAT",
    "elevation":1668.0,"daily_units":{"time":"iso8601","precipitation_sum":"mm"},
    "daily":{"time":["2020-03-01","2020-03-02","2020-03-03"],"precipitation_sum":[0.0,12.5,null]}}"#;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    let read = if text.starts_with(['{', '[']) {
        json(text.as_bytes(), None)
    } else {
        super::text(text.as_bytes(), None)
    };
    format!("{:#}", read.unwrap_err())
}

#[test]
fn a_daily_answer_says_where_it_is_from_and_in_which_days() {
    let given = json(DAILY_JSON.as_bytes(), None).unwrap();
    assert_eq!((given.unit, given.day), (Some(Unit::Mm), Some(Day::Local)));
    let [place] = given.series.as_slice() else {
        panic!("one place");
    };
    assert_eq!(
        place.point,
        Some(Point {
            lat: -1.3,
            lon: 36.8
        })
    );
    assert_eq!(place.values[1], (day("2020-03-02"), Some(12.5)));
    assert_eq!(place.values[2], (day("2020-03-03"), None));
}

#[test]
fn a_list_of_places_and_a_column_of_a_model_are_read() {
    let one = DAILY_JSON.replace("precipitation_sum", "precipitation_sum_era5_land");
    let other = one.replace("36.8", "37.4");
    let given = json(format!("[{one},{other}]").as_bytes(), None).unwrap();
    assert_eq!(given.series.len(), 2);
    let mixed = format!("[{DAILY_JSON},{}]", DAILY_JSON.replace("10800", "0"));
    assert!(refusal(&mixed).contains("differ in unit or time zone"));
}

#[test]
fn hours_are_summed_to_the_day_that_is_asked_for() {
    let times: Vec<String> = (0..48)
        .map(|n| format!("\"2020-03-{:02}T{:02}:00\"", 1 + n / 24, n % 24))
        .collect();
    let body = |unit: &str, value: &str| {
        let values = vec![value; 48].join(",");
        format!(
            "{{\"latitude\":-1.3,\"longitude\":36.8,\"utc_offset_seconds\":0,
              \"hourly_units\":{{\"precipitation\":\"{unit}\"}},
              \"hourly\":{{\"time\":[{}],\"precipitation\":[{values}]}}}}",
            times.join(",")
        )
    };
    let given = json(body("mm", "0.5").as_bytes(), None).unwrap();
    assert_eq!(given.day, Some(Day::Utc));
    // the hour that ends at 00:00 belongs to the day before
    assert_eq!(given.series[0].values[1], (day("2020-03-01"), Some(12.0)));
    let local = json(body("mm", "0.5").as_bytes(), Some(Day::Local)).unwrap();
    assert_eq!(local.day, Some(Day::Local));
    assert_eq!(
        local.series[0].values[0],
        (day("2020-03-01"), None),
        "hours before are missing"
    );
    assert_eq!(local.series[0].values[1], (day("2020-03-02"), Some(12.0)));
    let flux = json(body("kg m-2 s-1", "0.001").as_bytes(), None).unwrap();
    let (_, mean) = flux.series[0].values[1];
    assert!(
        (mean.unwrap() - 0.001).abs() < 1e-12,
        "a day's flux is the mean of its hours'"
    );
}

#[test]
fn the_csv_export_is_read_with_and_without_ids() {
    let one = "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n\
               -1.3,36.8,1668.0,10800,Africa/Nairobi,EAT\n\n\
               time,precipitation_sum (mm)\n2020-03-01,0.00\n2020-03-02,12.50\n2020-03-03,NaN\n";
    let given = text(one.as_bytes(), None).unwrap();
    assert_eq!((given.unit, given.day), (Some(Unit::Mm), Some(Day::Local)));
    assert_eq!(given.series[0].values[1], (day("2020-03-02"), Some(12.5)));
    assert_eq!(given.series[0].values[2].1, None);
    let many = "location_id,latitude,longitude,elevation,utc_offset_seconds,timezone\r\n\
                0,-1.3,36.8,1668.0,0,GMT\r\n1,2.3,37.9,1300.0,0,GMT\r\n\r\n\
                location_id,time,precipitation_sum (inch)\r\n\
                0,2020-03-01,0.10\r\n0,2020-03-02,0.20\r\n1,2020-03-01,0.30\r\n";
    let given = text(many.as_bytes(), None).unwrap();
    assert_eq!((given.unit, given.day), (Some(Unit::Inch), Some(Day::Utc)));
    assert_eq!(
        given.series[1].point,
        Some(Point {
            lat: 2.3,
            lon: 37.9
        })
    );
    assert_eq!(given.series[1].values, [(day("2020-03-01"), Some(0.3))]);
}

#[test]
fn what_is_wrong_is_told_with_where() {
    let broken = "{\n  \"latitude\": 1,\n  oops\n}";
    assert!(refusal(broken).contains("line 3"), "{}", refusal(broken));
    let answer = r#"{"error":true,"reason":"Parameter 'end_date' is out of range"}"#;
    assert!(refusal(answer).contains("end_date"));
    assert!(refusal(&DAILY_JSON.replace("\"mm\"", "\"°C\"")).contains("unit `°C`"));
    assert!(refusal(&DAILY_JSON.replace("10800", "7200")).contains("timezone=Africa/Nairobi"));
    assert!(refusal(&DAILY_JSON.replace("precipitation_sum", "rain")).contains("ask for one"));
    assert!(refusal(&DAILY_JSON.replace("03-02", "03-01")).contains("not after"));
    assert!(refusal(&DAILY_JSON.replace("12.5,null", "12.5")).contains("has 3 entries"));
    assert!(refusal(&DAILY_JSON.replace("12.5", "\"much\"")).contains("precipitation_sum[1]"));
    let two = DAILY_JSON.replace(
        "\"precipitation_sum\":[",
        "\"precipitation_sum_era5\":[0,0,0],\"precipitation_sum_ecmwf\":[",
    );
    assert!(refusal(&two).contains("ask for one model"));
    let csv = "latitude,longitude,utc_offset_seconds\n-1.3,36.8,0\n\n\
               time,precipitation_sum (mm)\n2020-03-01,wet\n";
    assert!(
        refusal(csv).contains("line 5, column precipitation_sum"),
        "{}",
        refusal(csv)
    );
    assert!(refusal("latitude,longitude,utc_offset_seconds\n-1.3,36.8,0\n").contains("no column"));
}
