//! A button that is held for a while, and comes up whatever happens to this program.
//!
//! Invariant: before a button goes down for longer than one write to the server, somebody else waits to let it go: a
//! small shell that reads from a pipe we hold. If this program dies, the pipe closes, and the shell writes one request,
//! the release, to the display, over a connection that was opened for it. This needs no `unsafe` code and no program of
//! our own. (Pauses made by the server would not do: it forgets what waits when its client is gone.)

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use vigorl_interface::DriverError;
use x11rb::protocol::xproto::{BUTTON_RELEASE_EVENT, Window};
use x11rb::protocol::xtest::FakeInputRequest;

use super::lost;

/// Waits for the end of its input, then writes "$1", with the escapes of `printf`, to its output. It stays for a moment,
/// because the server throws away what it has not read yet of a client that is gone.
const LET_GO: &str = "cat >/dev/null; printf \"$1\"; sleep 1";

/// Somebody who lets a button go if we do not.
pub(super) struct Held {
    shell: Child,
    is_up: bool,
}

impl Held {
    /// Has `button` watched, before it is pressed. `xtest` is the number of the extension's requests.
    pub(super) fn watch(xtest: u8, root: Window, button: u8) -> Result<Self, DriverError> {
        let (conn, _) = x11rb::connect(None).map_err(lost)?;
        let release = FakeInputRequest {
            type_: BUTTON_RELEASE_EVENT,
            detail: button,
            time: x11rb::CURRENT_TIME,
            root,
            root_x: 0,
            root_y: 0,
            deviceid: 0,
        };
        let (request, _) = release.serialize(xtest);
        let bytes = request.iter().flat_map(|part| part.iter());
        let escaped: String = bytes.map(|byte| format!("\\{byte:03o}")).collect();
        let start = || -> io::Result<Child> {
            let connection = conn.stream().as_fd().try_clone_to_owned()?;
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", LET_GO, "sh", &escaped]);
            // In a group of its own: Control-c in a terminal goes to all of ours.
            shell.stdin(Stdio::piped()).stdout(connection).stderr(Stdio::null()).process_group(0).spawn()
        };
        let failed = |e: io::Error| DriverError::Refused {
            request: "drag",
            detail: format!("nobody could be started who would let the button go: {e}"),
        };
        Ok(Self { shell: start().map_err(failed)?, is_up: false })
    }

    /// The button is up again.
    pub(super) fn was_released(mut self) {
        self.is_up = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_up {
            // An error means that it has ended already.
            self.shell.kill().ok();
        }
        // Otherwise this closes its input, and it lets the button go.
        drop(self.shell.stdin.take());
        self.shell.wait().ok();
    }
}
