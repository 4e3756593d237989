//! Plays the items of an evaluation: some at a time, each once, with the next ones made ready meanwhile.
//!
//! Invariants: every turn is played at most once; what a player says is kept before it takes another turn; the first failure of
//! a player or a keeper ends the others at their next turn; pictures of later items are read on a thread of their own, so that
//! nobody waits for them who has something to do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::evaluation::Evaluation;
use crate::line::{Key, Line};

/// Whoever plays turns, one after the other.
pub trait Player {
    /// Why a turn could not be played, or kept.
    type Error;

    /// Plays a turn; nothing if it was broken off.
    ///
    /// # Errors
    /// If nothing more can be played.
    fn play(&mut self, turn: Key) -> Result<Option<Line>, Self::Error>;
}

/// Plays `turns` with `n_at_once` players. `player` makes one, on the thread on which it plays; `keep` is told each line, and
/// says whether to go on.
///
/// # Errors
/// The first error of a player, of making one, or of `keep`.
pub fn run<P, E>(
    evaluation: &dyn Evaluation,
    turns: &[Key],
    n_at_once: usize,
    player: &(dyn Fn() -> Result<P, E> + Sync),
    keep: &(dyn Fn(Line) -> Result<bool, E> + Sync),
) -> Result<(), E>
where
    P: Player<Error = E>,
    E: Send,
{
    let n_at_once = n_at_once.clamp(1, turns.len().max(1));
    // Those that are played, and as many that are made ready.
    evaluation.expect(2 * n_at_once);
    let next = AtomicUsize::new(0);
    let (ahead, wanted) = mpsc::channel::<u64>();
    let work = |ahead: mpsc::Sender<u64>| {
        let played = play(turns, &next, n_at_once, player, keep, &ahead);
        if played.is_err() {
            // The others have no use any more.
            next.store(turns.len(), Ordering::SeqCst);
        }
        played
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut ready = BTreeSet::new();
            while let Ok(item) = wanted.recv() {
                if ready.insert(item) {
                    evaluation.prepare(item);
                }
            }
        });
        if n_at_once == 1 {
            return work(ahead);
        }
        let threads: Vec<_> = (0..n_at_once)
            .map(|_| {
                let ahead = ahead.clone();
                scope.spawn(|| work(ahead))
            })
            .collect();
        drop(ahead);
        let ends: Vec<Result<(), E>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        ends.into_iter().collect()
    })
}

fn play<P: Player<Error = E>, E>(
    turns: &[Key],
    next: &AtomicUsize,
    n_at_once: usize,
    player: &(dyn Fn() -> Result<P, E> + Sync),
    keep: &(dyn Fn(Line) -> Result<bool, E> + Sync),
    ahead: &mpsc::Sender<u64>,
) -> Result<(), E> {
    let mut player = player()?;
    loop {
        let idx = next.fetch_add(1, Ordering::SeqCst);
        let Some(turn) = turns.get(idx) else { return Ok(()) };
        if let Some(later) = items_from(&turns[idx..]).nth(n_at_once) {
            // Nobody makes things ready any more where that has failed: then whoever plays reads on their own.
            ahead.send(later).ok();
        }
        let goes_on = match player.play(*turn)? {
            Some(line) => keep(line)?,
            None => false,
        };
        if !goes_on {
            next.store(turns.len(), Ordering::SeqCst);
            return Ok(());
        }
    }
}

/// The items of turns, each once where its turns stand together.
fn items_from(turns: &[Key]) -> impl Iterator<Item = u64> {
    let before = [None].into_iter().chain(turns.iter().map(|turn| Some(turn.item)));
    turns.iter().zip(before).filter(|(turn, before)| Some(turn.item) != *before).map(|(turn, _)| turn.item)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use vigorl_tasks::practice::{PageSpec, Split};

    use super::*;
    use crate::evaluation::Mode;
    use crate::practice::PracticeSet;

    struct Quick;

    impl Player for Quick {
        type Error = String;

        #[expect(clippy::disallowed_methods, reason = "some items take longer than others")]
        fn play(&mut self, turn: Key) -> Result<Option<Line>, String> {
            thread::sleep(Duration::from_micros(turn.item % 7 * 50));
            match turn.item {
                666 => Err("the browser is gone".to_owned()),
                999 => Ok(None),
                item => Ok(Some(line(item, turn.mode))),
            }
        }
    }

    fn line(item: u64, mode: Mode) -> Line {
        serde_json::from_value(serde_json::json!({
            "id": "", "item": item, "mode": mode, "outcome": "correct", "instruction": "", "values": [], "targets": [],
            "is_answered": true,
        }))
        .unwrap()
    }

    fn turns(items: impl IntoIterator<Item = u64>) -> Vec<Key> {
        let modes = [Mode::MultiTurn, Mode::SingleTurn];
        items.into_iter().flat_map(|item| modes.map(|mode| Key { item, mode, draw: 0 })).collect()
    }

    fn played(turns: &[Key], n_at_once: usize) -> (Result<(), String>, Vec<Key>) {
        let set = PracticeSet { first: PageSpec::icons(0, Split::HeldOut), n_episodes: 1 };
        let kept = Mutex::new(Vec::new());
        let keep = |line: Line| {
            kept.lock().unwrap().push(line.key());
            Ok(true)
        };
        let end = run(&set, turns, n_at_once, &|| Ok(Quick), &keep);
        (end, kept.into_inner().unwrap())
    }

    #[test]
    fn every_turn_is_played_once_however_many_play() {
        let turns = turns(0..60);
        for n_at_once in [1, 2, 4, 500] {
            let (end, mut kept) = played(&turns, n_at_once);
            kept.sort();
            assert_eq!((end, &kept), (Ok(()), &turns), "{n_at_once} at once");
        }
        assert_eq!(played(&[], 3), (Ok(()), Vec::new()));
    }

    #[test]
    fn a_failure_and_a_break_end_the_others_too() {
        for n_at_once in [1, 3] {
            let (end, kept) = played(&turns((0..10).chain([666]).chain(20..500)), n_at_once);
            assert_eq!(end, Err("the browser is gone".to_owned()));
            assert!(kept.len() < 100, "{n_at_once} at once: {} were played", kept.len());
            let (end, kept) = played(&turns((0..10).chain([999]).chain(20..500)), n_at_once);
            assert!(end.is_ok() && kept.len() < 100, "{n_at_once} at once: {} were played", kept.len());
        }
    }

    #[test]
    fn items_are_counted_once_where_their_turns_stand_together() {
        assert_eq!(items_from(&turns([3, 4, 9])).collect::<Vec<_>>(), [3, 4, 9]);
    }
}
