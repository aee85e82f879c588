//! Kernel packs.
