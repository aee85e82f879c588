//! Sealed instances: the same answers afterwards, noise on the disk, and files that nobody meddles with unseen.
mod common;

use common::{dense, planned_on};
use mayfly_lifecycle::{
    Ephemeral, Host, HostConfig, HostParts, Lease, LifeError, Reaping, Reason, SimulatedClock, State, Task,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn host_in(folder: &Path) -> Host {
    let parts = HostParts { seals: Some(folder.to_owned()), ..HostParts::default() };
    Host::start_with(HostConfig::default(), parts).unwrap()
}

fn sealed_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "sealed")).collect()
}

fn is_sealed(answer: Result<Vec<f32>, LifeError>) -> bool {
    matches!(answer, Err(LifeError::Sealed))
}

#[test]
fn sealed_and_unsealed_it_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_in(folder.path());
    let network = dense(&[8, 16, 3]);
    let planned = host.build(&Task::network(network.clone())).unwrap();
    let fly = planned.lease(&Lease { calls: Some(10), ..Lease::default() }).unwrap();
    let x = [0.3; 8];
    let y = fly.call(&x).unwrap();
    assert!(matches!(fly.unseal(), Err(LifeError::NotSealed)));
    for round in 1..=3 {
        fly.seal().unwrap();
        assert_eq!(fly.state(), State::Sealed);
        assert!(is_sealed(fly.call(&x)) && matches!(fly.seal(), Err(LifeError::Sealed)));
        let files = sealed_files(folder.path());
        assert_eq!(files.len(), 1);
        let noise = fs::read(&files[0]).unwrap();
        let plain: Vec<u8> = network.params()[..8].iter().flat_map(|p| p.to_le_bytes()).collect();
        assert!(noise.len() > network.params().len() * 4 && !noise.windows(32).any(|w| w == &plain[..]));
        // Others use its pages meanwhile.
        assert_eq!(planned.lease(&Lease::default()).unwrap().call(&x).unwrap(), y);
        fly.unseal().unwrap();
        assert!(sealed_files(folder.path()).is_empty());
        assert_eq!(fly.call(&x).unwrap(), y, "round {round}");
    }
    let certificate = fly.dissolve();
    assert_eq!((certificate.calls, certificate.sealed_files, certificate.wiped.sealing_keys), (4, 3, 96));
    assert_eq!(
        certificate.wiped.parameters,
        4 * network.params().len() as u64 * 4,
        "sealed three times, dissolved once"
    );
}

#[test]
fn dissolving_erases_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_in(folder.path());
    let fly = planned_on(&host).lease(&Lease::default()).unwrap();
    fly.seal().unwrap();
    let certificate = fly.dissolve();
    assert_eq!((certificate.sealed_files, certificate.wiped.sealing_keys, certificate.reason), (1, 32, Reason::Asked));
    assert_ne!(certificate.commitment, [0; 32]);
    assert!(certificate.wiped.parameters > 0 && sealed_files(folder.path()).is_empty());
    assert!(matches!(fly.unseal(), Err(LifeError::Dissolved { why: Reason::Asked, .. })));
}

#[test]
fn without_a_folder_it_stays_live() {
    let fly = common::planned().lease(&Lease::default()).unwrap();
    assert!(matches!(fly.seal(), Err(LifeError::NoSealFolder)));
    assert!(fly.call(&[0.0; 4]).is_ok());
}

#[test]
fn a_disk_that_refuses_leaves_it_live() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_in(folder.path());
    let fly = planned_on(&host).lease(&Lease::default()).unwrap();
    let y = fly.call(&[0.5; 4]).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(fly.seal(), Err(LifeError::SealFile { .. })));
    assert_eq!((fly.state(), fly.call(&[0.5; 4]).unwrap()), (State::Live, y));
    assert_eq!(fly.dissolve().sealed_files, 0);
}

/// Whatever is done to the file is refused, and what is refused can still be dissolved.
#[test]
fn meddling_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_in(folder.path());
    let planned = planned_on(&host);
    let live = || -> (Ephemeral, PathBuf) {
        let fly = planned.lease(&Lease::default()).unwrap();
        fly.seal().unwrap();
        let path = folder.path().join(format!("{}.sealed", fly.id()));
        (fly, path)
    };
    let (other, others_file) = live();
    let others = fs::read(&others_file).unwrap();
    let (fly, path) = live();
    let file = fs::read(&path).unwrap();
    let mut meddled: Vec<Vec<u8>> = vec![others, Vec::new(), [&file[..], &[0]].concat()];
    meddled.extend((0..file.len()).step_by(7).map(|cut| file[..cut].to_vec()));
    meddled.extend((0..file.len()).map(|at| {
        let mut file = file.clone();
        file[at] ^= 1 << (at % 8);
        file
    }));
    for bytes in meddled {
        fs::write(&path, &bytes).unwrap();
        let refused = fly.unseal();
        assert!(matches!(refused, Err(LifeError::SealBroken { .. })), "{refused:?}");
        assert!(is_sealed(fly.call(&[0.0; 4])));
    }
    fs::write(&path, &file).unwrap();
    fly.unseal().unwrap();
    assert!(fly.call(&[0.0; 4]).is_ok());
    fs::remove_file(&others_file).unwrap();
    assert!(matches!(other.unseal(), Err(LifeError::SealFile { .. })));
    assert_eq!(other.dissolve().wiped.sealing_keys, 32);
}

/// The lease goes on while it is sealed.
#[test]
fn leases_end_what_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::default());
    let parts = HostParts { clock: clock.clone(), seals: Some(folder.path().to_owned()), ..HostParts::default() };
    let host = Host::start_with(HostConfig { reaping: Reaping::Manual, ..HostConfig::default() }, parts).unwrap();
    let planned = planned_on(&host);
    let lease = Lease { ttl: Some(Duration::from_secs(1)), ..Lease::default() };
    let (reaped, asked) = (planned.lease(&lease).unwrap(), planned.lease(&lease).unwrap());
    let renewed = planned.lease(&lease).unwrap();
    [&reaped, &asked, &renewed].iter().for_each(|fly| fly.seal().unwrap());
    renewed.renew(&Lease { ttl: Some(Duration::from_secs(5)), ..Lease::default() }).unwrap();
    clock.advance_ns(1_000_000_000);
    assert!(matches!(asked.unseal(), Err(LifeError::Expired { why: Reason::Ttl, .. })));
    host.reap();
    assert_eq!(reaped.state(), State::Dissolved);
    assert_eq!(sealed_files(folder.path()).len(), 1);
    renewed.unseal().unwrap();
}

/// After a crash the next host deletes what the one before left, and nothing else; a folder in use is refused.
#[test]
fn the_next_start_deletes_what_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_in(folder.path());
    let fly = planned_on(&host).lease(&Lease::default()).unwrap();
    fly.seal().unwrap();
    let left = sealed_files(folder.path()).remove(0);
    let noise = fs::read(&left).unwrap();
    let parts = HostParts { seals: Some(folder.path().to_owned()), ..HostParts::default() };
    let second = Host::start_with(HostConfig::default(), parts);
    assert!(matches!(second, Err(LifeError::SealFolderTaken { .. })));
    assert!(left.exists());
    drop((fly, host));
    fs::write(&left, noise).unwrap();
    fs::write(folder.path().join("notes.sealed"), "mine").unwrap();
    // The keeper of the host before may hold it a moment longer.
    let mut tries = 0;
    let again = loop {
        let parts = HostParts { seals: Some(folder.path().to_owned()), ..HostParts::default() };
        match Host::start_with(HostConfig::default(), parts) {
            Err(LifeError::SealFolderTaken { .. }) if tries < 500 => std::thread::sleep(Duration::from_millis(10)),
            other => break other.unwrap(),
        }
        tries += 1;
    };
    assert!(!left.exists() && folder.path().join("notes.sealed").exists());
    drop(again);
}

/// Killed at any moment, it leaves whole noise or nothing.
#[test]
#[cfg(unix)]
fn kill_9_leaves_noise_that_the_next_start_deletes() {
    const PART: &str = "MAYFLY_SEALS_PART";
    if let Ok(folder) = std::env::var(PART) {
        let host = host_in(Path::new(&folder));
        let fly = host.build(&Task::network(dense(&[64, 256, 64]))).unwrap().lease(&Lease::default()).unwrap();
        println!("\n@ready");
        loop {
            fly.seal().unwrap();
            fly.unseal().unwrap();
        }
    }
    for round in 0..if std::env::var_os("MAYFLY_HEAVY").is_some() { 200 } else { 12 } {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["kill_9_leaves_noise_that_the_next_start_deletes", "--exact", "--nocapture"])
            .env(PART, folder.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert!(lines.map_while(Result::ok).any(|line| line == "@ready"));
        std::thread::sleep(Duration::from_micros(2000 + 431 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let whole = 14 + 24 + 16 + 4 * (64 * 256 + 256 + 256 * 64 + 64);
        for file in sealed_files(folder.path()) {
            assert_eq!(fs::metadata(&file).unwrap().len(), whole, "half a file");
        }
        drop(host_in(folder.path()));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["host.lock"], "round {round}");
    }
}
