//! The random numbers of numpy's `RandomState`, as far as a protocol draws its seeds from them.
//!
//! Invariant: the numbers are numpy's own, bit for bit; the vectors in the tests were written by numpy 2.4.6.

const N: usize = 624;
const M: usize = 397;

/// A Mersenne twister (MT19937) that is seeded and drawn from as `numpy.random.RandomState` does it.
#[derive(Debug, Clone)]
pub struct RandomState {
    state: [u32; N],
    next: usize,
}

impl RandomState {
    /// From one number, as `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let before: u32 = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let bits = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let odd = if bits & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (bits >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number below `high`, as `randint(0, high)`: bits beyond the mask of `high` are cut off, and what is still too
    /// large is drawn again.
    ///
    /// # Panics
    /// If `high` is 0: there is no such number.
    pub fn below(&mut self, high: u32) -> u32 {
        let Some(most) = high.checked_sub(1) else { panic!("there is no number below 0") };
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u32, high: u32, n: usize) -> Vec<u32> {
        let mut state = RandomState::new(seed);
        (0..n).map(|_| state.below(high)).collect()
    }

    #[test]
    fn the_numbers_are_those_of_numpy() {
        assert_eq!(drawn(42, 34, 12), [28, 14, 7, 20, 18, 22, 10, 10, 23, 23, 2, 21]);
        assert_eq!(drawn(0, 1000000, 4), [985772, 305711, 435829, 117952]);
        assert_eq!(drawn(33, 1000000, 4), [941076, 985479, 104152, 393794]);
        assert_eq!(drawn(4294967295, 4294967295, 3), [419326371, 479346978, 3918654476]);
        assert_eq!(drawn(7, 1, 2), [0, 0]);
        assert_eq!(drawn(123456789, 1000, 5), [696, 668, 306, 985, 346]);
        // Behind the first block of 624 words.
        assert_eq!(drawn(5, 1_000_000, 700)[695..], [128224, 664595, 786415, 109703, 938316]);
    }
}
