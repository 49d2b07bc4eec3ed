//! Where the files of a log are: in a directory, or behind an address.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{StatusCode, Url};
use sentinel_provenance::log::{
    EntryTile, LogFile, MAX_LOG_FILE_BYTES, TILE_WIDTH, Tile, TilePath,
};

use crate::failure::{Failure, OrFail as _, Outcome};

/// One answer takes no longer than this.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a file is asked for before the audit gives up.
const ATTEMPTS: u32 = 5;
/// Pause before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone)]
pub(super) enum Source {
    Directory(PathBuf),
    Http { base: Url, client: reqwest::Client, key: Option<String> },
}

impl Source {
    /// What `place` names.
    ///
    /// # Errors
    /// When it looks like an address and is none.
    pub(super) fn open(place: &str, api_key: Option<&str>) -> Outcome<Self> {
        if !place.contains("://") {
            return Ok(Self::Directory(PathBuf::from(place)));
        }
        let mut base: Url = place
            .parse()
            .map_err(|error| Failure::usage(format!("`{place}` is not an address: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(Failure::usage(format!("`{place}` is not an http address")));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(3))
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT)
            .build()
            .or_fail(|| "cannot set up the HTTP client".to_owned())?;
        Ok(Self::Http { base, client, key: api_key.map(|key| key.trim().to_owned()) })
    }

    /// The log's checkpoint; `None` when there is none.
    pub(super) async fn checkpoint(&self) -> Outcome<Option<Vec<u8>>> {
        self.get("checkpoint").await
    }

    /// A file of the log. One that is not there is an answer, one that cannot be read is not.
    pub(super) async fn file(&self, path: TilePath) -> Outcome<LogFile> {
        if let Some(bytes) = self.get(&path.to_string()).await? {
            return Ok(LogFile::Found(bytes));
        }
        // Partial tiles may be removed once the full one exists.
        Ok(match full(path) {
            Some(full) => {
                self.get(&full.to_string()).await?.map_or(LogFile::Absent, LogFile::Grown)
            }
            None => LogFile::Absent,
        })
    }

    async fn get(&self, path: &str) -> Outcome<Option<Vec<u8>>> {
        match self {
            Self::Directory(directory) => {
                let file = directory.join(path);
                let read = tokio::task::spawn_blocking(move || read(&file));
                read.await.or_fail(|| format!("cannot read `{path}`"))?
            }
            Self::Http { base, client, key } => {
                let url = base.join(path).or_fail(|| format!("cannot ask for `{path}`"))?;
                fetch(client, &url, key.as_deref()).await
            }
        }
    }
}

/// The full tile in place of a partial one.
fn full(path: TilePath) -> Option<TilePath> {
    match path {
        TilePath::Hashes(tile) if !tile.is_full() => {
            Tile::new(tile.level(), tile.index(), TILE_WIDTH).ok().map(TilePath::Hashes)
        }
        TilePath::Entries(tile) if tile.width() < TILE_WIDTH => {
            EntryTile::new(tile.index(), TILE_WIDTH).ok().map(TilePath::Entries)
        }
        _ => None,
    }
}

/// Reads a byte more than any file has, so that a longer one is seen to be none.
fn read(path: &Path) -> Outcome<Option<Vec<u8>>> {
    let doing = || format!("cannot read `{}`", path.display());
    let file = match std::fs::File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened.or_fail(doing)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_LOG_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).or_fail(doing)?;
    Ok(Some(bytes))
}

async fn fetch(client: &reqwest::Client, url: &Url, key: Option<&str>) -> Outcome<Option<Vec<u8>>> {
    let mut pause = PAUSE;
    for attempt in 1.. {
        match fetch_once(client, url, key).await {
            Ok(answer) => return Ok(answer),
            Err(Refused { why, again }) if !again || attempt >= ATTEMPTS => {
                return Err(Failure::new(format!("cannot read `{url}`: {why}"))
                    .help("the log was not audited to its end; try again"));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(None)
}

struct Refused {
    why: String,
    again: bool,
}

async fn fetch_once(
    client: &reqwest::Client,
    url: &Url,
    key: Option<&str>,
) -> Result<Option<Vec<u8>>, Refused> {
    let broken = |error: reqwest::Error| Refused { why: cause(&error), again: true };
    let request = client.get(url.clone());
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let response = request.send().await.map_err(broken)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let why = format!(
                "the answer is {status}: the log is not public, so give an API key with --api-key"
            );
            return Err(Refused { why, again: false });
        }
        status => {
            let again = status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            return Err(Refused { why: format!("the answer is {status}"), again });
        }
    }
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(part) = body.next().await {
        bytes.extend_from_slice(&part.map_err(broken)?);
        if bytes.len() > MAX_LOG_FILE_BYTES {
            break;
        }
    }
    Ok(Some(bytes))
}

fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
