//! The witnesses as an outlet.
//!
//! All witnesses are asked about the same checkpoint at the same time, because a quorum must cosign
//! one checkpoint. When it has, the checkpoint is kept for bundles. The remaining witnesses get a
//! short time only, so that one that hangs does not delay the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use sentinel_provenance::log::{KeyName, NoteSignature, SignedCheckpoint};
use tokio::time::Instant;

use super::{Outlet, OutletCounts, OutletError, Pause, Shard, Step};
use crate::witness::{Cosigned, Witness, WitnessError};

const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for witnesses that the quorum does not need.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Witnessed {
    witnesses: Vec<Witness>,
    quorum: usize,
    counts: Arc<OutletCounts>,
    memory: Mutex<Memory>,
}

/// State that does not need to survive the process.
#[derive(Default)]
struct Memory {
    /// The witnesses that failed, and when they are asked again.
    away: BTreeMap<KeyName, (Pause, Instant)>,
    /// By shard: a size, and who cosigned it.
    cosigned: BTreeMap<u32, (u64, BTreeMap<KeyName, NoteSignature>)>,
}

impl Memory {
    fn of(&mut self, shard: u32, size: u64) -> &mut BTreeMap<KeyName, NoteSignature> {
        let entry = self.cosigned.entry(shard).or_default();
        if entry.0 != size {
            *entry = (size, BTreeMap::new());
        }
        &mut entry.1
    }
}

impl Witnessed {
    pub(super) fn new(witnesses: Vec<Witness>, quorum: usize, counts: Arc<OutletCounts>) -> Self {
        Self { witnesses, quorum, counts, memory: Mutex::default() }
    }

    fn memory<T>(&self, with: impl FnOnce(&mut Memory) -> T) -> T {
        with(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The witnesses to ask now about this size.
    fn due(&self, shard: &Shard) -> Vec<&Witness> {
        let now = Instant::now();
        self.memory(|memory| {
            let cosigned = memory.of(shard.ordinal, shard.size()).clone();
            let is_due = |witness: &&Witness| {
                let name = witness.key().name();
                let waits = memory.away.get(name).is_some_and(|(_, until)| *until > now);
                !waits && !cosigned.contains_key(name)
            };
            self.witnesses.iter().filter(is_due).collect()
        })
    }

    async fn ask(
        &self,
        witness: &Witness,
        shard: &Shard,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Cosigned, OutletError> {
        let cursor = format!("witness {}", witness.key().name());
        let known = shard.store.log_cursor(&cursor, shard.ordinal).await?;
        match witness.cosign(checkpoint, known, shard).await {
            Ok(cosigned) => {
                let to = checkpoint.size();
                shard.store.move_log_cursor(&cursor, shard.ordinal, to, Vec::new()).await?;
                Ok(cosigned)
            }
            Err(WitnessError::Ahead { witness: name, theirs, ours }) => {
                shard.explain(&format!("witness `{name}`"), theirs).await?;
                Err(WitnessError::Ahead { witness: name, theirs, ours }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records a failure of one witness; the others continue.
    fn failed(&self, witness: &Witness, error: &OutletError) {
        self.counts.failed(error);
        let name = witness.key().name();
        let first = self.memory(|memory| {
            let (pause, until) = memory
                .away
                .entry(name.clone())
                .or_insert_with(|| (Pause::default(), Instant::now()));
            let first = pause.is_first();
            *until = Instant::now() + pause.next(error.is_alarm());
            first
        });
        if error.is_alarm() {
            tracing::error!(%error, outlet = self.counts.name, "THE TRANSPARENCY LOG IS NOT WHAT IT WAS; see docs/transparency.md");
        } else if first {
            tracing::warn!(%error, "a witness did not cosign; asking again");
        } else {
            tracing::debug!(%error, "a witness did not cosign");
        }
    }

    /// Records a cosignature, and keeps the checkpoint once enough have cosigned it. Returns
    /// whether they have.
    async fn cosigned(
        &self,
        witness: &Witness,
        shard: &Shard,
        checkpoint: &SignedCheckpoint,
        cosigned: Cosigned,
    ) -> Result<bool, OutletError> {
        let name = witness.key().name();
        let (was_away, lines) = self.memory(|memory| {
            let was_away = memory.away.remove(name).is_some();
            let cosigners = memory.of(shard.ordinal, shard.size());
            cosigners.insert(name.clone(), cosigned.signature);
            (was_away, cosigners.values().cloned().collect::<Vec<_>>())
        });
        if was_away {
            tracing::info!(witness = %name, "the witness cosigns again");
        }
        if lines.len() < self.quorum {
            return Ok(false);
        }
        let note = checkpoint.note().with_signatures(lines);
        let note = note.map_err(|error| OutletError::Log(error.to_string()))?.to_string();
        shard.store.keep_witnessed(shard.ordinal, shard.size(), note).await?;
        Ok(true)
    }
}

#[async_trait]
impl Outlet for Witnessed {
    fn counts(&self) -> &Arc<OutletCounts> {
        &self.counts
    }

    fn pause(&self) -> Duration {
        PAUSE
    }

    /// A checkpoint counts once it goes into bundles.
    async fn done(&self, shard: &Shard) -> Result<u64, OutletError> {
        Ok(shard.head.witnessed.as_ref().map_or(0, |(size, _)| *size))
    }

    async fn step(&self, shard: &Shard, done: u64) -> Result<Step, OutletError> {
        let due = self.due(shard);
        if due.is_empty() {
            return Ok(Step::Idle);
        }
        let checkpoint = shard.checkpoint()?;
        let asking = |witness| {
            let checkpoint = &checkpoint;
            async move { (witness, self.ask(witness, shard, checkpoint).await) }
        };
        let mut asked: FuturesUnordered<_> = due.into_iter().map(asking).collect();
        // Enough have cosigned it before; the others are asked once more.
        let mut until = (done >= shard.size()).then(|| Instant::now() + GRACE);
        loop {
            let next = match until {
                None => asked.next().await,
                Some(until) => match tokio::time::timeout_at(until, asked.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            match next {
                None => break,
                Some((witness, Ok(cosigned))) => {
                    if self.cosigned(witness, shard, &checkpoint, cosigned).await? {
                        until.get_or_insert_with(|| Instant::now() + GRACE);
                    }
                }
                Some((witness, Err(error))) => self.failed(witness, &error),
            }
        }
        Ok(Step::Idle)
    }
}
