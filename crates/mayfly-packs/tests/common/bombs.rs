//! Modules that cost a compiler more than their size says: one family each, of a size that can be chosen.

use std::fmt::Write;

/// A module whose entry point has these locals and this body, after other functions.
fn module(extra: &str, locals: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024)) {extra}
        (func (export "kernel_forward") (param $d i32) (result i32) {locals} {body}))"#
    );
    wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}"))
}

fn times(n: usize, mut write: impl FnMut(&mut String, usize)) -> String {
    let mut text = String::new();
    (0..n).for_each(|i| write(&mut text, i));
    text
}

fn locals(n: usize) -> String {
    format!("(local {})", "i32 ".repeat(n))
}

/// Adds 1 to each of `n` locals.
fn bump(n: usize) -> String {
    times(n, |t, i| write!(t, "(local.set {0} (i32.add (local.get {0}) (i32.const 1)))", i + 1).unwrap())
}

fn sum(n: usize) -> String {
    times(n, |t, i| write!(t, "(i32.add (local.get {})", i + 1).unwrap()) + "(i32.const 0)" + &")".repeat(n)
}

/// A `br_table` of so many edges to the head of a loop, over so many variables.
fn table_to_loop(variables: usize, edges: usize) -> Vec<u8> {
    let body = format!("(loop {} (br_table {} (local.get $d))) (i32.const 0)", bump(variables), "0 ".repeat(edges));
    module("", &locals(variables), &body)
}

/// The same with `br_if`, so that every edge has a block of its own.
fn branches_to_loop(variables: usize, edges: usize) -> Vec<u8> {
    let body = format!("(loop {} {}) (i32.const 0)", bump(variables), "(br_if 0 (local.get 1))".repeat(edges));
    module("", &locals(variables), &body)
}

/// Loops in each other that all change the same variables.
fn nested_loops(variables: usize, depth: usize) -> Vec<u8> {
    let open = times(depth, |t, i| {
        write!(t, "(loop (local.set {0} (i32.add (local.get {0}) (local.get $d)))", 1 + i % variables).unwrap()
    });
    let close = times(depth, |t, i| write!(t, "(br_if 0 (local.get {})))", 1 + i % variables).unwrap());
    module("", &locals(variables), &format!("{open} {close} {}", sum(variables)))
}

/// Blocks in each other, one `br_table` to all of them.
fn switch(variables: usize, cases: usize) -> Vec<u8> {
    let targets = times(cases, |t, i| write!(t, "{i} ").unwrap());
    let bodies = times(cases, |t, i| {
        write!(t, ") (local.set {0} (i32.add (local.get {0}) (i32.const {i})))", 1 + i % variables).unwrap()
    });
    let body = format!("{} (br_table {targets} (local.get $d)) {bodies} {}", "(block ".repeat(cases), sum(variables));
    module("", &locals(variables), &body)
}

/// A row of `if`, each changing one variable.
fn ifs(variables: usize, n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(
            t,
            "(if (local.get {1}) (then (local.set {0} (i32.add (local.get {0}) (i32.const {i})))))",
            1 + i % variables,
            1 + (i + 1) % variables
        )
        .unwrap()
    });
    module("", &locals(variables), &format!("{body} {}", sum(variables)))
}

/// Values that wait on the operand stack while the control flow goes on.
fn waiting(values: usize, edges: usize) -> Vec<u8> {
    let push = times(values, |t, i| write!(t, "(i32.load offset={} (local.get $d))", 4 * i).unwrap());
    let flow = "(if (local.get $d) (then (i32.store (local.get $d) (i32.const 1))))".repeat(edges);
    module("", "", &format!("{push} {flow} {}", "i32.add ".repeat(values - 1)))
}

/// A function of many parameters and results called again and again with its own results.
fn calls(arity: usize, n: usize) -> Vec<u8> {
    let types = "i32 ".repeat(arity);
    let callee = format!(
        "(func $f (param {types}) (result {types}) {})",
        times(arity, |t, i| write!(t, "(local.get {}) ", arity - 1 - i).unwrap())
    );
    let body = format!("{} {} {}", "(local.get $d) ".repeat(arity), "call $f ".repeat(n), "i32.add ".repeat(arity - 1));
    module(&callee, "", &body)
}

/// Calls through a table while variables are alive.
fn indirect_calls(variables: usize, n: usize) -> Vec<u8> {
    let table = "(type $t (func (param i32) (result i32))) (table 1 1 funcref)";
    let body = times(n, |t, i| {
        write!(t, "(local.set {0} (call_indirect (type $t) (local.get {0}) (i32.const 0)))", 1 + i % variables).unwrap()
    });
    module(table, &locals(variables), &format!("{body} {}", sum(variables)))
}

/// Every value is used with every other: no register is ever free.
fn pressure(values: usize, rounds: usize) -> Vec<u8> {
    let load =
        times(values, |t, i| write!(t, "(local.set {} (i32.load offset={} (local.get $d)))", i + 1, 4 * i).unwrap());
    let mix = times(rounds * values, |t, i| {
        let (a, b) = (1 + i % values, 1 + (i * 7 + i / values + 1) % values);
        write!(t, "(local.set {a} (i32.xor (i32.mul (local.get {a}) (local.get {b})) (i32.const {i})))").unwrap();
    });
    module("", &locals(values), &format!("{load} {mix} {}", sum(values)))
}

fn selects(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(t, "(local.set 1 (select (i32.load offset={} (local.get $d)) (local.get 1) (i32.lt_s (local.get 1) (i32.const {i}))))", 4 * (i % 1000)).unwrap()
    });
    module("", &locals(1), &format!("{body} (local.get 1)"))
}

/// Constants that can all be worked out at once.
fn constants(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| write!(t, "(i32.const {}) i32.mul (i32.const {i}) i32.add ", 2 * i + 1).unwrap());
    module("", "", &format!("(i32.const 1) {body}"))
}

/// One deep expression.
fn deep(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| write!(t, "(i32.load offset={} (local.get $d)) ", 4 * (i % 4000)).unwrap());
    module("", "", &format!("{body} {}", "i32.xor ".repeat(n - 1)))
}

/// Sums that can be turned around in many ways.
fn sums(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(
            t,
            "(local.set {} (i32.add (i32.add (local.get {}) (local.get {})) (i32.sub (local.get {}) (i32.const {i}))))",
            1 + i % 7,
            1 + (i + 1) % 7,
            1 + (i + 2) % 7,
            1 + (i + 3) % 7
        )
        .unwrap();
    });
    module("", &locals(7), &format!("{body} {}", sum(7)))
}

/// Vector operators that become many instructions each.
fn vectors(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(t, "(local.set 1 (i8x16.shl (i64x2.mul (local.get 1) (i8x16.shuffle {0} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (local.get 1) (f32x4.nearest (local.get 1)))) (i32.const {1})))", i % 32, i % 7 + 1).unwrap();
    });
    module("", "(local v128)", &format!("{body} (i32x4.extract_lane 0 (local.get 1))"))
}

/// Conversions and divisions, each with its checks.
fn checks(n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(t, "(local.set 1 (i32.div_s (i32.trunc_f64_s (f64.load offset={} (local.get 1))) (i32.load8_s offset=4000000000 (local.get 1))))", i % 60_000).unwrap()
    });
    module("", &locals(1), &format!("{body} (local.get 1)"))
}

fn fills(n: usize) -> Vec<u8> {
    module("", "", &format!("{} (i32.const 0)", "(memory.fill (local.get $d) (i32.const 0) (local.get $d))".repeat(n)))
}

/// Many functions with many locals, and nothing in them.
fn functions(n: usize, each: usize) -> Vec<u8> {
    module(&times(n, |t, _| write!(t, "(func {})", locals(each)).unwrap()), "", "(i32.const 0)")
}

/// Blocks that hand many values on, and a table of edges to them.
fn values_of_blocks(results: usize, edges: usize) -> Vec<u8> {
    let types = "i32 ".repeat(results);
    let body = format!(
        "(block (result {types}) {} (br_table {} (local.get $d))) {}",
        times(results, |t, i| write!(t, "(i32.load offset={} (local.get $d)) ", 4 * i).unwrap()),
        "0 ".repeat(edges),
        "i32.add ".repeat(results - 1)
    );
    module("", "", &body)
}

/// Loops one after the other over variables that hardly any of them changes.
fn rows_of_loops(variables: usize, n: usize) -> Vec<u8> {
    let body = times(n, |t, i| {
        write!(
            t,
            "(loop (local.set {0} (i32.sub (local.get {0}) (local.get {1}))) (br_if 0 (local.get {0})))",
            1 + i % variables,
            1 + (i + 1) % variables
        )
        .unwrap();
    });
    module("", &locals(variables), &format!("{body} {}", sum(variables)))
}

/// A family: its name, and the module of a size.
pub type Family = (&'static str, fn(usize) -> Vec<u8>);

/// Sizes are chosen so that bytes and costs grow about as `n` does.
pub const FAMILIES: &[Family] = &[
    ("table to a loop, 200 variables", |n| table_to_loop(200, n)),
    ("table to a loop, 20 variables", |n| table_to_loop(20, n)),
    ("branches to a loop, 100 variables", |n| branches_to_loop(100, n)),
    ("branches to a loop, 10 variables", |n| branches_to_loop(10, n)),
    ("loops in each other, 8 variables", |n| nested_loops(8, n.min(500))),
    ("loops in each other, 300 variables", |n| nested_loops(300, n.min(500))),
    ("switch, 8 variables", |n| switch(8, n.min(500))),
    ("switch, 100 variables", |n| switch(100, n.min(500))),
    ("ifs, 10 variables", |n| ifs(10, n)),
    ("ifs, 200 variables", |n| ifs(200, n)),
    ("waiting values, 100", |n| waiting(100, n)),
    ("waiting values, 1000", |n| waiting(1000, n)),
    ("calls, 100 parameters and results", |n| calls(100, n)),
    ("calls, 2 parameters and results", |n| calls(2, n)),
    ("indirect calls, 50 variables", |n| indirect_calls(50, n)),
    ("pressure, 100 values", |n| pressure(100, n.div_ceil(100))),
    ("pressure, 2000 values", |n| pressure(2000, n.div_ceil(2000))),
    ("selects", selects),
    ("constants", constants),
    ("deep", deep),
    ("sums", sums),
    ("vectors", vectors),
    ("checks", checks),
    ("fills", fills),
    ("functions of 1000 locals", |n| functions(n.min(4000), 1000)),
    ("functions of nothing", |n| functions(n.min(4000), 0)),
    ("values of blocks, 120", |n| values_of_blocks(120, n)),
    ("rows of loops, 10 variables", |n| rows_of_loops(10, n)),
    ("rows of loops, 300 variables", |n| rows_of_loops(300, n)),
];

/// The attack that showed the fault: 6 kB, 20 s.
#[allow(dead_code)] // not every program that has the families asks for it
pub fn first_found() -> Vec<u8> {
    table_to_loop(200, 5000)
}
