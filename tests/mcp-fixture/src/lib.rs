//! An MCP server for tests, built with the SDK: the tools, prompts and resources that the public
//! conformance scenarios name, tools that tests look at from outside, and tools that misbehave.
//!
//! Its tools are listed in `catalog.json`. Run it as a program over stdio or HTTP (see `main.rs`),
//! or within a test with [`serve`].

#![allow(
    deprecated,
    reason = "logging, sampling and roots are deprecated, but clients and servers use them"
)]

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rmcp::ServiceExt as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use tokio::net::TcpListener;

pub use fixture::{Eras, Fixture, Options};

mod ask;
mod catalog;
mod fixture;
mod jobs;
mod plain;
mod rounds;

/// Serves streamable HTTP at `/mcp` until the listener fails.
///
/// # Errors
/// When the catalog is broken or the listener fails.
pub async fn serve(listener: TcpListener, options: Options) -> Result<()> {
    let fixture = Fixture::new(options)?;
    let service = StreamableHttpService::new(
        move || Ok(fixture.clone()),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    );
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}

/// Starts [`serve`] on a free port of the loopback and returns its URL. It ends with the runtime.
///
/// # Errors
/// When there is no free port.
pub async fn start(options: Options) -> Result<String> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = serve(listener, options).await {
            eprintln!("fixture: {error:#}");
        }
    });
    Ok(format!("http://{address}/mcp"))
}

/// Serves one client over stdin and stdout until it closes them.
///
/// # Errors
/// When the catalog is broken or the client breaks the protocol.
pub async fn serve_stdio(options: Options) -> Result<()> {
    let service = Fixture::new(options)?.serve(stdio()).await?;
    service.waiting().await?;
    Ok(())
}

/// The program, for tests that need a process. Builds it when only single crates have been built.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> Result<PathBuf> {
    const NAME: &str = "sentinel-mcp-fixture";
    // A test runs from `target/PROFILE/deps`, the program is in `target/PROFILE`.
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test is in no target folder")?;
    let program = folder.join(NAME);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--package", NAME])
        .status()?;
    anyhow::ensure!(built.success() && program.is_file(), "{} was not built", program.display());
    Ok(program)
}
