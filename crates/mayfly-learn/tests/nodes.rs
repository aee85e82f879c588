//! Runs of real nodes: kills, latecomers, what does not fit.

mod common;

use common::accuracy;
use common::world::{PATIENCE, World, end, peer, progress, until};
use mayfly_learn::{Hub, Mode, Shard, TOPIC};
use mayfly_nn::InMemory;
use mayfly_nn::tabular::FileOptions;
use mayfly_swarm::learn::Digest;
use mayfly_wire::{Transport, WireError};
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_modes_end_with_one_network() {
    for mode in Mode::ALL {
        let world = World::new(4);
        let (run, first) = world.run(mode, 40);
        let (id, hubs) = world.begin(&run, &first);
        let params = end(id, &hubs).await;
        assert_ne!(params, first.params());
        assert!(
            hubs.iter().all(|hub| progress(hub).members == 4 && progress(hub).rows == 150),
            "{:?}",
            progress(&hubs[0])
        );
        hubs.iter().for_each(Hub::stop);
        if mode == Mode::Local {
            let test = common::rows(400, 2);
            let spec_is_the_same = world.network().input_len() == common::INPUTS;
            assert!(spec_is_the_same);
            // The table's numbers are scaled; the test's go through the same encoder.
            let (mean, scale) = scaling(&world);
            let x: Vec<f32> = test.inputs().iter().enumerate().map(|(i, v)| (v - mean[i % 4]) / scale[i % 4]).collect();
            let test = InMemory::new(4, 2, x, test.targets().to_vec()).expect("rows");
            let score = accuracy(&params, &test);
            assert!(score > 0.8, "{score}");
        }
    }
}

/// Means and standard deviations of the table's columns.
fn scaling(world: &World) -> ([f32; 4], [f32; 4]) {
    let (rows, n) = (world.rows.inputs(), world.rows.len() as f32);
    let column = |c: usize| rows.iter().skip(c).step_by(4);
    let mean: [f32; 4] = std::array::from_fn(|c| column(c).sum::<f32>() / n);
    (mean, std::array::from_fn(|c| (column(c).map(|v| (v - mean[c]).powi(2)).sum::<f32>() / n).sqrt()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_are_killed_come_back_and_all_end_with_one_network() {
    let world = World::new(4);
    for mode in [Mode::Local, Mode::Fedavg, Mode::Auto] {
        let world = if mode == Mode::Local { &world } else { &World::new(4) };
        let (mut run, mut first) = world.run(mode, 60);
        if mode == Mode::Auto {
            // It ends after so many steps, and nobody knows beforehand after how many rounds.
            run = run.with_steps(3, Some(150), &world.network());
            run.rounds = 200;
            first = run.first_state(&world.network());
        }
        let (id, mut hubs) = world.begin(&run, &first);
        for (i, round) in [(1, 5), (3, 15), (0, 25), (2, 35)] {
            until("a round", || hubs.iter().any(|hub| progress(hub).round >= round)).await;
            let hub = hubs.remove(i);
            world.kill(i, hub);
            tokio::time::sleep(Duration::from_millis(300)).await;
            if i == 3 {
                // As if power had been lost: what is not flushed may be anything.
                for name in ["noted", "local"] {
                    std::fs::write(world.folder(i).join(id.to_string()).join(name), b"anything").expect("a file");
                }
            }
            hubs.insert(i, world.start(i));
        }
        end(id, &hubs).await;
        // And all at once, after the end: what they have is on the disk.
        for (i, hub) in hubs.into_iter().enumerate() {
            world.kill(i, hub);
        }
        let hubs: Vec<_> = (0..4).map(|i| world.start(i)).collect();
        end(id, &hubs).await;
        hubs.iter().for_each(Hub::stop);
    }
}

/// The same to the last bit, whether it is interrupted or not: alone there is nobody else's time that could matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_node_goes_on_to_the_same_bits() {
    let params = |kills: usize| async move {
        let world = World::new(1);
        let (run, first) = world.run(Mode::Local, 60);
        let (id, mut hubs) = world.begin(&run, &first);
        for kill in 0..kills {
            until("a round", || progress(&hubs[0]).round >= 7 * (kill as u64 + 1)).await;
            let hub = hubs.remove(0);
            world.kill(0, hub);
            tokio::time::sleep(Duration::from_millis(50)).await;
            hubs.push(world.start(0));
        }
        end(id, &hubs).await
    };
    assert_eq!(params(0).await, params(4).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_late_is_let_in_and_catches_up() {
    let world = World::new(4);
    let (run, first) = world.run(Mode::Local, 80);
    let hubs: Vec<_> = (0..3).map(|i| world.start(i)).collect();
    let id = hubs[0].found(&run, &first, world.shard(0), 3).expect("a run");
    hubs[1].join(id, world.shard(1)).expect("not there yet");
    hubs[2].join(id, world.shard(2)).expect("not there yet");
    until("ten rounds", || progress(&hubs[0]).round >= 10).await;
    let late = world.start(3);
    late.join(id, world.shard(3)).expect("not there yet");
    let hubs: Vec<_> = hubs.into_iter().chain([late]).collect();
    end(id, &hubs).await;
    assert!(hubs.iter().all(|hub| progress(hub).members == 4), "{:?}", progress(&hubs[3]));
    assert!(hubs[0].join(id, world.shard(0)).is_err(), "it takes part already");
}

/// A stranger to the protocol: what it sends is of the right length and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bodies_are_what_they_are_called_or_not_taken() {
    let world = World::new(2);
    let (run, first) = world.run(Mode::Local, 5);
    let hub = world.start(0);
    let id = hub.found(&run, &first, world.shard(0), 2).expect("a run");
    let other = world.net.endpoint(peer(1).id, peer(1).addr);
    let body = vec![0; 1 + first.params().len() * 4];
    let (right, wrong) = (Digest::of(&body), Digest([7; 32]));
    let fetch = |digest: Digest| [&[1][..], &id.0, &digest.0].concat(); // a question of the second kind
    for (digest, bytes, is_taken) in
        [(right, &body[..], true), (wrong, &body, false), (Digest::of(&body[1..]), &body[1..], false)]
    {
        let meta = [id.0, digest.0].concat();
        let mut writer = other.body(peer(0), TOPIC, &meta, bytes.len() as u64).await.expect("a link");
        if writer.write(bytes).await.is_ok() {
            let _ = writer.finish().await; // it may be given up over there
        }
        let is_here = || async {
            let answer = other.request(peer(0), TOPIC, &fetch(digest)).await.expect("an answer");
            answer == [1] // it is coming
        };
        let begun = Instant::now();
        while is_taken && !is_here().await {
            assert!(begun.elapsed() < PATIENCE, "it was not taken");
        }
        tokio::time::sleep(Duration::from_millis(if is_taken { 0 } else { 200 })).await;
        assert_eq!(is_here().await, is_taken, "{digest}");
    }
    let nonsense = other.request(peer(0), TOPIC, &[99, 1, 2]).await;
    assert!(matches!(nonsense, Err(WireError::Failed { .. })), "{nonsense:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shard_that_does_not_fit_is_named_and_another_may_take_its_place() {
    let world = World::new(2);
    let (run, first) = world.run(Mode::Local, 5);
    let hubs: Vec<_> = (0..2).map(|i| world.start(i)).collect();
    let id = hubs[0].found(&run, &first, world.shard(0), 2).expect("a run");
    let other = world.folder.path().join("other.csv");
    std::fs::write(&other, "a,b,class\n1,2,in\n3,4,out\n").expect("a file");
    for (file, says) in [(other.as_path(), "column \"c\""), (Path::new("/nowhere/rows.csv"), "/nowhere/rows.csv")] {
        let shard = Shard { file: file.into(), rows: None, reading: FileOptions::default() };
        hubs[1].join(id, shard).expect("the file is looked at later");
        until("a refusal", || progress(&hubs[1]).error.is_some()).await;
        let error = progress(&hubs[1]).error.expect("it is there");
        assert!(error.contains(says), "{error}");
    }
    hubs[1].join(id, world.shard(1)).expect("nothing stands in its way");
    end(id, &hubs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_leaves_is_not_waited_for_and_may_come_again() {
    let world = World::new(3);
    let (run, first) = world.run(Mode::Local, 300);
    let (id, mut hubs) = world.begin(&run, &first);
    until("a round", || progress(&hubs[0]).round >= 3).await;
    hubs[1].leave(id).expect("it takes part");
    until("it to leave", || progress(&hubs[1]).has_left).await;
    let left = progress(&hubs[1]);
    assert_eq!(hubs[1].state(id).expect("it keeps what it had").digest().to_string(), left.state);
    until("the others to go on", || progress(&hubs[0]).members == 2).await;
    let round = progress(&hubs[0]).round;
    until("some rounds", || progress(&hubs[0]).round >= round + 5).await;
    assert_eq!(progress(&hubs[1]), left, "it has nothing more to do with it");
    // Started again, it does not take part again by itself.
    let hub = hubs.remove(1);
    world.kill(1, hub);
    hubs.insert(1, world.start(1));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(progress(&hubs[0]).members, 2);
    until("it to leave", || progress(&hubs[1]).has_left).await;
    hubs[1].join(id, world.shard(1)).expect("it has left");
    until("it to be there again", || hubs.iter().all(|hub| progress(hub).members == 3)).await;
    end(id, &hubs).await;
    assert!(hubs[1].leave(Digest([1; 32])).is_err());
}
