//! `vigorl judge NAME`: one verdict a line, in the order of the lines.
//!
//! Invariants: as many verdicts come out as lines go in, unless the judge answers after the last one; a line that cannot be
//! judged says so in its place and changes nothing for the others; a judge that answers after the last one knows how many
//! there were; memory holds one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use vigorl_judges::scoring::Parser;
use vigorl_judges::{Choices, JUDGES, Lines, Mode, Named, Rewards, RewardsConfig, find};

use crate::args::JudgeArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::terminal;

/// The longest line that is judged; an answer has a thousandth of that.
const MAX_LINE: usize = 8 << 20;

/// Judges every line.
pub(crate) fn judge(args: &JudgeArgs, form: Form) -> anyhow::Result<Ending> {
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        terminal::data(&list(form));
        return Ok(Ending::Done);
    };
    let mut judge = open(name, args)?;
    let mut lines = Input::open(&args.file)?;
    let (mut n_refused, mut first_refused) = (0_u64, 0);
    while let Some(line) = lines.next()? {
        let said = match said(&mut *judge, line) {
            Ok(said) => said,
            Err(why) => {
                n_refused += 1;
                first_refused = if n_refused == 1 { lines.n } else { first_refused };
                Some(json!({ "error": format!("line {}: {why}", lines.n) }))
            }
        };
        // Nobody reads any more, or nothing can be written: the terminal knows which.
        if said.is_some_and(|said| !is_written(&said)) {
            return Ok(Ending::Done);
        }
    }
    let end = judge.end(n_refused);
    let said = end.clone().unwrap_or_else(|why| Some(json!({ "error": why })));
    // Again, the terminal knows whether that was written.
    if said.is_some_and(|said| !is_written(&said)) {
        return Ok(Ending::Done);
    }
    if n_refused > 0 {
        let n = lines.n;
        anyhow::bail!("{n_refused} of {n} lines could not be judged, the first of them line {first_refused}");
    }
    end.map_err(anyhow::Error::msg)?;
    Ok(Ending::Done)
}

/// What a file of rewards says.
pub(crate) fn rewards_config(path: &Path) -> anyhow::Result<RewardsConfig> {
    let name = path.display();
    let text = vigorl_files::read_text(path).with_context(|| format!("cannot read `{name}`"))?;
    toml::from_str(&text).map_err(|error| usage(format!("`{name}`: {error}")))
}

/// Whoever judges: one of this program's, or what a file of rewards says.
fn open(name: &str, JudgeArgs { mode, parser, .. }: &JudgeArgs) -> anyhow::Result<Box<dyn Lines>> {
    let path = Path::new(name);
    let has_no_parsers = || Err(usage(format!("`{name}` has no parsers: leave out --parser")));
    if path.extension().is_some_and(|extension| extension == "toml") {
        if mode.is_some() {
            return Err(usage(format!("`{name}` names the mode itself: leave out --mode")));
        }
        if parser.is_some() {
            return has_no_parsers();
        }
        let config = rewards_config(path)?;
        let rewards = Rewards::try_new(&config).map_err(|error| usage(format!("`{name}`: {error}")))?;
        return Ok(Box::new(rewards));
    }
    let names = || JUDGES.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
    let named = find(name).ok_or_else(|| {
        usage(format!(
            "there is no judge `{name}`: there are {}, and files of rewards that end with .toml",
            names()
        ))
    })?;
    if mode.is_some() && !named.has_modes() {
        return Err(usage(format!("`{name}` has no modes: leave out --mode")));
    }
    if parser.is_some() && !named.has_parsers() {
        return has_no_parsers();
    }
    let mode = mode.as_ref().and_then(|mode| Mode::NAMED.into_iter().find(|(known, ..)| known == mode));
    let parser = parser.as_deref().and_then(Parser::named);
    Ok(named.open(Choices { mode: mode.map(|(_, mode, _)| mode), parser }))
}

/// The verdict on a line, or why there is none.
fn said(judge: &mut dyn Lines, line: Result<&[u8], String>) -> Result<Option<Value>, String> {
    let bytes = line?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let json: Value = serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        let what = words.split(" at line ").next().unwrap_or(&words);
        format!("it is no JSON: {what}, in column {}", error.column())
    })?;
    judge.line(&json)
}

/// Writes a verdict. Whether somebody still reads.
fn is_written(said: &Value) -> bool {
    terminal::try_data(&said.to_string())
}

/// Lines of a file or of standard input, one at a time.
struct Input {
    source: BufReader<Box<dyn io::Read>>,
    name: String,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1 on.
    n: u64,
}

impl Input {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let is_standard = path == Path::new("-");
        let name = if is_standard { "standard input".to_owned() } else { format!("`{}`", path.display()) };
        let source: Box<dyn io::Read> = if is_standard {
            if terminal::is_attended() {
                terminal::note("reading answers from this terminal, one a line; Ctrl-D ends them");
            }
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(|| format!("cannot read {name}"))?)
        };
        Ok(Self { source: BufReader::new(source), name, line: Vec::new(), n: 0 })
    }

    /// The next line, or why it is none; nothing at the end.
    fn next(&mut self) -> anyhow::Result<Option<Result<&[u8], String>>> {
        self.line.clear();
        let mut limited = (&mut self.source).take(MAX_LINE as u64 + 1);
        let cannot_read = || format!("cannot read {} behind line {}", self.name, self.n);
        if limited.read_until(b'\n', &mut self.line).with_context(cannot_read)? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > MAX_LINE {
            skip_line(&mut self.source).with_context(cannot_read)?;
        }
        self.n += 1;
        if self.line.len() > MAX_LINE {
            return Ok(Some(Err(format!("it has more than {} MiB", MAX_LINE >> 20))));
        }
        // Some programs begin a file with a mark that says that it is UTF-8.
        let mark: &[u8] = if self.n == 1 { "\u{feff}".as_bytes() } else { b"" };
        Ok(Some(Ok(self.line.strip_prefix(mark).unwrap_or(&self.line))))
    }
}

/// Reads on behind the end of a line and keeps nothing of it.
fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffered = match source.fill_buf() {
            Ok(buffered) => buffered,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = buffered.iter().position(|&byte| byte == b'\n');
        let n_bytes = end.map_or(buffered.len(), |end| end + 1);
        source.consume(n_bytes);
        if end.is_some() || n_bytes == 0 {
            return Ok(());
        }
    }
}

/// All judges, what the modes do, and what the parsers read.
fn list(form: Form) -> String {
    if form == Form::Json {
        let judges = JUDGES.iter().map(|named| {
            let Named { name, about, input, output, .. } = named;
            let (modes, parsers) = (named.has_modes(), named.has_parsers());
            json!({
                "name": name, "about": about, "input": input, "output": output, "modes": modes, "parsers": parsers,
            })
        });
        let modes = Mode::NAMED.map(|(name, mode, about)| {
            let differences: &[&str] = if mode == Mode::Fixed { &Mode::DIFFERENCES } else { &[] };
            json!({ "name": name, "about": about, "differences": differences })
        });
        let parsers = Parser::NAMED.map(|(name, _, about)| json!({ "name": name, "about": about }));
        let judges: Vec<Value> = judges.collect();
        return pretty(&json!({ "judges": judges, "modes": modes, "parsers": parsers }));
    }
    let mut lines = Vec::new();
    for Named { name, about, input, output, .. } in &JUDGES {
        lines.push(format!("{name}\n    {about}\n    reads   {input}\n    writes  {output}"));
    }
    for (name, _, about) in Mode::NAMED {
        lines.push(format!("--mode {name}\n    {about}"));
    }
    let differences =
        Mode::DIFFERENCES.iter().enumerate().map(|(idx, what)| format!("    {}. {what}", idx + 1));
    lines.extend(differences);
    lines.extend(Parser::NAMED.map(|(name, _, about)| format!("--parser {name}\n    {about}")));
    lines.join("\n")
}
