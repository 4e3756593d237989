//! How likely it is that a text stands where another one was read.
//!
//! The recogniser's reading is its likeliest one. Where two letters look alike, the other reading is nearly as likely; where
//! they do not, it is not. So a name that differs from what was read is compared by probability, not by letters.
//!
//! Source: the forward recursion of CTC (Graves 2006, section 4.1), over frames that keep their likeliest characters.

use crate::reading::Frame;
use crate::spelling::folded;

/// Probability of a character that a frame does not list.
const UNLISTED: f64 = 2e-5;

/// The logarithm of the probability that `frames` say `chars`, which are folded.
pub(crate) fn log_probability(frames: &[Frame], chars: &[char]) -> f64 {
    // Paths by how many characters are behind them: those that end in a blank, and those that end in the character.
    let n = chars.len();
    let mut blank = vec![f64::NEG_INFINITY; n + 1];
    let mut on = vec![f64::NEG_INFINITY; n + 1];
    blank[0] = 0.0;
    for frame in frames {
        let of_blank = log_of(silence(frame));
        for k in (0..=n).rev() {
            let (stay_blank, stay_on) = (blank[k], on[k]);
            let into = match k {
                0 => f64::NEG_INFINITY,
                _ => {
                    let repeated = k > 1 && chars[k - 1] == chars[k - 2];
                    let before = if repeated { blank[k - 1] } else { add(blank[k - 1], on[k - 1]) };
                    add(before, stay_on) + log_of(of_char(frame, chars[k - 1]))
                }
            };
            blank[k] = add(stay_blank, stay_on) + of_blank;
            on[k] = into;
        }
    }
    add(blank[n], on[n])
}

fn log_of(probability: f64) -> f64 {
    probability.max(UNLISTED).ln()
}

/// That no letter is told here. A space is none: whether one was read says little.
fn silence(frame: &Frame) -> f64 {
    let unmeant = frame.likely.iter().filter(|(c, _)| folded([*c]).chars.is_empty());
    f64::from(frame.blank) + unmeant.map(|(_, p)| f64::from(*p)).sum::<f64>()
}

/// That this letter is told here, in whatever case and with whatever accent.
fn of_char(frame: &Frame, wanted: char) -> f64 {
    let same = frame.likely.iter().filter(|(c, _)| folded([*c]).chars.first() == Some(&wanted));
    same.map(|(_, p)| f64::from(*p)).sum()
}

fn add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(blank: f32, likely: &[(char, f32)]) -> Frame {
        Frame { blank, likely: likely.to_vec() }
    }

    #[test]
    fn all_ways_to_say_a_text_are_added() {
        let frames = [frame(0.4, &[('a', 0.6)]), frame(0.5, &[('a', 0.3), ('b', 0.2)])];
        let check = |text: &str, expected: f64| {
            let chars: Vec<char> = text.chars().collect();
            let got = log_probability(&frames, &chars).exp();
            assert!((got - expected).abs() < 1e-4, "{text}: {got} {expected}");
        };
        // "a": a-blank, blank-a, a-a.
        check("a", 0.6 * 0.5 + 0.4 * 0.3 + 0.6 * 0.3);
        check("ab", 0.6 * 0.2);
        check("b", 0.4 * 0.2);
        check("", 0.4 * 0.5);
    }

    #[test]
    fn twice_the_same_letter_needs_a_pause() {
        let loud = frame(1e-6, &[('l', 1.0)]);
        let pause = frame(1.0, &[]);
        let two: Vec<char> = "ll".chars().collect();
        assert!(log_probability(&[loud.clone(), loud.clone()], &two) < -9.0);
        assert!(log_probability(&[loud.clone(), pause, loud], &two) > -0.1);
    }
}
