//! Variables of a task that are drawn from the seed of an episode.
//!
//! Invariant: an episode for learning and one that is held out have no drawn value of any variable in common.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ScriptedTask;
use crate::sources::{Part, stable_hash};

/// Of as many values of a variable one is held out, and at least one.
const HELD_OUT_IN: usize = 5;
/// More numbers are not listed.
const MAX_NUMBERS: u64 = 10_000;
/// Longer products are not counted.
const MAX_EPISODES: u64 = 1 << 32;
/// What the combinations of a number are counted by. It is part of what a seed means: a recorded episode can be played again.
const STRIDE: u64 = 2_654_435_761;
/// The golden ratio's share of a whole: steps of it meet every region of the combinations early.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What a variable is drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Drawn {
    /// One of these texts.
    OneOf(Vec<String>),
    /// A whole number.
    Number(Range),
}

/// From the first number to the last one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first.
    from: i64,
    /// The last.
    to: i64,
}

impl Drawn {
    /// Why nothing can be drawn from it.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::OneOf(texts) => {
                let mut sorted = texts.clone();
                sorted.sort();
                sorted.dedup();
                if sorted.len() != texts.len() {
                    return Some("a value is there twice".to_owned());
                }
                (texts.len() < 2).then(|| "it needs two values: one to learn from, one to measure".to_owned())
            }
            Self::Number(Range { from, to }) => match to.checked_sub(*from) {
                Some(1..) if to.abs_diff(*from) < MAX_NUMBERS => None,
                Some(..1) => Some("it needs two numbers at least: `from` is less than `to`".to_owned()),
                _ => Some(format!("these are more than {MAX_NUMBERS} numbers")),
            },
        }
    }

    /// The values of a part, in an order of their own.
    fn values(&self, part: Part) -> Vec<String> {
        let mut all: Vec<String> = match self {
            Self::OneOf(texts) => texts.clone(),
            Self::Number(Range { from, to }) => (*from..=*to).map(|number| number.to_string()).collect(),
        };
        all.sort_by_key(|value| stable_hash(value.as_bytes()));
        let n_held_out = all.len().div_ceil(HELD_OUT_IN).min(all.len().saturating_sub(1));
        let held_out = all.split_off(all.len() - n_held_out);
        match part {
            Part::Train => all,
            Part::HeldOut => held_out,
        }
    }
}

impl ScriptedTask {
    /// How many different episodes of a part there are. A task that draws nothing has one, which is for learning.
    pub fn n_drawn(&self, part: Part) -> u64 {
        if self.draw.is_empty() {
            return u64::from(part == Part::Train);
        }
        let counts = self.draw.values().map(|drawn| drawn.values(part).len() as u64);
        counts.fold(1_u64, |n, count| n.saturating_mul(count).min(MAX_EPISODES))
    }

    /// The number of the episode that comes `nth`, from 0, in an order in which the first few differ in all variables; behind
    /// the last one it begins again.
    pub fn nth_drawn(&self, part: Part, nth: u64) -> u64 {
        let n = self.n_drawn(part).max(1);
        // The combination that a number stands for is fixed, so the order is made of the numbers.
        times(times(nth % n, golden(n), n), inverse(coprime(n) % n, n), n)
    }

    /// The same task with the drawn variables of an episode among its variables; different numbers below
    /// [`n_drawn`](Self::n_drawn) are different episodes.
    #[must_use]
    pub fn drawn(&self, part: Part, number: u64) -> Self {
        let mut task = self.clone();
        let n = self.n_drawn(part).max(1);
        let mut rest = times(number % n, coprime(n), n);
        let drawn: BTreeMap<String, String> = std::mem::take(&mut task.draw)
            .into_iter()
            .map(|(name, drawn)| {
                let values = drawn.values(part);
                let value = values[(rest % values.len() as u64) as usize].clone();
                rest /= values.len() as u64;
                (name, value)
            })
            .collect();
        task.vars.extend(drawn);
        task
    }
}

/// A stride through `n` things that meets all of them.
fn coprime(n: u64) -> u64 {
    (STRIDE..).find(|stride| gcd(*stride, n) == 1).unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The stride that is nearest to the golden ratio's share of `n` and meets all of them.
fn golden(n: u64) -> u64 {
    let near = (n as f64 * GOLDEN).round() as u64;
    let mut around = (0..n).flat_map(|away| [near.checked_sub(away), near.checked_add(away)]).flatten();
    around.find(|stride| (1..n).contains(stride) && gcd(*stride, n) == 1).unwrap_or(1)
}

/// What `a` is multiplied by to give 1 modulo `n`, to which it is coprime.
fn inverse(a: u64, n: u64) -> u64 {
    let (n, mut old, mut new) = (i128::from(n), (i128::from(a), 1_i128), (i128::from(n), 0_i128));
    while new.0 != 0 {
        let times = old.0 / new.0;
        (old, new) = (new, (old.0 - times * new.0, old.1 - times * new.1));
    }
    u64::try_from(old.1.rem_euclid(n.max(1))).unwrap_or_default()
}

/// `a` times `b`, modulo `n`.
fn times(a: u64, b: u64, n: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) % u128::from(n)) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn task(draw: &str) -> Result<ScriptedTask, String> {
        let yaml = format!(
            "name: n\ndraw: {{ {draw} }}\nstart: {{}}\ngoal: greet ${{who}}\nexpect: [title_contains: x]\n"
        );
        ScriptedTask::parse(&yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn learning_and_measuring_have_no_drawn_value_in_common_and_all_are_met() {
        let task = task("who: [Ada, Grace, Alan, Edsger, Barbara, Donald], n: { from: 1, to: 9 }").unwrap();
        let all = |part: Part| -> BTreeSet<(String, String)> {
            (0..task.n_drawn(part))
                .map(|number| task.drawn(part, number))
                .inspect(|drawn| assert!(drawn.draw.is_empty()))
                .map(|drawn| (drawn.vars["who"].clone(), drawn.vars["n"].clone()))
                .collect()
        };
        let (train, held_out) = (all(Part::Train), all(Part::HeldOut));
        assert_eq!(
            (train.len() as u64, held_out.len() as u64),
            (task.n_drawn(Part::Train), task.n_drawn(Part::HeldOut))
        );
        assert_eq!((train.len(), held_out.len()), (4 * 7, 2 * 2));
        for (who, n) in &held_out {
            assert!(train.iter().all(|(other, m)| other != who && m != n), "{who} {n}");
        }
        assert_eq!(task.drawn(Part::Train, 3), task.drawn(Part::Train, 3 + 28), "it begins again");
    }

    #[test]
    fn the_first_episodes_show_different_values_of_every_variable() {
        let lists = |sizes: &[usize]| {
            let draw = sizes.iter().enumerate().map(|(idx, size)| {
                let values: Vec<String> = (0..*size).map(|n| format!("v{idx}x{n}")).collect();
                format!("{}: [{}]", ["who", "b", "c"][idx], values.join(", "))
            });
            task(&draw.collect::<Vec<_>>().join(", ")).unwrap()
        };
        let shapes: [&[usize]; 9] =
            [&[2], &[20], &[3, 10], &[10, 3], &[5, 5], &[20, 2], &[2, 20], &[4, 5, 6], &[25, 25, 25]];
        for shape in shapes {
            let task = lists(shape);
            for part in Part::ALL {
                let n = task.n_drawn(part);
                let order: Vec<u64> = (0..n).map(|nth| task.nth_drawn(part, nth)).collect();
                assert_eq!(order.iter().collect::<BTreeSet<_>>().len() as u64, n, "{shape:?}: all are met");
                assert!(order.iter().all(|number| *number < n));
                assert_eq!(task.nth_drawn(part, n + 1), task.nth_drawn(part, 1), "it begins again");
                let first: Vec<ScriptedTask> =
                    order.iter().take(8).map(|number| task.drawn(part, *number)).collect();
                for name in task.draw.keys() {
                    let values: BTreeSet<&String> = first.iter().map(|drawn| &drawn.vars[name]).collect();
                    let most = task.draw[name].values(part).len().min(first.len());
                    // Half of what could be seen, at least, and two if there are two.
                    assert!(
                        values.len() >= most.div_ceil(2).max(most.min(2)),
                        "{shape:?} {name}: {values:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_recorded_number_stays_the_same_episode() {
        let task = task("who: [Ada, Grace, Alan, Edsger, Barbara, Donald], n: { from: 1, to: 9 }").unwrap();
        let drawn = task.drawn(Part::Train, 5);
        assert_eq!((&*drawn.vars["who"], &*drawn.vars["n"]), ("Donald", "1"));
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        for (draw, words) in [
            ("who: [Ada]", "two values"),
            ("who: []", "two values"),
            ("who: [Ada, Ada]", "twice"),
            ("who: { from: 3, to: 3 }", "`from` is less"),
            ("who: { from: 1, to: 99999999 }", "more than 10000"),
            ("who: { from: -9223372036854775808, to: 9223372036854775807 }", "more than 10000"),
        ] {
            let error = task(draw).unwrap_err();
            assert!(error.contains(words), "{draw}: {error}");
        }
        let mut undrawn = task("who: [Ada, Grace]").unwrap();
        let error = undrawn.fill(&BTreeMap::new(), &|_| None).unwrap_err();
        assert!(error.message.contains("was not"), "{error}");
        let mut drawn = undrawn.drawn(Part::HeldOut, 0);
        drawn.fill(&BTreeMap::new(), &|_| None).unwrap();
        assert!(
            matches!(&drawn.plan, super::super::Plan::Goal(goal) if goal == "greet Ada" || goal == "greet Grace")
        );
    }
}
