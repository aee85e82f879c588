//! What protects a slot.
use alloc::string::{String, ToString};
use core::fmt;

/// Whether one protection holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Hold {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// The system says that it holds.
    Holds,
    /// The system refused, with this error number.
    Refused(i32),
    /// The system accepted it and does not say so when asked.
    Unconfirmed,
    /// This operating system has no such thing, or none that is used here.
    NotHere,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::NotAsked => write!(f, "not asked for"),
            Hold::Holds => write!(f, "yes"),
            Hold::Refused(errno) => write!(f, "refused (error {errno})"),
            Hold::Unconfirmed => write!(f, "unconfirmed"),
            Hold::NotHere => write!(f, "not on this system"),
        }
    }
}

/// What holds for the pages of a slot, as it was read back from the system when they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Protection {
    /// The pages stay in memory and never reach swap (`mlock`).
    pub locked: Hold,
    /// They are left out of core files (`MADV_DONTDUMP`).
    pub undumped: Hold,
    /// A forked child sees zeros (`MADV_WIPEONFORK`).
    pub fork_wiped: Hold,
    /// A page on each side faults when it is touched.
    pub guarded: Hold,
    /// The kernel itself does not map them (`memfd_secret`).
    pub secret: Hold,
}

impl Protection {
    /// Each protection with its name.
    pub fn each(&self) -> [(&'static str, Hold); 5] {
        [
            ("locked", self.locked),
            ("undumped", self.undumped),
            ("fork_wiped", self.fork_wiped),
            ("guarded", self.guarded),
            ("secret", self.secret),
        ]
    }

    /// Whether everything that was asked for holds.
    pub fn is_whole(&self) -> bool {
        self.each().iter().all(|(_, hold)| matches!(hold, Hold::Holds | Hold::NotAsked))
    }

    /// What to do about what does not hold; nothing where all does.
    pub fn remedy(&self) -> Option<String> {
        let remedy = match self {
            _ if self.is_whole() => return None,
            Protection { secret: Hold::Refused(_), .. } => {
                "secret memory needs Linux 5.14 or newer with CONFIG_SECRETMEM, and room under RLIMIT_MEMLOCK"
            }
            Protection { locked: Hold::Refused(_), .. } => {
                "raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK= of systemd, --ulimit memlock= of a container) or give CAP_IPC_LOCK"
            }
            Protection { locked: Hold::NotHere, .. } => "pages are protected on Linux only",
            _ => "the kernel or its sandbox refuses madvise; Linux 4.14 or newer has what is needed",
        };
        Some(remedy.to_string())
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, hold)) in self.each().iter().enumerate() {
            write!(f, "{}{name} {hold}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_remedy() {
        let all = Protection {
            locked: Hold::Holds,
            undumped: Hold::Holds,
            fork_wiped: Hold::Holds,
            guarded: Hold::Holds,
            secret: Hold::NotAsked,
        };
        assert!(all.is_whole() && all.remedy().is_none());
        for missing in [Hold::Refused(12), Hold::Unconfirmed, Hold::NotHere] {
            let less = [
                Protection { locked: missing, ..all },
                Protection { undumped: missing, ..all },
                Protection { fork_wiped: missing, ..all },
                Protection { guarded: missing, ..all },
                Protection { secret: missing, ..all },
            ];
            for less in less {
                assert!(!less.is_whole() && less.remedy().is_some(), "{less}");
            }
        }
        let refused = Protection { locked: Hold::Refused(12), ..all };
        assert!(refused.remedy().unwrap().contains("RLIMIT_MEMLOCK"));
        assert_eq!(refused.to_string().split(", ").next(), Some("locked refused (error 12)"));
    }
}
