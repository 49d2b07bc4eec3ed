//! The baseline: what axum does for a JSON body in and the same out, with nothing in between.

use std::{env, net::SocketAddr, process::Command, time::Duration};

use anyhow::Context as _;
use axum::{Json, Router, serve::ListenerExt as _};
use serde_json::Value;
use tokio::{net::TcpListener, runtime};

use crate::{
    CHECK_BODY,
    load::{self, LoadPlan, LoadResult, Mode, RequestHead},
    server::{ProcessFigures, Server},
};

/// Serves on `127.0.0.1:port` until killed; prints the address as the first line of output.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("cannot set TCP_NODELAY: {error}");
            }
        });
        axum::serve(listener, Router::new().fallback(answer)).await
    })?;
    Ok(())
}

async fn answer(Json(body): Json<Value>) -> Json<Value> {
    Json(body)
}

/// Starts the echo as a child process; the address is where it listens.
pub(crate) fn start() -> anyhow::Result<(Server, SocketAddr)> {
    let program = env::current_exe().context("cannot find the bench program itself")?;
    let mut command = Command::new(program);
    command.args(["echo", "--port", "0", "--cores", "0"]);
    Server::start(command, |line| line.trim().parse().ok())
}

/// What the echo did in this run: what everything else is compared with.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub(crate) process: ProcessFigures,
    /// Closed loop, one for each number of connections asked for, in that order.
    pub(crate) loads: Vec<LoadResult>,
}

/// Starts an echo, loads it in a closed loop at each of `connections`, and stops it.
pub(crate) fn measure(
    connections: &[usize],
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Baseline> {
    let (server, address) = start()?;
    let idle = server.memory()?;
    let request = RequestHead::new("POST", "/policy/check", &address.to_string())
        .header("content-type", "application/json")
        .request(CHECK_BODY.as_bytes());
    let write = |_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request);
    let loads: Result<Vec<_>, _> = connections
        .iter()
        .map(|&connections| {
            let server_pid = Some(server.pid());
            let mode = Mode::Closed;
            let addresses = vec![address];
            let plan = LoadPlan { addresses, connections, mode, warm_up, measured, server_pid };
            load::run(&plan, &write, &load::ignore_answers)
        })
        .collect();
    let loads = loads?;
    let process =
        ProcessFigures { time_to_ready: server.time_to_ready(), idle, loaded: server.memory()? };
    Ok(Baseline { process, loads })
}
