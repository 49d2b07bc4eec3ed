//! Bad input: refused with the right code, decided as nothing, and never allowed.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::App;

const START: &str = r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke""#;

/// A check with this at its end.
fn check(rest: &str) -> String {
    format!("{START}{rest}}}")
}

async fn decisions(app: &App) -> usize {
    let all = app.get(&app.admin, "/v1/decisions").await.ok();
    all["items"].as_array().unwrap().len()
}

#[rstest]
#[case::no_json("", 400, "malformed_json")]
#[case::half("{\"tenant_slug\":", 400, "malformed_json")]
#[case::two("{} {}", 400, "malformed_json")]
#[case::array("[]", 422, "invalid_field")]
#[case::by_position("[\"acme\",\"search\",\"invoke\"]", 422, "invalid_field")]
#[case::text("\"acme\"", 422, "invalid_field")]
#[case::null("null", 422, "invalid_field")]
#[case::empty("{}", 422, "invalid_field")]
#[tokio::test]
async fn bodies_that_are_no_check(#[case] body: &str, #[case] status: u16, #[case] code: &str) {
    let app = App::seeded().await;
    let problem = app.post_raw(&app.admin, "/policy/check", body.to_owned()).await;
    assert_eq!(problem.problem(status, code)["allow"], false);
    assert_eq!(decisions(&app).await, 0);
}

#[rstest]
#[case::duplicate(r#","action":"delete""#, 400, "duplicate_key")]
#[case::escaped_duplicate(r#","\u0061ction":"delete""#, 400, "duplicate_key")]
#[case::nested_duplicate(r#","arguments":{"path":"a","path":"b"}"#, 400, "duplicate_key")]
#[case::unknown(r#","tool":"search""#, 422, "invalid_field")]
#[case::allow(r#","allow":true"#, 422, "invalid_field")]
#[case::negative_usage(r#","usage":-1"#, 422, "invalid_field")]
#[case::fraction(r#","usage":1.5"#, 422, "invalid_field")]
#[case::whole_float(r#","usage":5.0"#, 422, "invalid_field")]
#[case::text_usage(r#","usage":"5""#, 422, "invalid_field")]
#[case::bool_usage(r#","usage":true"#, 422, "invalid_field")]
#[case::huge_usage(r#","usage":18446744073709551616"#, 400, "number_out_of_range")]
#[case::infinite(r#","usage":1e999"#, 400, "number_out_of_range")]
#[case::context_list(r#","context":[]"#, 422, "invalid_field")]
#[case::context_text(r#","context":"{}""#, 422, "invalid_field")]
#[case::arguments_list(r#","arguments":[1]"#, 422, "invalid_field")]
#[case::surrogate(r#","purpose":"\ud800""#, 400, "invalid_unicode")]
#[case::nul(r#","purpose":"a\u0000""#, 400, "invalid_unicode")]
#[case::newline(r#","purpose":"a\nb""#, 422, "invalid_field")]
#[case::empty_agent(r#","agent":"""#, 422, "invalid_field")]
#[case::marker(r#","context":{"$serde_json::private::RawValue":"{}"}"#, 400, "reserved_key")]
#[tokio::test]
async fn fields_that_are_not_what_they_should_be(
    #[case] rest: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = App::seeded().await;
    let problem = app.post_raw(&app.admin, "/policy/check", check(rest)).await;
    assert_eq!(problem.problem(status, code)["allow"], false);
    assert_eq!(decisions(&app).await, 0);
}

#[rstest]
#[case::cyrillic("tool_name", "se\u{0430}rch", "looks like `a`")]
#[case::fullwidth("tool_name", "\u{ff53}earch", "ascii")]
#[case::zero_width("tool_name", "sea\u{200b}rch", "ascii")]
#[case::reordered("tenant_slug", "acme\u{202e}", "ascii")]
#[case::upper("tenant_slug", "Acme", "lowercase")]
#[case::upwards("tool_name", "a/../search", "..")]
#[case::space("action", "in voke", "allowed")]
#[case::long(
    "tenant_slug",
    "a123456789b123456789c123456789d123456789e123456789f123456789g123",
    "63"
)]
#[tokio::test]
async fn names_that_are_none(#[case] field: &str, #[case] name: &str, #[case] hint: &str) {
    let app = App::seeded().await;
    let problem = app.check(json!({ field: name })).await.problem(422, "invalid_field");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(field) && detail.contains(hint), "{detail}");
    assert_eq!(problem["allow"], false);
}

#[tokio::test]
async fn what_a_misspelt_field_should_be_is_said() {
    let app = App::seeded().await;
    let problem = app.check(json!({"tenant": "acme"})).await.problem(422, "invalid_field");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`tenant`") && detail.contains("`tenant_slug`"), "{detail}");
}

#[tokio::test]
async fn usage_up_to_the_largest_number_is_taken() {
    let app = App::seeded().await;
    let answer =
        app.post_raw(&app.admin, "/policy/check", check(r#","usage":18446744073709551615"#));
    assert_eq!(answer.await.ok()["allow"], true);
}

#[tokio::test]
async fn deep_and_wide_documents_are_refused() {
    let app = App::seeded().await;
    let deep = check(&format!(r#","context":{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40)));
    app.post_raw(&app.admin, "/policy/check", deep).await.problem(400, "too_deep");
    let deepest = check(&format!(r#","context":{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000)));
    app.post_raw(&app.admin, "/policy/check", deepest).await.problem(400, "too_deep");
    let wide = check(&format!(r#","context":{{"a":[{}1]}}"#, "1,".repeat(25_000)));
    app.post_raw(&app.admin, "/policy/check", wide).await.problem(400, "too_many_values");
}

#[tokio::test]
async fn large_bodies_are_refused_unread() {
    let app = App::seeded().await;
    let large = check(&format!(r#","context":{{"a":"{}"}}"#, "x".repeat(300 * 1024)));
    let problem = app.post_raw(&app.admin, "/policy/check", large).await;
    assert_eq!(problem.problem(413, "body_too_large")["allow"], false);
    // Without a length, as much is read as is allowed.
    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 16 * 1024]));
    let body = reqwest::Body::wrap_stream(futures::StreamExt::take(endless, 1000));
    let request = app.request(Method::POST, "/policy/check").bearer_auth(&app.admin.secret);
    let sent = request.header("content-type", "application/json").body(body).send().await;
    // The server responds and closes while the client still sends, so the client may not get to
    // read the answer.
    if let Ok(answer) = sent {
        assert_eq!(answer.status(), 413);
    }
}

#[rstest]
#[case::none(None, None)]
#[case::text(Some("text/plain"), None)]
#[case::form(Some("application/x-www-form-urlencoded"), None)]
#[case::charset(Some("application/json; charset=utf-16"), None)]
#[case::json_like(Some("application/problem+json"), None)]
#[case::encoded(Some("application/json"), Some("gzip"))]
#[tokio::test]
async fn bodies_of_other_types(#[case] media: Option<&str>, #[case] encoding: Option<&str>) {
    let app = App::seeded().await;
    let mut request = app.request(Method::POST, "/policy/check").bearer_auth(&app.admin.secret);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let answer = app.send(request.body(check(""))).await;
    assert_eq!(answer.problem(415, "unsupported_media_type")["allow"], false);
}

#[tokio::test]
async fn a_body_that_claims_utf8_and_is_not_is_refused() {
    let app = App::seeded().await;
    let mut body = check(r#","purpose":"x""#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'x').unwrap();
    body[at] = 0xff;
    app.post_raw(&app.admin, "/policy/check", body).await.problem(400, "invalid_unicode");
}

#[rstest]
#[case("/v1/tools?tenent=acme", "invalid_query")]
#[case("/v1/tools?tenant=acme&tenant=acme", "invalid_query")]
#[case("/v1/tools?tenant=", "invalid_query")]
#[case("/v1/tools?tenant=ACME", "invalid_query")]
#[case("/v1/tools?limit=0", "invalid_query")]
#[case("/v1/tools?limit=1001", "invalid_query")]
#[case("/v1/tools?limit=ten", "invalid_query")]
#[case("/v1/tools?cursor=", "bad_cursor")]
#[case("/v1/tools?cursor=%00%ff", "bad_cursor")]
#[case("/v1/decisions?decision=maybe", "invalid_query")]
#[case("/v1/decisions?code=because", "invalid_query")]
#[case("/v1/decisions?from=yesterday", "invalid_query")]
#[case("/v1/decisions/export?limit=1", "invalid_query")]
#[case("/v1/kills?in_force=yes", "invalid_query")]
#[case("/v1/manifests?decision_id=1", "invalid_query")]
#[case("/v1/events?types=kill", "invalid_query")]
#[case("/v1/decisions/1", "invalid_id")]
#[tokio::test]
async fn queries_that_are_not_understood(#[case] path: &str, #[case] code: &str) {
    let app = App::seeded().await;
    app.get(&app.admin, path).await.problem(400, code);
}

#[rstest]
#[case("url", json!("not an address"), 422)]
#[case("url", json!("/relative"), 422)]
#[case("url", json!("https://user:password@example.com/"), 422)]
#[case("healthcheck", json!("ftp://example.com/"), 422)]
#[case("healthcheck", json!("file:///etc/passwd"), 422)]
#[case("scopes", json!(["a b"]), 422)]
#[case("scopes", json!("read"), 422)]
#[case("metadata", json!([]), 422)]
#[case("owner", json!("two\nlines"), 422)]
#[case("owner", json!(""), 422)]
#[tokio::test]
async fn registrations_that_are_refused(
    #[case] field: &str,
    #[case] value: Value,
    #[case] status: u16,
) {
    let app = App::start().await;
    let mut body = json!({
        "tenant_slug": "acme", "name": "search", "url": "https://example.com/", "owner": "o",
    });
    body[field] = value;
    let answer = app.post(&app.admin, "/register", &body).await;
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(!answer.text.contains("password@"), "{answer:?}");
    assert_eq!(app.get(&app.admin, "/register").await.ok(), json!([]));
}
