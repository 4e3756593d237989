//! Steps of another file, played in place of the step that uses them.
//!
//! Invariants: a task that was read has no such step any more, so that its record can be repeated without the other files;
//! what the other file says means what it meant there: its paths begin in its folder, and its variables are its own. Steps
//! that would use themselves are refused, with the files by which they come to that.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::judge::{DOWNLOADS, TMPDIR};
use super::step::{length, listed};
use super::values::{Rewrite, Use, fault, replaced};
use super::{ScriptError, Step, from_yaml};

thread_local! {
    /// The files that are being read, each of which uses the next one. What is read from YAML is given nothing besides, and
    /// only an error that arises while it is read knows its line.
    static OPEN: RefCell<Vec<OpenFile>> = const { RefCell::new(Vec::new()) };
}

/// A file that is being read.
#[derive(Debug, Clone)]
struct OpenFile {
    /// As a person calls it.
    path: PathBuf,
    /// The same for every way to it.
    identity: PathBuf,
}

impl OpenFile {
    fn new(path: &Path) -> Self {
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self { path: path.to_owned(), identity }
    }
}

/// Reads something that stands in a file: the steps that it uses are found from there.
pub(super) fn in_file<T>(path: &Path, read: impl FnOnce() -> T) -> T {
    /// Closes the file, also where reading it panics.
    struct Closes;
    impl Drop for Closes {
        fn drop(&mut self) {
            OPEN.with_borrow_mut(|open| open.pop());
        }
    }
    OPEN.with_borrow_mut(|open| open.push(OpenFile::new(path)));
    let _closes = Closes;
    read()
}

/// Steps that tasks share, and their variables.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "vigorl shared steps")]
pub(super) struct SharedSteps {
    /// Values of `${name}` in these steps, for whoever uses them without saying another one. A variable without a value
    /// must be given one.
    #[serde(default)]
    vars: BTreeMap<String, Option<String>>,
    /// What is done.
    #[serde(deserialize_with = "listed::deserialize")]
    steps: Vec<Step>,
}

/// Which steps are used.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UseStep {
    /// A file of shared steps, relative to the file that says so.
    file: String,
    /// Other values of its variables. They may have variables of the file that says so.
    #[serde(default)]
    vars: BTreeMap<String, String>,
}

/// The steps of the other file, as they are played.
pub(super) struct Used(pub(super) Vec<Step>);

impl<'de> Deserialize<'de> for Used {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Used;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file of steps, or `{ file: …, vars: … }`")
            }

            fn visit_str<E: de::Error>(self, file: &str) -> Result<Used, E> {
                used(&UseStep { file: file.to_owned(), vars: BTreeMap::new() }).map(Used).map_err(E::custom)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Used, M::Error> {
                let step = UseStep::deserialize(MapAccessDeserializer::new(map))?;
                used(&step).map(Used).map_err(de::Error::custom)
            }
        }
        source.deserialize_any(Either)
    }
}

impl JsonSchema for Used {
    fn schema_name() -> Cow<'static, str> {
        "Use".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<String>(), generator.subschema_for::<UseStep>());
        json_schema!({ "description": "A file of shared steps, or one and values of its variables", "anyOf": [short, long] })
    }
}

/// The steps that stand in place of a step which uses them.
fn used(step: &UseStep) -> Result<Vec<Step>, String> {
    let UseStep { file, vars: given } = step;
    let open = OPEN.with_borrow(Clone::clone);
    let Some(user) = open.last() else {
        return Err(format!("`use: {file}` is a path that begins in a file, and this text is in none"));
    };
    if file.trim().is_empty() || file.contains("${") {
        return Err("`use` needs the path of a file, without variables".to_owned());
    }
    let folder = user.path.parent().unwrap_or(Path::new(""));
    let (path, from_user) = (folder.join(file), Path::new(file).parent().unwrap_or(Path::new("")));
    let shown = path.display();
    let text = vigorl_files::read_text(&path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let opened = OpenFile::new(&path);
    if let Some(first) = open.iter().position(|other| other.identity == opened.identity) {
        let chain = open[first..].iter().chain([&opened]).map(|file| format!("`{}`", file.path.display()));
        let chain: Vec<String> = chain.collect();
        return Err(format!("these steps would use themselves without an end: {}", chain.join(" uses ")));
    }
    let own = |error: ScriptError| format!("`{shown}`: {error}");
    let shared: SharedSteps = in_file(&path, || from_yaml(&text)).map_err(own)?;
    let steps = shared.given_to(given, from_user).map_err(own)?;
    match length(&steps) {
        n if n > Step::MOST => Err(format!("`{shown}` would be {n} steps, which is too much")),
        _ => Ok(steps),
    }
}

impl SharedSteps {
    /// The steps with these values, in words of the file that uses them, which finds the folder of this one `at` a path.
    fn given_to(self, given: &BTreeMap<String, String>, at: &Path) -> Result<Vec<Step>, ScriptError> {
        let Self { vars, steps } = self;
        if steps.is_empty() {
            return fault("it has no `steps`".to_owned());
        }
        if let Some(message) = steps.iter().find_map(Step::fault) {
            return fault(message);
        }
        if let Some(unknown) = given.keys().find(|name| !vars.contains_key(*name)) {
            let names: Vec<&str> = vars.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return fault(format!("it has no variable `{unknown}`; it has {known}"));
        }
        let read: BTreeSet<String> = steps.iter().flat_map(Step::reads).map(str::to_owned).collect();
        if let Some(twice) = vars.keys().find(|name| read.contains(*name)) {
            return fault(format!("`{twice}` is one of its variables, so nothing can be read into it"));
        }
        let own = |(name, value): (String, Option<String>)| match (given.get(&name), value) {
            (Some(text), _) => Ok((name, text.clone())),
            // What a value looks like is no variable.
            (None, Some(value)) => Ok((name, value.replace("${", "$${"))),
            (None, None) => {
                fault(format!("it needs its variable `{name}`: `use` says what it is, under `vars`"))
            }
        };
        let values = vars.into_iter().map(own).collect::<Result<_, _>>()?;
        let mut carried = Carried { values, given, read, at: at.to_string_lossy().into_owned() };
        let steps = steps.iter().map(|step| carried.step(step)).collect::<Result<Vec<_>, _>>()?;
        match steps.iter().find_map(Step::fault) {
            Some(message) => fault(message),
            None => Ok(steps),
        }
    }
}

/// Puts the texts of steps into words of the file that uses them.
struct Carried<'a> {
    /// What stands for each variable, with variables of the other file in it.
    values: BTreeMap<String, String>,
    /// Those of them that the other file has said.
    given: &'a BTreeMap<String, String>,
    /// Names that the steps read into, which whoever uses them may use as well.
    read: BTreeSet<String>,
    /// Where the other file finds the folder of this one.
    at: String,
}

impl Carried<'_> {
    /// A path that begins in the folder of the steps, as the other file says it.
    fn path(&self, path: String, escaped: bool) -> String {
        let is_whole = Path::new(&path).is_absolute()
            || [TMPDIR, DOWNLOADS, "${"].iter().any(|start| path.starts_with(start));
        let at = if escaped { self.at.replace("${", "$${") } else { self.at.clone() };
        match at.is_empty() || is_whole {
            true => path,
            false => Path::new(&at).join(path).to_string_lossy().into_owned(),
        }
    }
}

impl Rewrite for Carried<'_> {
    fn text(&mut self, text: &str, of: Use) -> Result<String, ScriptError> {
        let whole = replaced(text, "$${", |name, before, behind| {
            let piece = match self.values.get(name) {
                Some(value) => value.clone(),
                None if name.starts_with("secret:") || self.read.contains(name) => format!("${{{name}}}"),
                None => return fault(format!("no variable `{name}`: add it to `vars`")),
            };
            // There it would begin a variable that nobody has written.
            let opens = |text: &str| text.starts_with('{') || text.starts_with("${");
            let ends = if piece.is_empty() { before } else { &piece };
            match before.ends_with('$') && opens(&piece) || ends.ends_with('$') && behind.starts_with('{') {
                true => fault(format!("in `{text}`, a `$` would come to stand right in front of a brace")),
                false => Ok(piece),
            }
        })?;
        // A path that the other file has said begins in that one's folder.
        let said = text.strip_prefix("${").and_then(|rest| Some(rest.split_once('}')?.0));
        match of == Use::Path && said.is_none_or(|name| !self.given.contains_key(name)) {
            true => Ok(self.path(whole, true)),
            false => Ok(whole),
        }
    }

    fn picture(&mut self, file: &Path) -> PathBuf {
        self.path(file.to_string_lossy().into_owned(), false).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Place, ScriptedTask};
    use super::*;

    /// A folder with these files, and what reading the first of them as a task gives.
    fn read(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<ScriptedTask, String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (name, text) = files[0];
        let read = ScriptedTask::parse_file(text, &folder.path().join(name));
        let shown = format!("{}/", folder.path().display());
        (folder, read.map_err(|error| error.to_string().replace(&shown, "")))
    }

    fn task(steps: &str) -> String {
        format!("name: n\nvars: {{ who: eve }}\nstart: {{}}\nsteps:\n{steps}\nexpect: [url_contains: x]\n")
    }

    /// The steps that a task has then, as they would be written.
    #[track_caller]
    fn check(steps: &str, shared: &str, expected: &str) {
        let (folder, read) = read(&[("task.yaml", &task(steps)), ("parts/login.yaml", shared)]);
        let (read, expected) = (read.unwrap(), ScriptedTask::parse(&task(expected)).unwrap());
        assert_eq!(read.steps(), expected.steps());
        // It is the same task without the other file.
        drop(folder);
        assert_eq!(ScriptedTask::parse(&read.to_yaml().unwrap()), Ok(read));
    }

    #[track_caller]
    fn refused(files: &[(&str, &str)], words: &[&str]) {
        let (_, read) = read(files);
        let error = read.unwrap_err();
        assert!(words.iter().all(|words| error.contains(words)), "{words:?}: {error}");
    }

    const LOGIN: &str = "vars: { user: , role: admin }\nsteps:\n  - click: the ${role} login of ${user}\n  \
                         - fill: { target: { what: the field, name: '${user}' }, text: '${secret:PASSWORD}' }\n";

    #[test]
    fn shared_steps_stand_in_place_of_the_step_that_uses_them() {
        let filled = "  - type: a\n  - click: the admin login of ada\n  \
                      - fill: { target: { what: the field, name: ada }, text: '${secret:PASSWORD}' }\n  - type: b";
        check(
            "  - type: a\n  - use: { file: parts/login.yaml, vars: { user: ada } }\n  - type: b",
            LOGIN,
            filled,
        );
        check(
            "  - use: parts/login.yaml",
            "steps: [{type: a}, {press: Enter}]\n",
            "  - type: a\n  - press: Enter",
        );
        // Inside of every block, and with variables of whoever uses them.
        let once = "use: { file: parts/login.yaml, vars: { x: 'the ${who}' } }";
        let typed = "type: 'the ${who}!'";
        for block in [
            "repeat: { times: 2, steps: [{STEP}, {press: Enter}] }",
            "retry: { times: 2, until: { url_contains: u }, steps: [{STEP}] }",
            "within: { secs: 2, steps: [{STEP}] }",
            "optional: { steps: [{STEP}] }",
            "if: { holds: { url_contains: u }, steps: [{STEP}], else: [{STEP}] }",
        ] {
            let of = |step: &str| format!("  - {}", block.replace("STEP", step));
            check(&of(once), "vars: { x: a }\nsteps: [{type: '${x}!'}]\n", &of(typed));
        }
        let lists = "name: n\nstart: {}\nbefore: [{use: b.yaml}]\nsteps: [{use: b.yaml}]\nafter: [{use: b.yaml}]\n\
                     expect: [url_contains: x]\n";
        let (_folder, read) = read(&[("task.yaml", lists), ("b.yaml", "steps: [{type: a}, {type: b}]\n")]);
        let read = read.unwrap();
        assert_eq!([read.before.len(), read.steps().len(), read.after.len()], [2, 2, 2]);
    }

    #[test]
    fn variables_of_shared_steps_are_their_own_and_what_they_read_is_for_all() {
        let shared = "vars: { text: '${who} costs $5', n: 1 }\nsteps:\n  - read: { of: title, into: order }\n  \
                      - type: '${text} ${n} $${x} ${order}'\n";
        // What a default looks like is no variable of whoever uses it.
        let plain = "  - read: { of: title, into: order }\n  - type: '$${who} costs $5 1 $${x} ${order}'\n  - type: '${order}'";
        check("  - use: parts/login.yaml\n  - type: '${order}'", shared, plain);
        let given =
            "  - use: { file: parts/login.yaml, vars: { text: '${who} $${who}', n: '${secret:PIN}' } }";
        let carried =
            "  - read: { of: title, into: order }\n  - type: '${who} $${who} ${secret:PIN} $${x} ${order}'";
        check(given, shared, carried);
        let (_folder, read) = read(&[("task.yaml", &task(given)), ("parts/login.yaml", shared)]);
        let secrets =
            read.unwrap().fill(&BTreeMap::new(), &|name| Some(format!("secret of {name}"))).unwrap();
        assert_eq!(secrets.len(), 1);
    }

    #[test]
    fn what_would_be_refused_in_the_task_is_refused_through_a_variable() {
        let use_it = "  - read: { of: title, into: order }\n  - use: { file: s.yaml, vars: { x: '${order}', y: '${secret:PIN}' } }";
        for (step, words) in [
            ("navigate: '${x}'", "never executed"),
            ("assert: { command: 'echo ${x}' }", "never executed"),
            ("upload: { target: a, files: ['${x}'] }", "never executed"),
            ("click: 'the ${y}'", "secrets are only filled into"),
        ] {
            let shared = format!("vars: {{ x: a, y: b }}\nsteps:\n  - {step}\n");
            let (_folder, read) = read(&[("task.yaml", &task(use_it)), ("s.yaml", &shared)]);
            let error = read.unwrap().fill(&BTreeMap::new(), &|_| Some("12345".to_owned())).unwrap_err();
            assert!(error.message.contains(words), "{step}: {error}");
        }
    }

    #[test]
    fn paths_begin_in_the_folder_of_whoever_says_them() {
        let shared = "vars: { mine: a.png, file: b.pdf }\nsteps:\n  - click: { what: x, picture: key.png, at: [1, 2] }\n  \
                      - upload: { target: x, files: ['${mine}', '${file}', 'in/${file}', $TMPDIR/c, $DOWNLOADS/d, /e] }\n  \
                      - assert: { file: { path: out.txt } }\n  - assert: { not: { picture: key.png } }\n  - use: ../more/more.yaml\n";
        let more = "steps: [click: { what: y, picture: sub/more.png }]\n";
        let task = task("  - use: { file: parts/login.yaml, vars: { file: docs/b.pdf } }");
        let (_folder, read) =
            read(&[("task.yaml", &task), ("parts/login.yaml", shared), ("more/more.yaml", more)]);
        let expected = self::task(
            "  - click: { what: x, picture: parts/key.png, at: [1, 2] }\n  \
             - upload: { target: x, files: [parts/a.png, docs/b.pdf, parts/in/docs/b.pdf, $TMPDIR/c, $DOWNLOADS/d, /e] }\n  \
             - assert: { file: { path: parts/out.txt } }\n  - assert: { not: { picture: parts/key.png } }\n  \
             - click: { what: y, picture: parts/../more/sub/more.png }",
        );
        let read = read.unwrap();
        assert_eq!(read.steps(), ScriptedTask::parse(&expected).unwrap().steps());
        let Some(Place::Picture { file, .. }) = &read.steps()[0].targets()[0].place else {
            panic!("{read:?}")
        };
        assert_eq!(file, Path::new("parts/key.png"));
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        let task = task("  - type: a\n  - use: s.yaml");
        let at_use = "line 6, column ";
        for (shared, words) in [
            (
                "steps:\n  - type: a\n  - clikc: b\n",
                &["`s.yaml`: line 3, column ", "unknown variant `clikc`"][..],
            ),
            (
                "steps: [{type: a}]\nexpect: [url_contains: x]\n",
                &["`s.yaml`: line 2", "unknown field `expect`"],
            ),
            ("vars: { a: b }\n", &["`s.yaml`", "missing field `steps`"]),
            ("steps: []\n", &["`s.yaml`: it has no `steps`"]),
            ("steps: [{assert: { text_visible: '' }}]\n", &["`s.yaml`: `text_visible` is empty"]),
            ("vars: { a: }\nsteps: [{type: '${a}'}]\n", &["`s.yaml`: it needs its variable `a`"]),
            (
                "vars: { a: '' }\nsteps: [{assert: { text_visible: '${a}' }}]\n",
                &["`s.yaml`: `text_visible` is empty"],
            ),
            ("steps: [{type: '${who}'}]\n", &["`s.yaml`: no variable `who`"]),
            ("steps: [{type: '${who'}]\n", &["`s.yaml`: `${` without `}`"]),
            (
                "vars: { a: b }\nsteps: [{read: { of: title, into: a }}]\n",
                &["`s.yaml`: `a` is one of its variables"],
            ),
            ("vars: { a: '5$' }\nsteps: [{type: '${a}{b}'}]\n", &["`s.yaml`: in `${a}{b}`, a `$` would"]),
        ] {
            refused(&[("task.yaml", &task), ("s.yaml", shared)], &[&[at_use], words].concat());
        }
        refused(&[("task.yaml", &task)], &[at_use, "cannot read `s.yaml`: No such file"]);
        let unknown = self::task("  - type: a\n  - use: { file: s.yaml, vars: { b: c } }");
        let shared = ("s.yaml", "vars: { a: b }\nsteps: [{type: '${a}'}]\n");
        refused(&[("task.yaml", &unknown), shared], &[at_use, "`s.yaml`: it has no variable `b`; it has a"]);
        for step in ["use: ''", "use: '${who}.yaml'", "use: { file: ' ' }"] {
            let task = self::task(&format!("  - type: a\n  - {step}"));
            refused(&[("task.yaml", &task)], &[at_use, "needs the path of a file"]);
        }
        refused(
            &[("task.yaml", &self::task("  - use: { task: s.yaml }"))],
            &["line 5", "unknown field `task`"],
        );
        let alone = ScriptedTask::parse(&task).unwrap_err().to_string();
        assert!(alone.starts_with(at_use) && alone.contains("this text is in none"), "{alone}");
    }

    #[test]
    fn steps_that_would_use_themselves_are_refused_with_the_chain() {
        let task = task("  - use: a.yaml");
        let a = ("a.yaml", "steps: [{repeat: { times: 2, steps: [{use: sub/b.yaml}] }}]\n");
        let b = ("sub/b.yaml", "steps:\n  - type: a\n  - use: ../a.yaml\n");
        let chain = "without an end: `a.yaml` uses `sub/b.yaml` uses `sub/../a.yaml`";
        refused(&[("task.yaml", &task), a, b], &[chain, "`sub/b.yaml`: line 3", "line 5"]);
        let own = ("a.yaml", "steps: [{use: task.yaml}]\n");
        refused(&[("task.yaml", &task), own], &["`task.yaml` uses `a.yaml` uses `task.yaml`"]);
        // Twice is no chain; what doubles each time has an end.
        let twice = self::task("  - use: a.yaml\n  - use: a.yaml");
        let (_folder, fine) = read(&[("task.yaml", &twice), ("a.yaml", "steps: [{type: a}]\n")]);
        assert_eq!(fine.unwrap().steps().len(), 2);
        let many = format!("steps: [{}]\n", "{use: e.yaml}, ".repeat(100));
        let steps = format!("steps: [{}]\n", "{type: a}, ".repeat(101));
        let files = [("task.yaml", &*self::task("  - use: d.yaml")), ("d.yaml", &*many), ("e.yaml", &*steps)];
        refused(&files, &["`d.yaml` would be 10100 steps, which is too much"]);
    }
}
