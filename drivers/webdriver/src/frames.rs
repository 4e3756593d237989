//! Frames that scripts of the page around them may not look into, because they are of another origin. The way to one may lead
//! through frames of the page's own origin, which scripts look into from outside.
//!
//! Invariant: the session looks at the page itself again when this is done, whatever became of it.

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use thirtyfour::common::types::ElementId;
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::{DriverError, Framed};

use crate::session::Session;

/// What a person sees and a click reaches.
pub(crate) const REACH: &str = include_str!("reach.js");
/// Frames in frames at most.
pub(crate) const MOST_DEEP: usize = 8;
/// From a viewport into itself.
const SAME: [f64; 6] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// A frame on the way.
struct Next {
    element: ElementId,
    /// How it is placed in the viewport around it, if it is of another origin.
    placed: Option<[f64; 6]>,
    /// What else is said of it.
    rest: Vec<Value>,
}

impl Next {
    fn of(said: &Value) -> Option<Self> {
        let id = said[0].as_object()?.values().next()?.as_str()?;
        let placed: Option<[f64; 6]> = serde_json::from_value(said[1].clone()).ok()?;
        Some(Self { element: ElementId::from(id), placed, rest: said.as_array()?[2..].to_vec() })
    }

    /// Looks into it; false if it is gone.
    fn enter(&self, session: &Session) -> Result<bool, DriverError> {
        match session.send("look into a frame", Command::SwitchToFrameElement(self.element.clone())) {
            Err(DriverError::Refused { .. }) => Ok(false),
            entered => entered.map(|_| true),
        }
    }
}

/// One placement inside of another.
fn inside(outer: [f64; 6], inner: [f64; 6]) -> [f64; 6] {
    let [a, b, c, d, e, f] = outer;
    let [p, q, r, s, x, y] = inner;
    [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * x + c * y + e, b * x + d * y + f]
}

/// Looks at the page itself again.
fn leave<T>(session: &Session, done: Result<T, DriverError>) -> Result<T, DriverError> {
    let left = session.send("leave a frame", Command::SwitchToFrameDefault);
    let value = done?;
    left.map(|_| value)
}

/// Evaluates in every such frame, outer ones first.
pub(crate) fn evaluate_in_frames(session: &Session, script: &str) -> Result<Vec<Framed>, DriverError> {
    let mut found = Vec::new();
    let walked = walk(session, script, "", SAME, MOST_DEEP, &mut found);
    leave(session, walked)?;
    Ok(found)
}

/// `before` tells scripts of this frame what of it is on view.
fn walk(
    session: &Session,
    script: &str,
    before: &str,
    placed: [f64; 6],
    deep: usize,
    found: &mut Vec<Framed>,
) -> Result<(), DriverError> {
    let frames =
        session.script("frames", &format!("{before}{REACH}\nreturn foreignFrames();"), Vec::new())?;
    for next in frames.as_array().into_iter().flatten().filter_map(Next::of) {
        if !next.enter(session)? {
            continue;
        }
        match next.placed {
            Some(own) => {
                let view = next.rest.first().cloned().unwrap_or_default();
                let before = format!("const frameView = {view};\n");
                let placed = inside(placed, own);
                match session.script("evaluate", &format!("{before}{script}"), Vec::new()) {
                    Ok(said) => found.push(Framed { said: said.to_string(), placed }),
                    // The frame shows another page meanwhile, or one that lets nobody ask.
                    Err(DriverError::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
                if deep > 1 {
                    walk(session, script, &before, placed, deep - 1, found)?;
                }
            }
            // Whoever asked outside has looked into this one already.
            None if deep > 1 => walk(session, script, before, placed, deep - 1, found)?,
            None => {}
        }
        session.send("leave a frame", Command::SwitchToParentFrame)?;
    }
    Ok(())
}

/// Evaluates in the innermost frame at a point of the page; the script knows the point as `pointX` and `pointY`.
pub(crate) fn evaluate_at(
    session: &Session,
    at: Point<Viewport>,
    script: &str,
) -> Result<Framed, DriverError> {
    in_frame_at(session, at, |session, at, placed| {
        let script = format!("const [pointX, pointY] = [{}, {}];\n{script}", at.x, at.y);
        let said = session.script("evaluate", &script, Vec::new())?;
        Ok(Framed { said: said.to_string(), placed })
    })
}

/// Does something in the innermost frame at a point of the page, with the point in its viewport.
pub(crate) fn in_frame_at<T>(
    session: &Session,
    at: Point<Viewport>,
    work: impl FnOnce(&Session, Point<Viewport>, [f64; 6]) -> Result<T, DriverError>,
) -> Result<T, DriverError> {
    let (mut at, mut placed, mut n_entered) = (at, SAME, 0);
    let script = format!("{REACH}\nreturn foreignAt(arguments[0], arguments[1]);");
    let descend = || {
        while n_entered < MOST_DEEP {
            let said = session.script("frames", &script, vec![json!(at.x), json!(at.y)])?;
            let Some(next) = Next::of(&said) else { break };
            if !next.enter(session)? {
                break;
            }
            n_entered += 1;
            let Some(own) = next.placed else { continue };
            placed = inside(placed, own);
            if let [Value::Number(x), Value::Number(y), ..] = &next.rest[..] {
                at = Point::new(x.as_f64().unwrap_or(-1.0), y.as_f64().unwrap_or(-1.0));
            }
        }
        work(session, at, placed)
    };
    let done = descend();
    if n_entered == 0 { done } else { leave(session, done) }
}
