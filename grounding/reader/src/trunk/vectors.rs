//! Vector instructions that this processor has, behind one trait.
//!
//! Invariant: looked up once at run time, never assumed; a body that is written for [`Vector`] gives the same values
//! with each of them up to the rounding of fused products.

#![expect(unsafe_code, reason = "vector instructions read and write through pointers")]

/// A register of f32.
pub(super) trait Vector: Copy {
    /// Numbers in it.
    const LANES: usize;
    /// Whether the processor has an instruction for a product and a sum: without one, the fused sum is a function call.
    const IS_FUSED: bool;
    /// Reads, from memory of any alignment.
    ///
    /// # Safety
    /// As many numbers can be read there, and the processor has the instructions.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes, to memory of any alignment.
    ///
    /// # Safety
    /// As many numbers can be written there, and the processor has the instructions.
    unsafe fn store(self, to: *mut f32);
    /// The same number everywhere.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat(number: f32) -> Self;
    /// `self + a * b`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn plus_product(self, a: Self, b: Self) -> Self;
}

/// `a * b + c` in a loop that the compiler turns into vectors of this kind.
#[inline(always)]
pub(super) fn product_sum<V: Vector>(a: f32, b: f32, c: f32) -> f32 {
    if V::IS_FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // These are what `dispatched` enables.
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("fma")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Defines a function whose body, generic over a vector, is compiled for each set of instructions.
macro_rules! dispatched {
    ($(#[$doc:meta])* $vis:vis fn $name:ident, $body:ident, ($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        $vis unsafe fn $name(isa: $crate::trunk::vectors::Isa, $($arg: $type),*) {
            use $crate::trunk::vectors::Isa;
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
                unsafe fn wide($($arg: $type),*) {
                    // SAFETY: the caller's.
                    unsafe { $body::<std::arch::x86_64::__m512>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn half($($arg: $type),*) {
                    // SAFETY: the caller's.
                    unsafe { $body::<std::arch::x86_64::__m256>($($arg),*) }
                }
                match isa {
                    // SAFETY: `Isa::detect` found the instructions; the rest is the caller's.
                    Isa::Avx512 => return unsafe { wide($($arg),*) },
                    // SAFETY: as above.
                    Isa::Avx2 => return unsafe { half($($arg),*) },
                    Isa::Portable => {}
                }
            }
            let _ = isa;
            // SAFETY: the caller's.
            unsafe { $body::<[f32; 4]>($($arg),*) }
        }
    };
}
pub(super) use dispatched;

mod registers {
    use super::Vector;

    impl Vector for [f32; 4] {
        const LANES: usize = 4;
        const IS_FUSED: bool = false;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            unsafe { from.cast::<Self>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { to.cast::<Self>().write_unaligned(self) }
        }
        #[inline(always)]
        unsafe fn splat(number: f32) -> Self {
            [number; 4]
        }
        #[inline(always)]
        unsafe fn plus_product(self, a: Self, b: Self) -> Self {
            [0, 1, 2, 3].map(|lane| self[lane] + a[lane] * b[lane])
        }
    }

    #[cfg(target_arch = "x86_64")]
    mod x86 {
        use std::arch::x86_64::*;

        use super::Vector;

        impl Vector for __m512 {
            const LANES: usize = 16;
            const IS_FUSED: bool = true;
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm512_loadu_ps(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the caller's.
                unsafe { _mm512_storeu_ps(to, self) }
            }
            #[inline(always)]
            unsafe fn splat(number: f32) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm512_set1_ps(number) }
            }
            #[inline(always)]
            unsafe fn plus_product(self, a: Self, b: Self) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm512_fmadd_ps(a, b, self) }
            }
        }

        impl Vector for __m256 {
            const LANES: usize = 8;
            const IS_FUSED: bool = true;
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm256_loadu_ps(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the caller's.
                unsafe { _mm256_storeu_ps(to, self) }
            }
            #[inline(always)]
            unsafe fn splat(number: f32) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm256_set1_ps(number) }
            }
            #[inline(always)]
            unsafe fn plus_product(self, a: Self, b: Self) -> Self {
                // SAFETY: the caller's.
                unsafe { _mm256_fmadd_ps(a, b, self) }
            }
        }
    }
}
