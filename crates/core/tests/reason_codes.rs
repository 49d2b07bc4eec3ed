//! The documentation of the reason codes is made from the code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use sentinel_core::decision::ReasonCode;

#[test]
fn the_generated_page_of_reason_codes_is_current() {
    let rows: String = ReasonCode::ALL
        .iter()
        .map(|(code, meaning)| format!("| `{}` | {} |\n", code.as_str(), meaning.trim()))
        .collect();
    let page = format!(
        "# Reason codes\n\nEvery decision carries one. The set is closed: a client may switch on it. \
         This page is generated; `make docs` rewrites it.\n\n| code | meaning |\n|---|---|\n{rows}"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reason-codes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(committed, page, "docs/reason-codes.md is stale; run `make docs`");
}

#[test]
fn every_code_reads_back_as_it_is_written() {
    for (code, _) in ReasonCode::ALL {
        assert_eq!(code.as_str().parse(), Ok(*code));
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}
