use std::collections::HashSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn kind<T: FromStr<Err = NameError> + fmt::Debug>(text: &str) -> NameErrorKind {
    text.parse::<T>().expect_err("must be refused").kind
}

#[rstest]
#[case("acme")]
#[case("a")]
#[case("0-9")]
#[case(&"a".repeat(63))]
fn accepts_slugs(#[case] text: &str) {
    assert_eq!(text.parse::<TenantSlug>().unwrap().as_str(), text);
}

#[rstest]
#[case("")]
#[case("-a")]
#[case("a-")]
#[case("Acme")]
#[case("a_b")]
#[case("a b")]
#[case("a.b")]
#[case("acme\n")]
#[case(&"a".repeat(64))]
fn refuses_slugs(#[case] text: &str) {
    assert!(text.parse::<TenantSlug>().is_err());
}

#[rstest]
#[case("langsmith-docs-search")]
#[case("mcp/time.get_current")]
#[case("A1")]
#[case(&"x".repeat(128))]
fn accepts_tool_names(#[case] text: &str) {
    assert_eq!(text.parse::<ToolName>().unwrap().to_string(), text);
}

#[rstest]
#[case("")]
#[case("/etc/passwd")]
#[case("a/../b")]
#[case("a..b")]
#[case("a//b")]
#[case("a/")]
#[case("a.")]
#[case("a-")]
#[case("_a")]
#[case("a b")]
#[case("a%2fb")]
#[case("a\\b")]
#[case("a\0")]
#[case(&"x".repeat(129))]
fn refuses_tool_names(#[case] text: &str) {
    assert!(text.parse::<ToolName>().is_err());
}

#[rstest]
#[case("read", true)]
#[case("tools:call.v1", true)]
#[case("a-b_c", true)]
#[case(&"a".repeat(64), true)]
#[case(&"a".repeat(65), false)]
#[case("Read", false)]
#[case("1read", false)]
#[case("read/write", false)]
#[case("", false)]
fn actions(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(text.parse::<Action>().is_ok(), accepted);
}

#[test]
fn graphic_names() {
    for (text, agent, other) in [
        ("spiffe://acme/agent@7", true, true),
        ("it's", false, true),
        ("back\\slash", false, true),
        ("two words", false, false),
        ("tab\t", false, false),
        ("", false, false),
    ] {
        assert_eq!(text.parse::<AgentName>().is_ok(), agent, "{text:?}");
        assert_eq!(text.parse::<Purpose>().is_ok(), other, "{text:?}");
        assert_eq!(text.parse::<CallId>().is_ok(), other, "{text:?}");
    }
}

#[rstest]
#[case("incident 42: Schlüssel geleakt 🔥", true)]
#[case(&"é".repeat(500), true)]
#[case(&"é".repeat(501), false)]
#[case("", false)]
#[case(" \u{3000} ", false)]
#[case("line\nbreak", false)]
#[case("c1\u{85}", false)]
#[case("bidi\u{202E}", false)]
#[case("isolate\u{2067}", false)]
#[case("zero\u{200B}width", false)]
#[case("separator\u{2028}", false)]
#[case("tag\u{E0041}", false)]
#[case("mark\u{FEFF}", false)]
fn reasons(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(text.parse::<Reason>().is_ok(), accepted);
}

#[rstest]
#[case("p\u{0430}y", 'а', Some('a'), 1)]
#[case("\u{FF54}ool", 'ｔ', Some('t'), 0)]
#[case("to\u{1D428}l", '𝐨', Some('o'), 2)]
#[case("v\u{1D7CF}", '𝟏', Some('1'), 1)]
#[case("a\u{2011}b", '\u{2011}', Some('-'), 1)]
#[case("\u{1F600}", '😀', None, 0)]
fn names_the_character_that_is_not_ascii(
    #[case] text: &str,
    #[case] found: char,
    #[case] looks_like: Option<char>,
    #[case] position: usize,
) {
    let error = text.parse::<ToolName>().unwrap_err();
    assert_eq!(error.kind, NameErrorKind::NotAscii { found, looks_like });
    assert_eq!((error.position, error.code()), (Some(position), "invalid_name"));
}

#[test]
fn messages() {
    let message = |text: &str| text.parse::<TenantSlug>().unwrap_err().to_string();
    assert_eq!(
        message("\u{0430}cme"),
        "tenant slug must be ascii; it contains U+0430, which looks like `a`"
    );
    assert_eq!(
        message("Acme"),
        "tenant slug must not contain U+0041 `A`; allowed: lowercase letters, digits and `-`"
    );
    assert_eq!(message("a-"), "tenant slug must end with a letter or digit");
    assert_eq!(
        message("a\u{1b}[2J"),
        "tenant slug must not contain U+001B; allowed: lowercase letters, digits and `-`"
    );
    assert_eq!(kind::<ToolName>("a..b"), NameErrorKind::Sequence { found: ".." });
    assert_eq!(kind::<CallId>(&"a".repeat(9999)), NameErrorKind::TooLong { limit: 128 });
}

#[test]
fn lookalikes_map_to_graphic_ascii() {
    let found = (0x80..=0x10_FFFF).filter_map(char::from_u32).filter_map(|c| {
        let ascii = lookalike(c)?;
        assert!(ascii.is_ascii_graphic(), "{c}");
        Some(ascii)
    });
    let letters: HashSet<char> = found.filter(char::is_ascii_alphabetic).collect();
    assert_eq!(letters.len(), 52);
}

#[rstest]
#[case("Finance-Ledger", "finance_ledger")]
#[case("payrol1", "payrolI")]
#[case("pay.roll", "pay-roll")]
#[case("modern", "modem")]
#[case("vvrite", "write")]
#[case("g00gle", "google")]
#[case("CORNER", "comer")]
fn confusable_names_share_a_skeleton(#[case] a: &str, #[case] b: &str) {
    let skeleton = |text: &str| text.parse::<ToolName>().unwrap().skeleton();
    assert_eq!(skeleton(a), skeleton(b));
}

#[rstest]
#[case("docs/search", "docs-search")]
#[case("read", "reads")]
#[case("tool-2", "tool-3")]
fn distinct_names_have_distinct_skeletons(#[case] a: &str, #[case] b: &str) {
    let skeleton = |text: &str| text.parse::<ToolName>().unwrap().skeleton();
    assert_ne!(skeleton(a), skeleton(b));
}

#[test]
fn deserialization_validates() {
    assert!(serde_json::from_str::<TenantSlug>(r#""acme""#).is_ok());
    let error = serde_json::from_str::<TenantSlug>(r#""../acme""#).unwrap_err().to_string();
    assert!(error.starts_with("tenant slug must not contain U+002E `.`"), "{error}");
    assert!(serde_json::from_str::<TenantSlug>("1").is_err());
}

#[test]
fn a_set_of_names_is_searched_by_text() {
    let names = HashSet::from(["acme".parse::<TenantSlug>().unwrap()]);
    assert!(names.contains("acme") && !names.contains("other"));
}

/// What holds for every name of type `T` made from `text`, if it is accepted.
fn laws<T>(text: &str, is_allowed: fn(char) -> bool, max: usize) -> Result<(), TestCaseError>
where
    T: FromStr<Err = NameError>
        + TryFrom<String, Error = NameError>
        + fmt::Display
        + fmt::Debug
        + PartialEq
        + Serialize
        + for<'de> Deserialize<'de>
        + AsRef<str>,
{
    let parsed = text.parse::<T>();
    prop_assert_eq!(&T::try_from(text.to_owned()), &parsed);
    let encoded = serde_json::to_string(text).unwrap();
    let decoded = serde_json::from_str::<T>(&encoded);
    prop_assert_eq!(decoded.is_ok(), parsed.is_ok());
    match parsed {
        Ok(name) => {
            prop_assert!(text.chars().all(is_allowed) && !text.is_empty());
            prop_assert!(text.chars().count() <= max);
            prop_assert_eq!(name.to_string(), text);
            prop_assert_eq!(name.as_ref(), text);
            prop_assert_eq!(serde_json::to_string(&name).unwrap(), encoded);
            prop_assert_eq!(decoded.unwrap(), name);
        }
        Err(error) => {
            let message = error.to_string();
            prop_assert!(message.is_ascii() && !message.contains(char::is_control));
            prop_assert!(message.len() < 160, "{}", message);
        }
    }
    Ok(())
}

fn all_laws(text: &str) -> Result<(), TestCaseError> {
    let graphic = |c: char| c.is_ascii_graphic();
    let visible = |c: char| !c.is_control() && !is_deceptive(c);
    laws::<TenantSlug>(text, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'), 63)?;
    laws::<ToolName>(text, |c| c.is_ascii_alphanumeric() || "._-/".contains(c), 128)?;
    laws::<AgentName>(text, |c| c.is_ascii_graphic() && !"\"'`\\".contains(c), 128)?;
    laws::<Action>(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-:".contains(c),
        64,
    )?;
    laws::<Purpose>(text, graphic, 128)?;
    laws::<CallId>(text, graphic, 128)?;
    laws::<IdempotencyKey>(text, graphic, 200)?;
    laws::<Reason>(text, visible, 500)?;
    laws::<DisplayName>(text, visible, 128)?;
    laws::<Owner>(text, visible, 128)
}

proptest! {
    #[test]
    fn laws_hold_for_any_text(text in any::<String>()) {
        all_laws(&text)?;
    }

    #[test]
    fn laws_hold_for_names_and_near_misses(text in "[a-z0-9][a-zA-Z0-9._/:-]{0,70}.?") {
        all_laws(&text)?;
    }

    #[test]
    fn a_skeleton_ignores_case_and_separators(text in "[a-zA-Z0-9]{1,20}([._-][a-zA-Z0-9]{1,9}){0,3}") {
        let skeleton = |text: &str| text.parse::<ToolName>().unwrap().skeleton();
        let folded = skeleton(&text);
        prop_assert_eq!(&skeleton(&text.to_ascii_uppercase()), &folded);
        prop_assert_eq!(&skeleton(&text.replace(['.', '_'], "-")), &folded);
        prop_assert_eq!(&skeleton(&folded), &folded);
    }
}
