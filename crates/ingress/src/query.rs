//! Query strings: every parameter known, each given once.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use sentinel_core::page::Page;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The query as a `T`, which must be `deny_unknown_fields`.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// Most bytes of a parser's message that are repeated to the client.
const MAX_DETAIL: usize = 300;

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Failed to deserialize query string: ");
                let detail: String = reason
                    .unwrap_or(&text)
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(MAX_DETAIL)
                    .collect();
                Err(Problem::bad_request("invalid_query", detail))
            }
        }
    }
}

/// Rows in a page when the client does not say.
const DEFAULT_LIMIT: u32 = 100;
/// No store issues a longer cursor, in bytes.
const MAX_CURSOR: usize = 512;

/// The page of a listing that is asked for.
///
/// # Errors
/// `bad_cursor` when no store can have issued the cursor.
pub fn page(limit: Option<PageLimit>, cursor: Option<String>) -> Result<Page, Problem> {
    if cursor.as_ref().is_some_and(|cursor| cursor.is_empty() || cursor.len() > MAX_CURSOR) {
        let detail = "bad cursor; pass `next_cursor` of the previous page unchanged";
        return Err(Problem::bad_request("bad_cursor", detail));
    }
    Ok(Page { limit: limit.map_or(DEFAULT_LIMIT, |PageLimit(limit)| limit), cursor })
}

/// A number of rows, 1 to 1,000.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub struct PageLimit(u32);

impl TryFrom<u32> for PageLimit {
    type Error = String;

    fn try_from(limit: u32) -> Result<Self, String> {
        if (1..=Page::MAX_LIMIT).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(format!("must be 1 to {}", Page::MAX_LIMIT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        limit: Option<PageLimit>,
        name: Option<String>,
    }

    async fn parse(query: &str) -> Result<Wanted, String> {
        let request = Request::builder().uri(format!("/x?{query}")).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        match Params::from_request_parts(&mut parts, &()).await {
            Ok(Params(wanted)) => Ok(wanted),
            Err(problem) => Err(format!("{problem:?}")),
        }
    }

    #[tokio::test]
    async fn known_parameters_are_read() {
        let wanted = parse("limit=7&name=a%20b").await.unwrap();
        assert_eq!((wanted.limit.unwrap().0, wanted.name.as_deref()), (7, Some("a b")));
    }

    #[tokio::test]
    async fn unknown_repeated_and_bad_parameters_are_refused() {
        for query in
            ["nmae=a", "name=a&name=b", "limit=0", "limit=1001", "limit=x", "limit=", "limit=-1"]
        {
            let error = parse(query).await.unwrap_err();
            assert!(error.contains("invalid_query"), "{query}: {error}");
        }
    }
}
