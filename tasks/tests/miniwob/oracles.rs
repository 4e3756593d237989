//! Real input that solves tasks: the page is read to know what to do, and acted on through the world alone.

use std::time::Duration;

use serde_json::{Value, json};
use vigorl_geometry::Point;
use vigorl_interface::{Act, Action, MouseButton, parse_chord};
use vigorl_tasks::miniwob::{MiniWobWorld, Protocol};
use vigorl_tasks::{Environment, Performed};

pub(crate) const SCRIPT: &str = include_str!("oracles.js");
/// Rounds of reading and acting.
const MAX_ROUNDS: usize = 14;
const SETTLE: Duration = Duration::from_secs(2);

fn ask(world: &mut MiniWobWorld<'_>, wanted: &Value) -> Result<Value, String> {
    let script = format!("const wanted = {wanted};\n{SCRIPT}");
    let driver = world.driver().unwrap();
    let answer = driver.evaluate(&script).map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&answer).unwrap())
}

/// The tasks that there is an oracle for.
pub(crate) fn solved(world: &mut MiniWobWorld<'_>) -> Vec<String> {
    serde_json::from_value(ask(world, &json!({ "goal": "", "round": 0 })).unwrap()).unwrap()
}

/// An act, in screenshot pixels.
fn act(said: &Value) -> Action {
    let number = |idx: usize| said[idx].as_f64().unwrap() * Protocol::Browsergym.zoom();
    let point = |idx: usize| Point::new(number(idx), number(idx + 1));
    let words = |idx: usize| said[idx].as_str().unwrap().to_owned();
    match said[0].as_str().unwrap() {
        "click" => {
            let count = said[3].as_u64().map_or(1, |count| u8::try_from(count).unwrap());
            Act::Click { at: point(1), button: MouseButton::Left, count }
        }
        "drag" => Act::Drag { from: point(1), to: point(3) },
        "scroll" => Act::Scroll { at: point(1), dx_px: number(3), dy_px: number(4) },
        "select" => Act::Select { at: point(1), option: words(3) },
        "type" => Act::Type { text: words(1) },
        "press" => Act::Press { chord: parse_chord(&words(1)).unwrap() },
        other => panic!("no act is called {other}"),
    }
}

/// Plays the task that was just begun; what kept it from being played, if something did.
pub(crate) fn play(world: &mut MiniWobWorld<'_>, task: &str, goal: &str) -> Result<(), String> {
    for round in 0..MAX_ROUNDS {
        let acts = ask(world, &json!({ "task": task, "goal": goal, "round": round }))?;
        for said in acts.as_array().ok_or("there is no oracle")? {
            let act = act(said);
            match world.perform(&act).map_err(|error| format!("{act:?}: {error}"))? {
                Performed::Done => {}
                Performed::Refused(why) => return Err(format!("{act:?}: {why}")),
            }
        }
        world.driver().unwrap().settle(SETTLE).map_err(|error| error.to_string())?;
        if world.said().map_err(|error| error.to_string())?.is_none_or(|said| said.done) {
            return Ok(());
        }
    }
    Err("the page was never done".to_owned())
}
