//! What every transport owes its driver, asked of the real one and of the one in memory alike.

mod common;

use common::*;
use mayfly_base::Rng;
use mayfly_wire::*;
use std::sync::Arc;
use std::time::Duration;

fn memory_pair() -> (MemoryEndpoint, MemoryEndpoint) {
    let net = MemoryNet::new(1);
    let addr = |port: u16| std::net::SocketAddr::from(([10, 0, 0, 1], port));
    (net.endpoint(identity(1).id(), addr(1)), net.endpoint(identity(2).id(), addr(2)))
}

/// The same test under both transports.
macro_rules! on_both {
    ($($name:ident),*) => {
        mod quic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (a, b) = super::pair();
                super::$name(a, b).await;
            })*
        }
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (a, b) = super::memory_pair();
                super::$name(a, b).await;
            })*
        }
    };
}

on_both!(
    requests_are_answered,
    refusals_and_dropped_requests_are_told,
    too_long_is_refused_on_both_sides,
    datagrams_arrive,
    bodies_arrive_whole,
    a_slow_reader_holds_the_writer_up,
    a_cut_body_is_an_error,
    links_come_and_go,
    strangers_at_an_address_are_refused,
    a_closed_endpoint_says_so,
    calls_from_many_tasks_share_one_link
);

async fn requests_are_answered<T: Transport>(a: T, b: T) {
    let (to, b) = (peer(&b), Arc::new(b));
    let serving = answer_all(b.clone());
    let mut rng = Rng::new(3);
    for len in [0, 1, 1024, 1025, 5000, 70_000, 1 << 20, 4 << 20] {
        let question: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let mut want = question.clone();
        want.reverse();
        assert_eq!(soon("a request", a.request(to, TOPIC, &question)).await.unwrap(), want, "{len} bytes");
    }
    b.close().await;
    assert_eq!(soon("the server", serving).await.unwrap(), 8);
}

async fn refusals_and_dropped_requests_are_told<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    let serving = tokio::spawn(async move {
        let Event::Request { from, topic, payload, reply } = message(&b).await else { panic!("no request") };
        assert_eq!((topic, payload), (TOPIC, b"may I?".to_vec()));
        reply.refuse(42, "no");
        let Event::Request { reply, .. } = message(&b).await else { panic!("no request") };
        drop(reply);
        (from.id, b)
    });
    let refused = a.request(to, TOPIC, b"may I?").await;
    assert!(matches!(&refused, Err(WireError::Failed { code: 42, message }) if message == "no"), "{refused:?}");
    let dropped = a.request(to, TOPIC, b"anybody?").await;
    assert!(matches!(dropped, Err(WireError::Failed { code: FAILURE_DROPPED, .. })), "{dropped:?}");
    assert_eq!(serving.await.unwrap().0, a.id());
}

async fn too_long_is_refused_on_both_sides<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    let serving = tokio::spawn(async move {
        let Event::Request { reply, .. } = message(&b).await else { panic!("no request") };
        reply.answer(vec![0; (4 << 20) + 1]);
        b
    });
    let sent = a.request(to, TOPIC, &vec![0; (4 << 20) + 1]).await;
    assert!(matches!(sent, Err(WireError::TooLong { len: 4_194_305, limit: 4_194_304, .. })), "{sent:?}");
    let answered = a.request(to, TOPIC, b"").await;
    assert!(matches!(answered, Err(WireError::Failed { code: FAILURE_TOO_LONG, .. })), "{answered:?}");
    let body = a.body(to, TOPIC, b"", (1 << 30) + 1).await;
    assert!(matches!(body, Err(WireError::TooLong { .. })), "{body:?}");
    let datagram = a.datagram(to, TOPIC, &noise(100_000)).await;
    assert!(matches!(datagram, Err(WireError::TooLong { .. })), "{datagram:?}");
    drop(serving.await);
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut rng = Rng::new(len as u64);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}

async fn datagrams_arrive<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    for i in 0..50_u8 {
        a.datagram(to, u16::from(i), &vec![i; 20 * usize::from(i)]).await.unwrap();
        let Event::Datagram { from, topic, payload } = message(&b).await else { panic!("no datagram") };
        assert_eq!((from.id, topic, payload), (a.id(), u16::from(i), vec![i; 20 * usize::from(i)]));
    }
    assert!(a.datagram(to, 0, &noise(1000)).await.is_ok());
}

async fn bodies_arrive_whole<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    for len in [0_usize, 1, 65_536, 3_000_001] {
        let sent = noise(len);
        let writing = async {
            let mut body = a.body(to, TOPIC, b"weights", len as u64).await.unwrap();
            for part in sent.chunks(100_000) {
                body.write(part).await.unwrap();
            }
            body.finish().await.unwrap();
        };
        let reading = async {
            let Event::Body { meta, body, topic, .. } = message(&b).await else { panic!("no body") };
            assert_eq!((meta.as_slice(), topic, body.declared_len()), (b"weights".as_slice(), TOPIC, len as u64));
            body.read_to_end(1 << 30).await.unwrap()
        };
        let ((), got) = soon("the body", async { tokio::join!(writing, reading) }).await;
        assert!(got == sent, "{len} bytes differ");
    }
}

async fn a_slow_reader_holds_the_writer_up<T: Transport>(a: T, b: T) {
    const LEN: u64 = 100 << 20;
    let to = peer(&b);
    let mut body = a.body(to, TOPIC, b"", LEN).await.unwrap();
    let Event::Body { body: mut reader, .. } = message(&b).await else { panic!("no body") };
    let chunk = vec![0; 1 << 20];
    let mut written = 0;
    // Nobody reads: what is under way has a bound, far below the whole.
    while let Ok(sent) = tokio::time::timeout(Duration::from_millis(500), body.write(&chunk)).await {
        sent.unwrap();
        written += 1;
        assert!(written <= 64, "{written} MiB under way and nobody reads");
    }
    let mut buffer = vec![0; 1 << 20];
    assert!(soon("reading", reader.read(&mut buffer)).await.unwrap() > 0);
    drop(reader);
    let gone = soon("the writer", async {
        loop {
            if let Err(error) = body.write(&chunk).await {
                return error;
            }
        }
    });
    let gone = gone.await;
    assert!(matches!(gone, WireError::Lost { .. }), "{gone:?}");
}

async fn a_cut_body_is_an_error<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    let mut body = a.body(to, TOPIC, b"", 1000).await.unwrap();
    body.write(&[1; 400]).await.unwrap();
    let over = body.write(&[1; 601]).await;
    assert!(matches!(over, Err(WireError::BodyLength { declared: 1000, got: 1001 })), "{over:?}");
    let early = body.finish().await;
    assert!(matches!(early, Err(WireError::BodyLength { declared: 1000, got: 400 })), "{early:?}");
    let Event::Body { body, .. } = message(&b).await else { panic!("no body") };
    let got = body.read_to_end(1 << 20).await;
    assert!(matches!(got, Err(WireError::BodyLength { declared: 1000, got: 400 })), "{got:?}");
    let _unfinished = a.body(to, TOPIC, b"", 1 << 20).await.unwrap();
    let Event::Body { body, .. } = message(&b).await else { panic!("no body") };
    assert!(matches!(body.read_to_end(1000).await, Err(WireError::TooLong { .. })));
}

async fn links_come_and_go<T: Transport>(a: T, b: T) {
    a.connect(peer(&b)).await.unwrap();
    for (here, there) in [(&a, &b), (&b, &a)] {
        let up = soon("up", here.next()).await;
        assert!(matches!(up, Some(Event::Up { peer }) if peer.id == there.id()), "{up:?}");
        let links = here.links();
        assert_eq!(links.iter().map(|link| link.peer.id).collect::<Vec<_>>(), [there.id()]);
    }
    a.close().await;
    let down = soon("down", b.next()).await;
    assert!(matches!(down, Some(Event::Down { id, why: CloseReason::Leaving }) if id == a.id()), "{down:?}");
    assert!(b.links().is_empty());
    assert!(a.next().await.is_none());
}

async fn strangers_at_an_address_are_refused<T: Transport>(a: T, b: T) {
    let wrong = Peer { id: a.id(), addr: b.addr() };
    let refused = a.connect(wrong).await;
    let (want, found) = (a.id(), b.id());
    assert!(matches!(refused, Err(WireError::WrongPeer { want: w, got }) if w == want && got == found), "{refused:?}");
}

async fn a_closed_endpoint_says_so<T: Transport>(a: T, b: T) {
    let to = peer(&b);
    a.connect(to).await.unwrap();
    a.close().await;
    assert!(matches!(a.request(to, TOPIC, b"").await, Err(WireError::Closed)));
    assert!(matches!(a.connect(to).await, Err(WireError::Closed)));
}

async fn calls_from_many_tasks_share_one_link<T: Transport>(a: T, b: T) {
    let (to, back, a, b) = (peer(&b), peer(&a), Arc::new(a), Arc::new(b));
    let _serving = (answer_all(a.clone()), answer_all(b.clone()));
    // Both sides call at once, many times: whoever wins the race, every call is answered.
    let calls = (0..200_u32).map(|i| {
        let (from, to) = if i % 2 == 0 { (a.clone(), to) } else { (b.clone(), back) };
        tokio::spawn(async move { from.request(to, TOPIC, &i.to_le_bytes()).await })
    });
    for (i, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = soon("a call", call).await.unwrap();
        assert_eq!(answer.unwrap(), (i as u32).to_be_bytes(), "call {i}");
    }
    assert_eq!((a.links().len(), b.links().len()), (1, 1));
}

/// A process killed and started again at its address: what it still gets for its former self, it answers with a reset. Without that, the other side would take
/// 15 s of silence for loss.
#[test]
fn a_killed_and_restarted_process_is_noticed_at_once() {
    let tokio = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    let mut lasting = config(KeyExchange::Hybrid);
    lasting.idle_timeout_ms = 600_000;
    let (here, first) = (tokio(), tokio());
    let a = here.block_on(async { bind_with(&a, list.clone(), lasting.clone()) });
    let b_before = first.block_on(async { bind_with(&b, list.clone(), lasting.clone()) });
    let to = peer(&b_before);
    here.block_on(a.connect(to)).unwrap();
    first.shutdown_timeout(LONG); // with what sends for it gone, it says nothing when it goes: as if killed
    drop(b_before);
    let again = EndpointConfig { listen: to.addr, ..lasting };
    let bound = async {
        loop {
            match Endpoint::bind(b.clone(), Arc::new(TrustStore::in_memory(list.clone())), again.clone()) {
                Ok(b) => return b,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await, // the port is not free yet
            }
        }
    };
    let _b = here.block_on(soon("the port", bound));
    let up = here.block_on(soon("up", a.next()));
    assert!(matches!(up, Some(Event::Up { .. })), "{up:?}");
    let talking = async {
        loop {
            let _ = a.datagram(to, TOPIC, &noise(100)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let down = here.block_on(soon("down", async {
        tokio::select! {
            () = talking => None,
            down = a.next() => down,
        }
    }));
    assert!(matches!(down, Some(Event::Down { why: CloseReason::Lost, .. })), "{down:?}");
    here.block_on(soon("a new link", a.connect(to))).unwrap();
}

/// As above, but at another address: nothing resets the old link, and it is the one that both would keep of two. The new process says that it is another.
#[test]
fn a_process_restarted_elsewhere_is_talked_to_there() {
    let tokio = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut low, mut high) = (identity(1), identity(2));
    if low.id() > high.id() {
        std::mem::swap(&mut low, &mut high); // a link that the lower one started stays
    }
    let list = trust(&[&low, &high]);
    let (here, first) = (tokio(), tokio());
    let a = here.block_on(async { bind(&low, list.clone()) });
    let before = first.block_on(async { bind(&high, list.clone()) });
    here.block_on(a.connect(peer(&before))).unwrap();
    first.shutdown_timeout(LONG);
    here.block_on(async {
        let after = bind(&high, list.clone());
        soon("a call", after.connect(peer(&a))).await.unwrap();
        a.datagram(peer(&after), TOPIC, b"are you there?").await.unwrap();
        let Event::Datagram { payload, .. } = message(&after).await else { panic!("no datagram") };
        assert_eq!(payload, b"are you there?");
    });
    drop(before);
}

#[tokio::test]
async fn who_is_at_an_address_is_told_of_members_only() {
    let (a, b) = pair();
    assert_eq!(a.who_is_at(b.addr()).await.unwrap(), b.id());
    assert_eq!(a.who_is_at(a.addr()).await.unwrap(), a.id());
    let stranger = bind(&identity(3), trust(&[&identity(3), &identity(1)]));
    let asked = a.who_is_at(stranger.addr()).await;
    assert!(matches!(&asked, Err(WireError::Connect { reason, .. }) if reason.contains("no member")), "{asked:?}");
    assert!(a.links().is_empty() && b.links().is_empty());
}

/// Those who talk to a node that is gone share one call: its failure is theirs, and nobody queues.
#[tokio::test]
async fn a_failed_call_is_shared() {
    let (caller, to, _silent) = caller_of_nobody(500);
    let caller = Arc::new(caller);
    let call = |_| {
        let caller = caller.clone();
        tokio::spawn(async move { caller.connect(to).await })
    };
    let calls: Vec<_> = (0..20).map(call).collect();
    let mut tried = 0;
    for call in calls {
        match soon("a call", call).await.unwrap() {
            Err(WireError::TimedOut { .. }) => tried += 1,
            Err(WireError::Connect { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tried, 1);
}
