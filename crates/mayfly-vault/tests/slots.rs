//! Slots: what they protect, that nobody shares one, and what happens when there are none left.
use mayfly_vault::{ALIGN, Block, Hold, Level, Mode, Vault, VaultConfig, VaultError, within};
use std::alloc::Layout;
use std::collections::HashSet;
use std::sync::Barrier;

fn bytes(n: usize) -> Layout {
    Layout::array::<u8>(n).unwrap()
}

fn block(n: usize) -> Block {
    Block::zeroed(bytes(n))
}

/// The bytes of a block. (Blocks give a pointer away: that is for buffers.)
fn see(block: &Block) -> &[u8] {
    // SAFETY: the block has these bytes, initialised, and lives as long as the slice.
    unsafe { std::slice::from_raw_parts(block.as_ptr(), block.size()) }
}

fn write(block: &mut Block, value: u8) {
    // SAFETY: as above, and borrowed exclusively.
    unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), block.size()) }.fill(value);
}

#[test]
fn blocks_of_the_allocator_are_zero_and_aligned() {
    for n in [0, 1, 63, 64, 65, 10_000] {
        let mut block = block(n);
        assert!((block.as_ptr() as usize).is_multiple_of(ALIGN) && !block.is_placed());
        assert!(see(&block).iter().all(|b| *b == 0));
        write(&mut block, 9);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn protection_is_read_back() {
    let vault = Vault::open(VaultConfig::default()).unwrap();
    let held = vault.probe().unwrap();
    assert_eq!(held.undumped, Hold::Holds);
    assert_eq!(held.fork_wiped, Hold::Holds);
    assert_eq!(held.guarded, Hold::Holds);
    assert_eq!(held.secret, Hold::NotAsked);
    // Where RLIMIT_MEMLOCK is 0 it says so; `limits.rs` tries that.
    assert!(matches!(held.locked, Hold::Holds | Hold::Refused(_)), "{held}");
    let off = Vault::open(VaultConfig { level: Level::Off, ..VaultConfig::default() }).unwrap();
    let held = off.probe().unwrap();
    assert_eq!((held.locked, held.undumped, held.fork_wiped), (Hold::NotAsked, Hold::NotAsked, Hold::NotAsked));
}

#[test]
#[cfg(target_os = "linux")]
fn secret_memory_works_or_says_why_not() {
    let vault = Vault::open(VaultConfig { mode: Mode::Secret, ..VaultConfig::default() }).unwrap();
    let slot = vault.slot(5000).unwrap();
    let mut block = within(slot.memory(), || block(5000)).unwrap();
    write(&mut block, 0xa7);
    assert!(see(&block).iter().all(|b| *b == 0xa7));
    let held = slot.protection();
    // SAFETY: the call takes one integer and touches no memory of ours.
    let is_here = unsafe { libc::syscall(libc::SYS_memfd_secret, 0) } >= 0;
    assert_eq!(held.secret == Hold::Holds, is_here, "{held}");
    match held.secret {
        Hold::Holds => {
            assert_eq!((held.locked, held.undumped), (Hold::Holds, Hold::Holds), "{held}");
            use std::os::unix::fs::FileExt;
            let memory = std::fs::File::open("/proc/self/mem").unwrap();
            let read = memory.read_at(&mut [0; 16], block.as_ptr() as u64);
            assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EIO));
        }
        Hold::Refused(_) => assert!(!held.is_whole() && held.remedy().unwrap().contains("CONFIG_SECRETMEM")),
        other => panic!("{other}"),
    }
}

#[test]
fn a_slot_is_filled_once_and_again_when_it_is_empty() {
    let vault = Vault::open(VaultConfig::default()).unwrap();
    let slot = vault.slot(4096).unwrap();
    let all = slot.bytes();
    for _ in 0..3 {
        let mut blocks = within(slot.memory(), || [block(all / 2), block(all / 2 - 64), block(1)]).unwrap();
        let mut places: Vec<_> = blocks.iter().map(|b| b.as_ptr() as usize..b.as_ptr() as usize + b.size()).collect();
        places.sort_by_key(|p| p.start);
        assert!(places.windows(2).all(|two| two[0].end <= two[1].start), "blocks overlap");
        assert!(blocks.iter().all(|b| b.is_placed() && see(b).iter().all(|v| *v == 0)));
        blocks.iter_mut().for_each(|b| write(b, 5));
        let short = within(slot.memory(), || block(1)).unwrap_err();
        assert_eq!(short.bytes, 1);
        assert!(!slot.is_empty());
        drop(blocks);
        assert!(slot.is_empty());
    }
}

#[test]
fn scopes_nest_and_end_also_by_a_panic() {
    let vault = Vault::open(VaultConfig::default()).unwrap();
    let (a, b) = (vault.slot(1).unwrap(), vault.slot(1).unwrap());
    within(a.memory(), || {
        within(b.memory(), || assert!(block(8).is_placed())).unwrap();
        assert!(b.is_empty());
        let kept = block(8);
        assert!(!a.is_empty());
        drop(kept);
        let panicked = std::panic::catch_unwind(|| within(b.memory(), || -> Block { panic!("in a scope") }));
        assert!(panicked.is_err());
        let kept = block(8);
        assert!(!a.is_empty() && b.is_empty());
        drop(kept);
    })
    .unwrap();
    assert!(!block(8).is_placed());
    // Threads have scopes of their own.
    within(a.memory(), || std::thread::spawn(|| assert!(!block(8).is_placed())).join().unwrap()).unwrap();
}

#[test]
fn a_slot_that_comes_back_is_zero() {
    let vault = Vault::open(VaultConfig::default()).unwrap();
    let mut seen = HashSet::new();
    for round in 0..50u8 {
        let slot = vault.slot(3000).unwrap();
        let mut block = within(slot.memory(), || block(slot.bytes())).unwrap();
        assert!(see(&block).iter().all(|b| *b == 0), "round {round}");
        write(&mut block, round.wrapping_add(1));
        seen.insert(block.as_ptr() as usize);
    }
    assert!(seen.len() <= 2, "slots are used again");
}

#[test]
fn the_limit_holds_and_idle_regions_make_room() {
    let page = 4096;
    let vault = Vault::open(VaultConfig { limit_bytes: 64 * page, ..VaultConfig::default() }).unwrap();
    let slots: Vec<_> = (0..64).map(|_| vault.slot(page).unwrap()).collect();
    assert_eq!(vault.stats().used_bytes, 64 * page);
    let Err(VaultError::Full { wanted, used, limit }) = vault.slot(1) else { panic!("the limit is passed") };
    assert_eq!((wanted, used, limit), (1, 64 * page, 64 * page));
    drop(slots);
    // Nothing is in use, but all the limit is in slots of one page: they give way.
    let large = vault.slot(40 * page).unwrap();
    assert!(large.bytes() >= 40 * page && vault.stats().bytes <= 64 * page);
    assert!(matches!(vault.slot(40 * page), Err(VaultError::Full { .. })));
    assert!(matches!(vault.slot(usize::MAX), Err(VaultError::Full { .. })));
}

#[test]
fn secrets_are_bytes_that_are_wiped() {
    let vault = Vault::open(VaultConfig::default()).unwrap();
    let mut secret = vault.secret(32).unwrap();
    secret.copy_from_slice(&[7; 32]);
    assert_eq!(format!("{secret:?}"), "Secret of 32 bytes");
    secret.wipe();
    assert_eq!(&secret[..], [0; 32]);
}

/// Eight threads ask for more slots than there are, mark what they get and look at it: nobody ever sees another's mark.
#[test]
fn no_slot_is_shared() {
    const SLOTS: usize = 64;
    let vault = Vault::open(VaultConfig { limit_bytes: SLOTS << 12, ..VaultConfig::default() }).unwrap();
    let together = Barrier::new(8);
    let work = &|mark: u8| {
        let mut got = Vec::new();
        for _ in 0..100 {
            let slots: Vec<_> = (0..12).filter_map(|_| vault.slot(100).ok()).collect();
            let mut blocks: Vec<_> =
                slots.iter().map(|slot| within(slot.memory(), || block(slot.bytes())).unwrap()).collect();
            assert!(blocks.iter().all(|block| see(block).iter().all(|b| *b == 0)));
            blocks.iter_mut().for_each(|block| write(block, mark));
            got.push(blocks.len());
            together.wait(); // all have what they get
            assert!(blocks.iter().all(|block| see(block).iter().all(|b| *b == mark)));
            drop((blocks, slots));
            together.wait(); // and have given it back
        }
        got
    };
    let rounds: Vec<Vec<usize>> = std::thread::scope(|threads| {
        let threads: Vec<_> = (1..=8).map(|mark| threads.spawn(move || work(mark))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // 96 are asked for in every round.
    assert!((0..100).all(|round| rounds.iter().map(|got| got[round]).sum::<usize>() == SLOTS));
    assert_eq!(vault.stats().used_bytes, 0);
}
