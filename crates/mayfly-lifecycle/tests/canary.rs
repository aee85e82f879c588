//! The canary hunt: words that nobody else has, as weights and rows of a network in another process. They are found while it lives (so they would be found
//! afterwards too), in no core file of it, and nowhere once it is dissolved.
//!
//! Each test starts this program again to play the other process. It gets the words under a mask, and takes the mask off only in the memory that they belong in.
#![cfg(target_os = "linux")]

use mayfly_kernels::Buffer;
use mayfly_lifecycle::{Ephemeral, Host, HostConfig, Lease, LifeError, Planned, Reason, Task};
use mayfly_nn::{Act, Activation, Custom, CustomActivation, Dense, Network, NetworkSpec};
use mayfly_vault::{Level, Mode, Slot, Vault, VaultConfig, within};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PART: &str = "MAYFLY_CANARY_PART";
const NAME: &str = "the_other_process";
const MASK: u32 = 0x005a_5a5a;

/// 32 bytes as eight numbers between 0.5 and 1 whose 23 other bits are random.
type Word = [u32; 8];

const INPUTS: usize = 16;
const WIDTH: usize = 32;

// ---- The other process ----

/// Passes everything on, and panics at a number that no row has by chance.
#[derive(Debug)]
struct Bomb;

impl CustomActivation for Bomb {
    fn name(&self) -> &'static str {
        "bomb"
    }
    fn forward(&self, y: &mut [f32], x: &[f32]) {
        assert!(x.iter().all(|x| x.abs() < 1e6), "a call panics");
        y.copy_from_slice(x);
    }
    fn backward(&self, dx: &mut [f32], dy: &[f32], _: &[f32], _: &[f32]) {
        dx.copy_from_slice(dy);
    }
}

/// The first layer reads a copy of the row in the arena; the row survives in it.
fn network(words: &[Word]) -> Network {
    let spec = NetworkSpec::new(&[INPUTS])
        .with(Activation::Act(Act::Abs))
        .with(Dense::new(WIDTH, Act::Relu))
        .with(Custom::activation(Bomb))
        .with(Dense::new(WIDTH, Act::Identity));
    let mut network = Network::new(spec, 1).unwrap();
    let params = network.params_mut();
    for (place, word) in params.chunks_exact_mut(INPUTS).zip(words.iter().cycle()) {
        unmask(&mut place[..8], word);
    }
    // Packed weights stand column by column: there the words are whole only where they were columns.
    for (i, word) in words.iter().enumerate() {
        let column = params.iter_mut().skip(8 + i).step_by(INPUTS);
        column.zip(word).for_each(|(value, masked)| *value = f32::from_bits(masked ^ MASK));
    }
    network
}

fn unmask(place: &mut [f32], word: &Word) {
    place.iter_mut().zip(word).for_each(|(value, masked)| *value = f32::from_bits(masked ^ MASK));
}

fn read_words() -> Vec<Word> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let word = |text: &str| {
        let number = |i: usize| u32::from_str_radix(&text[8 * i..8 * i + 8], 16).unwrap();
        std::array::from_fn(number)
    };
    line.split_whitespace().map(word).collect()
}

/// Says that a point is reached, and waits for the word to go on.
fn reach(point: &str) {
    println!("\n@{point}");
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    if line.trim() == "abort" {
        std::process::abort();
    }
}

/// A row in protected memory: rows of the caller's are the caller's to protect.
struct Row {
    values: Buffer<f32>,
    _slot: Slot,
}

fn row(vault: &Vault, word: &Word) -> Row {
    let slot = vault.slot(INPUTS * 4).unwrap();
    let mut values = within(slot.memory(), || Buffer::zeroed(INPUTS)).unwrap();
    unmask(&mut values[..8], word);
    Row { values, _slot: slot }
}

fn live(planned: &Planned, row: &Row) -> Ephemeral {
    let fly = planned.lease(&Lease::default()).unwrap();
    fly.call_into(&row.values, &mut [0.0; WIDTH]).unwrap();
    fly
}

#[test]
fn the_other_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let (story, level) = part.split_once(' ').unwrap();
    let (level, mode) = match level {
        "off" => (Level::Off, Mode::Private),
        "secret" => (Level::Best, Mode::Secret),
        _ => (Level::Best, Mode::Private),
    };
    let vault = VaultConfig { level, mode, ..VaultConfig::default() };
    let host = Host::start(HostConfig { vault, ..HostConfig::default() }).unwrap();
    let words = read_words();
    let (row_word, weights) = words.split_first().unwrap();
    let planned = host.build(&Task::network(network(weights))).unwrap();
    let rows = Vault::open(vault).unwrap();
    match story {
        "plain" => {
            let row = row(&rows, row_word);
            let fly = live(&planned, &row);
            drop(row);
            reach("live");
            drop((fly, planned));
        }
        "panic" => {
            let row = row(&rows, row_word);
            let fly = live(&planned, &row);
            reach("live");
            let mut bad = row;
            bad.values[15] = 1e30;
            let answer = fly.call_into(&bad.values, &mut [0.0; WIDTH]);
            assert!(matches!(answer, Err(LifeError::Dissolved { why: Reason::Panic, .. })));
            drop((bad, planned));
            // The instance is not dropped: its end by the panic has to be enough.
            reach("dissolved");
            return;
        }
        "cycles" => {
            let row = row(&rows, row_word);
            for _ in 0..1000 {
                drop(live(&planned, &row));
            }
            let fly = live(&planned, &row);
            reach("live");
            drop((fly, row, planned));
        }
        "threads" => {
            let row = row(&rows, row_word);
            let flies: Vec<Ephemeral> = std::thread::scope(|threads| {
                let spawn = || (0..20).map(|_| live(&planned, &row)).collect::<Vec<_>>();
                let threads: Vec<_> = (0..4).map(|_| threads.spawn(spawn)).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            reach("live");
            drop(row);
            host.shutdown();
            drop((flies, planned));
        }
        other => panic!("no story {other}"),
    }
    reach("dissolved");
}

// ---- The hunter ----

struct Prey {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    words: Vec<Word>,
}

impl Prey {
    /// Starts the other process, which may leave core files in `folder`.
    fn start(story: &str, level: &str, folder: &Path) -> Prey {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([NAME, "--exact", "--nocapture", "--test-threads=1"]).current_dir(folder);
        command.env(PART, format!("{story} {level}")).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: between fork and exec one system call is made, and no memory is allocated.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_CORE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let words = (0..4).map(|_| random_word()).collect::<Vec<_>>();
        let mut prey = Prey { child, input, output, words };
        let masked = prey.words.iter().map(|word| word.map(|number| format!("{:08x}", number ^ MASK)).concat());
        let line = masked.collect::<Vec<_>>().join(" ");
        prey.say(&line);
        prey
    }

    fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    fn reaches(&mut self, point: &str) {
        let mut line = String::new();
        while line.trim() != format!("@{point}") {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process ended before it was {point}");
        }
    }

    /// How often each word is found in its memory: the row's first.
    fn hits(&self) -> Vec<usize> {
        let id = self.child.id();
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
        let memory = std::fs::File::open(format!("/proc/{id}/mem")).unwrap();
        let mut hits = vec![0; self.words.len()];
        let mut read = 0;
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|may| may.starts_with('r'))) {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
            let mut bytes = vec![0; (address(end) - address(start)) as usize];
            // What even the kernel does not read (vvar, secret memory) holds no word for us.
            if memory.read_exact_at(&mut bytes, address(start)).is_ok() {
                read += bytes.len();
                count(&bytes, &self.words, &mut hits);
            }
        }
        assert!(read > 1 << 20, "nothing was read");
        hits
    }

    fn hits_in(&self, file: &Path) -> Vec<usize> {
        let mut hits = vec![0; self.words.len()];
        let bytes = std::fs::read(file).unwrap();
        assert!(bytes.len() > 1 << 16, "{} is no core", file.display());
        count(&bytes, &self.words, &mut hits);
        hits
    }
}

impl Drop for Prey {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn random_word() -> Word {
    std::array::from_fn(|_| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap();
        0x3f00_0000 | u32::from_le_bytes(bytes) >> 9
    })
}

/// Words anywhere in `bytes`, which begin on a page: numbers lie at steps of four.
fn count(bytes: &[u8], words: &[Word], hits: &mut [usize]) {
    let firsts: [u32; 4] = std::array::from_fn(|i| words[i][0]);
    for (at, four) in bytes.chunks_exact(4).enumerate() {
        let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        let Some(i) = firsts.iter().position(|first| *first == number) else { continue };
        let needle: Vec<u8> = words[i].iter().flat_map(|n| n.to_le_bytes()).collect();
        hits[i] += usize::from(bytes[4 * at..].starts_with(&needle));
    }
}

/// Found while it lives, nowhere when it is dissolved.
fn hunt(story: &str, level: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut prey = Prey::start(story, level, folder.path());
    prey.reaches("live");
    let hits = prey.hits();
    assert!(hits.iter().all(|n| *n > 0), "{story} {level}, live: {hits:?}: this hunter finds nothing anyway");
    prey.say("go on");
    prey.reaches("dissolved");
    let hits = prey.hits();
    assert!(hits.iter().all(|n| *n == 0), "{story} {level}, dissolved: {hits:?}");
}

#[test]
fn nothing_is_left_of_a_life() {
    hunt("plain", "best");
    hunt("plain", "off");
}

#[test]
fn nothing_is_left_after_a_panic() {
    hunt("panic", "best");
}

#[test]
fn nothing_is_left_after_many_lives_in_a_slot() {
    hunt("cycles", "best");
}

#[test]
fn nothing_is_left_after_many_threads() {
    hunt("threads", "best");
}

/// Root reads a live instance, but not in secret memory.
#[test]
fn secret_memory_is_not_read_while_it_lives() {
    let vault = Vault::open(VaultConfig { mode: Mode::Secret, ..VaultConfig::default() }).unwrap();
    if !vault.probe().unwrap().is_whole() {
        eprintln!("not run: this system has no secret memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut prey = Prey::start("plain", "secret", folder.path());
    prey.reaches("live");
    let hits = prey.hits();
    assert!(hits.iter().all(|n| *n == 0), "live in secret memory: {hits:?}");
}

/// A core of the kernel's holds nothing of a live instance; without protection it holds all of it.
#[test]
fn core_files_hold_nothing() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('|') || pattern.contains('/') {
        eprintln!("not run: the kernel's core files do not go to the working folder ({})", pattern.trim());
        return;
    }
    for (level, is_found) in [("best", false), ("off", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut prey = Prey::start("plain", level, folder.path());
        prey.reaches("live");
        prey.say("abort");
        assert_eq!(prey.child.wait().unwrap().signal(), Some(libc::SIGABRT));
        let core = std::fs::read_dir(folder.path()).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")).then_some(path)
        });
        let hits = prey.hits_in(&core.expect("the kernel leaves a core file"));
        assert!(hits.iter().all(|n| (*n > 0) == is_found), "core with protection {level}: {hits:?}");
    }
}

/// As for the kernel's, for the core files of gdb, which reads the memory itself.
#[test]
fn debuggers_cores_hold_nothing() {
    if Command::new("gcore").arg("--version").output().is_err() && !Path::new("/usr/bin/gcore").exists() {
        eprintln!("not run: there is no gcore");
        return;
    }
    for (level, is_found) in [("best", false), ("off", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut prey = Prey::start("plain", level, folder.path());
        prey.reaches("live");
        let id = prey.child.id().to_string();
        let core = folder.path().join("gdb");
        let made = Command::new("gcore").arg("-o").arg(&core).arg(&id).output().unwrap();
        let core = folder.path().join(format!("gdb.{id}"));
        if !core.exists() {
            eprintln!("not run: gcore makes no file here: {}", String::from_utf8_lossy(&made.stderr));
            return;
        }
        let hits = prey.hits_in(&core);
        assert!(hits.iter().all(|n| (*n > 0) == is_found), "gcore with protection {level}: {hits:?}");
    }
}
