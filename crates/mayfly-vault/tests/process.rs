//! What only a process of its own shows: forks, faults and limits. Each test starts this program again, with the name of a part to play.
#![cfg(target_os = "linux")]
use mayfly_vault::{Block, Hold, Level, Mode, Vault, VaultConfig, VaultError, process_is_hidden, within};
use std::alloc::Layout;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output};

const PART: &str = "MAYFLY_VAULT_PART";

/// Runs the test `name` alone in a new process that plays `part`.
fn start(name: &str, part: &str) -> Command {
    start_as(&std::env::current_exe().unwrap(), name, part)
}

fn start_as(program: &Path, name: &str, part: &str) -> Command {
    let mut command = Command::new(program);
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(PART, part);
    command
}

fn part() -> Option<String> {
    std::env::var(PART).ok()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn marked(vault: &Vault) -> (mayfly_vault::Slot, Block) {
    let slot = vault.slot(4096).unwrap();
    let block = within(slot.memory(), || Block::zeroed(Layout::array::<u8>(slot.bytes()).unwrap())).unwrap();
    // SAFETY: the block has these bytes and nobody else refers to them.
    unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), block.size()) }.fill(0x5a);
    (slot, block)
}

/// What a forked child reads in the first byte of a marked block.
fn seen_by_a_child(config: VaultConfig) -> i32 {
    let vault = Vault::open(config).unwrap();
    let (_slot, block) = marked(&vault);
    // SAFETY: the child reads one byte of memory that was mapped before the fork and leaves without running anything else.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(i32::from(block.as_ptr().read_volatile()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert!(libc::WIFEXITED(status));
        libc::WEXITSTATUS(status)
    }
}

#[test]
fn a_forked_child_reads_zeros() {
    assert_eq!(seen_by_a_child(VaultConfig::default()), 0);
    // Without protection it sees everything: the test can fail.
    assert_eq!(seen_by_a_child(VaultConfig { level: Level::Off, ..VaultConfig::default() }), 0x5a);
}

/// The pages before and behind a slot fault.
#[test]
fn guards_fault() {
    if let Some(part) = part() {
        let vault = Vault::open(VaultConfig::default()).unwrap();
        let (slot, block) = marked(&vault);
        let at = match part.as_str() {
            "before" => block.as_ptr().wrapping_sub(1),
            "behind" => block.as_ptr().wrapping_add(slot.bytes()),
            _ => block.as_ptr().wrapping_add(slot.bytes() - 1),
        };
        // SAFETY: none. That this is not survived is the test; the process exists for it.
        std::process::exit(i32::from(unsafe { at.read_volatile() } != 0x5a));
    }
    for (part, signal) in [("before", Some(libc::SIGSEGV)), ("behind", Some(libc::SIGSEGV)), ("within", None)] {
        let output = start("guards_fault", part).output().unwrap();
        assert_eq!(output.status.signal(), signal, "{part}: {}", said(&output));
    }
}

/// A process of nobody's with so many bytes that it may lock.
fn limited(name: &str, part: &str, memlock: u64) -> Output {
    // A copy that everybody may run, wherever the build folder is.
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("part");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = start_as(&program, name, part);
    let limit = libc::rlimit { rlim_cur: memlock, rlim_max: memlock };
    // SAFETY: between fork and exec only system calls are made, and no memory is allocated.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    // SAFETY: it only asks who we are.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    command.output().unwrap()
}

#[test]
fn limits_are_met_honestly() {
    if let Some(part) = part() {
        let vault = |level, mode| Vault::open(VaultConfig { level, mode, ..VaultConfig::default() });
        let best = vault(Level::Best, Mode::Private).unwrap();
        let slots: Vec<_> = (0..40).map(|_| best.slot(4096).unwrap()).collect();
        let locked = slots.iter().filter(|slot| slot.protection().locked == Hold::Holds).count();
        let refused = slots.iter().filter(|slot| matches!(slot.protection().locked, Hold::Refused(_))).count();
        assert_eq!(locked + refused, 40);
        assert!(slots.iter().all(|slot| slot.protection().undumped == Hold::Holds));
        let strict = vault(Level::Strict, Mode::Private);
        match part.as_str() {
            "none" => {
                assert_eq!(locked, 0);
                let Err(VaultError::Unprotected { held, remedy }) = strict else { panic!("{strict:?}") };
                assert!(
                    matches!(held.locked, Hold::Refused(_)) && remedy.contains("RLIMIT_MEMLOCK"),
                    "{held} {remedy}"
                );
                assert!(matches!(vault(Level::Strict, Mode::Secret), Err(VaultError::Unprotected { .. })));
            }
            "some" => {
                assert!(locked > 0 && locked < 40, "{locked}");
                // All that may be locked is: strict has nothing left, or only what is whole.
                assert!(strict.map_or(true, |vault| vault.probe().unwrap().is_whole()));
            }
            _ => {
                assert_eq!(locked, 40);
                assert!(strict.unwrap().probe().unwrap().is_whole() && process_is_hidden());
            }
        }
        return;
    }
    for (part, memlock) in [("none", 0), ("some", 64 << 10), ("all", 8 << 20)] {
        let output = limited("limits_are_met_honestly", part, memlock);
        assert!(output.status.success(), "{part}: {}", said(&output));
    }
}
