//! Settings of the mesh, through an engine.

use mayfly_config::{Batch, ConfigError, Expect};
use mayfly_mesh::proto::etcdserverpb::PutRequest;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{Engine, EtcdError, MeshConfig, MeshConfigError, MeshError, Single, Store, kv, modules};
use std::path::Path;
use std::time::Duration;

/// Longer than any test waits that does not hang.
const LONG: Duration = Duration::from_secs(300);

fn single(folder: &Path) -> Single {
    Single::start(Store::open(folder, modules()).unwrap()).unwrap()
}

async fn put(engine: &impl Engine, key: &[u8], value: &[u8]) {
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    kv::outcome(&engine.propose(kv::entry(Request::Put(put))).await.unwrap()).unwrap().unwrap();
}

fn conflict(key: &str, expected: Expect, found: Option<u64>) -> MeshConfigError {
    ConfigError::Conflict { key: key.into(), expected, found }.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_here_and_written_through_the_mesh() {
    let folder = tempfile::tempdir().unwrap();
    let engine = single(folder.path());
    put(&engine, b"/pumps/north/rate", b"12.5").await;
    let settings = MeshConfig::open(&engine, "/pumps/").await.unwrap();
    let config = settings.config().clone();
    assert_eq!(*config.get::<f64>("north/rate").unwrap().unwrap(), 12.5);

    // What is written is there when the call returns, at the mesh's revision.
    let mut watch = config.watch_prefix("");
    assert_eq!(settings.set("north/rate", &13).await, Ok(3));
    assert_eq!(config.get::<u8>("north/rate").unwrap().unwrap().revision(), 3);
    assert_eq!(settings.compare_and_set("north/rate", Expect::At(3), &14).await, Ok(4));
    let refused = settings.compare_and_set("north/rate", Expect::At(3), &15).await;
    assert_eq!(refused, Err(conflict("north/rate", Expect::At(3), Some(4))));
    for expect in [Expect::At(0), Expect::At(u64::MAX)] {
        let refused = settings.compare_and_set("new", expect, &1).await;
        assert_eq!(refused, Err(conflict("new", expect, None)));
    }
    assert_eq!(settings.compare_and_set("new", Expect::Absent, &1).await, Ok(5));
    assert_eq!(
        settings.compare_and_set("new", Expect::Absent, &1).await,
        Err(conflict("new", Expect::Absent, Some(5)))
    );
    assert_eq!(settings.compare_and_delete("new", Expect::At(4)).await, Err(conflict("new", Expect::At(4), Some(5))));
    assert_eq!(settings.compare_and_delete("new", Expect::At(5)).await, Ok(Some(6)));
    assert_eq!(settings.compare_and_delete("new", Expect::Anything).await, Ok(None));
    let mut batch = Batch::new();
    batch.set("a", "x").unwrap().set("b", &[1]).unwrap().delete("north/rate").expect("c", Expect::Absent);
    assert_eq!(settings.commit(&batch).await, Ok(Some(7)));
    let told: Vec<_> = watch.pending().unwrap().iter().map(|v| (v.revision(), v.key().to_owned())).collect();
    let keys = [(3, "north/rate"), (4, "north/rate"), (5, "new"), (6, "new"), (7, "a"), (7, "b"), (7, "north/rate")];
    assert_eq!(told, keys.map(|(revision, key)| (revision, key.to_owned())));

    // Others write, too; also what is no setting.
    put(&engine, b"/pumps/a", b"{\"n\": 1}").await;
    put(&engine, b"/pumps/b", b"hello").await;
    put(&engine, b"/pumps/\xff", b"1").await;
    put(&engine, b"/pumps/", b"1").await;
    put(&engine, b"/other", b"1").await;
    assert_eq!((settings.sync().await, config.revision()), (Ok(12), 12));
    assert_eq!(*config.get::<serde_json::Value>("a").unwrap().unwrap(), serde_json::json!({ "n": 1 }));
    assert!(matches!(config.get::<String>("b"), Err(ConfigError::Unreadable { revision: 9, .. })));
    assert_eq!(config.snapshot("").iter().count(), 2);
    assert_eq!(config.set("a", &1), Err(ConfigError::Following));

    // Back after an end, with the same state.
    settings.close().await;
    assert!(watch.next_within(LONG).unwrap().is_some() && watch.pending().unwrap().len() == 1);
    assert!(watch.next_within(LONG).unwrap().is_none(), "nothing more can come");
    engine.close().await;
    let engine = single(folder.path());
    let settings = MeshConfig::open(&engine, "/pumps/").await.unwrap();
    assert_eq!((settings.config().revision(), settings.config().snapshot("").iter().count()), (12, 2));
    // The empty prefix has all keys that are text.
    let all = MeshConfig::open(&engine, "").await.unwrap();
    assert_eq!(all.config().snapshot("").iter().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mesh_does_not_take_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = single(folder.path());
    let settings = MeshConfig::open(&engine, "c/").await.unwrap();
    assert!(matches!(settings.set("", &1).await, Err(MeshConfigError::Config(ConfigError::Key { .. }))));
    let not_json = std::collections::BTreeMap::from([(vec![1], 1)]);
    assert!(matches!(settings.set("a", &not_json).await, Err(MeshConfigError::Config(ConfigError::NotJson { .. }))));
    let long = settings.set("a", &"x".repeat(3 << 19)).await;
    assert!(matches!(long, Err(MeshConfigError::Mesh(MeshError::TooLong { .. }))), "{long:?}");
    let mut many = Batch::new();
    for n in 0..129 {
        many.set(&n.to_string(), &n).unwrap();
    }
    assert_eq!(settings.commit(&many).await, Err(MeshConfigError::Refused(EtcdError::TooManyOps)));
    assert_eq!(settings.commit(&Batch::new()).await, Ok(None));
    assert_eq!(settings.sync().await, Ok(1));
}

/// A task that is dropped with its handle keeps the node from nothing.
#[tokio::test(flavor = "multi_thread")]
async fn settings_end_with_their_handle() {
    let folder = tempfile::tempdir().unwrap();
    let engine = single(folder.path());
    let settings = MeshConfig::open(&engine, "c/").await.unwrap();
    let (config, mut watch) = (settings.config().clone(), settings.config().watch_prefix(""));
    assert!(settings.ended().is_none());
    settings.set("a", &1).await.unwrap();
    drop(settings);
    let told = tokio::task::spawn_blocking(move || (watch.next_within(LONG), watch.next_within(LONG))).await.unwrap();
    assert!(matches!(told, (Ok(Some(_)), Ok(None))));
    assert_eq!(*config.get::<u8>("a").unwrap().unwrap(), 1);
    // Nothing but the test's own handle holds the folder.
    engine.close().await;
    let free = || !matches!(Store::open(folder.path(), modules()), Err(MeshError::InUse { .. }));
    while !free() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_count_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let engine = single(folder.path());
    let tasks = (0..4).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let settings = MeshConfig::open(&engine, "c/").await.unwrap();
            for _ in 0..20 {
                loop {
                    let now = settings.config().get::<u64>("n").unwrap();
                    let expect = now.as_ref().map_or(Expect::Absent, |now| Expect::At(now.revision()));
                    match settings.compare_and_set("n", expect, &(now.map_or(0, |now| *now) + 1)).await {
                        Ok(_) => break,
                        Err(MeshConfigError::Config(ConfigError::Conflict { .. })) => {
                            settings.sync().await.unwrap();
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    let settings = MeshConfig::open(&engine, "c/").await.unwrap();
    assert_eq!(*settings.config().get::<u64>("n").unwrap().unwrap(), 80);
}
