//! The media types of requests: what a body is, and what the client accepts.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::refusal::Refusal;

const JSON: (&str, &str) = ("application", "json");
const EVENTS: (&str, &str) = ("text", "event-stream");

/// Checks the headers of a POST: its body is JSON in UTF-8, not encoded, and the client accepts
/// both forms of a response, since the server picks the form.
pub(super) fn check_post(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |what: &str| {
        Err(Refusal::of_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", what))
    };
    if !is_json(headers) {
        return unsupported("the body must be JSON; send `Content-Type: application/json`");
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return unsupported("the body must not be encoded; leave `Content-Encoding` out");
    }
    if !accepts(headers, JSON) || !accepts(headers, EVENTS) {
        return Err(not_acceptable("`application/json` and `text/event-stream`"));
    }
    Ok(())
}

/// Checks the headers of a GET, whose response is a stream of events.
pub(super) fn check_get(headers: &HeaderMap) -> Result<(), Refusal> {
    if accepts(headers, EVENTS) { Ok(()) } else { Err(not_acceptable("`text/event-stream`")) }
}

fn not_acceptable(what: &str) -> Refusal {
    let what = format!("the client must accept {what}");
    Refusal::of_request(StatusCode::NOT_ACCEPTABLE, "not_acceptable", what)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    media
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => false,
        })
}

/// Whether any range of `Accept` includes the type. Without the header everything is accepted. A
/// quality of zero refuses, as RFC 9110 says.
fn accepts(headers: &HeaderMap, (kind, of): (&str, &str)) -> bool {
    let mut ranges = headers.get_all(ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let ranges = ranges.filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let refused = parts.any(|parameter| {
            let quality = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            quality.and_then(|text| text.parse::<f32>().ok()) == Some(0.0)
        });
        let Some((main, sub)) = media.split_once('/') else { return false };
        let matches = (main == "*" && sub == "*")
            || (main.eq_ignore_ascii_case(kind) && (sub == "*" || sub.eq_ignore_ascii_case(of)));
        matches && !refused
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn both_forms_must_be_acceptable() {
        for accept in [
            &["application/json, text/event-stream"][..],
            &["text/event-stream;q=0.5", "Application/JSON"],
            &["*/*"],
            &["application/*, text/*"],
            &[],
        ] {
            let mut of = vec![(CONTENT_TYPE, "application/json")];
            of.extend(accept.iter().map(|value| (ACCEPT, *value)));
            assert!(check_post(&headers(&of)).is_ok(), "{accept:?}");
        }
        for accept in ["application/json", "text/event-stream", "text/html", "*/*;q=0", "json", ""]
        {
            let of = [(CONTENT_TYPE, "application/json"), (ACCEPT, accept)];
            assert!(check_post(&headers(&of)).is_err(), "{accept}");
        }
        assert!(check_get(&headers(&[(ACCEPT, "text/event-stream")])).is_ok());
        assert!(check_get(&headers(&[(ACCEPT, "application/json")])).is_err());
    }

    #[test]
    fn only_plain_json_is_read() {
        for media in ["application/json", "application/json; charset=utf-8"] {
            assert!(check_post(&headers(&[(CONTENT_TYPE, media)])).is_ok(), "{media}");
        }
        for media in ["text/plain", "application/json; charset=utf-16", "application/json5", ""] {
            assert!(check_post(&headers(&[(CONTENT_TYPE, media)])).is_err(), "{media}");
        }
        assert!(check_post(&headers(&[])).is_err());
        let twice = [(CONTENT_TYPE, "application/json"), (CONTENT_TYPE, "application/json")];
        assert!(check_post(&headers(&twice)).is_err());
        let encoded = [(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")];
        assert!(check_post(&headers(&encoded)).is_err());
    }
}
