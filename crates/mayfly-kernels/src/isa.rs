//! Which instruction set the kernels use.
use core::fmt;

/// An instruction set that this CPU has: a token that cannot be made otherwise, so that holding one makes its instructions safe to run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(pub(crate) Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(dead_code)] // each exists on some target only
pub(crate) enum Kind {
    Scalar,
    /// AVX2, FMA and F16C; `vnni` says whether int8 dot products (AVX-VNNI) are there as well.
    Avx2 {
        vnni: bool,
    },
    /// AVX-512 F, BW, DQ and VL; `vnni` says whether int8 dot products are there as well.
    Avx512 {
        vnni: bool,
    },
    /// `dot` says whether int8 dot products (Armv8.2) are there as well.
    Neon {
        dot: bool,
    },
    Simd128,
}

/// Why a name gives no instruction set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IsaError {
    /// No instruction set has this name.
    Unknown,
    /// This CPU (or this build) does not have it.
    NotHere(&'static str),
}

const NAMES: [&str; 6] = ["scalar", "avx2", "avxvnni", "avx512", "neon", "simd128"];

impl Isa {
    /// Plain Rust, everywhere.
    pub const fn scalar() -> Isa {
        Isa(Kind::Scalar)
    }

    /// The best instruction set of this CPU. With the `std` feature the environment variable `MAYFLY_ISA` may name a lesser one;
    /// a name that is unknown or not available here is ignored (see [`Isa::by_name`] for an answer).
    pub fn detect() -> Isa {
        #[cfg(feature = "std")]
        {
            static DETECTED: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
            *DETECTED.get_or_init(|| match std::env::var("MAYFLY_ISA") {
                Ok(name) => Isa::by_name(&name).unwrap_or_else(|_| best()),
                Err(_) => best(),
            })
        }
        #[cfg(not(feature = "std"))]
        best()
    }

    /// All instruction sets of this CPU, the best first, scalar last.
    pub fn available() -> impl Iterator<Item = Isa> {
        let top = best();
        let x86 = matches!(top.0, Kind::Avx512 { .. } | Kind::Avx2 { .. });
        let avx2 = |vnni| Isa(Kind::Avx2 { vnni });
        let below = [(x86 && has_avx_vnni(), avx2(true)), (x86, avx2(false)), (true, Isa::scalar())];
        let below = below.into_iter().filter(move |(here, isa)| *here && *isa != top).map(|(_, isa)| isa);
        core::iter::once(top).chain(below)
    }

    /// The instruction set of that name, if this CPU has it.
    ///
    /// # Errors
    /// An unknown name, or one that is not available here.
    pub fn by_name(name: &str) -> Result<Isa, IsaError> {
        match Isa::available().find(|isa| isa.name() == name) {
            Some(isa) => Ok(isa),
            None => Err(NAMES.iter().find(|n| **n == name).map_or(IsaError::Unknown, |n| IsaError::NotHere(n))),
        }
    }

    /// Its name: `scalar`, `avx2`, `avxvnni` (AVX2 with int8 dot products), `avx512`, `neon` or `simd128`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            Kind::Avx2 { vnni: false } => "avx2",
            Kind::Avx2 { vnni: true } => "avxvnni",
            Kind::Avx512 { .. } => "avx512",
            Kind::Neon { .. } => "neon",
            Kind::Simd128 => "simd128",
        }
    }

    /// Whether the machine's int8 dot products (VNNI, Armv8.2) are used.
    pub fn has_dot_i8(self) -> bool {
        matches!(self.0, Kind::Avx512 { vnni: true } | Kind::Avx2 { vnni: true } | Kind::Neon { dot: true })
    }

    /// The same instruction set as machines have it that lack int8 dot products.
    #[doc(hidden)]
    #[must_use]
    pub fn without_dot_i8(self) -> Isa {
        Isa(match self.0 {
            Kind::Avx512 { .. } => Kind::Avx512 { vnni: false },
            Kind::Avx2 { .. } => Kind::Avx2 { vnni: false },
            Kind::Neon { .. } => Kind::Neon { dot: false },
            other => other,
        })
    }
}

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn best() -> Isa {
    use std::arch::is_x86_feature_detected as has;
    if !(has!("avx2") && has!("fma") && has!("f16c")) {
        return Isa::scalar();
    }
    if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
        return Isa(Kind::Avx512 { vnni: has!("avx512vnni") });
    }
    Isa(Kind::Avx2 { vnni: has_avx_vnni() })
}

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn has_avx_vnni() -> bool {
    std::arch::is_x86_feature_detected!("avxvnni")
}

#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn has_avx_vnni() -> bool {
    false
}

#[cfg(target_arch = "aarch64")]
fn best() -> Isa {
    // NEON is part of every 64-bit Arm.
    #[cfg(feature = "std")]
    let dot = std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(feature = "std"))]
    let dot = cfg!(target_feature = "dotprod");
    Isa(Kind::Neon { dot })
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn best() -> Isa {
    Isa(Kind::Simd128)
}

#[cfg(not(any(
    all(target_arch = "x86_64", feature = "std"),
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
fn best() -> Isa {
    Isa::scalar()
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IsaError::Unknown => write!(f, "no instruction set has this name; there are {NAMES:?}"),
            IsaError::NotHere(name) => write!(f, "this machine or build has no {name}"),
        }
    }
}

impl core::error::Error for IsaError {}
