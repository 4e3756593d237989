//! A browser that is killed in the middle of a step. Alone in its file: every process that descends from this
//! one is the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{Completion, Conversation, Policy, PolicyError, Sampling, ScriptedPolicy, TokenStream};
use vigorl_report::write_report;
use vigorl_runs::Recorded;

use world::{BUTTON, HIT, browser, click, show};

/// Living processes that descend from this one.
fn descendants() -> BTreeSet<u32> {
    let state_and_parent = |pid: u32| -> Option<(String, u32)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; state and parent follow it.
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
    };
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let alive: Vec<(u32, u32)> = pids
        .filter_map(|pid| {
            state_and_parent(pid).filter(|(state, _)| state != "Z").map(|(_, parent)| (pid, parent))
        })
        .collect();
    let mut found = BTreeSet::from([std::process::id()]);
    loop {
        let n = found.len();
        found.extend(
            alive
                .iter()
                .filter(|(_, parent)| found.contains(parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if found.len() == n {
            found.remove(&std::process::id());
            return found;
        }
    }
}

/// Kills every browser process of this test, then answers as if nothing had happened.
struct Assassin;

impl Policy for Assassin {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let victims: Vec<u32> =
            descendants().into_iter().filter(|pid| name(*pid).trim_end() == "chromium").collect();
        assert!(!victims.is_empty(), "the browser runs");
        for pid in victims {
            Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap();
        }
        ScriptedPolicy::new([HIT]).complete(conversation, sampling, stream)
    }

    fn name(&self) -> &str {
        "assassin"
    }

    fn pixel_budget(&self) -> PixelBudget {
        ScriptedPolicy::new([HIT]).pixel_budget()
    }
}

#[test]
fn a_browser_killed_mid_step_is_an_error_with_a_readable_record_and_nothing_left_behind() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    show(&mut driver, BUTTON);
    let clock = Instant::now();
    let ended = click(&mut driver, &mut Assassin, output.path());
    assert!(clock.elapsed() < Duration::from_secs(45), "{:?}", clock.elapsed());
    let message = ended.record.err_msg.clone().expect("a dead browser is an error");
    assert_eq!((ended.record.reward, ended.record.success), (None, None), "{message}");
    assert_eq!(ended.summary.err_msg, Some(message));
    assert_eq!(Recorded::read(&ended.path).unwrap().episodes[0].steps.len(), 1);
    assert!(write_report(&ended.path).unwrap().is_file());
    drop(driver);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !descendants().is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(descendants(), BTreeSet::new());
}
