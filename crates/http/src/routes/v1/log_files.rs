//! The files of the transparency log, as C2SP's tlog-tiles lays them out.
//!
//! `GET /v1/log/{*path}`: returns a file of the log that is open.
//!
//! `GET /v1/logs/{origin}/{*path}`: returns a file of the log with that name.
//! Roles: any; public with `public_log`.

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_provenance::log::TilePath;
use sentinel_service::log::{CacheLife, LogFile};

use crate::app::Shared;

/// A reader of the log: any caller with a key, and every caller where the log is public.
#[derive(Debug)]
pub(crate) struct LogReader;

impl FromRequestParts<Shared> for LogReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        if !app.options.public_log {
            Caller::from_request_parts(parts, app).await?.require(&Role::ALL)?;
        }
        Ok(Self)
    }
}

/// The file that the address names.
#[derive(Debug)]
pub(crate) enum LogPath {
    Checkpoint,
    Tile(TilePath),
}

impl LogPath {
    fn parse(path: &str) -> Result<Self, Problem> {
        match path {
            "checkpoint" => Ok(Self::Checkpoint),
            path => TilePath::parse(path).map(Self::Tile).map_err(|error| {
                let detail = format!("{error}; ask for `checkpoint` or `tile/…`");
                Problem::bad_request("invalid_path", detail)
            }),
        }
    }
}

/// Below `/v1/log/`.
#[derive(Debug)]
pub(crate) struct OfOpenShard(LogPath);

impl<S: Send + Sync> FromRequestParts<S> for OfOpenShard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().strip_prefix("/v1/log/").unwrap_or_default();
        LogPath::parse(path).map(Self)
    }
}

/// Below `/v1/logs/{origin}/`.
#[derive(Debug)]
pub(crate) struct OfShard {
    origin: String,
    path: LogPath,
}

impl<S: Send + Sync> FromRequestParts<S> for OfShard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let rest = parts.uri.path().strip_prefix("/v1/logs/").unwrap_or_default();
        let (origin, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { origin: origin.to_owned(), path: LogPath::parse(path)? })
    }
}

/// Get a file of the log
///
/// The log that is open, in C2SP's tlog-tiles layout: `checkpoint`, `tile/0/000`,
/// `tile/entries/000.p/7`. Any client of that format can read it.
///
/// Roles: any; none where the configuration says `public_log`.
#[utoipa::path(
    get, path = "/v1/log/{*path}", tag = "provenance",
    params(("path" = String, Path, description = "`checkpoint` or `tile/…`")),
    responses(
        (status = 200, description = "the file", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 404, description = "the log has not grown so far"),
    ),
)]
pub(crate) async fn log_file(
    State(app): State<Shared>,
    _: LogReader,
    path: Result<OfOpenShard, Problem>,
) -> Result<Response, Problem> {
    let OfOpenShard(path) = path?;
    respond(&app, None, path).await
}

/// Get a file of a log by the log's name
///
/// Like `/v1/log/…`, of the log with that name: those that were ended stay. What is below a name
/// never changes, save for the checkpoint, and may be cached for good.
///
/// Roles: any; none where the configuration says `public_log`.
#[utoipa::path(
    get, path = "/v1/logs/{origin}/{*path}", tag = "provenance",
    params(
        ("origin" = String, Path, description = "name of the log"),
        ("path" = String, Path, description = "`checkpoint` or `tile/…`"),
    ),
    responses(
        (status = 200, description = "the file", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 404, description = "there is no such log, or it has not grown so far"),
    ),
)]
pub(crate) async fn log_shard_file(
    State(app): State<Shared>,
    _: LogReader,
    shard: Result<OfShard, Problem>,
) -> Result<Response, Problem> {
    let OfShard { origin, path } = shard?;
    respond(&app, Some(&origin), path).await
}

async fn respond(app: &Shared, origin: Option<&str>, path: LogPath) -> Result<Response, Problem> {
    let log = &app.services.log;
    let found = match &path {
        LogPath::Checkpoint => log.checkpoint(origin).await?,
        LogPath::Tile(tile) => log.tile(origin, *tile).await?,
    };
    let LogFile { content, life } = found.ok_or_else(|| {
        let detail = "there is no such log, or it has not grown so far";
        Problem::new(http::StatusCode::NOT_FOUND, "unknown_log_file", detail)
    })?;
    let media = match path {
        LogPath::Checkpoint => "text/plain; charset=utf-8",
        LogPath::Tile(_) => "application/octet-stream",
    };
    let cache = match life {
        // Another shard may be open tomorrow, with other files at the same addresses.
        _ if origin.is_none() => "no-cache",
        CacheLife::Moment => "no-cache",
        CacheLife::Forever if app.options.public_log => "public, max-age=31536000, immutable",
        CacheLife::Forever => "private, max-age=31536000, immutable",
    };
    Ok(([(CONTENT_TYPE, media), (CACHE_CONTROL, cache)], content).into_response())
}
