//! How much stack the deepest policies take that vetting admits, one of each shape. Nothing
//! overflows here: each runs with room to spare, and what it took is compared with what is allowed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regorus::{Engine, Value};
use sentinel_core::policy::PolicyError;
use sentinel_policy_analysis::interpreter::{NEED, STACK};

use crate::support::{usual, vet, with_rules};

/// The other half of what an evaluation finds at least is for builtins, and a margin.
const ALLOWED: usize = NEED / 2;
/// More links than any shape has where it is admitted.
const MOST: usize = 400;

/// What the deepest rule calls; here it looks at the stack.
const PROBE: &str = "ceil(1)";

/// The shapes: rules of a chain with so many links, `allow` at its head and the probe at its end.
type Shape = fn(usize) -> String;

fn chain(links: usize, last: &str, link: impl Fn(usize, usize) -> String) -> String {
    let mut rules = String::new();
    for at in 0..links {
        writeln!(rules, "{}", link(at, at + 1)).unwrap();
    }
    format!("{rules}{}\n", last.replace('N', &links.to_string()))
}

const SHAPES: [(&str, Shape); 18] = [
    ("functions", |n| {
        format!(
            "allow if 0 != f0(1)\n{}",
            chain(n, "fN(x) := ceil(x)", |a, b| format!("f{a}(x) := f{b}(x)"))
        )
    }),
    ("functions with bodies", |n| {
        let link = |a, b| format!("f{a}(x) := y if {{ y := f{b}(x) }}");
        format!("allow if 0 != f0(1)\n{}", chain(n, "fN(x) := ceil(x)", link))
    }),
    ("functions of patterns", |n| {
        let link = |a, b| format!("f{a}([x, y]) := f{b}([y, x])");
        format!("allow if 0 != f0([1, 1])\n{}", chain(n, "fN(x) := ceil(x[0])", link))
    }),
    ("rules", |n| {
        format!("allow if 0 != r0\n{}", chain(n, "rN := ceil(1)", |a, b| format!("r{a} := r{b}")))
    }),
    ("rules with bodies", |n| {
        format!("allow if r0\n{}", chain(n, "rN if ceil(1)", |a, b| format!("r{a} if r{b}")))
    }),
    ("rules by their paths", |n| {
        let link = |a, b| format!("r{a} := data.sentinel.policy.r{b}");
        format!("allow if 0 != r0\n{}", chain(n, "rN := ceil(1)", link))
    }),
    ("else", |n| {
        let link = |a, b| format!("r{a} := 1 if {{ false }} else := r{b} if {{ true }}");
        format!("allow if 0 != r0\n{}", chain(n, "rN := ceil(1)", link))
    }),
    ("sets", |n| {
        let link = |a, b| format!("s{a} contains x if {{ some x in s{b} }}");
        format!("allow if 0 != s0\n{}", chain(n, "sN contains x if { x := ceil(1) }", link))
    }),
    ("objects", |n| {
        let link = |a, b| format!("o{a}[k] := v if {{ some k, v in o{b} }}");
        format!("allow if 0 != o0\n{}", chain(n, "oN[k] := 1 if { k := ceil(1) }", link))
    }),
    ("negations and comprehensions", |n| {
        let link = |a, b| {
            format!(
                "f{a}(x) if {{ not g{a}(x) }}\ng{a}(x) if {{ c := [y | y := f{b}(x)]; count(c) == 7 }}"
            )
        };
        format!("allow if f0(1)\n{}", chain(n, "fN(x) := ceil(x)", link))
    }),
    ("every", |n| {
        let link = |a, b| format!("r{a} if {{ every x in [1] {{ x == 1; r{b} }} }}");
        format!("allow if r0\n{}", chain(n, "rN if ceil(1)", link))
    }),
    ("with", |n| {
        let link = |a, b| format!("r{a} if {{ r{b} with input.x as 1 }}");
        format!("allow if r0\n{}", chain(n, "rN if ceil(1)", link))
    }),
    ("nested values", |n| {
        let link = |a, b| format!("r{a} := {{\"a\": [[[{{\"b\": r{b}}}]]]}}");
        format!("allow if 0 != r0\n{}", chain(n, "rN := ceil(1)", link))
    }),
    ("arithmetic", |n| {
        let link = |a, b| format!("r{a} := 1 + (2 * (3 - r{b}))");
        format!("allow if 0 != r0\n{}", chain(n, "rN := ceil(1)", link))
    }),
    ("loops of a body", |n| {
        let loops = (0..n).fold(String::new(), |text, at| format!("{text}\tsome x{at} in [1]\n"));
        format!("allow if {{\n{loops}\t{PROBE} == 1\n}}\n")
    }),
    ("loops of a value", |n| {
        let terms = (0..n).fold(String::new(), |text, at| format!("{text}one[i{at}],\n\t"));
        format!("one := [1]\nallow if 0 != p\np := [{terms}{PROBE}]\n")
    }),
    ("loops of a comprehension", |n| {
        let terms = (0..n).fold(String::new(), |text, at| format!("{text}one[i{at}],\n\t"));
        format!("one := [1]\nallow if count([[{terms}{PROBE}] | true]) == 1\n")
    }),
    ("indexes of a body", |n| {
        let loops = (0..n).fold(String::new(), |text, at| format!("{text}\tone[i{at}] == 1\n"));
        format!("one := [1]\nallow if {{\n{loops}\t{PROBE} == 1\n}}\n")
    }),
];

/// The longest chain that vetting admits.
fn longest(shape: Shape) -> (usize, String) {
    let (mut least, mut most) = (1, MOST);
    while least + 1 < most {
        let middle = usize::midpoint(least, most);
        match vet(&shape(middle)) {
            Ok(_) => least = middle,
            Err(error) => {
                assert!(error.to_string().contains("levels deep"), "{error}");
                most = middle;
            }
        }
    }
    (least, shape(least))
}

/// The stack that evaluating takes, from here to where the probe is called.
fn used(rules: &str) -> usize {
    let mut engine = Engine::new();
    let text = format!("package sentinel.policy\n{rules}");
    engine.add_policy("p.rego".to_owned(), text).unwrap();
    let least = Arc::new(AtomicUsize::new(usize::MAX));
    let seen = Arc::clone(&least);
    let probe = move |mut values: Vec<Value>| {
        seen.fetch_min(stacker::remaining_stack().unwrap(), Ordering::Relaxed);
        Ok(values.remove(0))
    };
    engine.add_extension("ceil".to_owned(), 1, Box::new(probe)).unwrap();
    let evaluating = std::thread::Builder::new().stack_size(32 * STACK).spawn(move || {
        let before = stacker::remaining_stack().unwrap();
        engine.eval_rule("data.sentinel.policy.allow".to_owned()).unwrap();
        before
    });
    let before = evaluating.unwrap().join().unwrap();
    let least = least.load(Ordering::Relaxed);
    assert!(least != usize::MAX, "the probe was not called");
    before - least
}

#[test]
fn the_deepest_policies_that_are_admitted_take_half_of_what_there_is_at_least() {
    let mut over = Vec::new();
    for (name, shape) in SHAPES {
        let (length, rules) = longest(shape);
        assert!(length > 3, "{name}: {length}");
        let used = used(&rules);
        println!("{name}: {length} links, {} KiB", used / 1024);
        if used > ALLOWED {
            over.push(format!("{name}: {used}"));
        }
    }
    assert!(over.is_empty(), "more than {ALLOWED} bytes: {over:?}");
}

/// An evaluation looks at the stack that is left, and moves when there is too little.
#[test]
fn the_deepest_policies_are_evaluated_wherever_they_are_asked() {
    for (name, shape) in SHAPES {
        let rules = longest(shape).1;
        let small = std::thread::Builder::new().stack_size(512 * 1024);
        let asked = small.spawn(move || usual().decide(&with_rules(&rules))).unwrap();
        let decided = asked.join().unwrap();
        let ended =
            matches!(decided, Ok(_) | Err(PolicyError::Undefined | PolicyError::Malformed(_)));
        assert!(ended, "{name}: {decided:?}");
    }
}
