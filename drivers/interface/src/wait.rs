//! Waiting for what nobody announces: a window, a page, a program of somebody else.
//!
//! Invariant: this is the one loop that sleeps. It ends when there is an answer or the time is over, and what is awaited
//! is looked at once more when the time is over, so that a short time is never a wrong answer.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Looks again and again until there is an answer, which `Break` carries; `Continue` says how long to pause before the
/// next look. Returns nothing if the time is over first; without an end, only an answer or an error ends it.
///
/// # Errors
/// What a look could not do.
#[expect(clippy::disallowed_methods, reason = "everybody else waits here")]
pub fn wait_until<T, E>(
    end: Option<Instant>,
    mut look: impl FnMut() -> Result<ControlFlow<T, Duration>, E>,
) -> Result<Option<T>, E> {
    loop {
        // Taken before the look: what happens while it is looked at is not missed.
        let now = Instant::now();
        match look()? {
            ControlFlow::Break(answer) => return Ok(Some(answer)),
            ControlFlow::Continue(_) if end.is_some_and(|end| end <= now) => return Ok(None),
            ControlFlow::Continue(pause) => {
                let left = end.map_or(pause, |end| end.saturating_duration_since(Instant::now()));
                std::thread::sleep(pause.min(left));
            }
        }
    }
}

/// Waits as long as something is so, looking every `pause`, at most until `end`. Says whether it is still so.
pub fn wait_while(end: Option<Instant>, pause: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let look =
        || Ok::<_, Infallible>(if is_so() { ControlFlow::Continue(pause) } else { ControlFlow::Break(()) });
    matches!(wait_until(end, look), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_wait_ends_with_the_answer_the_error_or_the_time_after_a_last_look() {
        let mut n = 0;
        let mut third = || {
            n += 1;
            Ok::<_, ()>(if n == 3 { ControlFlow::Break(n) } else { ControlFlow::Continue(TICK) })
        };
        assert_eq!(wait_until(None, &mut third), Ok(Some(3)));
        assert_eq!(wait_until(None, || Err::<ControlFlow<(), Duration>, _>("gone")), Err("gone"));
        // A time that is over already is one look.
        let (mut n, now) = (0, Instant::now());
        let never = || {
            n += 1;
            Ok::<ControlFlow<(), Duration>, ()>(ControlFlow::Continue(TICK))
        };
        assert_eq!(wait_until(Some(now), never), Ok(None));
        assert_eq!(n, 1);
        // A pause longer than the time does not make it longer, and the last look comes when it is over.
        let end = Instant::now() + Duration::from_millis(30);
        let mut looks = Vec::new();
        let never = || {
            looks.push(Instant::now());
            Ok::<ControlFlow<(), Duration>, ()>(ControlFlow::Continue(Duration::from_secs(60)))
        };
        assert_eq!(wait_until(Some(end), never), Ok(None));
        assert!(looks.len() == 2 && looks[1] >= end, "{looks:?} {end:?}");
    }

    #[test]
    fn a_state_that_lasts_is_told_from_one_that_ends() {
        let mut n = 0;
        let mut twice = || {
            n += 1;
            n <= 2
        };
        assert!(!wait_while(None, TICK, &mut twice));
        assert!(wait_while(Some(Instant::now()), TICK, || true));
    }
}
