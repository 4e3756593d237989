//! An item of a data set as it is played, and what a reader of a layout needs to make one.
//!
//! Invariants: an item has a picture whose size is known and a region on it, or what it asks for is not there; an item that is
//! broken is refused with its id before anything is played, or left out and counted where that was asked for; what shows that
//! a set is written in another way than it is read is never left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value};
use vigorl_geometry::{Screen, Size};
use vigorl_tasks::picture::Region;

use super::boxes::{Convention, Fault, outline, place};
use super::parquet_rows::Embedded;
use super::rows::{Pictures, Written};
use crate::fields::is_missing;

/// So many faults are named; more would hide the first.
const MAX_NAMED: usize = 10;

/// The picture of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// What the set calls it: items of the same name show the same screenshot.
    pub(crate) name: String,
    pub(crate) at: Place,
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Embedded(Embedded),
}

/// An item.
#[derive(Debug, Clone)]
pub(crate) struct SetItem {
    pub(crate) id: String,
    pub(crate) picture: Picture,
    pub(crate) size: (u32, u32),
    pub(crate) instruction: String,
    /// Where it is; nothing if it is not there.
    pub(crate) region: Option<Region>,
    /// Its groups, each with the value.
    pub(crate) values: Vec<(&'static str, String)>,
    /// What the set's own harness writes of it.
    pub(crate) told: Map<String, Value>,
}

impl SetItem {
    pub(crate) fn value(&self, group: &str) -> Option<&str> {
        self.values.iter().find(|(of, _)| *of == group).map(|(_, value)| &**value)
    }
}

/// What is known while items are made.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) pictures: Pictures,
    pub(crate) convention: Convention,
    /// Boxes whose corners were sorted.
    pub(crate) n_swapped: usize,
    /// Boxes without a width or a height.
    n_flat: usize,
}

impl Making {
    pub(crate) fn new(pictures: Pictures, convention: Convention) -> Self {
        Self { pictures, convention, n_swapped: 0, n_flat: 0 }
    }

    /// The picture of an item and its size, which must be the one that the item tells, if it tells one.
    pub(crate) fn picture(
        &mut self,
        written: &Written,
        name: &str,
        told: Option<[f64; 2]>,
    ) -> Result<(Picture, (u32, u32)), Fault> {
        let (at, size) = match &written.embedded {
            Some((at, size)) => (Place::Embedded(at.clone()), size.clone()?),
            None => (Place::File(self.pictures.path(name)), self.pictures.size(name)?),
        };
        // A row may have a picture without a name: then nobody shares it.
        let picture =
            Picture { name: if name.is_empty() { written.id.clone() } else { name.to_owned() }, at };
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        match told {
            Some(told) if told != [width, height] => Err(format!(
                "its picture has {width}x{height} pixels, and the item says {}x{}",
                told[0], told[1]
            )
            .into()),
            _ => Ok((picture, size)),
        }
    }

    /// The region of a box.
    pub(crate) fn region(&mut self, bbox: [f64; 4], (width, height): (u32, u32)) -> Result<Region, Fault> {
        let placed = place(bbox, Size::<Screen>::of_pixels(width, height), self.convention)?;
        self.n_swapped += usize::from(placed.was_swapped);
        self.n_flat += usize::from(placed.bounds.size().area() == 0.0);
        Ok(Region::Box(placed.bounds))
    }

    /// What must be known of boxes without a width or a height, if there are such.
    pub(crate) fn flat_boxes(&self) -> Option<String> {
        (self.n_flat > 0).then(|| {
            format!(
                "{} boxes have no width or no height: as in the published scorers, a point that lies on them is right",
                self.n_flat
            )
        })
    }

    /// The region of an outline.
    pub(crate) fn outline(&self, numbers: &[f64], (width, height): (u32, u32)) -> Result<Region, Fault> {
        outline(numbers, Size::of_pixels(width, height), self.convention)
    }
}

/// The instruction of a field, which must ask for something.
pub(crate) fn asked(field: &str, instruction: &str) -> Result<String, Fault> {
    let instruction = told(field, instruction.trim())?;
    instruction.ok_or_else(|| format!("it asks for nothing: its `{field}` is empty").into())
}

/// The text of a field; nothing if it is empty.
pub(crate) fn told(field: &str, text: &str) -> Result<Option<String>, Fault> {
    if is_missing(text) {
        return Err(format!("its `{field}` is `{text}`, as programs write a text that is missing").into());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// One of the values that a field may have.
pub(crate) fn one_of(field: &str, value: &str, known: &[&str]) -> Result<String, Fault> {
    match known.contains(&value) {
        true => Ok(value.to_owned()),
        false => Err(format!("its {field} is `{value}`, which is none of: {}", known.join(", ")).into()),
    }
}

/// An item that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) id: String,
    pub(crate) why: String,
}

/// Makes items of what is written; nothing for one that is not asked for. `skip_broken` leaves out what is broken.
pub(crate) fn make(
    written: &[Written],
    skip_broken: bool,
    mut item: impl FnMut(&Written) -> Result<Option<SetItem>, Fault>,
) -> Result<(Vec<SetItem>, Vec<Skipped>), String> {
    let (mut items, mut skipped, mut contradictions) = (Vec::new(), Vec::new(), Vec::new());
    let mut ids = BTreeSet::new();
    for written in written {
        let made = match ids.insert(written.id.clone()) {
            true => item(written),
            false => {
                Err(format!("another item before it has the same id (this one is in `{}`)", written.file)
                    .into())
            }
        };
        let id = written.id.clone();
        match made {
            Ok(item) => items.extend(item),
            Err(Fault::Broken(why)) => skipped.push(Skipped { id, why }),
            Err(Fault::Contradiction(why)) => contradictions.push(Skipped { id, why }),
        }
    }
    if !contradictions.is_empty() {
        let n = contradictions.len();
        return Err(format!(
            "{n} items show that the boxes are not what the layout says, so nothing was played:\n{}",
            named(&contradictions)
        ));
    }
    if !skipped.is_empty() && !skip_broken {
        return Err(format!(
            "{} of {} items are broken, so nothing was played:\n{}\n--skip-broken leaves them out, counts them and says so",
            skipped.len(),
            written.len(),
            named(&skipped)
        ));
    }
    if items.is_empty() {
        return Err("no item is left to play".to_owned());
    }
    Ok((items, skipped))
}

/// The first few, a line for each.
pub(crate) fn named(faults: &[Skipped]) -> String {
    let mut lines: Vec<String> =
        faults.iter().take(MAX_NAMED).map(|fault| format!("  `{}`: {}", fault.id, fault.why)).collect();
    if faults.len() > MAX_NAMED {
        lines.push(format!("  and {} more", faults.len() - MAX_NAMED));
    }
    lines.join("\n")
}

/// How many items have each value of a group.
pub(crate) fn counted<'i>(items: &'i [SetItem], group: &str) -> BTreeMap<&'i str, usize> {
    let mut counts = BTreeMap::new();
    for value in items.iter().filter_map(|item| item.value(group)) {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

/// Whether these are the items of the published set, as far as counts tell, and the same in words.
pub(crate) fn completeness(items: &[SetItem], group: &str, published: &[(&str, usize)]) -> (bool, String) {
    let n_published: usize = published.iter().map(|(_, n)| n).sum();
    let is_whole = counted(items, group) == published.iter().copied().collect();
    let n = items.len();
    let words = match is_whole {
        true => format!("these are all {n} items of the published set, as its counts by {group} say"),
        false => format!(
            "these are {n} items, not the {n_published} of the published set with its counts by {group}: its published \
             numbers are of other items"
        ),
    };
    (is_whole, words)
}

/// The values of a group that items have, in order.
pub(crate) fn distinct(items: &[SetItem], group: &str) -> Vec<String> {
    let values = items.iter().flat_map(|item| &item.values).filter(|(of, _)| *of == group);
    values.map(|(_, value)| value.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The known values of a group, and behind them the others that items have; these alone if no item has a known one.
pub(crate) fn known_first(known: Vec<String>, items: &[SetItem], group: &str) -> Vec<String> {
    let (seen, others): (Vec<_>, Vec<_>) =
        distinct(items, group).into_iter().partition(|value| known.contains(value));
    if seen.is_empty() { others } else { [known, others].concat() }
}

/// Every combination of the values of two groups, as cells of a table are named.
pub(crate) fn cells(rows: &[&str], columns: &[&str]) -> Vec<String> {
    rows.iter().flat_map(|row| columns.iter().map(move |column| format!("{row} {column}"))).collect()
}
