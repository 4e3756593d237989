//! Nothing that a group has started outlives it: after its end, a drop, a panic, an interrupt, a killed starter.
//! One test at a time, because ending everything that was started is global.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vigorl_processes::{Group, Output, Program, Wait, kill_all_started};

/// Set in a copy of this program that starts a group and waits to be killed.
const VICTIM: &str = "VIGORL_TEST_VICTIM";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_with(line: &str, output: Output, without: &[&str]) -> Group {
    let program = Program {
        program: OsStr::new("/bin/sh"),
        arguments: &[OsStr::new("-c"), OsStr::new(line)],
        environment: &[],
        without,
        working_folder: None,
        output,
    };
    Group::start("vigorl-test-", program).unwrap()
}

fn start(line: &str) -> Group {
    start_with(line, Output::Nothing, &[])
}

/// Living processes that were started with this folder as their `TMPDIR`, whatever has become of their parents. The
/// environment of a zombie is empty.
fn processes_of(folder: &Path) -> Vec<u32> {
    let wanted = format!("TMPDIR={}", folder.display());
    let has_it = |id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let ids = fs::read_dir("/proc").unwrap().flatten();
    ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_it).collect()
}

fn names_of(ids: &[u32]) -> Vec<String> {
    let name =
        |id: &u32| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned();
    ids.iter().map(name).collect()
}

/// Waits until so many processes of this name run in the folder's group.
#[track_caller]
fn until_running(folder: &Path, name: &str, n: usize) {
    let end = Instant::now() + Duration::from_secs(10);
    let n_running = || names_of(&processes_of(folder)).iter().filter(|found| *found == name).count();
    while n_running() != n {
        assert!(Instant::now() < end, "{} instead of {n} processes `{name}`", n_running());
        std::thread::yield_now();
    }
}

#[track_caller]
fn assert_gone(folder: &Path, within: Duration) {
    let end = Instant::now() + within;
    while !processes_of(folder).is_empty() || folder.exists() {
        let left = names_of(&processes_of(folder));
        assert!(Instant::now() < end, "left behind: {left:?}, folder {}", folder.exists());
        std::thread::yield_now();
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A child, a grandchild whose parent has ended, and one that was forked twice.
const FAMILY: &str = "sleep 300 & sh -c 'sleep 300 &'; ( ( sleep 300 & ) & ); wait";

#[test]
fn an_end_is_seen_with_its_code() {
    let _alone = alone();
    for (line, code) in [("true", 0), ("exit 7", 7), ("kill -9 $$", 137), ("no-such-program", 127)] {
        let end = start(line).wait_for_end(soon(), &|| false).unwrap();
        assert_eq!(end, Wait::Ended(code), "{line}");
    }
    // What goes on in the background does not hold the answer back.
    let clock = Instant::now();
    assert_eq!(start("sleep 300 & true").wait_for_end(soon(), &|| false).unwrap(), Wait::Ended(0));
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
}

#[test]
fn a_wait_ends_with_its_time_or_a_cancellation_and_the_program_runs_on() {
    let _alone = alone();
    let mut group = start("sleep 300");
    let clock = Instant::now();
    let end = group.wait_for_end(clock + Duration::from_millis(200), &|| false).unwrap();
    assert_eq!(end, Wait::OutOfTime);
    assert!(clock.elapsed() >= Duration::from_millis(200));
    let asked_at = Instant::now();
    let end = group.wait_for_end(soon(), &|| asked_at.elapsed() > Duration::from_millis(100)).unwrap();
    assert_eq!(end, Wait::Cancelled);
    assert!(asked_at.elapsed() < Duration::from_secs(5), "{:?}", asked_at.elapsed());
    until_running(group.folder(), "sleep", 1);
}

#[test]
fn an_end_that_nobody_can_see_is_an_error() {
    let _alone = alone();
    // It takes its own group with it, and who would tell.
    assert!(start("kill -9 0").wait_for_end(soon(), &|| false).is_err());
    let missing = Program {
        program: OsStr::new("no-such-program"),
        arguments: &[],
        environment: &[],
        without: &[],
        working_folder: None,
        output: Output::Nothing,
    };
    let mut group = Group::start("vigorl-test-", missing).unwrap();
    assert!(group.wait_for_end(soon(), &|| false).is_err());
    let end = soon();
    while !group.was_not_found() {
        assert!(Instant::now() < end, "a program that does not exist was found");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_program_has_started_ends_with_its_group() {
    let _alone = alone();
    let group = start(FAMILY);
    let folder = group.folder().to_owned();
    until_running(&folder, "sleep", 3);
    fs::write(folder.join("left"), "something").unwrap();
    drop(group);
    assert_gone(&folder, Duration::from_secs(1));
}

#[test]
fn what_a_program_leaves_behind_ends_also_when_it_has_ended_itself() {
    let _alone = alone();
    let mut group = start("sleep 300 & ( ( sleep 300 & ) & ); true");
    let folder = group.folder().to_owned();
    assert_eq!(group.wait_for_end(soon(), &|| false).unwrap(), Wait::Ended(0));
    until_running(&folder, "sleep", 2);
    drop(group);
    assert_gone(&folder, Duration::from_secs(1));
}

#[test]
fn a_panic_ends_the_group() {
    let _alone = alone();
    let panicking = std::thread::spawn(|| {
        let group = start(FAMILY);
        until_running(group.folder(), "sleep", 3);
        std::panic::panic_any(group.folder().to_owned());
    });
    let folder = panicking.join().unwrap_err().downcast::<PathBuf>().unwrap();
    assert_gone(&folder, Duration::from_secs(1));
}

#[test]
fn an_interrupt_handler_ends_all_groups() {
    let _alone = alone();
    let groups = [start(FAMILY), start(FAMILY)];
    let folders = groups.each_ref().map(|group| group.folder().to_owned());
    for folder in &folders {
        until_running(folder, "sleep", 3);
    }
    std::thread::spawn(kill_all_started).join().unwrap();
    for folder in &folders {
        assert_gone(folder, Duration::from_secs(2));
    }
}

#[test]
fn a_starter_that_is_killed_takes_its_group_with_it() {
    let name = "a_starter_that_is_killed_takes_its_group_with_it";
    if std::env::var_os(VICTIM).is_some() {
        // Programs that do not end when they are asked to, are ended.
        let group = start(&format!("trap '' TERM; {FAMILY}"));
        until_running(group.folder(), "sleep", 3);
        eprintln!("started {}", group.folder().display());
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let _alone = alone();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines().map_while(Result::ok);
    let folder = lines.find_map(|line| Some(PathBuf::from(line.strip_prefix("started ")?))).unwrap();
    assert_eq!(names_of(&processes_of(&folder)).iter().filter(|name| *name == "sleep").count(), 3);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_gone(&folder, Duration::from_secs(5));
}

/// The limit of the promise, so that nobody takes it for more.
#[test]
fn a_program_that_leaves_the_group_on_purpose_goes_on() {
    let _alone = alone();
    let group = start("setsid sleep 300");
    let folder = group.folder().to_owned();
    until_running(&folder, "sleep", 1);
    drop(group);
    let left = processes_of(&folder);
    assert_eq!(names_of(&left), ["sleep"]);
    Command::new("kill").args(["-9", &left[0].to_string()]).status().unwrap();
    assert_gone(&folder, Duration::from_secs(1));
}

#[test]
fn what_a_program_says_goes_where_it_was_asked_to() {
    let _alone = alone();
    let line = "echo one; echo two >&2";
    let mut group = start_with(line, Output::Pipe, &[]);
    let mut said = String::new();
    group.take_output().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "one\n");
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = Output::File(File::options().append(true).open(log.path()).unwrap());
    assert_eq!(start_with(line, output, &[]).wait_for_end(soon(), &|| false).unwrap(), Wait::Ended(0));
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "one\ntwo\n");
}

#[test]
fn what_a_program_is_to_be_without_fails() {
    let _alone = alone();
    for (without, code) in [(&[][..], 0), (&["uname"][..], 1)] {
        let mut group = start_with("uname", Output::Nothing, without);
        assert_eq!(group.wait_for_end(soon(), &|| false).unwrap(), Wait::Ended(code), "{without:?}");
    }
}
