use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// Work that ends when its gate is opened, or at once.
struct Job {
    gate: Option<Receiver<()>>,
    panics: bool,
}

impl Work for Job {
    type State = u32;
    type Outcome = u32;
    type Asker = Sender<Option<u32>>;

    fn prepare(&self, state: &mut u32) {
        *state += 1;
    }

    fn run(self, state: &mut u32) -> u32 {
        if self.panics {
            // As a panic, without the time that its backtrace takes.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        if let Some(gate) = self.gate {
            // Closed, too, it is open.
            let _ = gate.recv();
        }
        *state
    }

    fn tell(asker: Self::Asker, outcome: Option<u32>) {
        let _ = asker.send(outcome);
    }
}

fn pool(threads: usize, spares: usize) -> Pool<Job> {
    let limits = Limits { threads, waiting: 64, time: Duration::from_millis(50), spares };
    Pool::start("test", limits).unwrap()
}

fn submit(pool: &Pool<Job>, job: Job) -> Result<Receiver<Option<u32>>, Refused> {
    let (asker, answer) = channel();
    pool.submit(job, asker).map(|()| answer).map_err(|(refused, _)| refused)
}

fn quick(pool: &Pool<Job>) -> Result<Receiver<Option<u32>>, Refused> {
    submit(pool, Job { gate: None, panics: false })
}

/// Work that is stuck until the sender is dropped.
fn stuck(pool: &Pool<Job>) -> (Sender<()>, Receiver<Option<u32>>) {
    let (open, gate) = channel();
    let answer = submit(pool, Job { gate: Some(gate), panics: false }).unwrap();
    (open, answer)
}

/// Waits until `holds`, and fails when it never does.
fn until(pool: &Pool<Job>, holds: impl Fn(&PoolCounts) -> bool) {
    let began = Instant::now();
    while !holds(&pool.counts()) {
        assert!(began.elapsed() < SOON, "{:?}", pool.counts());
        std::thread::yield_now();
    }
}

#[test]
fn work_is_done_and_what_a_thread_keeps_is_kept() {
    let pool = pool(1, 0);
    let outcomes: Vec<_> = (0..3).map(|_| quick(&pool).unwrap()).collect();
    let outcomes: Vec<_> =
        outcomes.iter().map(|answer| answer.recv_timeout(SOON).unwrap()).collect();
    assert_eq!(outcomes, [Some(1), Some(2), Some(3)]);
}

#[test]
fn work_that_does_not_end_is_given_up_and_its_thread_is_replaced() {
    let pool = pool(1, 1);
    let (open, answer) = stuck(&pool);
    assert_eq!(answer.recv_timeout(SOON), Ok(None), "sent without the thread");
    // With the only thread stuck, another does this.
    assert_eq!(quick(&pool).unwrap().recv_timeout(SOON), Ok(Some(1)));
    assert!(!pool.is_exhausted());
    assert_eq!((pool.counts().threads, pool.counts().stuck), (1, 1));
    drop(open);
    until(&pool, |counts| counts.reclaimed == 1 && counts.stuck == 0);
    assert_eq!(quick(&pool).unwrap().recv_timeout(SOON), Ok(Some(2)));
    // Its outcome was sent already.
    assert_eq!(answer.recv_timeout(SOON), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn with_too_many_stuck_everything_is_refused_at_once_until_one_returns() {
    let pool = pool(2, 1);
    let held: Vec<_> = (0..2).map(|_| stuck(&pool)).collect();
    for (_, answer) in &held {
        assert_eq!(answer.recv_timeout(SOON), Ok(None));
    }
    assert!(pool.is_exhausted());
    assert_eq!(quick(&pool).err(), Some(Refused::Exhausted));
    drop(held);
    until(&pool, |counts| counts.stuck == 0 && counts.threads == 2);
    assert!(!pool.is_exhausted());
    assert!(quick(&pool).unwrap().recv_timeout(SOON).unwrap().is_some());
}

#[test]
fn what_waits_when_the_pool_is_exhausted_is_told_at_once() {
    let pool = pool(1, 0);
    let (open, answer) = stuck(&pool);
    let waiting: Vec<_> = (0..8).filter_map(|_| quick(&pool).ok()).collect();
    assert_eq!(answer.recv_timeout(SOON), Ok(None));
    for answer in &waiting {
        assert_eq!(answer.recv_timeout(SOON), Ok(None));
    }
    drop(open);
    until(&pool, |counts| counts.threads == 1);
    assert_eq!(quick(&pool).unwrap().recv_timeout(SOON), Ok(Some(1)), "a thread of its own");
}

#[test]
fn more_than_may_wait_is_refused() {
    let limits = Limits { threads: 1, waiting: 2, time: Duration::from_secs(3600), spares: 0 };
    let pool = Pool::start("test", limits).unwrap();
    let (open, answer) = stuck(&pool);
    let mut waiting = Vec::new();
    let refused = loop {
        match quick(&pool) {
            Ok(answer) => waiting.push(answer),
            Err(refused) => break refused,
        }
        assert!(waiting.len() < 8, "it takes any number");
    };
    assert_eq!(refused, Refused::Full);
    drop(open);
    assert_eq!(answer.recv_timeout(SOON), Ok(Some(1)));
    for answer in waiting {
        assert!(answer.recv_timeout(SOON).unwrap().is_some());
    }
}

#[test]
fn a_panic_is_told_and_the_thread_goes_on_with_a_fresh_state() {
    let pool = pool(1, 0);
    let answer = submit(&pool, Job { gate: None, panics: true }).unwrap();
    assert_eq!(answer.recv_timeout(SOON), Ok(None));
    assert_eq!(quick(&pool).unwrap().recv_timeout(SOON), Ok(Some(1)));
    assert_eq!(pool.counts().threads, 1);
}

#[test]
fn a_thread_has_the_stated_stack() {
    struct Deep;
    impl Work for Deep {
        type State = ();
        type Outcome = usize;
        type Asker = Sender<Option<usize>>;
        fn prepare(&self, (): &mut ()) {}
        fn run(self, (): &mut ()) -> usize {
            // Three quarters of it.
            fn down(left: usize) -> usize {
                let frame = std::hint::black_box([left; 4096 / size_of::<usize>()]);
                if left == 0 {
                    frame.len()
                } else {
                    down(left - 1).max(std::hint::black_box(&frame).len())
                }
            }
            down(STACK / 4 * 3 / 8192)
        }
        fn tell(asker: Self::Asker, outcome: Option<usize>) {
            let _ = asker.send(outcome);
        }
    }
    let limits = Limits { threads: 1, waiting: 1, time: Duration::from_secs(60), spares: 0 };
    let pool = Pool::start("test", limits).unwrap();
    let (asker, answer) = channel();
    assert!(pool.submit(Deep, asker).is_ok());
    assert!(answer.recv_timeout(SOON).unwrap().is_some());
}
