//! `GET /docs`: shows the OpenAPI document as a page. Public.
//!
//! `GET /docs/{file}`: serves the files of the page. Public.

use std::sync::{Arc, LazyLock};

use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use utoipa_swagger_ui::Config;

/// The page loads from this server and nowhere else. Swagger UI styles its elements inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sentinel MCP: HTTP interface</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// The files that the page loads; nothing else of the package is served.
const FILES: [&str; 5] = [
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-32x32.png",
];

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // The validator would send the document to somebody else's server.
    Arc::new(Config::from("openapi.json").validator_url("none").query_config_enabled(false))
});

/// Browsable documentation
///
/// This document as a page. Everything it loads comes from this server.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/docs", tag = "discovery", security(()),
    responses((status = 200, description = "the page", body = String, content_type = "text/html")),
)]
pub(crate) async fn docs() -> Response {
    let mut response = Html(PAGE).into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// A file of the documentation page
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/docs/{file}", tag = "discovery", security(()),
    params(("file" = String, Path, description = "name of the file")),
    responses((status = 200, description = "the file", body = [u8],
        content_type = "application/octet-stream")),
)]
pub(crate) async fn docs_file(Id(name): Id<String>) -> Result<Response, Problem> {
    let not_found = || {
        let detail = "the documentation has no such file";
        Problem::new(StatusCode::NOT_FOUND, "unknown_file", detail)
    };
    if !FILES.contains(&name.as_str()) {
        return Err(not_found());
    }
    let file = utoipa_swagger_ui::serve(&name, Arc::clone(&CONFIG))
        .map_err(|error| Problem::internal(error.to_string()))?
        .ok_or_else(not_found)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(media) = HeaderValue::try_from(file.content_type) {
        headers.insert(CONTENT_TYPE, media);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn the_page_refers_to_no_other_host() {
        let page = text(docs().await).await;
        assert!(!page.contains("//"), "{page}");
        let initializer = docs_file(Id("swagger-initializer.js".to_owned())).await.unwrap();
        let initializer = text(initializer).await;
        assert!(!initializer.contains("://"), "{initializer}");
        assert!(initializer.contains("\"openapi.json\""), "{initializer}");
        assert!(initializer.contains("\"validatorUrl\": \"none\""), "{initializer}");
        let style = docs_file(Id("swagger-ui.css".to_owned())).await.unwrap();
        let style = text(style).await;
        assert!(!style.contains("@import") && !style.contains("url(http"));
    }

    #[tokio::test]
    async fn every_file_that_the_page_names_is_there() {
        for name in FILES {
            assert!(PAGE.contains(name), "{name}");
            assert!(docs_file(Id(name.to_owned())).await.is_ok(), "{name}");
        }
        for name in ["index.html", "../lib.rs", "", "oauth2-redirect.html"] {
            assert!(docs_file(Id(name.to_owned())).await.is_err(), "{name}");
        }
    }
}
