//! Variables and secrets of a task: `${name}` and `${secret:NAME}` in its texts.
//!
//! Invariant: a secret is only filled into text that is typed, never into what a policy reads; its debug form is
//! hidden, and whoever fills a task learns which values must never be written down.

use std::collections::BTreeMap;

use super::{Clause, Plan, ScriptError, ScriptedTask, Step, Target, vacuous};

/// Shorter secrets cannot be hidden: their letters are everywhere.
const SHORTEST_SECRET: usize = 4;

/// A secret that was filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name, which may be written down.
    pub name: String,
    /// Its value, which may not.
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// Where a text may take secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Allowed,
    Refused,
}

impl ScriptedTask {
    /// Replaces `${name}` by a variable, of `overrides` or else of the task, and `${secret:NAME}` in typed text by
    /// what `secret` knows. `$${` stands for `${`. Returns the secrets that were used.
    ///
    /// # Errors
    /// A name that nobody knows, a secret where a policy or a report would see it, one that is too short to be
    /// hidden, an override of a variable that the task does not have, and a clause that is left without a text.
    pub fn fill(
        &mut self,
        overrides: &BTreeMap<String, String>,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Secret>, ScriptError> {
        if let Some(unknown) = overrides.keys().find(|name| !self.vars.contains_key(*name)) {
            let names: Vec<&str> = self.vars.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return fault(format!("the task has no variable `{unknown}`; it has {known}"));
        }
        let mut vars = self.vars.clone();
        vars.extend(overrides.clone());
        let mut used: Vec<Secret> = Vec::new();
        let mut fill = |text: &mut String, secrets: Secrets| -> Result<(), ScriptError> {
            *text = filled(text, &vars, secrets, secret, &mut used)?;
            Ok(())
        };
        fill(&mut self.name, Secrets::Refused)?;
        for text in self.start.url.iter_mut().chain(&mut self.start.programs) {
            fill(text, Secrets::Refused)?;
        }
        match &mut self.plan {
            Plan::Goal(goal) => fill(goal, Secrets::Refused)?,
            Plan::Steps(steps) => {
                for (text, secrets) in steps.iter_mut().flat_map(texts_of_step) {
                    fill(text, secrets)?;
                }
            }
        }
        for clause in &mut self.expect {
            texts_of_clause(clause).into_iter().try_for_each(|text| fill(text, Secrets::Refused))?;
        }
        vacuous(&self.plan, &self.expect)?;
        Ok(used)
    }
}

/// Texts, and whether they may take secrets: only what is typed may.
fn texts_of_step(step: &mut Step) -> Vec<(&mut String, Secrets)> {
    let texts: Vec<&mut String> = match step {
        Step::Type(text) => return vec![(text, Secrets::Allowed)],
        Step::Repeat(repeat) => return repeat.steps.iter_mut().flat_map(texts_of_step).collect(),
        Step::Within(within) => return within.steps.iter_mut().flat_map(texts_of_step).collect(),
        Step::Retry(retry) => {
            let until = texts_of_clause(&mut retry.until).into_iter().map(|text| (text, Secrets::Refused));
            return until.chain(retry.steps.iter_mut().flat_map(texts_of_step)).collect();
        }
        Step::Navigate(text) => vec![text],
        Step::WaitFor(clause) | Step::Assert(clause) => texts_of_clause(clause),
        Step::Select(list) => list.target.texts().into_iter().chain([&mut list.option]).collect(),
        Step::Upload(field) => field.target.texts().into_iter().chain(&mut field.files).collect(),
        step => step.targets_mut().into_iter().flat_map(Target::texts).collect(),
    };
    texts.into_iter().map(|text| (text, Secrets::Refused)).collect()
}

fn texts_of_clause(clause: &mut Clause) -> Vec<&mut String> {
    match clause {
        Clause::UrlContains(text)
        | Clause::TextVisible(text)
        | Clause::TitleContains(text)
        | Clause::Javascript(text)
        | Clause::Clipboard(text)
        | Clause::Picture(text)
        | Clause::Command(text) => vec![text],
        Clause::Element(element) => element.selector.iter_mut().chain(&mut element.name).collect(),
        Clause::File(file) => std::iter::once(&mut file.path).chain(&mut file.contains).collect(),
    }
}

fn fault<T>(message: String) -> Result<T, ScriptError> {
    Err(ScriptError { message, at: None })
}

fn filled(
    text: &str,
    vars: &BTreeMap<String, String>,
    secrets: Secrets,
    secret: &dyn Fn(&str) -> Option<String>,
    used: &mut Vec<Secret>,
) -> Result<String, ScriptError> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = from[2..].split_once('}') else {
            return fault(format!(
                "`${{` without `}}` in `{text}`; write `$${{` for the characters themselves"
            ));
        };
        match name.strip_prefix("secret:") {
            None => match vars.get(name) {
                Some(value) => out.push_str(value),
                None => return fault(format!("no variable `{name}`: add it to `vars`")),
            },
            Some(_) if secrets == Secrets::Refused => {
                return fault(format!(
                    "`${{{name}}}` stands in `{text}`, but secrets are only filled into `type` steps"
                ));
            }
            Some(name) => {
                let Some(value) = secret(name) else {
                    return fault(format!(
                        "no secret `{name}`: put it into the environment or into the file of --secrets"
                    ));
                };
                if value.chars().count() < SHORTEST_SECRET {
                    return fault(format!(
                        "the secret `{name}` is shorter than {SHORTEST_SECRET} characters, which cannot be hidden in a record"
                    ));
                }
                out.push_str(&value);
                used.push(Secret { name: name.to_owned(), value });
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(step: &str) -> ScriptedTask {
        let yaml = format!(
            "name: find ${{what}}\nvars: {{ what: tea, host: 'http://h' }}\nstart: {{ url: '${{host}}/x' }}\nsteps:\n  - {step}\n\
             expect: [url_contains: '${{what}}']\n"
        );
        ScriptedTask::parse(&yaml).unwrap()
    }

    fn secret(name: &str) -> Option<String> {
        [("PASSWORD", "s3cret!"), ("PIN", "123")]
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.to_owned())
    }

    #[track_caller]
    fn check(step: &str, overrides: &[(&str, &str)], expected: Result<&str, &str>) {
        let overrides = overrides.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut task = task(step);
        match (task.fill(&overrides, &secret), expected) {
            (Ok(_), Ok(text)) => {
                let Plan::Steps(steps) = &mut task.plan else { panic!("steps") };
                assert_eq!(texts_of_step(&mut steps[0])[0].0, text);
            }
            (Err(error), Err(words)) => assert!(error.message.contains(words), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn variables_are_filled_in_everywhere() {
        check("click: the ${what} box", &[], Ok("the tea box"));
        check("click: the ${what} box", &[("what", "coffee")], Ok("the coffee box"));
        check("type: 'a $${what} and $5'", &[], Ok("a ${what} and $5"));
        let mut task = task("press: Enter");
        task.fill(&BTreeMap::new(), &secret).unwrap();
        assert_eq!((task.name.as_str(), task.start.url.as_deref()), ("find tea", Some("http://h/x")));
        assert_eq!(task.expect, [Clause::UrlContains("tea".to_owned())]);
    }

    #[test]
    fn secrets_are_only_typed_and_never_shown() {
        let mut task = task("type: 'x${secret:PASSWORD}'");
        let used = task.fill(&BTreeMap::new(), &secret).unwrap();
        assert_eq!(task.plan, Plan::Steps(vec![Step::Type("xs3cret!".to_owned())]));
        assert_eq!((used[0].name.as_str(), used[0].value.as_str()), ("PASSWORD", "s3cret!"));
        assert!(!format!("{used:?}").contains("s3cret"));
        check("click: 'the ${secret:PASSWORD} box'", &[], Err("only filled into `type` steps"));
        check("assert: { text_visible: '${secret:PASSWORD}' }", &[], Err("only filled into `type` steps"));
        check("type: '${secret:OTHER}'", &[], Err("no secret `OTHER`"));
        check("type: '${secret:PIN}'", &[], Err("shorter than 4"));
    }

    #[test]
    fn what_nobody_knows_is_named() {
        check("click: '${wat}'", &[], Err("no variable `wat`"));
        check("click: '${what'", &[], Err("without `}`"));
        check("click: x", &[("wat", "1")], Err("no variable `wat`; it has host, what"));
    }

    #[test]
    fn a_clause_that_is_left_without_a_text_is_refused() {
        check("click: x", &[("what", "")], Err("`url_contains` is empty"));
        check("assert: { text_visible: '${host}' }", &[("host", " ")], Err("`text_visible` is empty"));
        check("type: '${host}'", &[("host", "")], Ok(""));
    }
}
