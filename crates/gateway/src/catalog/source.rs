//! One upstream with its lists, shared by all clients of a tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::watch;

use super::cached::{Cached, Patience};
use super::fetch::{Kind, fetch};
use super::items::Items;
use super::levels::Levels;
use super::settings::Settings;
use super::shown::Digest;
use super::tools::{Defect, Tools};
use crate::authority::{Authority, Grant, Unsettled};
use crate::exchange::Unattended;
use crate::upstream::{Failure, Outbound, Upstream};
use sentinel_mcp_protocol::jsonrpc::{Notification, Object};

/// An upstream and what it lists.
#[derive(Debug)]
pub struct Source {
    upstream: Arc<dyn Upstream>,
    tools: Arc<Cached<Tools>>,
    prompts: Arc<Cached<Items>>,
    resources: Arc<Cached<Items>>,
    templates: Arc<Cached<Items>>,
    /// Drained before a list is used. What was lost on the way invalidates all lists.
    news: Mutex<broadcast::Receiver<Notification>>,
    /// The version of the tools that the registry has seen and pinned.
    presented: Mutex<Option<Digest>>,
    /// How many clients are subscribed to each resource.
    subscriptions: Mutex<HashMap<String, usize>>,
    levels: Levels,
}

impl Source {
    /// Nothing is asked of the upstream before a list is needed.
    #[must_use]
    pub fn new(upstream: Arc<dyn Upstream>, settings: &Arc<Settings>) -> Arc<Self> {
        Arc::new(Self {
            tools: tools(&upstream, settings),
            prompts: items(Kind::Prompts, &upstream, settings),
            resources: items(Kind::Resources, &upstream, settings),
            templates: items(Kind::Templates, &upstream, settings),
            news: Mutex::new(upstream.news()),
            presented: Mutex::default(),
            subscriptions: Mutex::default(),
            levels: Levels::default(),
            upstream,
        })
    }

    #[must_use]
    pub const fn upstream(&self) -> &Arc<dyn Upstream> {
        &self.upstream
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.upstream.name()
    }

    /// Tools that are not shown, as of the latest list; for operators.
    pub async fn defects(&self) -> Vec<Defect> {
        let tools = self.tools(Patience::Stale(std::time::Duration::ZERO)).await;
        tools.map(|tools| tools.defects().to_vec()).unwrap_or_default()
    }

    /// The latest list of tools, if there is one.
    pub(crate) fn known_tools(&self) -> Option<Arc<Tools>> {
        self.tools.latest()
    }

    pub(crate) async fn tools(&self, patience: Patience) -> Result<Arc<Tools>, Failure> {
        self.hear();
        self.tools.get(patience).await
    }

    /// Prompts, resources or templates.
    pub(crate) async fn items(&self, kind: Kind, within: Patience) -> Result<Arc<Items>, Failure> {
        self.hear();
        self.cached_items(kind).get(within).await
    }

    fn cached_items(&self, kind: Kind) -> &Arc<Cached<Items>> {
        match kind {
            Kind::Tools | Kind::Prompts => &self.prompts,
            Kind::Resources => &self.resources,
            Kind::Templates => &self.templates,
        }
    }

    /// Changes whenever a list of the kind was fetched that differs from the one before.
    pub(crate) fn changes(&self, kind: Kind) -> watch::Receiver<u64> {
        match kind {
            Kind::Tools => self.tools.changes(),
            kind => self.cached_items(kind).changes(),
        }
    }

    /// Has the registry see and pin `tools`, unless it has seen this version.
    pub(crate) async fn present(
        &self,
        authority: &dyn Authority,
        tools: &Tools,
    ) -> Result<(), Unsettled> {
        let version = Some(tools.version());
        if *lock(&self.presented) == version {
            return Ok(());
        }
        authority.standing(self.name(), tools.definitions()).await?;
        self.presented_now(tools);
        Ok(())
    }

    /// Remembers that the registry has seen `tools`.
    pub(crate) fn presented_now(&self, tools: &Tools) {
        *lock(&self.presented) = Some(tools.version());
    }

    /// The client `number` wants messages of the log from `level` on. The server is told when it has
    /// to say more, or may say less, than it was told before.
    ///
    /// # Errors
    /// When the server does not take it. It keeps the level that it has.
    pub(crate) async fn set_level(&self, number: u64, level: &str) -> Result<(), Failure> {
        self.levels.want(number, level);
        let mut told = self.levels.told.lock().await;
        let lowest = self.levels.lowest();
        if *told == Some(lowest)
            || !self.upstream.server().await?.capabilities.contains_key("logging")
        {
            return Ok(());
        }
        let (method, mut params) = ("logging/setLevel".to_owned(), Object::new());
        params.insert("level".to_owned(), lowest.into());
        let outbound = Outbound { method, params, grant: Grant::lifecycle() };
        self.upstream.request(outbound, &Unattended).await?;
        *told = Some(lowest);
        Ok(())
    }

    /// The client `number` has gone.
    pub(crate) fn forget_level(&self, number: u64) {
        self.levels.forget(number);
    }

    /// Counts a client that is subscribed to a resource.
    pub(crate) fn subscribe(&self, uri: &str) {
        *lock(&self.subscriptions).entry(uri.to_owned()).or_default() += 1;
    }

    /// Counts one client less, and returns whether it was the last.
    pub(crate) fn unsubscribe(&self, uri: &str) -> bool {
        let mut subscriptions = lock(&self.subscriptions);
        let Some(count) = subscriptions.get_mut(uri) else { return true };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            subscriptions.remove(uri);
        }
        last
    }

    /// Learns which lists have changed.
    fn hear(&self) {
        let mut news = lock(&self.news);
        loop {
            match news.try_recv() {
                Ok(notification) => self.invalidate(&notification.method),
                Err(TryRecvError::Lagged(_)) => self.invalidate_all(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn invalidate(&self, method: &str) {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.changed() == method) {
            match kind {
                Kind::Tools => self.tools.invalidate(),
                kind => self.cached_items(kind).invalidate(),
            }
        }
    }

    fn invalidate_all(&self) {
        for kind in Kind::ALL {
            self.invalidate(kind.changed());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tools(upstream: &Arc<dyn Upstream>, settings: &Arc<Settings>) -> Arc<Cached<Tools>> {
    let (upstream, settings_) = (Arc::clone(upstream), Arc::clone(settings));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let read = move || {
        let (upstream, settings) = (Arc::clone(&upstream), Arc::clone(&settings_));
        let reported = Arc::clone(&reported);
        async move {
            let listed = fetch(&upstream, Kind::Tools, &settings).await?;
            let tools = Tools::read(upstream.name(), listed);
            report(upstream.name(), &mut lock(&reported), tools.defects());
            Ok(tools)
        }
        .boxed()
    };
    Cached::new(settings, Tools::version, Box::new(read))
}

fn items(kind: Kind, upstream: &Arc<dyn Upstream>, settings: &Arc<Settings>) -> Arc<Cached<Items>> {
    let (upstream, settings_) = (Arc::clone(upstream), Arc::clone(settings));
    let read = move || {
        let (upstream, settings) = (Arc::clone(&upstream), Arc::clone(&settings_));
        async move {
            let listed = fetch(&upstream, kind, &settings).await?;
            Ok(Items::read(kind, upstream.name(), listed))
        }
        .boxed()
    };
    Cached::new(settings, Items::version, Box::new(read))
}

/// Tells the operators which tools are not shown, once.
fn report(upstream: &str, reported: &mut Vec<Defect>, defects: &[Defect]) {
    if reported.as_slice() == defects {
        return;
    }
    for Defect { name, reason, detail } in defects {
        tracing::warn!(upstream, tool = name, reason, detail, "a tool of an upstream is not shown");
    }
    *reported = defects.to_vec();
}
