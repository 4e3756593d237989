//! Talks to people and programs. Invariants: the only place that uses the standard streams; what a screen, a page or a
//! policy says does nothing to a terminal but to be shown there. Data that could not be written is a failure of the command,
//! unless nobody wants to read it any more: a pipe that was closed.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};

use crate::env;

/// 0 says errors only, 1 the usual, 2 and more every detail.
static VERBOSITY: AtomicU8 = AtomicU8::new(1);

/// Sets how much is said.
pub(crate) fn set_verbosity(level: u8) {
    VERBOSITY.store(level, Ordering::Relaxed);
}

/// Whether details are wanted.
pub(crate) fn is_verbose() -> bool {
    VERBOSITY.load(Ordering::Relaxed) > 1
}

/// Why data could not be written; behind it nothing more is.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Data for whoever reads standard output. What cannot be written is the command's failure at its end.
pub(crate) fn data(text: &str) {
    try_data(text);
}

/// The same, for whoever goes on writing only as long as somebody reads: whether they do.
pub(crate) fn try_data(text: &str) -> bool {
    if UNWRITTEN.get().is_some() {
        return false;
    }
    let (mut out, text) = (io::stdout().lock(), harmless(text));
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(|error| UNWRITTEN.set(error)).is_ok()
}

/// Why data could not be written, where that is a failure: a disk that is full, and not a reader who has seen enough.
pub(crate) fn unwritten() -> Option<String> {
    let error = UNWRITTEN.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)?;
    Some(cannot_write(error))
}

fn cannot_write(error: &io::Error) -> String {
    format!("cannot write to standard output: {error}")
}

/// Help and versions, as clap words them; or why they could not be written.
pub(crate) fn help(text: &clap::Error) -> Result<(), String> {
    match text.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(cannot_write(&error)),
        _ => Ok(()),
    }
}

/// A line for people.
pub(crate) fn note(text: &str) {
    if VERBOSITY.load(Ordering::Relaxed) > 0 {
        line(&harmless(text));
    }
}

/// A detail for people who asked for details.
pub(crate) fn detail(text: &str) {
    if is_verbose() {
        line(&harmless(text));
    }
}

/// What failed, in red where colors are welcome.
pub(crate) fn error(text: &str) {
    line(&format!("{} {}", paint("error:", "1;31"), harmless(text)));
}

/// The same text, where signs that act on a terminal, or turn the direction of what follows, are written as JSON writes
/// them.
fn harmless(text: &str) -> String {
    let acts = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text in a color of the terminal, if standard error is one and `NO_COLOR` is not set.
pub(crate) fn paint(text: &str, code: &str) -> String {
    if io::stderr().is_terminal() && !env::no_color() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A progress bar on standard error; hidden where nobody watches or nothing is to be said.
pub(crate) fn bar(total: u64, unit: &str) -> ProgressBar {
    let quiet = VERBOSITY.load(Ordering::Relaxed) == 0;
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = format!("{{bar:28.cyan}} {{pos}}/{{len}} {unit}, {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// Whether somebody may answer a question.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

/// Asks on standard error and returns the line that is typed then; nothing if the terminal is closed, or once `is_over`.
pub(crate) fn ask(question: &str, is_over: impl Fn() -> bool) -> Option<String> {
    const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let input = io::stdin();
    // What was typed before the question is no answer to it.
    tcflush(&input, QueueSelector::IFlush).ok();
    let mut err = io::stderr();
    err.write_all(question.as_bytes()).and_then(|()| err.flush()).ok()?;
    loop {
        if is_over() {
            line("");
            return None;
        }
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&TICK)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(_) => return None,
        }
    }
    let mut answer = String::new();
    // A terminal hands over whole lines; nothing at all is its end.
    (input.read_line(&mut answer).ok()? > 0).then(|| answer.trim().to_owned())
}

fn line(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody is left to be told that standard error is closed.
    err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n")).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_only_shown() {
        let evil = "a\u{1b}[2J\rb\u{9b}1m\u{7}\u{202e}c\n\td é ñ שלום";
        let shown = harmless(evil);
        assert_eq!(shown, "a\\u001b[2J\\u000db\\u009b1m\\u0007\\u202ec\n\td é ñ שלום");
        // In JSON it stays the same text.
        let json = harmless(&serde_json::to_string(evil).unwrap());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil);
    }
}
