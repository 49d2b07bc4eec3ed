//! One decision as one line of JSON: as `/v1/decisions/export` writes it, without `obligations`,
//! which are in `event_metadata`.

use std::collections::BTreeMap;

use sentinel_api::Decision;
use sentinel_core::audit::DecisionRecord;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};

/// A longer line is neither written nor read. Bytes; a request has at most a tenth of that.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// A decision, and the fields that this version does not know.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    decision: Decision,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Writes a decision, without the end of the line.
pub(crate) fn write(record: DecisionRecord) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Decision::archived(record))
}

/// Reads what [`write`] wrote. A line with an unknown field is refused: an archive of a newer
/// version is not half read.
pub(crate) fn read(line: &[u8]) -> serde_json::Result<DecisionRecord> {
    let Line { decision, unknown } = serde_json::from_slice(line)?;
    if let Some(field) = unknown.keys().next() {
        return Err(serde_json::Error::custom(format_args!("unknown field `{field}`")));
    }
    decision.try_into().map_err(serde_json::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"id":"00000000-0000-0000-0000-000000000001","sequence":7,"epoch":3,"#,
        r#""tenant":"platform-eng","tenant_id":null,"tool":"search","tool_id":null,"#,
        r#""decision":"allow","code":"allowed","reason":"ok","reasons":[],"#,
        r#""quota":{"limit":5,"window":"1d"},"quota_remaining":4,"policy_revision":"1.0","#,
        r#""principal":"key:1","agent":"Bot","action":"invoke","purpose":null,"#,
        r#""argument_hash":"sha256:0909090909090909090909090909090909090909090909090909090909090909","#,
        r#""call_id":null,"event_metadata":{"obligations":[{"type":"alert"}],"#,
        r#""usage":2.5},"created_at":"1970-01-01T00:00:00Z","duration_us":250}"#,
    );

    #[test]
    fn a_line_is_read_and_written_without_a_change() {
        let record = read(LINE.as_bytes()).unwrap();
        assert_eq!((record.allow, record.obligations().len()), (true, 1));
        assert_eq!(String::from_utf8(write(record).unwrap()).unwrap(), LINE);
    }

    #[test]
    fn a_line_that_is_not_understood_as_a_whole_is_refused() {
        for (from, to) in [
            ("\"sequence\"", "\"newer\":1,\"sequence\""),
            ("\"sequence\":7,", ""),
            ("\"sequence\":7,", "\"sequence\":7,\"sequence\":7,"),
            ("\"allow\"", "\"ALLOW\""),
            ("\"allowed\"", "\"of_tomorrow\""),
        ] {
            let line = LINE.replace(from, to);
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
    }
}
