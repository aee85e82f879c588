//! Dot products of four bytes: what layers in int8 are made of.
use super::Simd;

/// How four products of bytes are added to a 32-bit sum.
///
/// Both factors lie in −127..=127. A method is exact if no sum that it forms on the way can overflow: two products come to at most
/// 2 · 127² = 32,258, which fits 16 bits with a sign; with inputs shifted into 1..=255 they would not.
pub(crate) trait Dots: Copy {
    type S: Simd;
    /// What is added to the inputs beforehand: 0, or 128 for instructions that want them unsigned.
    const BIAS: i32 = 0;
    /// Whether [`Dots::add_positive`] is faster than [`Dots::add`].
    const NON_NEGATIVE_PAYS: bool = false;

    fn simd(self) -> Self::S;
    /// `sums + Σ x · w` over the four bytes of each lane.
    fn add(
        self,
        sums: <Self::S as Simd>::I32,
        x: <Self::S as Simd>::I32,
        w: <Self::S as Simd>::I32,
    ) -> <Self::S as Simd>::I32;
    /// The same where no input is negative.
    #[inline(always)]
    fn add_positive(
        self,
        sums: <Self::S as Simd>::I32,
        x: <Self::S as Simd>::I32,
        w: <Self::S as Simd>::I32,
    ) -> <Self::S as Simd>::I32 {
        self.add(sums, x, w)
    }
}

/// With what every machine of an instruction set has.
#[derive(Clone, Copy)]
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: Simd> Dots for Plain<S> {
    type S = S;
    const NON_NEGATIVE_PAYS: bool = S::DOT_SIGNS;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn add(self, sums: S::I32, x: S::I32, w: S::I32) -> S::I32 {
        self.0.dot_i8(sums, x, w)
    }
    #[inline(always)]
    fn add_positive(self, sums: S::I32, x: S::I32, w: S::I32) -> S::I32 {
        self.0.dot_u7(sums, x, w)
    }
}

/// AVX-512 VNNI.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Vnni512(super::avx512::Avx512);
/// AVX-VNNI, on 256 bits.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Vnni256(super::avx2::Avx2);
/// The dot product of Armv8.2.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(crate) struct SDot(super::neon::Neon);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Dots, Vnni256, Vnni512};
    use crate::simd::avx2::Avx2;
    use crate::simd::avx512::Avx512;
    use core::arch::x86_64::*;

    impl Vnni512 {
        /// Callable only where the features are enabled: that is the proof the methods below rest on.
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        pub(crate) fn new() -> Vnni512 {
            Vnni512(Avx512::new())
        }
    }

    impl Vnni256 {
        /// Callable only where the features are enabled: that is the proof the methods below rest on.
        #[inline]
        #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
        pub(crate) fn new() -> Vnni256 {
            Vnni256(Avx2::new())
        }
    }

    impl Dots for Vnni512 {
        type S = Avx512;
        const BIAS: i32 = 128;

        #[inline(always)]
        fn simd(self) -> Avx512 {
            self.0
        }
        #[inline(always)]
        fn add(self, sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
            // SAFETY: `self` proves the instruction set.
            unsafe { _mm512_dpbusd_epi32(sums, x, w) }
        }
    }

    impl Dots for Vnni256 {
        type S = Avx2;
        const BIAS: i32 = 128;

        #[inline(always)]
        fn simd(self) -> Avx2 {
            self.0
        }
        #[inline(always)]
        fn add(self, sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
            // SAFETY: `self` proves the instruction set.
            unsafe { _mm256_dpbusd_avx_epi32(sums, x, w) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Dots, SDot};
    use crate::simd::neon::Neon;
    use core::arch::aarch64::int32x4_t;

    impl SDot {
        /// Callable only where the features are enabled: that is the proof the methods below rest on.
        #[inline]
        #[target_feature(enable = "neon,dotprod")]
        pub(crate) fn new() -> SDot {
            SDot(Neon::new())
        }
    }

    impl Dots for SDot {
        type S = Neon;

        #[inline(always)]
        fn simd(self) -> Neon {
            self.0
        }
        #[inline(always)]
        fn add(self, sums: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
            let mut sums = sums;
            // The intrinsic is not stable yet.
            // SAFETY: `self` proves the instruction set; registers only.
            unsafe {
                core::arch::asm!(
                    ".arch_extension dotprod",
                    "sdot {s:v}.4s, {x:v}.16b, {w:v}.16b",
                    s = inout(vreg) sums, x = in(vreg) x, w = in(vreg) w,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            sums
        }
    }
}

/// [`dispatch!`](super::dispatch) for a body that is generic over [`Dots`].
macro_rules! dispatch_dots {
    ($isa:expr, $body:ident ( $($arg:ident : $ty:ty),* $(,)? )) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn with_vnni512($($arg: $ty),*) {
            $body($crate::simd::dots::Vnni512::new(), $($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
        fn with_vnni256($($arg: $ty),*) {
            $body($crate::simd::dots::Vnni256::new(), $($arg),*)
        }
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "neon,dotprod")]
        fn with_sdot($($arg: $ty),*) {
            $body($crate::simd::dots::SDot::new(), $($arg),*)
        }
        #[inline(always)]
        fn plain<S: $crate::simd::Simd>(s: S, $($arg: $ty),*) {
            $body($crate::simd::dots::Plain(s), $($arg),*)
        }
        match $isa.0 {
            // SAFETY: an `Isa` of this kind exists only where detection found these features.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kind::Avx512 { vnni: true } => unsafe { with_vnni512($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kind::Avx2 { vnni: true } => unsafe { with_vnni256($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            $crate::isa::Kind::Neon { dot: true } => unsafe { with_sdot($($arg),*) },
            _ => $crate::simd::dispatch!($isa, plain($($arg: $ty),*)),
        }
    }};
}
pub(crate) use dispatch_dots;
