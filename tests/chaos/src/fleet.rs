//! Where the replicas are, and the load balancer that looks which of them to send requests to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often the balancer asks each replica.
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Fleet {
    replicas: Vec<(String, AtomicBool)>,
}

impl Fleet {
    /// All of them get requests, until a [`Balancer`] finds that one should not.
    pub(crate) fn new(urls: impl IntoIterator<Item = String>) -> Self {
        Self { replicas: urls.into_iter().map(|url| (url, AtomicBool::new(true))).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.replicas.len()
    }

    pub(crate) fn url(&self, replica: usize) -> Option<&str> {
        self.replicas.get(replica).map(|(url, _)| url.as_str())
    }

    /// The replica that is wanted, or the next one that gets requests.
    pub(crate) fn route(&self, wanted: usize) -> usize {
        let serving = |replica: &usize| {
            self.replicas.get(*replica).is_some_and(|(_, serving)| serving.load(Ordering::Relaxed))
        };
        (wanted..self.len()).chain(0..wanted).find(serving).unwrap_or(wanted)
    }
}

/// Sends requests to those replicas alone whose `/readyz` answered 200 when it was last asked. It
/// never sends a request a second time.
#[derive(Debug)]
pub(crate) struct Balancer {
    _polling: JoinSet<()>,
}

impl Balancer {
    pub(crate) fn start(fleet: &Arc<Fleet>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
        let mut polling = JoinSet::new();
        for replica in 0..fleet.len() {
            polling.spawn(poll(http.clone(), Arc::clone(fleet), replica));
        }
        Ok(Self { _polling: polling })
    }
}

async fn poll(http: reqwest::Client, fleet: Arc<Fleet>, replica: usize) {
    let Some((url, serving)) = fleet.replicas.get(replica) else { return };
    loop {
        let answer = http.get(format!("{url}/readyz")).send().await;
        let ready = answer.is_ok_and(|answer| answer.status().is_success());
        serving.store(ready, Ordering::Relaxed);
        sleep(POLL).await;
    }
}
