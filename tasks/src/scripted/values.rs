//! Variables and secrets of a task: `${name}` and `${secret:NAME}` in its texts.
//!
//! Invariants: a secret is only filled into text that is typed, never into what a policy reads; what was read off the
//! screen is tainted, and never becomes part of what is executed: a command, a script, a selector, a path, an address.
//! Steps are filled when they are taken, because a step before them may have read a variable; everything that can be
//! known before is checked before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vigorl_interface::{Act, TabSearch, WhichTab};

use super::page_acts::tab_fault;
use super::step::{CheckStep, ReadStep, ScreenSource, Source, length};
use super::{
    Clause, CountClause, DownloadClause, ElementClause, ElementPlace, ElementQuestion, FileClause, Place,
    Plan, ScriptError, ScriptedTask, Start, Step, Target, TextClause, TextPlace, WrittenLogin,
};

/// Shorter secrets cannot be hidden: their letters are everywhere.
pub(super) const SHORTEST_SECRET: usize = 4;

/// A secret that was filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name, which may be written down.
    pub name: String,
    /// Its value, which may not.
    pub value: String,
    /// Whether a browser keeps it, and nobody types it: it is looked for as it is, and not misread or in pieces.
    pub is_stored: bool,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// What is known of a task's variables and secrets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// Of the task and its caller.
    given: BTreeMap<String, String>,
    /// Read off the screen so far: tainted.
    read: BTreeMap<String, String>,
    /// Names that some step reads into.
    readable: BTreeSet<String>,
    secrets: Vec<Secret>,
}

/// Knows secrets by their names.
type Knows<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is shown to a policy or a person, or compared with what is on the screen.
    Words,
    /// It is a pattern for what is on the screen, in which what was read stands for itself.
    Pattern,
    /// It is typed: a place for secrets.
    Typed,
    /// It is the password with which a server is asked, which nobody else sees: likewise, but no place for what was read.
    Password,
    /// It is executed, or leads somewhere: no place for what was read.
    Executed,
    /// It is the path of a file: likewise.
    Path,
}

impl ScriptedTask {
    /// Gives the task its variables, those of `overrides` before its own, and its secrets, which `secret` knows. Returns
    /// the secrets that it uses.
    ///
    /// # Errors
    /// A name that nobody knows, a secret where a policy or a report would see it, one that is too short to be hidden,
    /// what is read from the screen where it would be executed, a clause that a variable leaves empty, and an override
    /// of a variable that the task does not have.
    pub fn fill(
        &mut self,
        overrides: &BTreeMap<String, String>,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Secret>, ScriptError> {
        for (name, value) in overrides {
            if self.draw.remove(name).is_some() {
                self.vars.insert(name.clone(), value.clone());
            }
        }
        if let Some(left) = self.draw.keys().next() {
            return fault(format!(
                "`{left}` is drawn for each episode, and was not: say what it is (--var {left}=…)"
            ));
        }
        if let Some(unknown) = overrides.keys().find(|name| !self.vars.contains_key(*name)) {
            let names: Vec<&str> = self.vars.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return fault(format!("the task has no variable `{unknown}`; it has {known}"));
        }
        let mut given = self.vars.clone();
        given.extend(overrides.clone());
        let steps: Vec<Step> = self.all_steps().cloned().collect();
        let readable = steps.iter().flat_map(Step::reads).map(str::to_owned).collect();
        let mut values = Values { given, readable, ..Values::default() };
        if let Some(twice) = values.readable.iter().find(|name| values.given.contains_key(*name)) {
            return fault(format!("`{twice}` is a variable of the task, so nothing can be read into it"));
        }
        let mut early = Filling { values: &mut values, secret: Some(secret), is_early: true };
        self.name = early.text(&self.name, Use::Words)?;
        if let Some(url) = &self.start.url {
            self.start.url = Some(early.text(url, Use::Executed)?);
        }
        if let Some(file) = &self.start.storage {
            self.start.storage = Some(early.text(file, Use::Path)?);
        }
        for text in [&mut self.start.locale, &mut self.start.time_zone].into_iter().flatten() {
            *text = early.text(text, Use::Executed)?;
        }
        if let Some(login) = &mut self.start.basic_auth {
            early.login(login)?;
        }
        if let Some(message) = self.start.fault() {
            return fault(message);
        }
        for program in &mut self.start.programs {
            *program = early.text(program, Use::Executed)?;
        }
        if let Plan::Goal(goal) = &mut self.plan {
            *goal = early.text(goal, Use::Words)?;
        }
        steps.iter().try_for_each(|step| early.step(step).map(drop))?;
        self.expect.iter().try_for_each(|clause| early.clause(clause).map(drop))?;
        self.values = values;
        Ok(self.values.secrets.clone())
    }

    /// Its steps; none of a task with a goal.
    pub fn steps(&self) -> &[Step] {
        match &self.plan {
            Plan::Steps(steps) => steps,
            Plan::Goal(_) => &[],
        }
    }

    /// The same with what comes before and behind them.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.before.iter().chain(self.steps()).chain(&self.after)
    }

    /// How many steps are taken at most.
    pub fn n_steps(&self) -> usize {
        length(self.steps())
    }
}

impl Start {
    /// Gives the login of the start page its variables and its secrets alone, for a task whose other texts stay as they are.
    /// Returns what must be hidden.
    ///
    /// # Errors
    /// As [`ScriptedTask::fill`].
    pub fn fill_login(
        &mut self,
        given: &BTreeMap<String, String>,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Secret>, ScriptError> {
        let Some(login) = &mut self.basic_auth else { return Ok(Vec::new()) };
        let mut values = Values { given: given.clone(), ..Values::default() };
        Filling { values: &mut values, secret: Some(secret), is_early: true }.login(login)?;
        match self.login() {
            Ok(_) => Ok(values.secrets),
            Err(message) => fault(message),
        }
    }
}

impl Values {
    /// Keeps what was read.
    pub fn keep(&mut self, name: &str, text: String) {
        self.read.insert(name.to_owned(), text);
    }

    /// A step with its variables filled in.
    ///
    /// # Errors
    /// If a variable of it was not read yet.
    pub fn fill_step(&mut self, step: &Step) -> Result<Step, ScriptError> {
        Filling { values: self, secret: None, is_early: false }.step(step)
    }

    /// A clause with its variables filled in.
    ///
    /// # Errors
    /// As [`Self::fill_step`].
    pub fn fill_clause(&mut self, clause: &Clause) -> Result<Clause, ScriptError> {
        Filling { values: self, secret: None, is_early: false }.clause(clause)
    }
}

/// Fills texts; at load time, `is_early`, it finds out whether they can be filled later.
struct Filling<'a> {
    values: &'a mut Values,
    secret: Option<&'a Knows<'a>>,
    is_early: bool,
}

/// Whoever puts something else in the place of the texts of steps and clauses. Where texts stand, and what each is for, is
/// said here alone.
pub(super) trait Rewrite {
    /// What a text becomes.
    fn text(&mut self, text: &str, of: Use) -> Result<String, ScriptError>;

    /// What the path of a picture becomes, in which there are no variables.
    fn picture(&mut self, file: &Path) -> PathBuf {
        file.to_owned()
    }

    /// Whether something secret has come into a text.
    fn is_secret(&self, _text: &str) -> bool {
        false
    }

    fn step(&mut self, step: &Step) -> Result<Step, ScriptError> {
        Ok(match step {
            Step::Act(act) => Step::Act(self.act(act)?),
            Step::Check(check) => {
                Step::Check(CheckStep { clause: self.clause(&check.clause)?, ..check.clone() })
            }
            Step::Read(ReadStep { of, into }) => {
                Step::Read(ReadStep { of: self.source(of)?, into: into.clone() })
            }
            Step::Block(block) => {
                let mut block = block.clone();
                if let Some(clause) = block.clause_mut() {
                    *clause = self.clause(clause)?;
                }
                for step in block.steps_mut() {
                    *step = self.step(step)?;
                }
                Step::Block(block)
            }
        })
    }

    fn act(&mut self, act: &Act<Target>) -> Result<Act<Target>, ScriptError> {
        let mut act = act.try_map(|target| self.target(target))?;
        match &mut act {
            Act::Type { text } | Act::AnswerDialog { text: Some(text), .. } => {
                *text = self.text(text, Use::Typed)?;
            }
            Act::Fill { text, has_secret, .. } => {
                *text = self.text(text, Use::Typed)?;
                *has_secret = self.is_secret(text);
            }
            Act::SwitchTab { tab: WhichTab::Found(search) } => {
                let is_whole = tab_fault(search).is_none();
                if let TabSearch::TitleContains(text) | TabSearch::UrlContains(text) = search {
                    *text = self.text(text, Use::Words)?;
                }
                if let Some(message) = tab_fault(search).filter(|_| is_whole) {
                    return fault(message);
                }
            }
            Act::Navigate { url } => *url = self.text(url, Use::Executed)?,
            Act::Select { option, .. } => *option = self.text(option, Use::Words)?,
            Act::Upload { files, .. } => {
                for file in files {
                    *file = PathBuf::from(self.text(&file.to_string_lossy(), Use::Path)?);
                }
            }
            _ => {}
        }
        Ok(act)
    }

    fn target(&mut self, target: &Target) -> Result<Target, ScriptError> {
        let description = self.text(&target.description, Use::Words)?;
        let place = match &target.place {
            Some(Place::Element(element)) => Some(Place::Element(Box::new(self.element(element)?))),
            Some(Place::Text(place)) => {
                let TextPlace { text, matches, within, nth, exact } = &**place;
                Some(Place::Text(Box::new(TextPlace {
                    text: self.some_text(text, Use::Words)?,
                    matches: self.some_text(matches, Use::Pattern)?,
                    within: self.some_text(within, Use::Words)?,
                    nth: *nth,
                    exact: *exact,
                })))
            }
            Some(Place::Picture { file, near }) => {
                Some(Place::Picture { file: self.picture(file), near: *near })
            }
            other @ (Some(Place::At(_)) | None) => other.clone(),
        };
        let Target { scroll, offset, .. } = *target;
        let filled = Target { description, place, scroll, offset, earlier: Vec::new() };
        // A place that a variable leaves empty, or a pattern that one breaks.
        match filled.fault().filter(|_| target.fault().is_none()) {
            Some(message) => fault(message),
            None => Ok(filled),
        }
    }

    fn some_text(&mut self, text: &Option<String>, of: Use) -> Result<Option<String>, ScriptError> {
        text.as_ref().map(|text| self.text(text, of)).transpose()
    }

    fn element(&mut self, element: &ElementPlace) -> Result<ElementPlace, ScriptError> {
        Ok(ElementPlace {
            selector: self.some_text(&element.selector, Use::Executed)?,
            name: self.some_text(&element.name, Use::Words)?,
            name_matches: self.some_text(&element.name_matches, Use::Pattern)?,
            within: self.some_text(&element.within, Use::Words)?,
            ..element.clone()
        })
    }

    fn source(&mut self, source: &Source) -> Result<Source, ScriptError> {
        Ok(match source {
            Source::Title | Source::Url | Source::Clipboard => source.clone(),
            Source::Element(element) => {
                let filled = self.element(element)?;
                if let Some(message) = filled.fault().filter(|_| element.fault().is_none()) {
                    return fault(message);
                }
                Source::Element(filled)
            }
            Source::Screen(screen) => {
                let filled = ScreenSource {
                    beside: self.some_text(&screen.beside, Use::Words)?,
                    below: self.some_text(&screen.below, Use::Words)?,
                    matches: self.some_text(&screen.matches, Use::Pattern)?,
                };
                if let Some(message) = filled.fault().filter(|_| screen.fault().is_none()) {
                    return fault(message);
                }
                Source::Screen(filled)
            }
        })
    }

    fn clause(&mut self, clause: &Clause) -> Result<Clause, ScriptError> {
        let mut filled = clause.clone();
        match &mut filled {
            Clause::TextVisible(TextClause { text, .. }) | Clause::TextGone(TextClause { text, .. }) => {
                *text = self.text(text, Use::Words)?;
            }
            Clause::UrlContains(text) | Clause::TitleContains(text) | Clause::Clipboard(text) => {
                *text = self.text(text, Use::Words)?
            }
            Clause::Javascript(text) | Clause::Command(text) => *text = self.text(text, Use::Executed)?,
            Clause::Picture(text) => *text = self.text(text, Use::Path)?,
            Clause::TextMatches(pattern) => *pattern = self.text(pattern, Use::Pattern)?,
            Clause::Element(ElementClause { element, asks }) => {
                *element = self.element(element)?;
                match asks {
                    ElementQuestion::Is(_) => {}
                    ElementQuestion::Value(text) | ElementQuestion::Text(text) => {
                        *text = self.text(text, Use::Words)?;
                    }
                    ElementQuestion::Attribute(attribute) => {
                        attribute.name = self.text(&attribute.name, Use::Executed)?;
                        attribute.is = self.text(&attribute.is, Use::Words)?;
                    }
                }
            }
            Clause::Count(CountClause { element, .. }) => *element = self.element(element)?,
            Clause::File(FileClause { path, contains }) => {
                *path = self.text(path, Use::Path)?;
                if let Some(part) = contains {
                    *part = self.text(part, Use::Words)?;
                }
            }
            Clause::Downloaded(DownloadClause { name, name_matches, contains, sha256, .. }) => {
                *name = self.some_text(name, Use::Words)?;
                *name_matches = self.some_text(name_matches, Use::Pattern)?;
                *contains = self.some_text(contains, Use::Words)?;
                *sha256 = self.some_text(sha256, Use::Words)?;
            }
            Clause::Not(_) | Clause::Any(_) | Clause::All(_) => {
                for part in filled.parts_mut() {
                    *part = self.clause(part)?;
                }
            }
        }
        // A clause that a variable leaves empty says nothing.
        match filled.fault().filter(|_| clause.fault().is_none()) {
            Some(fault) => Err(ScriptError { message: fault, at: None }),
            None => Ok(filled),
        }
    }
}

impl Rewrite for Filling<'_> {
    /// A text with its `${name}` filled in; `$${` stands for `${`.
    fn text(&mut self, text: &str, of: Use) -> Result<String, ScriptError> {
        replaced(text, "${", |name, _, _| match name.strip_prefix("secret:") {
            None => self.variable(name, text, of),
            Some(_) if !matches!(of, Use::Typed | Use::Password) => fault(format!(
                "`${{{name}}}` stands in `{text}`, but secrets are only filled into `type`, `fill` and `dialog` steps and the \
                 password of `start.basic_auth`"
            )),
            Some(name) => self.secret(name),
        })
    }

    fn is_secret(&self, text: &str) -> bool {
        self.values.secrets.iter().any(|secret| text.contains(&secret.value))
    }
}

/// A text with something else in the place of each `${name}`, and `escaped` in that of each `$${`. Whoever says what comes
/// there is told the name, what the text has become so far, and what of it is behind the name.
pub(super) fn replaced(
    text: &str,
    escaped: &str,
    mut with: impl FnMut(&str, &str, &str) -> Result<String, ScriptError>,
) -> Result<String, ScriptError> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.extend([before, escaped]);
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = from[2..].split_once('}') else {
            return fault(format!(
                "`${{` without `}}` in `{text}`; write `$${{` for the characters themselves"
            ));
        };
        let piece = with(name, &out, after)?;
        out.push_str(&piece);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Filling<'_> {
    fn variable(&self, name: &str, text: &str, of: Use) -> Result<String, ScriptError> {
        if let Some(value) = self.values.given.get(name) {
            return Ok(value.clone());
        }
        if !self.values.readable.contains(name) {
            return fault(format!("no variable `{name}`: add it to `vars`"));
        }
        if of == Use::Password {
            return fault(format!(
                "`{name}` is read when the start page is there, which needs the password before"
            ));
        }
        if matches!(of, Use::Executed | Use::Path) {
            return fault(format!(
                "`${{{name}}}` stands in `{text}`, but what is read from the screen is never executed: it may be typed, \
                 name a target, and be looked for"
            ));
        }
        match self.values.read.get(name) {
            Some(value) if of == Use::Pattern => Ok(regex::escape(value)),
            Some(value) => Ok(value.clone()),
            // Whatever it will be, it will be something.
            None if self.is_early => Ok(format!("<{name}>")),
            None => fault(format!("nothing was read into `{name}` yet, which `{text}` needs")),
        }
    }

    fn login(&mut self, login: &mut WrittenLogin) -> Result<(), ScriptError> {
        if !login.is_filled() {
            let user = self.text(&login.user, Use::Executed)?;
            *login = WrittenLogin::filled(user, self.text(&login.password, Use::Password)?);
        }
        let hidden = login.hidden().map_err(|message| ScriptError { message, at: None })?;
        let secrets = &mut self.values.secrets;
        for secret in hidden {
            if secrets.iter().all(|known| known.value != secret.value) {
                secrets.push(secret);
            }
        }
        Ok(())
    }

    fn secret(&mut self, name: &str) -> Result<String, ScriptError> {
        if let Some(known) = self.values.secrets.iter().find(|secret| secret.name == name) {
            return Ok(known.value.clone());
        }
        let Some(value) = self.secret.and_then(|secret| secret(name)) else {
            return fault(format!(
                "no secret `{name}`: put it into the environment or into the file of --secrets"
            ));
        };
        if value.chars().count() < SHORTEST_SECRET {
            return fault(format!(
                "the secret `{name}` is shorter than {SHORTEST_SECRET} characters, which cannot be hidden in a record"
            ));
        }
        self.values.secrets.push(Secret { name: name.to_owned(), value: value.clone(), is_stored: false });
        Ok(value)
    }
}

pub(super) fn fault<T>(message: String) -> Result<T, ScriptError> {
    Err(ScriptError { message, at: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(step: &str) -> ScriptedTask {
        let yaml = format!(
            "name: find ${{what}}\nvars: {{ what: tea, host: 'http://h', none: '' }}\nstart: {{ url: '${{host}}/x' }}\nsteps:\n  - {step}\n\
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

    /// The first step as it would be taken.
    fn first(task: &ScriptedTask) -> Step {
        task.values.clone().fill_step(&task.steps()[0]).unwrap()
    }

    #[track_caller]
    fn check(step: &str, overrides: &[(&str, &str)], expected: Result<&str, &str>) {
        let overrides = overrides.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut task = task(step);
        match (task.fill(&overrides, &secret), expected) {
            (Ok(_), Ok(text)) => match first(&task) {
                Step::Act(Act::Type { text: typed }) => assert_eq!(typed, text),
                step => assert_eq!(step.targets()[0].description, text),
            },
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
        let expected = task.values.clone().fill_clause(&task.expect[0]);
        assert_eq!(expected, Ok(Clause::UrlContains("tea".to_owned())));
    }

    #[test]
    fn who_visits_may_be_a_variable_and_is_looked_at_when_it_is_filled_in() {
        let yaml = "name: n\nvars: { who: de-DE, zone: UTC }\nstart: { locale: '${who}', time_zone: '${zone}' }\n\
                    steps: [{type: a}]\nexpect: [url_contains: x]\n";
        let task = ScriptedTask::parse(yaml).unwrap();
        assert_eq!(task.start.visitor().unwrap().locale, None, "not yet");
        let filled = |who: &str| {
            let (mut task, who) = (task.clone(), BTreeMap::from([("who".to_owned(), who.to_owned())]));
            task.fill(&who, &secret).map(|_| task.start.visitor().unwrap())
        };
        assert_eq!(filled("fr-FR").unwrap().locale, Some("fr-FR".parse().unwrap()));
        assert!(filled("fr_FR").unwrap_err().message.contains("`start.locale`: `fr_FR` is no locale"));
    }

    #[test]
    fn a_login_is_filled_in_and_hidden_also_as_it_is_sent() {
        let yaml = |password: &str| {
            format!(
                "name: n\nvars: {{ who: ada }}\nstart: {{ url: 'http://a.test', basic_auth: {{ user: '${{who}}', password: '{password}' }} }}\n\
                 steps: [{{type: a}}]\nexpect: [url_contains: x]\n"
            )
        };
        let filled = |password: &str| {
            let mut task = ScriptedTask::parse(&yaml(password)).unwrap();
            assert_eq!(task.start.login().unwrap(), None, "not yet");
            assert!(!format!("{task:?}").contains("hunter2"));
            let secrets = task.fill(&BTreeMap::new(), &secret)?;
            let login = task.start.login().unwrap().unwrap();
            assert!(!format!("{:?}", task.start).contains(login.password()));
            // Filled once more, it stays what it is.
            assert_eq!(task.fill(&BTreeMap::new(), &|_| None)?.last(), secrets.last());
            Ok::<_, ScriptError>((login, secrets))
        };
        let hidden = |secrets: &[Secret]| {
            secrets.iter().map(|secret| format!("{}={}", secret.name, secret.value)).collect::<Vec<_>>()
        };
        let (login, secrets) = filled("hunter2").unwrap();
        assert_eq!((login.user(), login.password()), ("ada", "hunter2"));
        assert_eq!(hidden(&secrets), ["basic_auth=hunter2", "basic_auth=YWRhOmh1bnRlcjI"]);
        let known = secret("PASSWORD").unwrap();
        let (login, secrets) = filled("${secret:PASSWORD}").unwrap();
        assert_eq!(login.password(), known);
        assert_eq!(hidden(&secrets)[0], format!("PASSWORD={known}"));
        assert_eq!(secrets.len(), 2);
        for (password, words) in
            [("abc", "shorter than 4"), ("${secret:OTHER}", "no secret `OTHER`"), ("${x}", "no variable `x`")]
        {
            let why = filled(password).unwrap_err().message;
            assert!(why.contains(words), "{why}");
        }
        let mut task = ScriptedTask::parse(&yaml("hunter2").replace("${who}", "${secret:PASSWORD}")).unwrap();
        let why = task.fill(&BTreeMap::new(), &secret).unwrap_err().message;
        assert!(why.contains("the password of `start.basic_auth`"), "{why}");
        let mut start = ScriptedTask::parse(&yaml("${secret:PASSWORD}")).unwrap().start;
        let secrets =
            start.fill_login(&BTreeMap::from([("who".to_owned(), "ada".to_owned())]), &secret).unwrap();
        assert_eq!((secrets.len(), start.login().unwrap().unwrap().password()), (2, known.as_str()));
    }

    #[test]
    fn secrets_are_only_typed_and_never_shown() {
        let mut task = task("type: 'x${secret:PASSWORD}'");
        let used = task.fill(&BTreeMap::new(), &secret).unwrap();
        assert_eq!(first(&task), Step::Act(Act::Type { text: "xs3cret!".to_owned() }));
        assert_eq!((used[0].name.as_str(), used[0].value.as_str()), ("PASSWORD", "s3cret!"));
        assert!(!format!("{used:?} {task:?}").contains("s3cret"));
        check("click: 'the ${secret:PASSWORD} box'", &[], Err("only filled into `type`, `fill`"));
        check("assert: { text_visible: '${secret:PASSWORD}' }", &[], Err("only filled into `type`, `fill`"));
        let mut task = self::task(
            "fill: { target: the field, text: 'x${secret:PASSWORD}' }\n  - dialog: { accept: '${secret:PASSWORD}' }\n  \
             - fill: { target: the field, text: '${what}' }",
        );
        task.fill(&BTreeMap::new(), &secret).unwrap();
        let filled = |nth: usize| task.values.clone().fill_step(&task.steps()[nth]).unwrap();
        let fill = |text: &str, has_secret| {
            Step::Act(Act::Fill { at: "the field".into(), text: text.to_owned(), has_secret })
        };
        assert_eq!((filled(0), filled(2)), (fill("xs3cret!", true), fill("tea", false)));
        let accepted = Act::AnswerDialog { accept: true, text: Some("s3cret!".to_owned()) };
        assert_eq!(filled(1), Step::Act(accepted));
        check(
            "switch_tab: { title_contains: '${secret:PASSWORD}' }",
            &[],
            Err("only filled into `type`, `fill`"),
        );
        check("type: '${secret:OTHER}'", &[], Err("no secret `OTHER`"));
        check("type: '${secret:PIN}'", &[], Err("shorter than 4"));
    }

    #[test]
    fn what_nobody_knows_is_named() {
        check("click: '${wat}'", &[], Err("no variable `wat`"));
        check("click: '${what'", &[], Err("without `}`"));
        check("click: x", &[("wat", "1")], Err("no variable `wat`; it has host, none, what"));
    }

    #[test]
    fn a_text_that_a_variable_leaves_empty_or_breaks_is_refused() {
        check("click: { what: '${what}', text: '${what}' }", &[], Ok("tea"));
        check("click: { what: x, text: '${none}' }", &[], Err("an empty text"));
        check("click: { what: x, text_matches: '${what}' }", &[("what", "(")], Err("is no pattern"));
        check("read: { of: { screen: { matches: '${none}' } }, into: y }", &[], Err("matches everything"));
        check("click: { what: x, text: '${secret:PASSWORD}' }", &[], Err("only filled into `type`"));
        check("click: { what: x, name: '${none}' }", &[], Err("`name` is empty"));
        check("click: { what: x, name_matches: '${what}' }", &[("what", "(")], Err("is no pattern"));
        check("read: { of: { element: { name: '${none}' } }, into: y }", &[], Err("`name` is empty"));
    }

    #[test]
    fn a_clause_that_a_variable_leaves_empty_is_refused() {
        check("assert: { text_gone: { text: '${none}', on: screen } }", &[], Err("`text_gone` is empty"));
        check("assert: { text_visible: '${none}' }", &[], Err("`text_visible` is empty"));
        check("switch_tab: { title_contains: '${none}' }", &[], Err("`switch_tab` needs a text"));
        check("wait_for: { title_contains: '${none}' }", &[], Err("`title_contains` is empty"));
        let nested = "assert: { any: [{ not: { text_visible: '${none}' } }] }";
        check(nested, &[], Err("`text_visible` is empty"));
        check("assert: { text_matches: '${none}' }", &[], Err("matches everything"));
        check("if: { holds: { url_contains: '${none}' }, steps: [type: a] }", &[], Err("`url_contains`"));
        check("assert: { element: { name: a, text: '${none}' } }", &[], Err("`text` is empty"));
        check("assert: { downloaded: '${none}' }", &[], Err("`name` is empty"));
        check("assert: { downloaded: { name: a, sha256: '${what}' } }", &[], Err("`tea` is no SHA-256"));
        check("assert: { downloaded: { name: a, contains: '${secret:PASSWORD}' } }", &[], Err("only filled"));
    }

    #[test]
    fn what_is_read_is_used_later_and_never_executed() {
        let read = "read: { of: title, into: order }\n  - ";
        let used = |step: &str| {
            let mut task = task(&format!("{read}{step}"));
            task.fill(&BTreeMap::new(), &secret).map_err(|error| error.message)?;
            let mut values = task.values.clone();
            let early = values.fill_step(&task.steps()[1]).unwrap_err();
            assert!(early.message.contains("nothing was read into `order` yet"), "{early}");
            values.keep("order", "4711; rm ${what}".to_owned());
            values.fill_step(&task.steps()[1]).map_err(|error| error.message)
        };
        // What was read is text: it is not filled in again.
        let typed = used("type: 'no. ${order}'");
        assert_eq!(typed, Ok(Step::Act(Act::Type { text: "no. 4711; rm ${what}".to_owned() })));
        assert_eq!(
            used("click: the ${order} box").unwrap().targets()[0].description,
            "the 4711; rm ${what} box"
        );
        assert!(used("wait_for: { text_visible: '${order}' }").is_ok());
        assert!(used("wait_for: { text_gone: { text: '${order}', on: screen } }").is_ok());
        assert!(used("click: { what: x, name: '${order}' }").is_ok());
        assert!(used("click: { what: x, text: '${order}', in: 'row ${order}' }").is_ok());
        assert!(used("read: { of: { screen: { beside: '${order}' } }, into: other }").is_ok());
        // In a pattern it stands for itself.
        let place =
            used("click: { what: x, text_matches: '^${order}$' }").unwrap().targets()[0].place.clone();
        let Some(Place::Text(place)) = place else { panic!("{place:?}") };
        let TextPlace { matches: Some(pattern), .. } = *place else { panic!("{place:?}") };
        assert_eq!(pattern, r"^4711; rm \$\{what\}$");
        for text in [
            "click: { what: x, name: a, in: 'row ${order}' }",
            "assert: { element: { name: a, value: '${order}' } }",
            "assert: { not: { element: { name: a, text: '${order}' } } }",
            "assert: { element: { name: a, attribute: { name: href, is: '${order}' } } }",
            "assert: { count: { name: '${order}', is: 1 } }",
            "if: { holds: { text_visible: '${order}' }, steps: [type: a], else: [type: '${order}'] }",
            "optional: { steps: [type: '${order}'] }",
            "assert: { downloaded: 'order ${order}.pdf' }",
            "assert: { downloaded: { name: a, contains: '${order}' } }",
        ] {
            let filled = used(text).unwrap();
            assert!(format!("{filled:?}").contains("rm ${what}"), "{text}: {filled:?}");
        }
        for pattern in [
            "click: { what: x, name_matches: '^${order}$' }",
            "assert: { text_matches: '^${order}$' }",
            "assert: { count: { name_matches: '^${order}$', is: 1 } }",
            "assert: { downloaded: { name_matches: '^${order}$' } }",
        ] {
            let filled = used(pattern).unwrap();
            assert!(format!("{filled:?}").contains(r"^4711; rm \\$\\{what\\}$"), "{pattern}: {filled:?}");
        }
        let pattern = used("read: { of: { screen: { matches: '${order}.' } }, into: other }").unwrap();
        assert!(format!("{pattern:?}").contains("rm"), "{pattern:?}");
        for executed in [
            "navigate: 'http://h/${order}'",
            "click: { what: x, selector: '#${order}' }",
            "assert: { command: 'grep ${order}' }",
            "assert: { javascript: '${order}' }",
            "assert: { file: { path: '${order}' } }",
            "upload: { target: x, files: ['${order}'] }",
            "read: { of: { element: { selector: '${order}' } }, into: other }",
            "assert: { element: { selector: '${order}', value: a } }",
            "assert: { element: { name: a, attribute: { name: '${order}', is: b } } }",
            "assert: { count: { selector: '${order}', is: 1 } }",
            "assert: { any: [{ not: { command: '${order}' } }] }",
            "if: { holds: { javascript: '${order}' }, steps: [type: a] }",
            "if: { holds: { url_contains: a }, else: [navigate: '${order}'] }",
        ] {
            let refused = used(executed).unwrap_err();
            assert!(refused.contains("never executed"), "{executed}: {refused}");
        }
        check("read: { of: title, into: what }", &[], Err("a variable of the task"));
    }
}
