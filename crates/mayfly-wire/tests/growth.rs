//! Links opened and closed by the thousand. A file of its own, so that no other test's files and memory are counted.

mod common;

use common::*;
use mayfly_wire::*;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in KiB.
fn resident_kib() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

/// Opens a link, uses it and closes it, this many times.
async fn open_and_close(a: &Endpoint, b: &Endpoint, times: usize) {
    let to = peer(b);
    for _ in 0..times {
        soon("the link", a.connect(to)).await.unwrap();
        assert!(matches!(soon("up", b.next()).await, Some(Event::Up { .. })));
        assert!(matches!(soon("up", a.next()).await, Some(Event::Up { .. })));
        a.disconnect(to.id, CloseReason::Leaving);
        assert!(matches!(soon("down", b.next()).await, Some(Event::Down { .. })));
        assert!(matches!(soon("down", a.next()).await, Some(Event::Down { .. })));
    }
    until("the connections to be forgotten", || a.open_connections() + b.open_connections() == 0).await;
}

async fn no_growth(times: usize, most_kib: usize) {
    let (a, b) = pair();
    open_and_close(&a, &b, 100).await; // warm: caches and buffers have their size
    let (files, memory) = (open_files(), resident_kib());
    open_and_close(&a, &b, times).await;
    let grown = resident_kib().saturating_sub(memory);
    assert_eq!(open_files(), files);
    assert!(grown < most_kib, "{times} links left {grown} KiB behind");
}

#[tokio::test]
async fn links_opened_and_closed_leave_nothing_behind() {
    no_growth(300, 8 << 10).await; // what 28 kB a link would leave
}

#[tokio::test]
#[ignore = "nightly"]
async fn ten_thousand_links_opened_and_closed_leave_nothing_behind() {
    no_growth(10_000, 16 << 10).await; // what 1.6 kB a link would leave
}
