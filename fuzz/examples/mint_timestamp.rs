//! Has the signature in `seeds/logged_bundle/genuine.json` timestamped, as a seed for the target
//! `timestamp`: `cargo run --example mint_timestamp -- URL CHAIN`, with a `timestamp-server` at URL
//! whose key is in its memory only, and its certificates in the file CHAIN.

use std::error::Error;
use std::fs;
use std::path::Path;

use sentinel_provenance::Bundle;
use sentinel_provenance::log::HashedRekord;
use sentinel_transparency::{TIMESTAMP_PATIENCE, Timestamper};

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(chain)) = (arguments.next(), arguments.next()) else {
        return Err("usage: mint_timestamp URL CHAIN".into());
    };
    let chain = fs::read_to_string(chain)?;
    let bundle = Bundle::parse(&fs::read(here.join("seeds/logged_bundle/genuine.json"))?)?;
    let entry = bundle.verification_material.tlog_entries.first().ok_or("it has no log entry")?;
    let leaf = HashedRekord::parse(&entry.canonicalized_body)?;
    let timestamper = Timestamper::new(&url, &chain, TIMESTAMP_PATIENCE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (answer, time) = runtime.block_on(timestamper.stamp(&leaf))?;
    fs::write(here.join("seeds/timestamp/genuine.tsr"), answer)?;
    fs::write(here.join("tsa.pem"), chain)?;
    println!("stamped at {time}");
    Ok(())
}
