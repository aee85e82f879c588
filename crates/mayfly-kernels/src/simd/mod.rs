//! One vector of f32, written once and instantiated for every instruction set.
//!
//! A kernel's body is generic over [`Simd`] and `#[inline(always)]`; [`crate::dispatch!`] instantiates it inside a function that has the
//! instruction set enabled. The methods are safe: a value of the implementing type can only be made where the instructions exist.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod dots;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod simd128;

/// Vectors of `N` f32, with i32 lanes and masks of the same number.
pub(crate) trait Simd: Copy {
    /// Lanes of a vector.
    /// Lanes of a vector.
    const N: usize;
    /// Vector registers of the machine.
    const REGISTERS: usize = 16;
    type F32: Copy;
    type I32: Copy;
    type Mask: Copy;

    fn splat(self, v: f32) -> Self::F32;
    /// Reads the first `N` elements.
    fn load(self, x: &[f32]) -> Self::F32;
    /// Reads `N` elements.
    ///
    /// # Safety
    /// `x` points to at least `N` readable elements.
    unsafe fn load_ptr(self, x: *const f32) -> Self::F32;
    /// Writes `N` elements.
    ///
    /// # Safety
    /// `y` points to at least `N` writable elements.
    unsafe fn store_ptr(self, y: *mut f32, v: Self::F32);
    /// Writes the first `N` elements.
    fn store(self, y: &mut [f32], v: Self::F32);
    /// Reads up to `N` elements; lanes beyond are zero.
    fn load_part(self, x: &[f32]) -> Self::F32;
    /// Writes as many lanes as `y` has elements, at most `N`.
    fn store_part(self, y: &mut [f32], v: Self::F32);

    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a · b + c`, rounded once where the machine can.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The smaller; the second operand when one is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The larger; the second operand when one is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sqrt(self, a: Self::F32) -> Self::F32;

    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `if m { a } else { b }`
    fn select(self, m: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;

    /// Reads the first `N` elements.
    fn load_i32(self, x: &[i32]) -> Self::I32;
    /// Writes the first `N` elements.
    fn store_i32(self, y: &mut [i32], v: Self::I32);
    fn splat_i32(self, v: i32) -> Self::I32;
    /// Truncates towards zero; the value must fit.
    fn f32_to_i32(self, a: Self::F32) -> Self::I32;
    fn i32_to_f32(self, a: Self::I32) -> Self::F32;
    fn to_bits(self, a: Self::F32) -> Self::I32;
    fn from_bits(self, a: Self::I32) -> Self::F32;
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn xor_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn eq_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;
    fn shl_i32<const BITS: u32>(self, a: Self::I32) -> Self::I32;
    /// Arithmetic shift.
    fn sra_i32<const BITS: u32>(self, a: Self::I32) -> Self::I32;

    /// Whether [`Simd::dot_u7`] is faster than [`Simd::dot_i8`].
    const DOT_SIGNS: bool = false;
    /// `sums + Σ x · w` over the four bytes of each lane, exactly: all bytes lie in −127..=127.
    fn dot_i8(self, sums: Self::I32, x: Self::I32, w: Self::I32) -> Self::I32;
    /// The same where no byte of `x` is negative.
    #[inline(always)]
    fn dot_u7(self, sums: Self::I32, x: Self::I32, w: Self::I32) -> Self::I32 {
        self.dot_i8(sums, x, w)
    }

    /// The sum of the lanes, in an order that depends on the instruction set only.
    fn reduce_sum(self, a: Self::F32) -> f32;
    /// The largest lane.
    fn reduce_max(self, a: Self::F32) -> f32;

    /// `act(v)` in a function of its own, which an instruction set that has to be enabled overrides.
    #[inline(always)]
    fn act(self, act: crate::Act, v: Self::F32) -> Self::F32 {
        crate::act_vec::act_call(self, act, v)
    }
    /// `dy · act'` from what the activation saves, in a function of its own.
    #[inline(always)]
    fn act_bwd(self, act: crate::Act, dy: Self::F32, saved: Self::F32) -> Self::F32 {
        crate::act_vec::act_bwd_call(self, act, dy, saved)
    }

    /// `N` elements of each of `N` rows to columns: `to[q · to_row + r] = from[r · from_row + q]`. Rows from `rows` on are not read; anything may stand for them.
    ///
    /// # Safety
    /// `from` has `N` readable elements in each of `rows` rows, `to` has `N` writable ones in each of `N` rows; `0 < rows <= N`.
    #[inline(always)]
    unsafe fn transpose(self, to: *mut f32, to_row: usize, from: *const f32, from_row: usize, rows: usize) {
        for r in 0..Self::N {
            for q in 0..Self::N {
                // SAFETY: the caller's promise.
                unsafe { *to.add(q * to_row + r) = *from.add(r.min(rows - 1) * from_row + q) };
            }
        }
    }

    /// Asks for the cache line of an address that will be used soon; any address may be named.
    #[inline(always)]
    fn prefetch(self, _at: *const f32) {}

    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }
    #[inline(always)]
    fn abs(self, a: Self::F32) -> Self::F32 {
        self.from_bits(self.and_i32(self.to_bits(a), self.splat_i32(0x7fff_ffff)))
    }
    #[inline(always)]
    fn neg(self, a: Self::F32) -> Self::F32 {
        self.from_bits(self.xor_i32(self.to_bits(a), self.splat_i32(i32::MIN)))
    }
    /// `a` where the sign bit of `s` is set, `b` elsewhere.
    #[inline(always)]
    fn select_by_sign(self, s: Self::F32, a: Self::F32, b: Self::F32) -> Self::F32 {
        let top = self.and_i32(self.to_bits(s), self.splat_i32(i32::MIN));
        self.select(self.eq_i32(top, self.splat_i32(i32::MIN)), a, b)
    }
    /// `a` with the sign of `s`.
    #[inline(always)]
    fn copysign(self, a: Self::F32, s: Self::F32) -> Self::F32 {
        let sign = self.and_i32(self.to_bits(s), self.splat_i32(i32::MIN));
        self.from_bits(self.or_i32(self.and_i32(self.to_bits(a), self.splat_i32(0x7fff_ffff)), sign))
    }
}

/// Calls a body that is generic over [`Simd`] for an [`crate::Isa`]: `dispatch!(isa, body(args: Types…) -> Result)`.
///
/// The generated functions carry `#[target_feature]`, so that everything inlined into them uses those instructions.
macro_rules! dispatch {
    ($isa:expr, $body:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
        fn with_avx512($($arg: $ty),*) $(-> $ret)? {
            $body($crate::simd::avx512::Avx512::new(), $($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn with_avx2($($arg: $ty),*) $(-> $ret)? {
            $body($crate::simd::avx2::Avx2::new(), $($arg),*)
        }
        match $isa.0 {
            // SAFETY: an `Isa` of this kind exists only where detection found these features.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kind::Avx512 { .. } => unsafe { with_avx512($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kind::Avx2 { .. } => unsafe { with_avx2($($arg),*) },
            #[cfg(target_arch = "aarch64")]
            $crate::isa::Kind::Neon { .. } => $body($crate::simd::neon::Neon::new(), $($arg),*),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            $crate::isa::Kind::Simd128 => $body($crate::simd::simd128::Simd128::new(), $($arg),*),
            _ => $body($crate::simd::scalar::Scalar, $($arg),*),
        }
    }};
}
pub(crate) use dispatch;
