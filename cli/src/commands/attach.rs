//! What `--attach` asks of everything else: a browser that a person uses is not set up, emptied or shared.
//!
//! Invariants: it is said on the command line alone, so that no file and no environment leads a run into a person's browser; what
//! cannot hold there is refused before anything begins, and what would hold a run back is never left out in silence.

use vigorl_interface::Visitor;
use vigorl_webdriver::BrowserAddress;

use crate::args::RunArgs;
use crate::commands::run::{Job, Place};
use crate::exit::usage;
use crate::settings::Settings;

/// Whether the jobs can be played in the browser that is attached to, if one is.
pub(crate) fn check(jobs: &[Job], args: &RunArgs, settings: &Settings) -> anyhow::Result<()> {
    let Some(address) = args.attach else { return Ok(()) };
    check_reach(address, args.attach_remote)?;
    let refused =
        |what: &str, why: &str, cure: &str| Err(usage(format!("--attach {address}: {what} {why}: {cure}")));
    let own = "needs a browser that this program starts";
    if let Some(job) = jobs.iter().find(|job| matches!(job.place, Place::Desktop(_))) {
        return refused(&format!("`{}`", job.given), "is played on the desktop", "leave --attach out");
    }
    if args.storage.is_some() {
        let cure = "leave it out; the running browser is logged in where the person is";
        return refused("--storage", "would put cookies among those of the person", cure);
    }
    if let Some(job) = jobs.iter().find(|job| job.task.start.storage.is_some()) {
        let cure = "take it out of the task, or leave --attach out";
        return refused(
            &format!("`start.storage` of `{}`", job.given),
            "would put cookies among those of the person",
            cure,
        );
    }
    if args.save_storage.is_some() {
        let cure = "log in with a task of its own, and leave --attach out";
        return refused("--save-storage", "would write the logins of the person into a file", cure);
    }
    for job in jobs {
        let start = &job.task.start;
        if settings.visitor_of(start)? != Visitor::default() || settings.login_of(start).is_some() {
            let what =
                format!("a locale, time zone, place, permission, certificate or login for `{}`", job.given);
            return refused(&what, own, "leave it out: the running browser has those of the person");
        }
    }
    // What holds a run back, or says what is seen, counts wherever it was said.
    for (name, why, cure) in [
        (
            "allowed_hosts",
            "is kept by a browser that is started with it",
            "leave one of them out, or attach to a browser in which nothing else is open",
        ),
        (
            "device_pixel_ratio",
            "is the running browser's own",
            "leave it out, or start that browser with --force-device-scale-factor",
        ),
    ] {
        if settings.is_set(name) {
            return refused(&settings.origin_of(name), why, cure);
        }
    }
    // What says how a browser is started is of no use, but somebody who types it means something by it.
    for name in ["window", "browser", "webdriver_url"] {
        if settings.is_typed(name) {
            return refused(&settings.origin_of(name), own, "leave one of them out");
        }
    }
    let n = args.repetitions.parallel.unwrap_or(1);
    if n > 1 {
        let cure = "leave --parallel out: one run follows the other";
        return refused(&format!("--parallel {n}"), "would show one tab and hide the others", cure);
    }
    Ok(())
}

/// A debugging port has no password: whoever reaches it has the browser.
fn check_reach(address: BrowserAddress, is_wanted: bool) -> anyhow::Result<()> {
    if address.is_of_this_machine() || is_wanted {
        return Ok(());
    }
    Err(usage(format!(
        "--attach {address} is not on this machine, and a debugging port has no password: whoever reaches it has that browser and \
         all its logins. Bring the port here (ssh -L 9222:127.0.0.1:9222 HOST) and attach to 127.0.0.1:9222, or say that it is \
         wanted with --attach-remote"
    )))
}
