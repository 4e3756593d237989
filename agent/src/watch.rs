//! Those who follow an episode: a run directory, a progress line, a trainer's trajectory.
//!
//! Invariant: watchers are told of everything while it happens, with its pictures; a watcher that keeps a picture keeps
//! it alive, and one that does not lets it go. None can change what happens, but each can end it by failing.

use vigorl_interface::{Action, Screenshot};
use vigorl_policy::Turn;
use vigorl_tasks::{Start, Verification};

use crate::error::WatchError;
use crate::eyes::Sighting;
use crate::outcome::{Episode, StepOutcome};

/// What a watcher may answer: a failure ends the episode.
pub type Watched = Result<(), WatchError>;

/// Follows episodes. `()` follows nothing.
#[expect(unused_variables, reason = "by default, a watcher does not look")]
pub trait Watch {
    /// An episode begins.
    ///
    /// # Errors
    /// Ends the episode, as all of these do.
    fn episode_started(&mut self, start: &Start) -> Watched {
        Ok(())
    }
    /// A step begins, which is to do this.
    ///
    /// # Errors
    /// As above.
    fn step_started(&mut self, instruction: &str) -> Watched {
        Ok(())
    }
    /// The screen was captured.
    ///
    /// # Errors
    /// As above.
    fn observed(&mut self, before: &Screenshot) -> Watched {
        Ok(())
    }
    /// The policy said some more.
    fn text(&mut self, piece: &str) {}
    /// The policy finished a turn.
    ///
    /// # Errors
    /// As above.
    fn turn(&mut self, turn: &Turn) -> Watched {
        Ok(())
    }
    /// The turn that was finished last goes on: its answer was looked at closer.
    ///
    /// # Errors
    /// As above.
    fn turn_amended(&mut self, turn: &Turn) -> Watched {
        Ok(())
    }
    /// All is said about the latest of `sightings`.
    ///
    /// # Errors
    /// As above.
    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        Ok(())
    }
    /// The action is about to be executed.
    ///
    /// # Errors
    /// Ends the step before the action.
    fn acting(&mut self, action: &Action) -> Watched {
        Ok(())
    }
    /// The action opened a tab, which is current now and one of `n_tabs`.
    ///
    /// # Errors
    /// As above.
    fn tab_opened(&mut self, n_tabs: usize) -> Watched {
        Ok(())
    }
    /// The step is over; `verification` is what the judge or its own check says.
    ///
    /// # Errors
    /// As above.
    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        Ok(())
    }
    /// The episode is over.
    ///
    /// # Errors
    /// As above.
    fn episode_ended(&mut self, episode: &Episode) -> Watched {
        Ok(())
    }
}

impl Watch for () {}

/// Both follow, the first one first.
impl<A: Watch, B: Watch> Watch for (A, B) {
    fn episode_started(&mut self, start: &Start) -> Watched {
        self.0.episode_started(start)?;
        self.1.episode_started(start)
    }
    fn step_started(&mut self, instruction: &str) -> Watched {
        self.0.step_started(instruction)?;
        self.1.step_started(instruction)
    }
    fn observed(&mut self, before: &Screenshot) -> Watched {
        self.0.observed(before)?;
        self.1.observed(before)
    }
    fn text(&mut self, piece: &str) {
        self.0.text(piece);
        self.1.text(piece);
    }
    fn turn(&mut self, turn: &Turn) -> Watched {
        self.0.turn(turn)?;
        self.1.turn(turn)
    }
    fn turn_amended(&mut self, turn: &Turn) -> Watched {
        self.0.turn_amended(turn)?;
        self.1.turn_amended(turn)
    }
    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        self.0.found(sightings)?;
        self.1.found(sightings)
    }
    fn acting(&mut self, action: &Action) -> Watched {
        self.0.acting(action)?;
        self.1.acting(action)
    }
    fn tab_opened(&mut self, n_tabs: usize) -> Watched {
        self.0.tab_opened(n_tabs)?;
        self.1.tab_opened(n_tabs)
    }
    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        self.0.step_ended(outcome, verification)?;
        self.1.step_ended(outcome, verification)
    }
    fn episode_ended(&mut self, episode: &Episode) -> Watched {
        self.0.episode_ended(episode)?;
        self.1.episode_ended(episode)
    }
}
