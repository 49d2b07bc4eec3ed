//! Where the files of a log are: in a directory, or behind an address.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{StatusCode, Url};
use sentinel_client::{ApiKey, is_loopback};
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

/// How often an answer may send the audit elsewhere.
const REDIRECTS: usize = 3;

#[derive(Debug, Clone)]
pub(super) enum Source {
    Directory(PathBuf),
    Http(Box<Web>),
}

/// A log behind an address.
#[derive(Debug, Clone)]
pub(super) struct Web {
    base: Url,
    client: reqwest::Client,
    key: Option<ApiKey>,
}

/// The address of a log's files, when `place` is one.
///
/// # Errors
/// When it looks like an address and cannot be parsed as one.
pub(super) fn address(place: &str) -> Outcome<Option<Url>> {
    if !place.contains("://") {
        return Ok(None);
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
    Ok(Some(base))
}

impl Source {
    /// What `place` names.
    ///
    /// # Errors
    /// When it looks like an address and cannot be parsed as one.
    pub(super) fn open(place: &str, api_key: Option<&ApiKey>) -> Outcome<Self> {
        let Some(base) = address(place)? else {
            return Ok(Self::Directory(PathBuf::from(place)));
        };
        // Redirects are followed here, since each decides again whether the key goes there.
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().or_fail(|| "cannot set up the HTTP client".to_owned())?;
        Ok(Self::Http(Box::new(Web { base, client, key: api_key.cloned() })))
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
            Self::Http(web) => {
                let url = web.base.join(path).or_fail(|| format!("cannot ask for `{path}`"))?;
                web.fetch(&url).await
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

struct Refused {
    why: String,
    again: bool,
}

fn broken(error: &reqwest::Error) -> Refused {
    Refused { why: cause(error), again: true }
}

impl Web {
    async fn fetch(&self, url: &Url) -> Outcome<Option<Vec<u8>>> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.fetch_once(url).await {
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

    async fn fetch_once(&self, url: &Url) -> Result<Option<Vec<u8>>, Refused> {
        let (response, url) = self.follow(url).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(Refused { why: self.not_public(status, &url), again: false });
            }
            status => {
                let again = status.is_server_error()
                    || matches!(
                        status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    );
                return Err(Refused { why: format!("the answer is {status}"), again });
            }
        }
        let mut bytes = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(part) = body.next().await {
            bytes.extend_from_slice(&part.map_err(|error| broken(&error))?);
            if bytes.len() > MAX_LOG_FILE_BYTES {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// The answer at the end of the redirects, and where that is. The key goes to its own origin
    /// only, and nothing that began with TLS goes on without.
    async fn follow(&self, url: &Url) -> Result<(reqwest::Response, Url), Refused> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let request = self.client.get(url.clone());
            let request = match self.key.as_ref().and_then(|key| key.for_request_to(&url)) {
                Some(key) => request.bearer_auth(key),
                None => request,
            };
            let response = request.send().await.map_err(|error| broken(&error))?;
            let Some(next) = redirected(&response, &url) else { return Ok((response, url)) };
            if !matches!(next.scheme(), "http" | "https")
                || (url.scheme() == "https" && next.scheme() != "https")
            {
                let why = format!("it leads to `{next}`, which is not followed");
                return Err(Refused { why, again: false });
            }
            url = next;
        }
        let why = format!("it leads elsewhere more than {REDIRECTS} times");
        Err(Refused { why, again: false })
    }

    fn not_public(&self, status: StatusCode, url: &Url) -> String {
        let told = match &self.key {
            Some(key) if key.for_request_to(url).is_some() => {
                "the key that was sent may not read the log".to_owned()
            }
            Some(key) => key.withheld_from(url, "--api-key and --api-key-for"),
            None => "the log is not public, so give an API key with --api-key".to_owned(),
        };
        format!("the answer is {status}: {told}")
    }
}

/// Where an answer leads, if it leads anywhere.
fn redirected(response: &reqwest::Response, from: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(reqwest::header::LOCATION)?.to_str().ok()?;
    from.join(location).ok()
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
