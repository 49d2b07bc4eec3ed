//! Runs the fixture: over stdio, or with `--http ADDRESS` as a server that prints its URL.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use sentinel_mcp_fixture::{Eras, Options, serve, serve_stdio};

const USAGE: &str = "sentinel-mcp-fixture [--http ADDRESS] [--era legacy|modern] [--odd] \
    [--witness FILE]";

#[tokio::main]
async fn main() -> Result<()> {
    let (http, options) = arguments(std::env::args().skip(1))?;
    let Some(address) = http else { return serve_stdio(options).await };
    let listener = tokio::net::TcpListener::bind(&address).await.context(address)?;
    println!("http://{}/mcp", listener.local_addr()?);
    serve(listener, options).await
}

fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(Option<String>, Options)> {
    let mut http = None;
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--http" => http = Some(value()?),
            "--era" => {
                options.eras = match value()?.as_str() {
                    "legacy" => Eras::Legacy,
                    "modern" => Eras::Modern,
                    other => bail!("unknown era `{other}`; usage: {USAGE}"),
                }
            }
            "--odd" => options.odd = true,
            "--witness" => options.witness = Some(PathBuf::from(value()?)),
            other => bail!("unknown argument `{other}`; usage: {USAGE}"),
        }
    }
    Ok((http, options))
}
