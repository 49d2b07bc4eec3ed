//! The generator against scripted servers.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"allow\":true}";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n";

/// What a scripted server does about the request with this number, from 0.
enum Act {
    Answer(&'static [u8]),
    AnswerAfter(Duration),
    Close,
    Hang,
}

/// Every request of these tests is 3 bytes long. Numbers are counted on each connection.
fn server(script: fn(usize) -> Act) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                for number in 0.. {
                    if stream.read_exact(&mut [0; 3]).is_err() {
                        return;
                    }
                    let answer = match script(number) {
                        Act::Answer(answer) => answer,
                        Act::AnswerAfter(pause) => {
                            thread::sleep(pause);
                            OK
                        }
                        Act::Close => return,
                        Act::Hang => loop {
                            thread::park();
                        },
                    };
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn plan(address: SocketAddr, connections: usize, mode: Mode) -> LoadPlan {
    let (warm_up, measured) = (Duration::ZERO, Duration::from_millis(500));
    LoadPlan { addresses: vec![address], connections, mode, warm_up, measured, server_pid: None }
}

fn load(plan: &LoadPlan) -> LoadResult {
    run(plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(b"GET"), &ignore_answers).unwrap()
}

#[test]
fn closed_loop_counts_answers_and_outcomes_of_the_window_only() {
    let mut plan = plan(server(|_| Act::Answer(OK)), 4, Mode::Closed);
    plan.warm_up = Duration::from_millis(200);
    plan.server_pid = Some(std::process::id());
    let (written, seen) = (RefCell::new(Vec::new()), Cell::new(0_u64));
    let result = run(
        &plan,
        &|sequence, buffer: &mut Vec<u8>| {
            written.borrow_mut().push(sequence);
            buffer.extend_from_slice(b"GET");
        },
        &|_, response| {
            seen.set(seen.get() + 1);
            assert!(response.sent <= response.received);
            response.body_contains("\"allow\":true").then_some("allow")
        },
    )
    .unwrap();
    assert_eq!(result.errors(), 0);
    assert!(result.succeeded > 0 && result.succeeded < seen.get(), "the warm-up was counted");
    assert_eq!(result.by_outcome, BTreeMap::from([("allow", result.succeeded)]));
    assert_eq!(result.by_status, BTreeMap::from([(200, result.succeeded)]));
    let rate = result.succeeded as f64 / 0.5;
    assert!((result.requests_per_second / rate - 1.0).abs() < 0.01);
    let latency = result.latency;
    assert!(latency.p50 > 0.0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
    assert!(result.cpu_cores.generator > 0.0 && result.cpu_cores.server.unwrap() > 0.0);
    let written = written.into_inner();
    assert!(written.iter().copied().eq(0..written.len() as u64), "sequence numbers have gaps");
}

#[test]
fn open_loop_keeps_to_its_rate() {
    let address = server(|_| Act::Answer(OK));
    let result = load(&plan(address, 8, Mode::Open { per_second: 1_000.0 }));
    assert_eq!(result.errors(), 0);
    assert_eq!(result.succeeded, 500);
}

#[test]
fn open_loop_charges_a_stall_to_every_request_that_waited() {
    let script = |number| match number {
        10 => Act::AnswerAfter(Duration::from_millis(200)),
        _ => Act::Answer(OK),
    };
    let result = load(&plan(server(script), 1, Mode::Open { per_second: 200.0 }));
    assert_eq!((result.errors(), result.succeeded), (0, 100));
    assert!(result.latency.max >= 200.0);
    // 200 ms is two fifths of the run: the requests due in it waited 195, 190, … ms.
    assert!(result.latency.p95 > 100.0, "p95 hides the stall: {:?}", result.latency);
    assert!(result.send_delay.p95 > 100.0);
}

#[test]
fn refusals_are_errors_and_not_in_the_rate() {
    let script = |number| Act::Answer(if number % 2 == 0 { OK } else { UNAVAILABLE });
    let result = load(&plan(server(script), 1, Mode::Open { per_second: 100.0 }));
    assert_eq!(result.by_status, BTreeMap::from([(200, 25), (503, 25)]));
    assert_eq!((result.succeeded, result.errors()), (25, 25));
    assert!((result.requests_per_second - 50.0).abs() < 1.0);
}

#[test]
fn refusals_in_the_warm_up_are_errors_too() {
    let script = |number| Act::Answer(if number == 0 { UNAVAILABLE } else { OK });
    let mut plan = plan(server(script), 1, Mode::Closed);
    plan.warm_up = Duration::from_millis(100);
    let result = load(&plan);
    assert_eq!((result.failures.outside_window, result.errors()), (1, 1));
}

#[test]
fn closed_connections_are_counted_and_opened_again() {
    let script = |number| if number == 4 { Act::Close } else { Act::Answer(OK) };
    let result = load(&plan(server(script), 1, Mode::Open { per_second: 100.0 }));
    assert_eq!((result.succeeded, result.failures.closed, result.errors()), (40, 10, 10));
}

#[test]
fn answers_without_a_length_are_counted() {
    let script = |_| Act::Answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let result = load(&plan(server(script), 1, Mode::Open { per_second: 100.0 }));
    assert_eq!((result.succeeded, result.failures.malformed), (0, 50));
}

#[test]
fn requests_without_an_answer_are_counted_sent_or_not() {
    let script = |number| if number == 5 { Act::Hang } else { Act::Answer(OK) };
    let result = load(&plan(server(script), 2, Mode::Open { per_second: 100.0 }));
    let failures = result.failures;
    assert_eq!((result.succeeded, failures.unanswered, failures.unsent), (10, 2, 38));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = plan(free, 1, Mode::Closed);
    let error = run(&plan, &|_, _: &mut Vec<u8>| (), &ignore_answers).unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn impossible_plans_are_errors() {
    let address = server(|_| Act::Answer(OK));
    let rates = [0.0, -1.0, f64::NAN, f64::INFINITY];
    let mut plans = vec![plan(address, 0, Mode::Closed)];
    plans.extend(rates.map(|per_second| plan(address, 1, Mode::Open { per_second })));
    plans.push(LoadPlan { measured: Duration::ZERO, ..plan(address, 1, Mode::Closed) });
    for plan in plans {
        assert!(run(&plan, &|_, _: &mut Vec<u8>| (), &ignore_answers).is_err(), "{plan:?}");
    }
}
