//! Runs that begin with a call: nobody knows all rows, and the encoder is made of what each node says of its own.

mod common;

use common::world::{World, end, progress, until};
use mayfly_format::data::Encoder;
use mayfly_learn::{Call, CallId, How, Hub, Mode, Shard};
use mayfly_nn::tabular::{FileOptions, TrainOptions};
use mayfly_wire::MemoryEndpoint;
use std::time::Duration;

/// Three files of one swarm: each has a class and a category that the others have not, and columns in an order of its own.
fn shards(world: &World) -> Vec<Shard> {
    let line = |node: usize, i: usize| {
        let x = node as f64 + (i % 10) as f64 / 20.0;
        match node {
            0 => format!("{x},red,{i},first\n"),
            1 => format!("blue,{x},second,{i}\n"),
            _ => format!("third,{i},{x},green\n"),
        }
    };
    let heads = ["x,colour,order,class\n", "colour,x,class,order\n", "class,order,x,colour\n"];
    let text = |node: usize| heads[node].to_owned() + &(0..60).map(|i| line(node, i)).collect::<String>();
    (0..3).map(|node| shard(world, &format!("shard-{node}.csv"), &text(node))).collect()
}

fn shard(world: &World, name: &str, text: &str) -> Shard {
    let file = world.folder.path().join(name);
    std::fs::write(&file, text).expect("a file");
    Shard { file, rows: None, reading: FileOptions::default() }
}

fn call(shard: &Shard, members: usize) -> Call {
    let options = TrainOptions { target: vec!["class".into()], hidden: Some(vec![8]), ..TrainOptions::default() };
    let how = How { rounds: Some(40), local_steps: Some(5), mode: Mode::Local, ..How::default() };
    Call::new("flowers", members, &options, how, shard).expect("a call")
}

fn encoder(hub: &Hub<MemoryEndpoint>, id: CallId) -> Encoder {
    hub.run(id).expect("a run").encoder
}

fn is_waiting(hub: &Hub<MemoryEndpoint>) -> bool {
    progress(hub).awaited.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_encoder_is_that_of_all_rows() {
    let world = World::new(3);
    let shards = shards(&world);
    let hubs: Vec<_> = (0..3).map(|i| world.start(i)).collect();
    let id = hubs[0].call(&call(&shards[0], 3), shards[0].clone()).expect("a call");
    assert_eq!((progress(&hubs[0]).answers, progress(&hubs[0]).awaited), (Some(1), Some(3)));
    hubs[1].join(id, shards[1].clone()).expect("not there yet");
    until("an answer", || progress(&hubs[0]).answers == Some(2)).await;
    hubs[2].join(id, shards[2].clone()).expect("not there yet");
    until("a run", || hubs.iter().all(|hub| progress(hub).members == 3)).await;
    end(id, &hubs).await;
    let encoders: Vec<Encoder> = hubs.iter().map(|hub| encoder(hub, id)).collect();
    assert!(encoders.iter().all(|other| *other == encoders[0]));
    assert_eq!(encoders[0].labels(), ["first", "second", "third"]);
    assert_eq!(encoders[0].input_names(), ["x", "colour=blue", "colour=green", "colour=red", "order"]);
    assert_eq!(encoders[0].training_rows(), 180);
    assert_eq!(progress(&hubs[1]).call, Some(id.to_string()));
    assert!(hubs[1].join(id, shards[1].clone()).is_err(), "it takes part already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_called_and_who_answered_may_be_killed_while_they_wait() {
    let world = World::new(3);
    let shards = shards(&world);
    let mut hubs: Vec<_> = (0..3).map(|i| world.start(i)).collect();
    let id = hubs[0].call(&call(&shards[0], 3), shards[0].clone()).expect("a call");
    hubs[1].join(id, shards[1].clone()).expect("not there yet");
    until("an answer", || progress(&hubs[0]).answers == Some(2)).await;
    for i in [0, 1] {
        let hub = hubs.remove(i);
        world.kill(i, hub);
        tokio::time::sleep(Duration::from_millis(100)).await;
        hubs.insert(i, world.start(i));
        assert!(is_waiting(&hubs[i]), "{:?}", progress(&hubs[i]));
    }
    assert_eq!(progress(&hubs[0]).answers, Some(2));
    hubs[2].join(id, shards[2].clone()).expect("not there yet");
    until("a run", || hubs.iter().all(|hub| progress(hub).members == 3)).await;
    end(id, &hubs).await;
    // The name of the call stays that of the run.
    let hub = hubs.remove(2);
    world.kill(2, hub);
    let hub = world.start(2);
    assert_eq!(encoder(&hub, id), encoder(&hubs[0], id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_that_do_not_go_with_those_of_others_are_refused_and_the_call_stays() {
    let world = World::new(3);
    let shards = shards(&world);
    let hubs: Vec<_> = (0..2).map(|i| world.start(i)).collect();
    let id = hubs[0].call(&call(&shards[0], 2), shards[0].clone()).expect("a call");
    let cases = [
        ("x,order,class\n1,2,second\n", "no column \"colour\""),
        ("x,colour,order,class\nlong,red,2,second\n", "line 2, column 1 (x)"),
        ("x,colour,order,weight,class\n1,red,2,3,second\n", "no column \"weight\""),
        ("x,colour,order,class\n1,red,2,\n", "\"class\" is missing"),
    ];
    for (i, (text, says)) in cases.into_iter().enumerate() {
        hubs[1].join(id, shard(&world, &format!("bad-{i}.csv"), text)).expect("the file is looked at later");
        until("a refusal", || progress(&hubs[1]).error.is_some()).await;
        let error = progress(&hubs[1]).error.expect("it is there");
        assert!(error.contains(says), "{error}");
        assert_eq!((progress(&hubs[0]).answers, progress(&hubs[0]).error), (Some(1), None));
    }
    hubs[1].join(id, shards[1].clone()).expect("nothing stands in its way");
    until("a run", || hubs.iter().all(|hub| progress(hub).members == 2)).await;
    end(id, &hubs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_that_are_not_learnable_even_together_end_the_call_everywhere() {
    let world = World::new(2);
    let shards = shards(&world);
    let hubs: Vec<_> = (0..2).map(|i| world.start(i)).collect();
    let call = call(&shards[0], 2);
    let id = hubs[0].call(&call, shards[0].clone()).expect("a call");
    hubs[1].join(id, shards[0].clone()).expect("not there yet");
    for hub in &hubs {
        until("the reason", || progress(hub).error.is_some()).await;
        let error = progress(hub).error.expect("it is there");
        assert!(error.contains("the target \"class\" has the same value, \"first\", in every row"), "{error}");
    }
    assert_eq!(hubs[0].call(&call, shards[0].clone()).expect("it may be tried again"), id);
    hubs[1].join(id, shards[1].clone()).expect("with others");
    until("a run", || hubs.iter().all(|hub| progress(hub).members == 2)).await;
    end(id, &hubs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_has_answered_may_leave_before_it_begins() {
    let world = World::new(2);
    let shards = shards(&world);
    let hubs: Vec<_> = (0..2).map(|i| world.start(i)).collect();
    let id = hubs[0].call(&call(&shards[0], 3), shards[0].clone()).expect("a call");
    hubs[1].join(id, shards[1].clone()).expect("not there yet");
    until("an answer", || progress(&hubs[0]).answers == Some(2)).await;
    hubs[1].leave(id).expect("it waits");
    assert_eq!(hubs[1].progress(), []);
    hubs[1].join(id, shards[2].clone()).expect("and it may come again");
    until("it to wait", || is_waiting(&hubs[1])).await;
    hubs[0].leave(id).expect("it waits");
    assert_eq!(hubs[0].progress(), []);
    assert!(hubs[0].leave(id).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_late_names_the_call() {
    let world = World::new(3);
    let shards = shards(&world);
    let mut hubs: Vec<_> = (0..2).map(|i| world.start(i)).collect();
    let mut long = call(&shards[0], 2);
    long.how.rounds = Some(150);
    let id = hubs[0].call(&long, shards[0].clone()).expect("a call");
    hubs[1].join(id, shards[1].clone()).expect("not there yet");
    until("a round", || progress(&hubs[0]).round >= 1).await;
    hubs.push(world.start(2));
    hubs[2].join(id, shard(&world, "late.csv", "x,colour,order,class\n1,red,2,second\n3,blue,1,first\n")).expect("new");
    end(id, &hubs).await;
    assert!(hubs.iter().all(|hub| progress(hub).members == 3), "{:?}", progress(&hubs[2]));
    assert_eq!(encoder(&hubs[2], id).labels(), ["first", "second"]);
}
