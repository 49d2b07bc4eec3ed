//! `grpc.health.v1`, so that a gateway can stop asking a replica that cannot decide.

use axum::extract::State;
use axum::response::Response;

use crate::{Shared, grpc};

/// Public, as `/readyz` is, of which it is a shorter form.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The health of the one service, whichever is asked about.
pub(super) async fn check(State(interface): State<Shared>) -> Response {
    let ready = interface.door.not_ready().await.is_empty();
    grpc::message(&HealthCheckResponse { status: if ready { SERVING } else { NOT_SERVING } })
}
