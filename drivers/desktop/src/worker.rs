//! The thread that talks to the display server.
//!
//! Invariant: no caller waits longer than the deadline, whatever the server does. A server that hangs keeps the
//! thread; everything asked afterwards fails at once.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use vigorl_interface::DriverError;

use crate::x11::X11;

type Job = Box<dyn FnOnce(&mut X11) + Send>;

/// A handle to the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    /// `None` after a request that was not answered, and while being dropped.
    jobs: Option<Sender<Job>>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    deadline: Duration,
}

impl Worker {
    /// Starts the thread; `open` connects it.
    pub(crate) fn start(
        deadline: Duration,
        open: impl FnOnce() -> Result<X11, DriverError> + Send + 'static,
    ) -> Result<Self, DriverError> {
        let (jobs, todo) = channel::<Job>();
        let (opened, answer) = channel();
        let (alive, ended) = channel::<()>();
        let work = move || {
            let _alive = alive;
            let mut system = match open() {
                Ok(system) => {
                    // Whoever waited for it has given up if this fails; then there are no jobs either.
                    opened.send(Ok(())).ok();
                    system
                }
                Err(error) => {
                    opened.send(Err(error)).ok();
                    return;
                }
            };
            for job in todo {
                job(&mut system);
            }
        };
        let failed = |detail: String| DriverError::Start { program: "the desktop driver".to_owned(), detail };
        thread::Builder::new().name("desktop".to_owned()).spawn(work).map_err(|e| failed(e.to_string()))?;
        match answer.recv_timeout(deadline) {
            Ok(opened) => opened?,
            Err(_) => return Err(failed(format!("the display server did not answer within {deadline:?}"))),
        }
        Ok(Self { jobs: Some(jobs), ended, deadline })
    }

    /// Runs `work` on the thread. `extra` is time that the work takes by itself.
    pub(crate) fn ask<R: Send + 'static>(
        &mut self,
        request: &'static str,
        extra: Duration,
        work: impl FnOnce(&mut X11) -> Result<R, DriverError> + Send + 'static,
    ) -> Result<R, DriverError> {
        let gone = |detail: &str| DriverError::Gone { what: "display", detail: detail.to_owned() };
        let jobs = self.jobs.as_ref().ok_or_else(|| gone("an earlier request was not answered"))?;
        let (done, answer) = channel();
        let job: Job = Box::new(move |system| drop(done.send(work(system))));
        jobs.send(job).map_err(|_| gone("its thread has ended"))?;
        match answer.recv_timeout(self.deadline + extra) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(gone("its thread has ended")),
            Err(RecvTimeoutError::Timeout) => {
                self.jobs = None;
                Err(DriverError::Deadline { request, deadline: self.deadline })
            }
        }
    }
}

impl Drop for Worker {
    /// Waits until everything is released, but not for a server that hangs.
    fn drop(&mut self) {
        if self.jobs.take().is_some() {
            // The thread says that it has ended by closing the channel, which is an error here.
            self.ended.recv_timeout(self.deadline).ok();
        }
    }
}
