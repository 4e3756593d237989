//! Which steps of two episodes belong together.
//!
//! Invariant: the order of each side is kept, and as much as possible is alike: an extra step on one side (a closer look,
//! a retry) is an extra step, and leaves those behind it beside their counterparts.

use vigorl_runs::RecordedStep;
use vigorl_runs::record::{ActionRecord, Xy};

use crate::deed::deed;

/// A step and its number in its episode, from 1.
pub(crate) type Numbered<'a> = (usize, &'a RecordedStep);

/// The steps of both sides in order, those that belong together in one row.
///
/// The longest common subsequence, weighted by how much two steps have in common; of several, the one that pairs early.
pub(crate) fn aligned<'a>(a: &'a [RecordedStep], b: &'a [RecordedStep]) -> Vec<[Option<Numbered<'a>>; 2]> {
    // What the best pairing of everything from here on has in common.
    let mut best = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let paired = in_common(&a[i], &b[j]).map_or(0, |common| common + best[i + 1][j + 1]);
            best[i][j] = paired.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j, mut rows) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        let (ours, theirs) = (a.get(i).map(|step| (i + 1, step)), b.get(j).map(|step| (j + 1, step)));
        let common = ours.zip(theirs).and_then(|(ours, theirs)| in_common(ours.1, theirs.1));
        let is_pair = common.is_some_and(|common| best[i][j] == common + best[i + 1][j + 1]);
        let is_ours = theirs.is_none() || ours.is_some() && best[i][j] == best[i + 1][j];
        let row = match (is_pair, is_ours) {
            (true, _) => [ours, theirs],
            (false, true) => [ours, None],
            (false, false) => [None, theirs],
        };
        i += usize::from(row[0].is_some());
        j += usize::from(row[1].is_some());
        rows.push(row);
    }
    rows
}

/// How much two steps have in common; `None` if nothing makes them counterparts. What was to be done outweighs what was
/// done, and that where.
fn in_common(a: &RecordedStep, b: &RecordedStep) -> Option<u32> {
    let is_same_deed = deed_of(a) == deed_of(b);
    let is_same_place = is_same_deed && points(a) == points(b);
    match a.instruction == b.instruction {
        true => Some(4 + 2 * u32::from(is_same_deed) + u32::from(is_same_place)),
        false => is_same_deed.then_some(1 + u32::from(is_same_place)),
    }
}

/// What was done, in words.
pub(crate) fn deed_of(step: &RecordedStep) -> String {
    let action = step.action.as_ref().and_then(|record| record.action.as_ref());
    action.map_or_else(|| "nothing done".to_owned(), deed)
}

/// Where: the action's points, or the answer that led to none.
pub(crate) fn points(step: &RecordedStep) -> Vec<Xy> {
    let action = step.action.as_ref().and_then(|record| record.action.as_ref());
    let answer = step.model.as_ref().and_then(|model| model.answer);
    let first = action.and_then(ActionRecord::at).copied().or(answer);
    first.into_iter().chain(action.and_then(ActionRecord::to).copied()).collect()
}
