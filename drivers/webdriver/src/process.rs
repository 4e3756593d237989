//! Starts chromedriver and learns its port. Invariant: what it starts is a [`Group`], so that nothing can stay
//! behind. Chromium's crash handlers leave the group but exit with their browser.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ChildStdout;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use vigorl_interface::DriverError;
use vigorl_processes::{Group, Output, Program};

/// What chromedriver says when another program took its port: it picks a free one for IPv6 and then wants the
/// same for IPv4, so that two that start at once can meet. Trying again picks another.
const PORT_TAKEN: &str = "port not available";

/// By these a browser on Linux hands an address that it does not open itself to another program: a link to a mail
/// address starts a mail program, without a question.
const OTHER_PROGRAMS: [&str; 2] = ["xdg-open", "xdg-email"];

/// A running chromedriver.
#[derive(Debug)]
pub(crate) struct Chromedriver {
    /// Its folder holds the browser profile and everything else the two programs write.
    group: Group,
    port: u16,
}

impl Chromedriver {
    /// Starts `program` on a free port and waits until it listens.
    pub(crate) fn start(program: &Path, deadline: Duration) -> Result<Self, DriverError> {
        let end = Instant::now() + deadline;
        loop {
            match Self::start_once(program, end.saturating_duration_since(Instant::now())) {
                Err(DriverError::Start { detail, .. })
                    if detail.contains(PORT_TAKEN) && Instant::now() < end => {}
                started_or_failed => return started_or_failed,
            }
        }
    }

    fn start_once(program: &Path, deadline: Duration) -> Result<Self, DriverError> {
        let failed = |detail: String| DriverError::Start { program: program.display().to_string(), detail };
        let what = Program {
            program: program.as_os_str(),
            arguments: &[OsStr::new("--port=0")],
            environment: &[],
            without: &OTHER_PROGRAMS,
            working_folder: None,
            output: Output::Pipe,
        };
        let mut group = Group::start("vigorl-browser-", what).map_err(|e| failed(e.to_string()))?;
        let port = match group.take_output() {
            Some(output) => port_of(output, deadline).map_err(|said| failed(explain(&mut group, &said)))?,
            None => return Err(failed("its output is not readable".to_owned())),
        };
        Ok(Self { group, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.group.folder()
    }
}

fn explain(group: &mut Group, said: &str) -> String {
    if group.was_not_found() {
        "it was not found; install it (Debian: apt-get install chromium chromium-driver), name its path, \
         or use a WebDriver server that runs already"
            .to_owned()
    } else {
        format!("it did not start to listen; its last words: {said:?}")
    }
}

/// Reads until chromedriver names its port, and keeps reading so that it never blocks on a full pipe.
/// An error carries the last line it said.
fn port_of(output: ChildStdout, deadline: Duration) -> Result<u16, String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens once the port is known.
            sender.send(line).ok();
        }
    });
    let end = Instant::now() + deadline;
    let mut last = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                // An earlier line says "on port 0", what was asked for.
                let port =
                    line.split_once("successfully on port ").map(|(_, rest)| rest.trim_end_matches('.'));
                if let Some(port) = port.and_then(|text| text.parse().ok()) {
                    return Ok(port);
                }
                last = line;
            }
            Err(RecvTimeoutError::Timeout) => return Err(last),
            Err(RecvTimeoutError::Disconnected) => {
                // The pipe closes a moment before the exit status can be read.
                std::thread::sleep(Duration::from_millis(20));
                return Err(last);
            }
        }
    }
}
