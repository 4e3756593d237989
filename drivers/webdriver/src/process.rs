//! Starts chromedriver on a port of our choice. Invariants: what it starts is a [`Group`], so that nothing can stay
//! behind (Chromium's crash handlers leave the group but exit with their browser); the port is one on which it said
//! that it listens.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::ChildStdout;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use vigorl_interface::{DriverError, wait_while};
use vigorl_processes::{Group, Output, Program};

/// What chromedriver says when another program took its port before it did. Trying again picks another.
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
    /// Starts `program`, and what it starts, with these environment variables besides on a free port, and waits until it
    /// listens.
    pub(crate) fn start(
        program: &Path,
        environment: &[(&str, &OsStr)],
        deadline: Duration,
    ) -> Result<Self, DriverError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match Self::start_once(program, environment, free_port(program)?, left) {
                Err(DriverError::Start { detail, .. })
                    if detail.contains(PORT_TAKEN) && Instant::now() < end => {}
                started_or_failed => return started_or_failed,
            }
        }
    }

    fn start_once(
        program: &Path,
        environment: &[(&str, &OsStr)],
        port: u16,
        deadline: Duration,
    ) -> Result<Self, DriverError> {
        let failed = |detail: String| cannot_start(program, detail);
        let argument = format!("--port={port}");
        let what = Program {
            program: program.as_os_str(),
            arguments: &[OsStr::new(&argument)],
            environment,
            without: &OTHER_PROGRAMS,
            working_folder: None,
            output: Output::Pipe,
        };
        let mut group = Group::start("vigorl-browser-", what).map_err(|e| failed(e.to_string()))?;
        let output = group.take_output().ok_or_else(|| failed("its output is not readable".to_owned()))?;
        let said = port_of(output, deadline).map_err(|said| failed(explain(&mut group, &said)))?;
        if said != port {
            return Err(failed(format!(
                "it was asked for port {port} and says that it listens on port {said}"
            )));
        }
        Ok(Self { group, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.group.folder()
    }
}

/// A port that nobody listens on now. Chromedriver itself is not asked for one: without IPv6 it answers `--port=0`
/// with port 0 (seen in version 156), and then nobody knows where it listens.
fn free_port(program: &Path) -> Result<u16, DriverError> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(port.map_err(|e: io::Error| cannot_start(program, format!("no port is free: {e}")))?.port())
}

fn cannot_start(program: &Path, detail: String) -> DriverError {
    DriverError::Start { program: program.display().to_string(), detail }
}

fn explain(group: &mut Group, said: &str) -> String {
    // The pipe closes a moment before the exit status can be read.
    let soon = Instant::now() + Duration::from_millis(20);
    if !wait_while(Some(soon), Duration::from_millis(5), || !group.was_not_found()) {
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
                // An earlier line says "on port", before it listens.
                let port =
                    line.split_once("successfully on port ").map(|(_, rest)| rest.trim_end_matches('.'));
                if let Some(port) = port.and_then(|text| text.parse().ok()) {
                    return Ok(port);
                }
                last = line;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A shell script in place of chromedriver: `$port` is what it was asked for, and `said N` is the line by which
    /// chromedriver says that it listens on port N. A line for each start is left in a file beside it.
    fn stand_in(folder: &tempfile::TempDir, script: &str) -> PathBuf {
        let program = folder.path().join("chromedriver");
        let starts = folder.path().join("starts");
        let text = format!(
            "#!/bin/sh\nstarts='{}'\nport=${{1#--port=}}\n\
             said() {{ echo \"ChromeDriver was started successfully on port $1.\"; }}\n\
             echo \"$port\" >>\"$starts\"\n{script}\n",
            starts.display()
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn starts(folder: &tempfile::TempDir) -> Vec<String> {
        let starts = fs::read_to_string(folder.path().join("starts")).unwrap();
        starts.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_port_is_ours_where_chromedriver_would_answer_zero() {
        let folder = tempfile::tempdir().unwrap();
        // Without IPv6, version 156 repeats what it was asked for, also if that is 0.
        let program = stand_in(&folder, "said $port; sleep 60");
        let started = Chromedriver::start(&program, &[], PATIENCE).unwrap();
        let url = started.url();
        assert!(!url.contains(":0/"), "{url}");
        assert_eq!(starts(&folder), [url.trim_start_matches("http://127.0.0.1:").trim_end_matches('/')]);
    }

    #[test]
    fn a_port_that_another_program_took_is_followed_by_another_try() {
        let folder = tempfile::tempdir().unwrap();
        let script = "[ \"$(wc -l <\"$starts\")\" -gt 1 ] || { echo 'IPv4 port not available. Exiting...'; exit 1; }\n\
                      said $port; sleep 60";
        let program = stand_in(&folder, script);
        let started = Chromedriver::start(&program, &[], PATIENCE).unwrap();
        let asked = starts(&folder);
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(started.url().contains(&asked[1]), "{} {asked:?}", started.url());
    }

    #[test]
    fn another_port_than_the_one_asked_for_is_no_success() {
        let folder = tempfile::tempdir().unwrap();
        let program = stand_in(&folder, "said 0; sleep 60");
        let error = Chromedriver::start(&program, &[], PATIENCE).unwrap_err().to_string();
        assert!(error.contains("listens on port 0"), "{error}");
    }
}
