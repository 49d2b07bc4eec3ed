//! The OpenAPI document, generated from the routes.

use http::Method;
use sentinel_ingress::problem::ProblemDocument;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";
const DESCRIPTION: &str = "Sentinel controls what AI agents do with their tools: every call is \
decided by policy, counted against a quota, recorded before it is answered, signed afterwards, and \
can be stopped everywhere at once.\n\nErrors are `application/problem+json` (RFC 9457) with a \
stable `code`. Bodies are strict JSON: duplicate keys, unknown fields and anything on which parsers \
differ are refused. Every response carries `X-Request-Id`. Listings are paged by cursor: pass \
`next_cursor` of one page as `cursor` of the next.";

/// Adds to the paths what they have in common, and writes the router's `{*path}` as the `{path}`
/// that its parameter is called.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Sentinel MCP")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ))
        .build();
    document.security = Some(vec![
        SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, []),
        SecurityRequirement::new::<_, [&str; 0], &str>(API_KEY, []),
    ]);
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `snt_<role>_<random>`"))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let key = ApiKeyValue::with_description("X-API-Key", "The same key, without `Bearer`");
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key)));
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(describe_errors);
    }
    document
}

/// Every path, with the methods that it takes.
pub(crate) fn routes(document: &OpenApi) -> impl Iterator<Item = (String, Vec<Method>)> {
    document.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item)))
}

fn methods(item: &PathItem) -> Vec<Method> {
    let of = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::PUT, &item.put),
        (Method::DELETE, &item.delete),
    ];
    of.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method).collect()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Every error of every operation has the same form.
fn describe_errors(operation: &mut Operation) {
    let is_public = operation.security.is_some();
    let mut add = |status: &str, description: &str| {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ProblemDocument::name())))
            .build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    };
    if !is_public {
        add("401", "no key, or none that is valid");
        add("403", "the key's role, tenant or agent forbids it");
    }
    add("default", "any other error");
}
