//! What a process occupies.
use anyhow::{Context, Result};
use std::fmt;
use std::fs::{read_dir, read_to_string};

/// Resident kilobytes, mappings and descriptors.
pub(crate) struct Footprint {
    resident: usize,
    pub(crate) mappings: usize,
    pub(crate) descriptors: usize,
}

impl Footprint {
    pub(crate) fn read() -> Result<Footprint> {
        let status = read_to_string("/proc/self/status").context("this bench reads /proc, which Linux has")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let resident = line.split_whitespace().nth(1).context("no number")?.parse()?;
        let mappings = read_to_string("/proc/self/maps")?.lines().count();
        Ok(Footprint { resident, mappings, descriptors: read_dir("/proc/self/fd")?.count() })
    }

    /// Whether nothing grew: 1 MiB of resident memory is noise.
    pub(crate) fn is_as(&self, before: &Footprint) -> bool {
        let same = (self.mappings, self.descriptors) == (before.mappings, before.descriptors);
        same && self.resident.abs_diff(before.resident) <= 1024
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB, {} mappings, {} descriptors", self.resident, self.mappings, self.descriptors)
    }
}
