//! The committed answers with their worth in both modes. Invariant: `vectors.jsonl` was written by hand from the
//! specification; `generated.jsonl` by `reference/rewards.py`, whose patterns and literals are Python's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use serde::Deserialize;
use serde_json::Value;
use vigorl_judges::scoring::Parser;
use vigorl_judges::{Choices, Mode, Reward, find};

#[derive(Debug, Deserialize)]
struct Vector {
    #[serde(default)]
    name: String,
    judge: String,
    response: String,
    ground_truth: String,
    /// Overall, format and accuracy.
    reference: [f64; 3],
    fixed: [f64; 3],
}

impl Vector {
    #[track_caller]
    fn check(&self, mode: Mode, expected: [f64; 3]) {
        let reward = Reward::named(&self.judge).unwrap();
        let verdict = reward.worth(mode, &self.response, &self.ground_truth).unwrap();
        let judged = [verdict.overall, verdict.format, verdict.accuracy];
        // serde_json reads `1.1600000000000001` as its neighbour.
        let is_near = judged.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(is_near, "{mode:?}: {judged:?} and not {expected:?} for {} {self:#?}", self.name);
    }
}

fn read(text: &str) -> Vec<Vector> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn answers_of_the_specification_have_their_worth_in_both_modes() {
    let vectors = read(include_str!("../../../fixtures/rewards/vectors.jsonl"));
    assert!(vectors.len() >= 46);
    for vector in &vectors {
        for (mode, expected) in [(Mode::Reference, vector.reference), (Mode::Fixed, vector.fixed)] {
            vector.check(mode, expected);
        }
    }
}

#[test]
fn generated_answers_are_worth_what_python_says() {
    let vectors = read(include_str!("../../../fixtures/rewards/generated.jsonl"));
    assert_eq!(vectors.len(), 400);
    for vector in &vectors {
        vector.check(Mode::Reference, vector.reference);
        vector.check(Mode::Fixed, vector.fixed);
    }
}

/// A line of a judge of benchmarks, with its verdict, or with the key that its error names.
#[derive(Debug, Deserialize)]
struct Scored {
    judge: String,
    parser: Option<String>,
    line: Value,
    verdict: Option<Value>,
    error: Option<String>,
}

impl Scored {
    #[track_caller]
    fn check(&self) {
        let parser = self.parser.as_deref().map(|name| Parser::named(name).unwrap());
        let mut judge = find(&self.judge).unwrap().open(Choices { parser, mode: None });
        match (judge.line(&self.line), &self.verdict, &self.error) {
            (Ok(Some(said)), Some(verdict), None) => assert_eq!(said, *verdict, "{self:#?}"),
            (Err(why), None, Some(key)) => assert!(why.contains(&format!("`{key}")), "{why}\n{self:#?}"),
            (said, ..) => panic!("{said:?}\n{self:#?}"),
        }
    }
}

/// The committed lines of judges of benchmarks. `vectors.jsonl` was written by hand from the specification; `generated.jsonl`
/// by `reference/screenspot.py`, which computes with fractions and reads formats with Python's own patterns.
#[test]
fn lines_of_benchmarks_have_their_verdicts() {
    for (text, n) in [
        (include_str!("../../../fixtures/scoring/vectors.jsonl"), 50),
        (include_str!("../../../fixtures/scoring/generated.jsonl"), 540),
    ] {
        let lines: Vec<Scored> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), n);
        lines.iter().for_each(Scored::check);
    }
}
