//! Calls that a kill may cover: the control plane is asked about each of them, and what it does not
//! say may go on is ended.

use std::time::Duration;

use futures::future::join_all;
use sentinel_client::Client;

use super::flights::Doubtful;
use super::{Lack, refusal, withdrawn};
use crate::authority::Denied;

/// Time that the control plane gets. After it the calls are ended: a kill must not wait long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Ends those of the calls that may not go on, in a task that ends by its time limit.
pub(super) fn settle(client: &Client, doubtful: Vec<Doubtful>) {
    if doubtful.is_empty() {
        return;
    }
    let client = client.clone();
    tokio::spawn(async move {
        join_all(doubtful.iter().map(|call| ask(&client, call))).await;
    });
}

async fn ask(client: &Client, doubtful: &Doubtful) {
    let Doubtful { call, withdrawal, why } = doubtful;
    let asked = tokio::time::timeout(PATIENCE, client.resume(call)).await;
    let ended = match asked {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => refusal(&Lack::Error(error)),
        Err(_) => None,
    };
    // A control plane that does not know the question, or does not respond, may mean the kill.
    let ended =
        ended.filter(|denied| denied.code != "permit_invalid" && denied.code != "not_found");
    withdrawal.withdraw(match ended {
        Some(Denied { code, reason, .. }) => withdrawn(&code, &reason),
        None => why.clone(),
    });
}
