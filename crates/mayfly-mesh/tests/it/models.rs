//! The registry of models: its stages against a model of them, its service, and sessions that change over.

use crate::common::served::Node;
use crate::common::{apply_bytes, seeds};
use mayfly_base::{NodeId, Rng};
use mayfly_mesh::models::{
    self, Blobs, Live, Manifest, ModelHost, ModelRefusal, SIGNED_AS, Unfit, Which, check, check_bytes,
};
use mayfly_mesh::proto::modelspb::command::Request;
use mayfly_mesh::proto::modelspb::models_client::ModelsClient;
use mayfly_mesh::proto::modelspb::{
    AliasRequest, Asked, BlobRequest, Canary, DownloadRequest, FollowRequest, ForgetRequest, GetRequest, LogRequest,
    RegisterRequest, RollbackRequest, Signed, Stage, StageRequest, UploadRequest, Version,
};
use mayfly_mesh::{Store, Tag, modules};
use mayfly_wire::Identity;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tonic::Code;

const NAME: &str = "pumps";

fn asked(time_ms: i64) -> Option<Asked> {
    Some(Asked { by: "someone".into(), time_ms, reason: "because".into() })
}

/// A registration that nobody has signed: the state machine leaves that to who asks it.
fn registration(version: u64, not_after: Option<i64>) -> Request {
    let manifest = Manifest { not_after, ..Manifest::new(NAME, version, b"bytes", "nobody".into(), 0) };
    let signed = Some(Signed { manifest: manifest.write(), ..Signed::default() });
    Request::Register(RegisterRequest { signed, asked: asked(0) })
}

fn to(version: u64, stage: Stage) -> Request {
    Request::Stage(StageRequest {
        name: NAME.into(),
        version,
        to: stage.into(),
        asked: asked(0),
        ..StageRequest::default()
    })
}

fn rollback() -> Request {
    Request::Rollback(RollbackRequest { name: NAME.into(), expected_live: None, asked: asked(0) })
}

fn forget(version: u64) -> Request {
    Request::Forget(ForgetRequest { name: NAME.into(), version, asked: asked(0) })
}

fn change(store: &Store, request: Request) -> Result<Version, ModelRefusal> {
    let answers = apply_bytes(store, &[models::entry(request).encode()]).expect("applied");
    models::answer(&answers[0]).expect("an answer")
}

/// What stages must do, said in another way: each version's stage, and those that were live, the newest last.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stages {
    of: Vec<Stage>,
    forgotten: Vec<bool>,
    live_before: Vec<usize>,
}

impl Stages {
    fn only(&self, stage: Stage) -> Option<usize> {
        let all: Vec<usize> = (0..self.of.len()).filter(|i| self.of[*i] == stage).collect();
        assert!(all.len() <= 1, "{stage:?}: {all:?}");
        all.first().copied()
    }

    /// Is it done? Otherwise nothing changes.
    fn set(&mut self, version: usize, to: Stage) -> bool {
        let (Some(from), live) = (self.of.get(version).copied(), self.only(Stage::Live)) else { return false };
        let may = match to {
            Stage::Live => !self.forgotten[version],
            Stage::Canary => {
                !self.forgotten[version] && self.only(Stage::Canary).is_none() && live.is_some_and(|l| l != version)
            }
            Stage::Candidate => from == Stage::Canary,
            Stage::Retired => true,
        };
        if from == to || !may {
            return false;
        }
        if let (Stage::Live, Some(old)) = (to, live) {
            self.of[old] = Stage::Retired;
            self.was_live(old);
        }
        if (from, to) == (Stage::Live, Stage::Retired) {
            self.was_live(version);
        }
        if to == Stage::Live {
            self.live_before.retain(|before| *before != version);
        }
        self.of[version] = to;
        true
    }

    fn was_live(&mut self, version: usize) {
        self.live_before.retain(|before| *before != version);
        self.live_before.push(version);
        if self.live_before.len() > 8 {
            self.live_before.remove(0);
        }
    }

    fn roll_back(&mut self) -> bool {
        let Some(before) = self.live_before.pop() else { return false };
        if let Some(live) = self.only(Stage::Live) {
            self.of[live] = Stage::Retired;
        }
        self.of[before] = Stage::Live;
        true
    }

    fn forget(&mut self, version: usize) -> bool {
        let may = self.of.get(version) == Some(&Stage::Retired) && !self.live_before.contains(&version);
        if may {
            self.forgotten[version] = true;
        }
        may
    }
}

#[test]
fn stages_are_as_their_model_says() {
    for seed in 0..seeds(100) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), modules()).expect("a store");
        let (mut rng, mut stages) = (Rng::new(seed), Stages::default());
        for step in 0..60 {
            let before = stages.clone();
            let version = rng.below(stages.of.len() as u64 + 1);
            let stage = [Stage::Candidate, Stage::Canary, Stage::Live, Stage::Retired][rng.below(4) as usize];
            let (request, is_done) = match rng.below(10) {
                0..3 => {
                    let next = stages.of.len() as u64 + 1 - u64::from(rng.below(5) == 0);
                    let is_next = next == stages.of.len() as u64 + 1;
                    if is_next {
                        stages.of.push(Stage::Candidate);
                        stages.forgotten.push(false);
                    }
                    (registration(next, None), is_next)
                }
                3..8 => (to(version + 1, stage), stages.set(version as usize, stage)),
                8 => (rollback(), stages.roll_back()),
                _ => (forget(version + 1), stages.forget(version as usize)),
            };
            if matches!(&request, Request::Register(register) if Manifest::read(&register.signed.as_ref().expect("signed").manifest).is_err())
            {
                continue; // version 0
            }
            let told = change(&store, request.clone());
            assert_eq!(told.is_ok(), is_done, "seed {seed}, step {step}: {request:?}: {told:?}, {before:?}");
            if told.is_err() {
                assert_eq!(stages, before);
            }
            let found = store.read(|transaction| models::versions(transaction, NAME)).expect("read");
            let found: Vec<(Stage, bool)> = found.iter().map(|version| (version.stage(), version.forgotten)).collect();
            let want: Vec<(Stage, bool)> = stages.of.iter().copied().zip(stages.forgotten.iter().copied()).collect();
            assert_eq!(found, want, "seed {seed}, step {step}: {request:?}, {before:?}");
        }
        check_events(&store, &stages);
        check_snapshot(&store);
    }
}

/// What happened leads to what is.
fn check_events(store: &Store, stages: &Stages) {
    let mut of = Vec::new();
    for event in store.read(|transaction| models::events(transaction, NAME)).expect("read") {
        let version = event.version as usize - 1;
        if event.is_new {
            assert_eq!(version, of.len());
            of.push(Stage::Candidate);
        }
        assert_eq!(of[version], event.from());
        of[version] = event.to();
    }
    assert_eq!(of, stages.of);
}

fn check_snapshot(store: &Store) {
    let mut bytes = Vec::new();
    store.snapshot(&mut bytes).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let other =
        Store::join(folder.path(), mayfly_mesh::Owner { member: 9, ..store.owner() }, modules()).expect("a store");
    other.restore(&mut &bytes[..]).expect("taken");
    assert_eq!(other.hash(Tag::MODELS).expect("read"), store.hash(Tag::MODELS).expect("read"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    assert_eq!(change(&store, rollback()), Err(ModelRefusal::NoSuchModel));
    change(&store, registration(1, Some(10))).expect("registered");
    let late = StageRequest {
        name: NAME.into(),
        version: 1,
        to: Stage::Live.into(),
        asked: asked(11_000),
        ..StageRequest::default()
    };
    assert_eq!(change(&store, Request::Stage(late)), Err(ModelRefusal::Expired));
    let other = StageRequest {
        expected_live: Some(3),
        ..StageRequest { name: NAME.into(), version: 1, to: Stage::Live.into(), ..StageRequest::default() }
    };
    assert_eq!(change(&store, Request::Stage(other)), Err(ModelRefusal::OtherLive));
    assert_eq!(change(&store, to(1, Stage::Canary)), Err(ModelRefusal::NothingBeside));
    change(&store, to(1, Stage::Live)).expect("live");
    assert_eq!(change(&store, rollback()), Err(ModelRefusal::NothingBefore));
    let alias = |alias: &str, version| {
        Request::Alias(AliasRequest { name: NAME.into(), alias: alias.into(), version, asked: None })
    };
    for wrong in ["", "live", "7", "a b"] {
        assert_eq!(change(&store, alias(wrong, 1)), Err(ModelRefusal::BadAlias));
    }
    assert_eq!(change(&store, alias("best", 2)), Err(ModelRefusal::NoSuchModel));
    assert_eq!(change(&store, alias("best", 1)).expect("named").aliases, ["best"]);
    change(&store, registration(2, None)).expect("registered");
    change(&store, alias("best", 2)).expect("named");
    let found = store.read(|transaction| models::version(transaction, NAME, Which::Alias("best"))).expect("read");
    assert_eq!(found.expect("there").version, 2);
    change(&store, alias("best", 0)).expect("taken away");
    let found = store.read(|transaction| models::version(transaction, NAME, Which::Alias("best"))).expect("read");
    assert_eq!(found, Err(ModelRefusal::NoSuchModel));
    let garbage = Signed { manifest: b"{}".to_vec(), ..Signed::default() };
    let garbage = Request::Register(RegisterRequest { signed: Some(garbage), asked: None });
    assert_eq!(change(&store, garbage), Err(ModelRefusal::Unreadable));
}

fn signed(identity: &Identity, version: u64, bytes: &[u8]) -> Signed {
    let manifest = Manifest::new(NAME, version, bytes, identity.id().to_string(), 0).write();
    let signature = identity.sign(SIGNED_AS, &manifest).expect("signed");
    Signed { manifest, signature, public_key: identity.public_key().bytes().to_vec() }
}

#[test]
fn only_what_a_trusted_signer_signed_is_loaded() {
    let (signer, other) = (Identity::generate().expect("a key"), Identity::generate().expect("a key"));
    let trusts = |id: &NodeId| *id == signer.id();
    let whole = signed(&signer, 1, b"artefact");
    let manifest = check(&whole, trusts, 0).expect("fit");
    check_bytes(&manifest, b"artefact").expect("fit");
    assert!(matches!(check_bytes(&manifest, b"artefacT"), Err(Unfit::Bytes { .. })));
    assert!(matches!(check_bytes(&manifest, b"artefac"), Err(Unfit::Bytes { .. })));
    let foreign = signed(&other, 1, b"artefact");
    assert!(matches!(check(&foreign, trusts, 0), Err(Unfit::Signer { .. })));
    // The manifest of one with the signature, or the key, of another.
    for mixed in [
        Signed { signature: foreign.signature.clone(), ..whole.clone() },
        Signed { public_key: foreign.public_key.clone(), ..whole.clone() },
        Signed { manifest: foreign.manifest.clone(), ..whole.clone() },
        Signed { signature: Vec::new(), ..whole.clone() },
        Signed { public_key: Vec::new(), ..whole.clone() },
    ] {
        assert!(matches!(check(&mixed, |_| true, 0), Err(Unfit::Signature { .. })));
    }
    let mut flipped = whole.clone();
    let place = flipped.manifest.len() / 2;
    flipped.manifest[place] ^= 1;
    assert!(check(&flipped, trusts, 0).is_err());
    let last = Manifest { not_after: Some(5), ..manifest };
    let manifest = last.write();
    let expiring = Signed { signature: signer.sign(SIGNED_AS, &manifest).expect("signed"), manifest, ..whole };
    assert!(check(&expiring, trusts, 5).is_ok());
    assert!(matches!(check(&expiring, trusts, 6), Err(Unfit::Expired { .. })));
}

async fn upload(
    client: &mut ModelsClient<tonic::transport::Channel>,
    bytes: &[u8],
    from: usize,
) -> Result<u64, tonic::Status> {
    let (digest, size) = (models::digest(bytes).to_vec(), bytes.len() as u64);
    let parts: Vec<UploadRequest> = (from..bytes.len())
        .step_by(1_000)
        .map(|offset| {
            let end = (offset + 1_000).min(bytes.len());
            UploadRequest { digest: digest.clone(), size, offset: offset as u64, bytes: bytes[offset..end].to_vec() }
        })
        .collect();
    client.upload(futures_util::stream::iter(parts)).await.map(|response| response.into_inner().size)
}

/// A node that keeps models, whose signatures of one signer count.
async fn host(folder: &std::path::Path, trusted: NodeId) -> (Node, ModelsClient<tonic::transport::Channel>) {
    let blobs = Blobs::open(&folder.join("models")).expect("a folder");
    let host = ModelHost { blobs, trusts: Arc::new(move |id| *id == trusted) };
    let node = Node::with_models(Store::open(folder, modules()).expect("a store"), host).await;
    let client = ModelsClient::new(crate::common::served::channel(node.address).await);
    (node, client)
}

fn register(signed: Signed) -> RegisterRequest {
    RegisterRequest { signed: Some(signed), asked: asked(0) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (signer, stranger) = (Identity::generate().expect("a key"), Identity::generate().expect("a key"));
    let (node, mut client) = host(folder.path(), signer.id()).await;
    let artefacts = [vec![1; 2_500]];

    let refused = client.register(register(signed(&signer, 1, &artefacts[0]))).await.expect_err("not uploaded");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // An upload that breaks off goes on where it did; bytes of another artefact are thrown away.
    let part =
        UploadRequest { digest: models::digest(&artefacts[0]).to_vec(), size: 2_500, offset: 0, bytes: vec![1; 1_000] };
    client.upload(futures_util::stream::iter([part])).await.expect("taken");
    let there =
        client.blob(BlobRequest { digest: models::digest(&artefacts[0]).to_vec() }).await.expect("asked").into_inner();
    assert_eq!((there.size, there.received), (0, 1_000));
    assert_eq!(upload(&mut client, &artefacts[0], 1_000).await.expect("uploaded"), 2_500);
    let wrong = UploadRequest { digest: [9; 32].to_vec(), size: 3, offset: 0, bytes: vec![1; 3] };
    let refused = client.upload(futures_util::stream::iter([wrong])).await.expect_err("other bytes");
    assert_eq!(refused.code(), Code::DataLoss);

    let refused = client.register(register(signed(&stranger, 1, &artefacts[0]))).await.expect_err("a stranger");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let unsigned = Signed { signature: Vec::new(), ..signed(&signer, 1, &artefacts[0]) };
    assert_eq!(client.register(register(unsigned)).await.expect_err("unsigned").code(), Code::PermissionDenied);
    node.stop().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_goes_from_push_to_live_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Identity::generate().expect("a key");
    let trusted = signer.id();
    let (node, mut client) = host(folder.path(), trusted).await;
    let artefacts: Vec<Vec<u8>> = (1..=3).map(|version| vec![version; 2_500]).collect();

    let mut followed = client.follow(FollowRequest { name: NAME.into() }).await.expect("followed").into_inner();
    assert_eq!(followed.message().await.expect("told").expect("first"), Default::default());
    for (version, artefact) in (1..).zip(&artefacts) {
        upload(&mut client, artefact, 0).await.expect("uploaded");
        let told =
            client.register(register(signed(&signer, version, artefact))).await.expect("registered").into_inner();
        assert_eq!((told.version, told.stage()), (version, Stage::Candidate));
    }
    let refused = client.register(register(signed(&signer, 3, &artefacts[2]))).await.expect_err("there already");
    assert_eq!(refused.code(), Code::Aborted);

    let mut stage = async |version, to: Stage| {
        let request =
            StageRequest { name: NAME.into(), version, to: to.into(), asked: asked(0), ..StageRequest::default() };
        client.set_stage(request).await.expect("done").into_inner()
    };
    let mut told = async || {
        let followed = tokio::time::timeout(Duration::from_secs(20), followed.message()).await.expect("in time");
        let followed = followed.expect("told").expect("more");
        (followed.live.map(|version| version.version), followed.canary.map(|version| version.version))
    };
    stage(1, Stage::Live).await;
    assert_eq!(told().await, (Some(1), None));
    stage(2, Stage::Canary).await;
    assert_eq!(told().await, (Some(1), Some(2)));
    stage(2, Stage::Live).await;
    assert_eq!(told().await, (Some(2), None));
    let back = client.rollback(RollbackRequest { name: NAME.into(), expected_live: Some(2), asked: asked(0) }).await;
    assert_eq!(back.expect("back").into_inner().version, 1);
    assert_eq!(told().await, (Some(1), None));

    let get = GetRequest { name: NAME.into(), alias: "live".into(), ..GetRequest::default() };
    let live = client.get(get).await.expect("there").into_inner();
    let manifest = check(live.signed.as_ref().expect("signed"), |id| *id == trusted, 0).expect("fit");
    let request = DownloadRequest { digest: models::digest(&artefacts[0]).to_vec(), offset: 100 };
    let mut parts = client.download(request).await.expect("there").into_inner();
    let mut bytes = artefacts[0][..100].to_vec();
    while let Some(part) = parts.message().await.expect("sent") {
        bytes.extend(part.bytes);
    }
    check_bytes(&manifest, &bytes).expect("what was signed");
    let log = client.log(LogRequest { name: NAME.into(), serializable: false }).await.expect("kept").into_inner();
    assert_eq!(log.events.len(), 3 + 1 + 1 + 2 + 2);
    assert!(log.events.iter().all(|event| event.by == "someone" && event.time_ms > 0));
    node.stop().await.expect("in order");
}

/// A model that says whether it is let go.
struct Loaded {
    version: u64,
    is_gone: Arc<AtomicBool>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

#[test]
fn no_call_fails_while_versions_are_exchanged() {
    let live = Arc::new(Live::<Loaded>::default());
    let (is_over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut gone = Vec::new();
    let mut load = |version| {
        let is_gone = Arc::new(AtomicBool::new(false));
        gone.push(is_gone.clone());
        Ok::<_, String>(Loaded { version, is_gone })
    };
    live.exchange(Some(0), None, &mut load).expect("loaded");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (live, is_over, calls) = (live.clone(), is_over.clone(), calls.clone());
            std::thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let chosen = live.choose().expect("one is live").answers;
                    let call = |model: &Loaded| {
                        std::hint::black_box((0..50).sum::<u64>());
                        if model.is_gone.load(Ordering::SeqCst) {
                            Err("it was let go under a call")
                        } else {
                            Ok(model.version)
                        }
                    };
                    assert_eq!(chosen.call(call, |_| true), Ok(chosen.version));
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for version in 1..=1_000 {
        let refused = live.exchange(Some(version), None, |_| Err::<Loaded, _>("damaged"));
        assert_eq!((refused, live.version()), (Err("damaged"), Some(version - 1)));
        live.exchange(Some(version), None, &mut load).expect("loaded");
    }
    while calls.load(Ordering::SeqCst) < 1_000 {
        std::thread::yield_now();
    }
    is_over.store(true, Ordering::SeqCst);
    threads.into_iter().for_each(|thread| thread.join().expect("no call failed"));
    let kept = gone.iter().filter(|is_gone| !is_gone.load(Ordering::SeqCst)).count();
    assert_eq!((gone.len(), kept), (1_001, 1), "what is not live is let go");
}

fn tried(canary: Canary) -> Live<u64> {
    let live = Live::default();
    live.exchange(Some(1), Some((2, canary)), Ok::<_, String>).expect("loaded");
    live
}

#[test]
fn a_canary_gets_its_share() {
    for permille in [0, 1, 50, 333, 1_000] {
        let live = tried(Canary { permille, ..Canary::default() });
        for _ in 0..3 {
            let taken = (0..1_000).filter(|_| live.choose().expect("live").answers.version == 2).count();
            assert_eq!(taken, permille as usize);
        }
    }
    let live = tried(Canary { permille: 1_000, shadow: true, ..Canary::default() });
    let chosen = live.choose().expect("live");
    assert_eq!((chosen.answers.version, chosen.shadow.expect("asked beside it").version), (1, 2));
}

#[test]
fn guards_say_why_a_canary_must_go() {
    let how = Canary {
        permille: 500,
        least_calls: 20,
        most_errors_permille: 100,
        most_p95_percent: 200,
        ..Canary::default()
    };
    let call = |live: &Live<u64>, calls: usize, act: &dyn Fn(u64, usize) -> Result<f32, ()>| {
        for i in 0..calls {
            let chosen = live.choose().expect("live").answers;
            let _ = chosen.call(|version| act(*version, i), |answer: &f32| answer.is_finite());
        }
    };
    let fine = tried(how);
    call(&fine, 400, &|_, i| if i % 40 == 0 { Err(()) } else { Ok(1.0) });
    assert_eq!(fine.breach(), None, "one of twenty may fail");
    let failing = tried(how);
    call(&failing, 30, &|version, _| if version == 2 { Err(()) } else { Ok(1.0) });
    assert_eq!(failing.breach(), None, "15 calls are too few to judge");
    call(&failing, 30, &|version, _| if version == 2 { Err(()) } else { Ok(1.0) });
    assert!(failing.breach().is_some_and(|(version, why)| version == 2 && why.contains("failed")));
    let wild = tried(how);
    call(&wild, 100, &|version, i| Ok(if version == 2 && i % 3 == 0 { f32::NAN } else { 1.0 }));
    assert!(wild.breach().is_some_and(|(_, why)| why.contains("not finite")));
    let slow = tried(how);
    for _ in 0..100 {
        let chosen = slow.choose().expect("live").answers;
        chosen.note(Duration::from_micros(if chosen.version == 2 { 500 } else { 200 }), true);
    }
    assert!(slow.breach().is_some_and(|(_, why)| why.contains("p95")));
    let as_fast = tried(how);
    (0..100).for_each(|_| as_fast.choose().expect("live").answers.note(Duration::from_micros(200), true));
    assert_eq!(as_fast.breach(), None);
}
