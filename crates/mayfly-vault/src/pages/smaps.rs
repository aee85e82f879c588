//! What the kernel says about mappings: the lines of `/proc/self/smaps` that tell whether a protection holds.
use alloc::vec::Vec;
use core::ops::Range;

/// One mapping.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Mapping {
    pub(super) range: Range<usize>,
    pub(super) locked: bool,
    pub(super) undumped: bool,
    pub(super) fork_wiped: bool,
}

/// The mappings of a text in the form of `/proc/PID/smaps`, in their order. Lines of another form are passed over.
pub(super) fn parse(text: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        if let Some(range) = heading(line) {
            mappings.push(Mapping { range, ..Mapping::default() });
        } else if let (Some(flags), Some(mapping)) = (line.strip_prefix("VmFlags:"), mappings.last_mut()) {
            for flag in flags.split_ascii_whitespace() {
                match flag {
                    "lo" => mapping.locked = true,
                    "dd" => mapping.undumped = true,
                    "wf" => mapping.fork_wiped = true,
                    _ => {}
                }
            }
        }
    }
    mappings
}

/// `7f0c2a000000-7f0c2a021000 rw-p …`
fn heading(line: &str) -> Option<Range<usize>> {
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

/// The mapping that holds an address.
pub(super) fn find(mappings: &[Mapping], at: usize) -> Option<&Mapping> {
    let after = mappings.partition_point(|mapping| mapping.range.start <= at);
    mappings.get(after.checked_sub(1)?).filter(|mapping| mapping.range.contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Locked:                0 kB
VmFlags: rd wr mr mw me ac
7f0c2a000000-7f0c2a004000 rw-p 00000000 00:00 0
Locked:               16 kB
VmFlags: rd wr mr mw me lo ac wf dd
7f0c2a004000-7f0c2a005000 ---p 00000000 00:00 0
VmFlags: mr mw me ac
";

    #[test]
    fn flags_belong_to_their_mapping() {
        let all = parse(TEXT);
        assert_eq!(all.len(), 3);
        let slot = find(&all, 0x7f0c_2a00_3fff).unwrap();
        assert!(slot.locked && slot.undumped && slot.fork_wiped);
        let guard = find(&all, 0x7f0c_2a00_4000).unwrap();
        assert!(!guard.locked && !guard.undumped && !guard.fork_wiped);
        assert_eq!(find(&all, 0x7f0c_2a00_5000), None);
        assert_eq!(find(&all, 0), None);
    }

    #[test]
    fn other_text_is_passed_over() {
        assert!(parse("").is_empty());
        assert!(parse("VmFlags: lo\nx-y z\n-\nffffffffffffffffff-0 r\n").is_empty());
    }
}
