//! Rows of a file of farmers, from CSV or JSON, each readable or with its faults. Must never fail a
//! file because of one row. Used by `bulk`.

use std::fmt;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use super::bulk::{BulkInput, ROWS_MAX};
use super::enrolment::{ConsentInput, FarmerInput};
use super::input::{self, FieldFault};
use crate::error::ApiError;

/// A row, or what is wrong with its form.
pub(super) type Row = Result<FarmerInput, Vec<FieldFault>>;

/// Columns of a CSV file.
const COLUMNS: [&str; 10] = [
    "phone",
    "name",
    "national_id",
    "language",
    "ward_code",
    "group",
    "agent",
    "consent_version",
    "consent_obtained",
    "consent_at",
];
/// Those without which no row can be in order.
const REQUIRED: [&str; 6] = [
    "phone",
    "name",
    "national_id",
    "ward_code",
    "consent_version",
    "consent_obtained",
];

/// Reads a file by its `Content-Type`.
pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Vec<Row>, ApiError> {
    input::require_storable(body)?;
    let rows = match content_type {
        "text/csv" => csv_rows(body)?,
        "application/json" => json_rows(body)?,
        _ => {
            return Err(ApiError::new(
                axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send text/csv or application/json",
            ));
        }
    };
    if rows.is_empty() {
        return Err(ApiError::refused("no_rows", "the file has no row"));
    }
    Ok(rows)
}

fn too_many() -> ApiError {
    let rule = format!("a file has at most {ROWS_MAX} rows; split it");
    ApiError::refused("too_many_rows", rule)
}

fn json_rows(body: &[u8]) -> Result<Vec<Row>, ApiError> {
    let file: BulkInput = input::json(body)?;
    if file.farmers.len() > ROWS_MAX {
        return Err(too_many());
    }
    Ok(file.farmers.into_iter().map(json_row).collect())
}

/// The rows of a list, one more than a file may have at most: what is too long is counted, not kept.
pub(super) fn bounded<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Value>, D::Error> {
    struct Rows;
    impl<'de> Visitor<'de> for Rows {
        type Value = Vec<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of farmers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Value>, A::Error> {
            let mut rows = Vec::new();
            while rows.len() <= ROWS_MAX {
                match list.next_element()? {
                    Some(row) => rows.push(row),
                    None => return Ok(rows),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(rows)
        }
    }
    source.deserialize_seq(Rows)
}

fn json_row(value: Value) -> Row {
    serde_json::from_value(value).map_err(|fault| {
        let text = fault.to_string();
        // what else serde says may hold a value, which may be personal data
        let reason = if text.starts_with("unknown field") {
            text
        } else {
            "the row must be an object whose values are texts".to_owned()
        };
        vec![FieldFault::new("row", "malformed", reason)]
    })
}

fn csv_rows(body: &[u8]) -> Result<Vec<Row>, ApiError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .from_reader(body);
    let header = reader
        .headers()
        .map_err(|_| ApiError::malformed("the first line must name the columns, in UTF-8"))?
        .clone();
    let columns = columns(&header)?;
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) if rows.len() == ROWS_MAX => return Err(too_many()),
            // a quote left open would swallow the rest of the file into one row
            Ok(true) if record.as_slice().contains(&b'\n') => {
                let line = record.position().map_or(0, csv::Position::line);
                let rule = format!(
                    "a cell that begins on line {line} has a line break; is a quote left open?"
                );
                return Err(ApiError::refused("line_break_in_cell", rule));
            }
            Ok(true) => rows.push(csv_row(&columns, &record)),
            Ok(false) => return Ok(rows),
            Err(_) => return Err(ApiError::malformed("the body must be CSV with commas")),
        }
    }
}

/// The name of each column, known and unique.
fn columns(header: &StringRecord) -> Result<Vec<&'static str>, ApiError> {
    let mut columns = Vec::new();
    for name in header {
        let known = COLUMNS.into_iter().find(|column| *column == name);
        match known {
            Some(column) if !columns.contains(&column) => columns.push(column),
            _ => {
                let rule = format!("columns are {}, each once", COLUMNS.join(", "));
                return Err(ApiError::refused("unknown_column", rule));
            }
        }
    }
    match REQUIRED
        .into_iter()
        .find(|column| !columns.contains(column))
    {
        None => Ok(columns),
        Some(column) => {
            let rule = format!("the column {column} is missing");
            Err(ApiError::refused("missing_column", rule))
        }
    }
}

fn csv_row(columns: &[&'static str], record: &csv::ByteRecord) -> Row {
    if record.len() != columns.len() {
        let reason = format!("the row has {} cells, not {}", record.len(), columns.len());
        return Err(vec![FieldFault::new("row", "malformed", reason)]);
    }
    let (mut farmer, mut consent) = (FarmerInput::default(), ConsentInput::default());
    for (column, cell) in columns.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| {
            let reason = "the cell is not UTF-8; save the file as CSV UTF-8";
            vec![FieldFault::new(column, "malformed", reason)]
        })?;
        let value = Some(unguarded(text).to_owned()).filter(|text| !text.is_empty());
        match *column {
            "phone" => farmer.phone = value,
            "name" => farmer.name = value,
            "national_id" => farmer.national_id = value,
            "language" => farmer.language = value,
            "ward_code" => farmer.ward_code = value,
            "group" => farmer.group = value,
            "agent" => farmer.agent = value,
            "consent_version" => consent.version = value,
            "consent_obtained" => consent.obtained = value,
            _ => consent.at = value,
        }
    }
    farmer.consent = Some(consent);
    Ok(farmer)
}

/// A cell without the quote that exports put in front of what a spreadsheet would compute.
fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "phone,name,national_id,ward_code,consent_version,consent_obtained\n";

    fn rows(lines: &str) -> Vec<Row> {
        read("text/csv", format!("{HEADER}{lines}").as_bytes()).unwrap()
    }

    #[test]
    fn a_bad_row_leaves_the_others_alone() {
        let read =
            rows("0712000001, Wanjiku ,12345678,0321,2026-01,paper\nshort\n'+254712000002,B,,,,\n");
        assert_eq!(read.len(), 3);
        let first = read[0].as_ref().unwrap();
        assert_eq!(first.name.as_deref(), Some("Wanjiku"));
        assert_eq!(read[1].as_ref().unwrap_err()[0].field, "row");
        let third = read[2].as_ref().unwrap();
        assert_eq!(third.phone.as_deref(), Some("+254712000002"));
        assert_eq!(third.national_id, None);
    }

    #[test]
    fn a_file_that_is_no_list_of_farmers_is_refused_whole() {
        let code = |kind: &str, body: &str| read(kind, body.as_bytes()).unwrap_err().code;
        assert_eq!(code("text/csv", "phone,shoe_size\n1,2\n"), "unknown_column");
        assert_eq!(code("text/csv", "phone,phone\n1,2\n"), "unknown_column");
        assert_eq!(code("text/csv", "phone\n1\n"), "missing_column");
        assert_eq!(code("text/csv", HEADER), "no_rows");
        assert_eq!(code("application/json", "[]"), "malformed");
        assert_eq!(code("text/plain", ""), "unsupported_media_type");
    }

    #[test]
    fn a_json_row_of_another_shape_is_a_bad_row_that_repeats_nothing() {
        let body = r#"{"farmers": [{"phone": 712000001}, {"name": "A", "shoe": 1}, 7]}"#;
        let read = read("application/json", body.as_bytes()).unwrap();
        assert_eq!(read.len(), 3);
        let reason = &read[0].as_ref().unwrap_err()[0].reason;
        assert!(!reason.contains("712000001"), "{reason}");
        assert!(read[1].as_ref().unwrap_err()[0].reason.contains("shoe"));
    }
}
