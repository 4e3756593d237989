//! Keeps what a watcher is told, to tell another one later: episodes that are played at once are recorded one by one.
//!
//! Invariant: whoever is told later is told the same, in the same order, with the same pictures.

use vigorl_agent::{Episode, Sighting, StepOutcome, Watch, Watched};
use vigorl_interface::{Action, Screenshot};
use vigorl_policy::Turn;
use vigorl_tasks::{Start, Verification};

/// What was told.
#[derive(Debug, Clone)]
enum Told {
    EpisodeStarted(Start),
    StepStarted(String),
    Observed(Screenshot),
    Text(String),
    Turn(Box<Turn>),
    TurnAmended(Box<Turn>),
    Found(Vec<Sighting>),
    Acting(Action),
    TabOpened(usize),
    StepEnded(Box<StepOutcome>, Verification),
    EpisodeEnded(Box<Episode>),
}

/// An episode, as it was told.
#[derive(Debug, Clone, Default)]
pub struct Tape(Vec<Told>);

impl Tape {
    /// Tells it all.
    ///
    /// # Errors
    /// What the watcher says.
    pub fn tell(&self, watch: &mut dyn Watch) -> Watched {
        for told in &self.0 {
            match told {
                Told::EpisodeStarted(start) => watch.episode_started(start)?,
                Told::StepStarted(instruction) => watch.step_started(instruction)?,
                Told::Observed(before) => watch.observed(before)?,
                Told::Text(piece) => watch.text(piece),
                Told::Turn(turn) => watch.turn(turn)?,
                Told::TurnAmended(turn) => watch.turn_amended(turn)?,
                Told::Found(sightings) => watch.found(sightings)?,
                Told::Acting(action) => watch.acting(action)?,
                Told::TabOpened(n_tabs) => watch.tab_opened(*n_tabs)?,
                Told::StepEnded(outcome, verification) => watch.step_ended(outcome, *verification)?,
                Told::EpisodeEnded(episode) => watch.episode_ended(episode)?,
            }
        }
        Ok(())
    }

    /// The same episode with another label.
    #[must_use]
    pub fn labelled(mut self, name: &str, value: impl ToString) -> Self {
        for told in &mut self.0 {
            if let Told::EpisodeStarted(start) = told {
                start.labels.insert(name.to_owned(), value.to_string());
            }
        }
        self
    }

    fn keep(&mut self, told: Told) -> Watched {
        self.0.push(told);
        Ok(())
    }
}

impl Watch for Tape {
    fn episode_started(&mut self, start: &Start) -> Watched {
        self.keep(Told::EpisodeStarted(start.clone()))
    }
    fn step_started(&mut self, instruction: &str) -> Watched {
        self.keep(Told::StepStarted(instruction.to_owned()))
    }
    fn observed(&mut self, before: &Screenshot) -> Watched {
        self.keep(Told::Observed(before.clone()))
    }
    fn text(&mut self, piece: &str) {
        self.0.push(Told::Text(piece.to_owned()));
    }
    fn turn(&mut self, turn: &Turn) -> Watched {
        self.keep(Told::Turn(Box::new(turn.clone())))
    }
    fn turn_amended(&mut self, turn: &Turn) -> Watched {
        self.keep(Told::TurnAmended(Box::new(turn.clone())))
    }
    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        self.keep(Told::Found(sightings.to_vec()))
    }
    fn acting(&mut self, action: &Action) -> Watched {
        self.keep(Told::Acting(action.clone()))
    }
    fn tab_opened(&mut self, n_tabs: usize) -> Watched {
        self.keep(Told::TabOpened(n_tabs))
    }
    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        self.keep(Told::StepEnded(Box::new(outcome.clone()), verification))
    }
    fn episode_ended(&mut self, episode: &Episode) -> Watched {
        self.keep(Told::EpisodeEnded(Box::new(episode.clone())))
    }
}
