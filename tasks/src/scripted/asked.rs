//! What clauses ask a page: about one element, how many there are, and whether a line of text matches.
//!
//! Invariant: an element that is not there has no state and holds nothing, so that such a clause does not hold; where
//! nobody can tell which element is meant, nobody can tell whether the clause holds.

use serde::Deserialize;
use serde_json::{Value, json};
use vigorl_interface::{Driver, DriverError};

use super::clause::{CountClause, ElementClause, ElementQuestion, ElementState};
use super::element::{Absence, Cure, Wanted, n_of};
use super::{Check, ElementPlace, page};

/// Longest part of a text that is quoted where something else was expected.
const MOST_QUOTED: usize = 80;

impl ElementClause {
    /// Whether it holds on the page or in a frame of it.
    pub(super) fn check(&self, driver: &mut dyn Driver) -> Result<Check, DriverError> {
        let about = match &self.asks {
            ElementQuestion::Is(state @ (ElementState::Visible | ElementState::Hidden)) => {
                let nth = self.element.nth.map_or(1, u64::from);
                let n = match counted(driver, &self.element, &format!(", isSeen, {nth}"))? {
                    Ok(n) => n,
                    Err(absence) => return Ok(Check::unknown(absence.reason)),
                };
                return Ok(Check::of(Ok((n >= nth) == (*state == ElementState::Visible))));
            }
            ElementQuestion::Is(ElementState::Checked | ElementState::Unchecked) => {
                json!({ "fact": "checked" })
            }
            ElementQuestion::Is(ElementState::Enabled | ElementState::Disabled) => {
                json!({ "fact": "enabled" })
            }
            ElementQuestion::Is(ElementState::Focused) => json!({ "fact": "focused" }),
            ElementQuestion::Value(_) => json!({ "fact": "value" }),
            ElementQuestion::Text(_) => json!({ "fact": "text" }),
            ElementQuestion::Attribute(attribute) => json!({ "fact": "attribute", "name": attribute.name }),
        };
        Ok(match fact(driver, &self.element, &about)? {
            Ok(fact) => self.asks.answered(&self.element, &fact),
            // What is not there is in no state.
            Err(Absence { reason, cure: Cure::Wait }) => Check::not_so(reason),
            Err(absence) => Check::unknown(absence.reason),
        })
    }
}

impl ElementQuestion {
    /// What a fact of the page says.
    fn answered(&self, element: &ElementPlace, fact: &Value) -> Check {
        let unanswered = || Check::unknown("the page has no answer to that");
        match (self, fact) {
            (Self::Is(state), Value::Bool(is_so)) => {
                let is_opposite = matches!(state, ElementState::Unchecked | ElementState::Disabled);
                Check::of(Ok(*is_so != is_opposite))
            }
            (Self::Value(_), Value::Null) => Check::unknown(format!("{element} is no field")),
            (Self::Value(wanted), Value::String(found)) => {
                check(evened(wanted) == *found, || format!("it holds `{}`", quoted(found)))
            }
            (Self::Text(wanted), found) => {
                let Ok(found) = <[String; 2]>::deserialize(found) else { return unanswered() };
                let wanted = evened(wanted);
                let is_shown = found.iter().any(|found| found.contains(&wanted));
                check(is_shown, || format!("it shows `{}`", quoted(&found[0])))
            }
            (Self::Attribute(wanted), found) => match &found["is"] {
                Value::String(found) => {
                    check(*found == wanted.is, || format!("its `{}` is `{}`", wanted.name, quoted(found)))
                }
                _ => Check::not_so(format!("it has no attribute `{}`", wanted.name)),
            },
            _ => unanswered(),
        }
    }
}

impl CountClause {
    /// Whether the page and its frames show so many.
    pub(super) fn check(&self, driver: &mut dyn Driver) -> Result<Check, DriverError> {
        Ok(match counted(driver, &self.element, ", isShown")? {
            Ok(n) => check(n >= self.least && self.most.is_none_or(|most| n <= most), || match n {
                0 => "there is none".to_owned(),
                n => format!("there are {n}"),
            }),
            Err(absence) => Check::unknown(absence.reason),
        })
    }
}

/// Whether a line of text on the page, or in a frame of it, has something that a pattern matches; nothing where there is
/// no page.
pub(super) fn matches_line(driver: &mut dyn Driver, pattern: &str) -> Result<Option<Check>, DriverError> {
    let pattern = match regex::Regex::new(pattern) {
        Ok(pattern) => pattern,
        Err(error) => return Ok(Some(Check::unknown(error.to_string()))),
    };
    let answers = page::ask_if_any(driver, &page::of_lines())?;
    let lines = |answer: &page::Answer| Vec::<String>::deserialize(&answer.said).unwrap_or_default();
    Ok(answers.map(|answers| {
        Check::of(answers.map(|answers| answers.iter().flat_map(lines).any(|line| pattern.is_match(&line))))
    }))
}

/// A fact about the one element that is meant.
fn fact(
    driver: &mut dyn Driver,
    place: &ElementPlace,
    about: &Value,
) -> Result<Result<Value, Absence>, DriverError> {
    let wanted = match Wanted::one(driver, place, false)? {
        Ok(wanted) => wanted,
        Err(absence) => return Ok(Err(unsaid(absence))),
    };
    let answers = match wanted.ask(driver, "factOf", &format!(", {about}"))? {
        Ok(answers) => answers,
        Err(absence) => return Ok(Err(unsaid(absence))),
    };
    let mut said = match wanted.decide(answers) {
        Ok(answer) => answer.said,
        Err(absence) => return Ok(Err(unsaid(absence))),
    };
    Ok(match said.get_mut("fact") {
        Some(fact) => Ok(fact.take()),
        None => Err(Absence::deserialize(&said)
            .unwrap_or_else(|_| Absence::lasting("the page has no answer to that"))),
    })
}

/// A page that does not answer says nothing of what is on it.
fn unsaid(absence: Absence) -> Absence {
    Absence::lasting(absence.reason)
}

/// How many there are in the page and its frames.
fn counted(
    driver: &mut dyn Driver,
    place: &ElementPlace,
    how: &str,
) -> Result<Result<u64, Absence>, DriverError> {
    let wanted = match Wanted::each(driver, place)? {
        Ok(wanted) => wanted,
        Err(absence) => return Ok(Err(absence)),
    };
    let answers = match wanted.ask(driver, "countOf", how)? {
        Ok(answers) => answers,
        Err(absence) => return Ok(Err(absence)),
    };
    let refused = answers.iter().find_map(|answer| Absence::deserialize(&answer.said).ok());
    Ok(refused.map_or_else(|| Ok(answers.iter().map(n_of).sum()), Err))
}

fn check(holds: bool, why_not: impl FnOnce() -> String) -> Check {
    if holds { Check::of(Ok(true)) } else { Check::not_so(why_not()) }
}

/// With single spaces, as a page tells texts.
fn evened(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it is quoted in a reason, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_QUOTED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use vigorl_judges::Verification::{Satisfied, Unknown, Unsatisfied};

    use super::*;

    #[test]
    fn what_a_page_says_of_an_element_is_an_answer() {
        let asks = |yaml: &str| serde_norway::from_str::<ElementClause>(yaml).unwrap();
        for (clause, fact, holds, words) in [
            ("{ name: a, is: checked }", json!(true), Satisfied, ""),
            ("{ name: a, is: unchecked }", json!(true), Unsatisfied, ""),
            ("{ name: a, is: disabled }", json!(false), Satisfied, ""),
            ("{ name: a, is: checked }", Value::Null, Unknown, "no answer"),
            ("{ name: a, value: ' b  c ' }", json!("b c"), Satisfied, ""),
            ("{ name: a, value: b }", json!("b c"), Unsatisfied, "it holds `b c`"),
            ("{ name: a, value: '' }", json!(""), Satisfied, ""),
            ("{ name: a, value: b }", Value::Null, Unknown, "is no field"),
            ("{ name: a, text: B C }", json!(["a b c d", "A B C D"]), Satisfied, ""),
            ("{ name: a, text: x }", json!(["a b", "A B"]), Unsatisfied, "it shows `a b`"),
            ("{ name: a, attribute: { name: href, is: /x } }", json!({ "is": "/x" }), Satisfied, ""),
            ("{ name: a, attribute: { name: href, is: /x } }", json!({ "is": "/y" }), Unsatisfied, "is `/y`"),
            (
                "{ name: a, attribute: { name: href, is: '' } }",
                json!({ "is": null }),
                Unsatisfied,
                "no attribute `href`",
            ),
        ] {
            let ElementClause { element, asks } = asks(clause);
            let check = asks.answered(&element, &fact);
            let why = check.why.unwrap_or_default();
            assert!(
                check.holds == holds && why.contains(words),
                "{clause}, {fact}: {:?}, {why}",
                check.holds
            );
        }
        assert_eq!(quoted(&"ä".repeat(100)).chars().count(), MOST_QUOTED + 1);
    }
}
