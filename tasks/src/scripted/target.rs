//! What a step is about, and where that is for somebody who does not look.
//!
//! Invariant: a place is a box on the screenshot that was checked to be there, or a reason why there is none;
//! a policy never sees it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use image::RgbImage;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vigorl_files::open_picture;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Driver, DriverError, Screenshot};

use super::ElementPlace;
use super::element::{Absence, Purpose, bring_into_view, located};
use super::guard::Guard;
use crate::{Failure, Senses};

/// What a step is about: written as a description alone, or with a place beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// For the policy.
    pub description: String,
    /// Where it is, if the task says so: for runs without a policy, and to check the answers of one.
    pub place: Option<Place>,
    /// Whether the page is scrolled down for it, if it is not on view.
    pub scroll: bool,
    /// How far from where it is found one acts, in screenshot pixels to the right and down.
    pub offset: Option<[f64; 2]>,
    /// What was done before for the same goal, one line for each action, for a policy that is asked anew for every action.
    pub earlier: Vec<String>,
}

/// Where a target is, without looking for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// An element of the page.
    Element(Box<ElementPlace>),
    /// Where the screenshot shows this picture.
    Picture {
        /// An image file; relative to the task file as written.
        file: PathBuf,
        /// Near which pixel of the screenshot, where it is shown several times.
        near: Option<[f64; 2]>,
    },
    /// A pixel of the screenshot.
    At([f64; 2]),
    /// Where the screenshot shows a text.
    Text(Box<TextPlace>),
}

/// A text on the screen, and what narrows its place down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextPlace {
    /// What is written there; this or a pattern.
    pub text: Option<String>,
    /// A regular expression for something in what stands together there.
    pub matches: Option<String>,
    /// A text in whose row or box it stands.
    pub within: Option<String>,
    /// Which of several that fit alike, as one reads, from 1.
    pub nth: Option<u16>,
    /// Whether the text stands there alone, and letter by letter as it is written here.
    pub exact: bool,
}

/// Why a text is no pattern. A pattern with variables is looked at when they are filled in.
pub(super) fn pattern_fault(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("a pattern without a text matches everything".to_owned());
    }
    if pattern.contains("${") {
        return None;
    }
    regex::Regex::new(pattern).err().map(|error| {
        // Its first lines draw where the fault is; the last one says what it is.
        let error = error.to_string();
        format!("`{pattern}` is no pattern: {}", error.lines().last().unwrap_or_default().trim())
    })
}

impl From<&str> for Target {
    fn from(description: &str) -> Self {
        Self::from(description.to_owned())
    }
}

impl From<String> for Target {
    fn from(description: String) -> Self {
        Self { description, place: None, scroll: false, offset: None, earlier: Vec::new() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

/// A description, and at most one place: `selector`, or `name`, `name_matches` and `role`, or `picture` and `at`, or
/// `at` alone, or `text`, or `text_matches`.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// For the policy.
    what: String,
    /// A CSS selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    /// An accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A regular expression for an accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_matches: Option<String>,
    /// The role of an element: `button`, `link`, `textbox`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// An image file, relative to the task file: what the screenshot shows there.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
    /// A pixel of the screenshot; with `picture`, near which the picture is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<[f64; 2]>,
    /// A text that is read there, in whatever letter case and among whatever other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// A regular expression for a text that is read there.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_matches: Option<String>,
    /// Beside an element or a text: another text in whose row or box it stands.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Beside an element or a text: which of several, from 1, in the order of the page, or as one reads the screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    nth: Option<u16>,
    /// With `text` or `name`: it is the whole one, letter by letter as it is written here. A `name` is, unless this is
    /// false; a `text` is not, unless this is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
    /// If it is not on view, the page is scrolled down for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    scroll: bool,
    /// Screenshot pixels to the right and down of its middle: there one acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<[f64; 2]>,
}

impl Written {
    fn target(self) -> Result<Target, &'static str> {
        let Self { what, selector, name, name_matches, role, picture, at, text, text_matches, .. } = self;
        let Self { within, nth, exact, scroll, offset, .. } = self;
        let is_text = text.is_some() || text_matches.is_some();
        let is_called = name.is_some() || name_matches.is_some() || role.is_some();
        let n_ways = [selector.is_some(), is_called, picture.is_some() || at.is_some(), is_text]
            .iter()
            .filter(|way| **way)
            .count();
        if n_ways > 1 {
            return Err("a target has one place: `selector`, or `name`, or `picture`, or `at`, or `text`");
        }
        if text.is_some() && text_matches.is_some() {
            return Err("a target has a `text` or `text_matches`, not both");
        }
        if name.is_some() && name_matches.is_some() {
            return Err("a target has a `name` or `name_matches`, not both");
        }
        let is_element = selector.is_some() || is_called;
        if !is_text && !is_element && (within.is_some() || nth.is_some()) {
            return Err("`in` and `nth` narrow down an element or a `text`, which is missing");
        }
        if exact.is_some() && text.is_none() && name.is_none() {
            return Err("`exact` belongs to a `name` or a `text`, which is missing");
        }
        let place = match (picture, at) {
            _ if is_text => {
                let exact = exact.unwrap_or_default();
                let place = TextPlace { text, matches: text_matches, within, nth, exact };
                Some(Place::Text(Box::new(place)))
            }
            _ if is_element => {
                let place = ElementPlace { selector, name, name_matches, role, within, nth, exact };
                Some(Place::Element(Box::new(place)))
            }
            (Some(file), near) => Some(Place::Picture { file, near }),
            (None, at) => at.map(Place::At),
        };
        Ok(Target { description: what, place, scroll, offset, earlier: Vec::new() })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a description, or `{ what: description, selector: … }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
                Ok(text.into())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Target, M::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))?.target().map_err(de::Error::custom)
            }
        }
        source.deserialize_any(Either)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<String>(), generator.subschema_for::<Written>());
        json_schema!({ "description": "What a step is about: a description, or one with a place", "anyOf": [short, long] })
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let what = Written {
            what: self.description.clone(),
            scroll: self.scroll,
            offset: self.offset,
            ..Written::default()
        };
        match self.place.clone() {
            None if !self.scroll && self.offset.is_none() => self.description.serialize(to),
            None => what.serialize(to),
            Some(Place::Element(place)) => {
                let ElementPlace { selector, name, name_matches, role, within, nth, exact } = *place;
                Written { selector, name, name_matches, role, within, nth, exact, ..what }.serialize(to)
            }
            Some(Place::Picture { file, near }) => {
                Written { picture: Some(file), at: near, ..what }.serialize(to)
            }
            Some(Place::At(at)) => Written { at: Some(at), ..what }.serialize(to),
            Some(Place::Text(place)) => {
                let TextPlace { text, matches, within, nth, exact } = *place;
                let exact = exact.then_some(true);
                Written { text, text_matches: matches, within, nth, exact, ..what }.serialize(to)
            }
        }
    }
}

impl Target {
    /// Where one acts, if it is found at a point.
    pub fn beside(&self, at: Point<Screen>) -> Point<Screen> {
        let [dx, dy] = self.offset.unwrap_or_default();
        Point::new(at.x + dx, at.y + dy)
    }

    /// What is wrong with its place.
    pub(super) fn fault(&self) -> Option<String> {
        if self.offset.is_some_and(|offset| offset.iter().any(|part| !part.is_finite())) {
            return Some("an `offset` is two numbers of pixels".to_owned());
        }
        let place = match &self.place {
            Some(Place::Text(place)) => place,
            Some(Place::Element(element)) => return element.fault(),
            Some(Place::Picture { .. } | Place::At(_)) | None => return None,
        };
        let TextPlace { text, matches, within, nth, .. } = &**place;
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        if is_empty(text) || is_empty(within) {
            return Some("a target by `text` needs one: an empty text stands everywhere".to_owned());
        }
        if *nth == Some(0) {
            return Some("`nth` counts from 1".to_owned());
        }
        matches.as_deref().and_then(pattern_fault)
    }

    /// The same with its picture looked for in `folder`.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Self {
        let mut target = self.clone();
        if let Some(Place::Picture { file, .. }) = &mut target.place {
            *file = folder.join(&*file);
        }
        target
    }
}

impl Place {
    /// What a CSS selector finds first.
    pub fn selector(selector: impl Into<String>) -> Self {
        Self::Element(Box::new(ElementPlace::selector(selector)))
    }

    /// What has this accessible name, and this role if there is one.
    pub fn named(name: impl Into<String>, role: Option<&str>) -> Self {
        Self::Element(Box::new(ElementPlace::named(name, role)))
    }

    /// The part of what is there now that a click reaches, or why there is none. Elements are asked of the driver, where
    /// there is one, and texts of whoever looks at pixels.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn locate(
        &self,
        driver: Option<&mut (dyn Driver + '_)>,
        senses: &mut dyn Senses,
        screenshot: &Screenshot,
    ) -> Result<Result<Rect<Screen>, String>, Failure> {
        Ok(self.aim(driver, senses, screenshot, Purpose::Look)?.map_err(|absence| absence.reason))
    }

    /// As [`locate`](Self::locate), for a purpose; what is not there says what may help.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn aim(
        &self,
        driver: Option<&mut (dyn Driver + '_)>,
        senses: &mut dyn Senses,
        screenshot: &Screenshot,
        purpose: Purpose,
    ) -> Result<Result<Rect<Screen>, Absence>, Failure> {
        Ok(match self {
            Self::Element(element) => match driver {
                Some(driver) => located(driver, screenshot, element, purpose)?,
                None => Err(Absence::lasting("this world has nothing that could be asked for an element")),
            },
            Self::Text(place) => senses.place_of(screenshot, place)?.map_err(Absence::lasting),
            Self::Picture { file, near } => found(file, &screenshot.pixels, *near),
            Self::At([x, y]) => {
                let size = screenshot.size();
                let inside = (0.0..size.width).contains(x) && (0.0..size.height).contains(y);
                let reason = || Absence::lasting(format!("({x}, {y}) lies outside of the screenshot"));
                inside
                    .then(|| Rect::new(x.floor(), y.floor(), x.floor() + 1.0, y.floor() + 1.0))
                    .ok_or_else(reason)
            }
        })
    }

    /// Scrolls an element into view, as far as a person could scroll; whether anything moved.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn bring_into_view(&self, driver: &mut dyn Driver) -> Result<bool, DriverError> {
        match self {
            Self::Element(element) => bring_into_view(driver, element),
            Self::Picture { .. } | Self::At(_) | Self::Text(_) => Ok(false),
        }
    }

    /// Guards the next press, which is held for so long: one that does not arrive here is kept from the page. None where
    /// it is no element; why that cannot be, where the page does not answer.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn guard(
        &self,
        driver: &mut dyn Driver,
        hold_ms: u32,
    ) -> Result<Result<Option<Guard>, String>, DriverError> {
        match self {
            Self::Element(element) => Ok(Guard::set(driver, element, hold_ms)?.map(Some)),
            Self::Picture { .. } | Self::At(_) | Self::Text(_) => Ok(Ok(None)),
        }
    }

    /// Whether it is looked for in the pixels of a screenshot.
    pub fn is_pictured(&self) -> bool {
        matches!(self, Self::Picture { .. } | Self::Text(_))
    }
}

/// Largest difference of a channel that still counts as the same color: smoothed edges of text differ a little.
const SAME_WITHIN: u8 = 24;
/// Share of a picture's pixels that may differ.
const MAY_DIFFER: f64 = 0.02;

/// Where `shown` holds the picture of `file`: the place with the fewest differing pixels, of equals the one nearest to
/// `near`.
fn found(file: &Path, shown: &RgbImage, near: Option<[f64; 2]>) -> Result<Rect<Screen>, Absence> {
    let picture = open_picture(file)
        .map_err(|error| Absence::lasting(format!("cannot read `{}`: {error}", file.display())))?;
    let picture = picture.to_rgb8();
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 || width > shown.width() || height > shown.height() {
        return Err(Absence::lasting(format!(
            "`{}` is no part of a screenshot of this size",
            file.display()
        )));
    }
    let most = (f64::from(width * height) * MAY_DIFFER) as u32;
    let far = |x: u32, y: u32| {
        near.map_or(0.0, |[nx, ny]| {
            let (dx, dy) =
                (f64::from(x) + f64::from(width) / 2.0 - nx, f64::from(y) + f64::from(height) / 2.0 - ny);
            dx * dx + dy * dy
        })
    };
    let mut best: Option<(u32, f64, u32, u32)> = None;
    let mut n_equal = 0;
    for y in 0..=shown.height() - height {
        for x in 0..=shown.width() - width {
            let Some(n_different) = differences(&picture, shown, x, y, best.map_or(most, |best| best.0))
            else {
                continue;
            };
            let this = (n_different, far(x, y), x, y);
            n_equal = if best.is_some_and(|best| best.0 == n_different) { n_equal + 1 } else { 1 };
            if best.is_none_or(|best| (this.0, this.1) < (best.0, best.1)) {
                best = Some(this);
            }
        }
    }
    match best {
        None => Err(Absence::for_now(format!("the screenshot does not show `{}`", file.display()))),
        Some(_) if near.is_none() && n_equal > 1 => {
            let shown = format!("the screenshot shows `{}` {n_equal} times", file.display());
            Err(Absence::lasting(format!("{shown}: add `at: [x, y]`")))
        }
        Some((_, _, x, y)) => {
            Ok(Rect::new(f64::from(x), f64::from(y), f64::from(x + width), f64::from(y + height)))
        }
    }
}

/// Whether the screenshot shows the picture of a file, wherever and however often.
///
/// # Errors
/// Says why, if the file cannot be read as a picture.
pub(super) fn is_shown(file: &Path, shown: &RgbImage) -> Result<bool, String> {
    let picture = open_picture(file)
        .map_err(|error| format!("{} cannot be read as a picture: {error}", file.display()))?;
    let is_part = picture.width() <= shown.width() && picture.height() <= shown.height();
    Ok(is_part && found(file, shown, Some([0.0, 0.0])).is_ok())
}

/// How many pixels differ where the picture's corner is at (x, y); nothing if more than `most`.
fn differences(picture: &RgbImage, shown: &RgbImage, x: u32, y: u32, most: u32) -> Option<u32> {
    let row = 3 * picture.width() as usize;
    let mut n_different = 0;
    for (line, wanted) in picture.as_raw().chunks_exact(row).enumerate() {
        let start = 3 * ((y as usize + line) * shown.width() as usize + x as usize);
        let pixels = shown.as_raw()[start..start + row].chunks_exact(3).zip(wanted.chunks_exact(3));
        for (got, wanted) in pixels {
            if got.iter().zip(wanted).any(|(got, wanted)| got.abs_diff(*wanted) > SAME_WITHIN) {
                n_different += 1;
                if n_different > most {
                    return None;
                }
            }
        }
    }
    Some(n_different)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: Result<Target, &str>) {
        match (serde_norway::from_str::<Target>(yaml), expected) {
            (Ok(got), Ok(expected)) => {
                assert_eq!(got, expected);
                let written = serde_norway::to_string(&got).unwrap();
                assert_eq!(serde_norway::from_str::<Target>(&written).unwrap(), got);
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_target_is_a_description_with_or_without_a_place() {
        let at = |place| {
            Ok(Target {
                description: "the box".to_owned(),
                place: Some(place),
                scroll: false,
                offset: None,
                earlier: Vec::new(),
            })
        };
        check("the box", Ok("the box".into()));
        check("{ what: the box }", Ok("the box".into()));
        check("{ what: the box, selector: '#q' }", at(Place::selector("#q")));
        check("{ what: the box, name: Save, role: button }", at(Place::named("Save", Some("button"))));
        let element = |place| at(Place::Element(Box::new(place)));
        let narrow = |place| ElementPlace { within: Some("Zone".to_owned()), nth: Some(2), ..place };
        check(
            "{ what: the box, selector: a, in: Zone, nth: 2 }",
            element(narrow(ElementPlace::selector("a"))),
        );
        let any_case = ElementPlace { exact: Some(false), ..narrow(ElementPlace::named("Save", None)) };
        check("{ what: the box, name: Save, in: Zone, nth: 2, exact: false }", element(any_case));
        let order = ElementPlace {
            name_matches: Some("^Order [0-9]+$".to_owned()),
            role: Some("button".to_owned()),
            ..ElementPlace::default()
        };
        check("{ what: the box, name_matches: '^Order [0-9]+$', role: button }", element(order));
        let row = ElementPlace { role: Some("row".to_owned()), ..ElementPlace::default() };
        check("{ what: the box, role: row }", element(row));
        let beside = Target { offset: Some([3.0, -4.5]), ..Target::from("the box") };
        check("{ what: the box, offset: [3, -4.5] }", Ok(beside));
        check("{ what: the box, offset: 3 }", Err("array of length 2"));
        check("{ what: the box, at: [3, 4.5] }", at(Place::At([3.0, 4.5])));
        let picture = Place::Picture { file: "a.png".into(), near: Some([1.0, 2.0]) };
        check("{ what: the box, picture: a.png, at: [1, 2] }", at(picture));
        check("{ what: the box, text: a, role: button }", Err("one place"));
        check("{ what: the box, name: a, name_matches: b }", Err("not both"));
        check("{ what: the box, name: a, selector: b }", Err("one place"));
        let save = || TextPlace { text: Some("Save".to_owned()), ..TextPlace::default() };
        check("{ what: the box, text: Save }", at(Place::Text(Box::new(save()))));
        let zone = TextPlace { within: Some("Zone".to_owned()), nth: Some(2), exact: true, ..save() };
        check(
            "{ what: the box, text: Save, in: Zone, nth: 2, exact: true }",
            at(Place::Text(Box::new(zone))),
        );
        let order = TextPlace { matches: Some("^Order [0-9]+$".to_owned()), ..TextPlace::default() };
        check("{ what: the box, text_matches: '^Order [0-9]+$' }", at(Place::Text(Box::new(order))));
        check("{ what: the box, text: a, selector: b }", Err("one place"));
        check("{ what: the box, text: a, text_matches: b }", Err("not both"));
        check("{ what: the box, in: a }", Err("narrow down an element or a `text`"));
        check("{ what: the box, at: [1, 2], nth: 2 }", Err("narrow down an element or a `text`"));
        check("{ what: the box, text_matches: a, exact: true }", Err("`exact` belongs"));
        check("{ what: the box, at: [1] }", Err("length"));
        check("{ selector: b }", Err("missing field `what`"));
        check("[1]", Err("a description, or"));
    }

    #[test]
    fn a_place_by_text_needs_a_text_or_a_pattern_that_is_one() {
        let fault = |yaml: &str| serde_norway::from_str::<Target>(yaml).unwrap().fault();
        assert_eq!(fault("{ what: x, text: Save, nth: 1 }"), None);
        assert_eq!(fault("{ what: x, text_matches: '^a ${b}$' }"), None);
        for (yaml, words) in [
            ("{ what: x, text: ' ' }", "an empty text"),
            ("{ what: x, text: a, in: '' }", "an empty text"),
            ("{ what: x, text: a, nth: 0 }", "counts from 1"),
            ("{ what: x, text_matches: '(' }", "`(` is no pattern: error: unclosed group"),
            ("{ what: x, text_matches: '' }", "matches everything"),
        ] {
            assert!(fault(yaml).unwrap().contains(words), "{yaml}: {:?}", fault(yaml));
        }
    }

    #[test]
    fn a_picture_is_found_where_it_is_shown_also_with_soft_edges() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.png");
        let picture = RgbImage::from_fn(6, 5, |x, y| Rgb([40 * x as u8, 50 * y as u8, 128]));
        picture.save(&file).unwrap();
        let mut shown = RgbImage::from_pixel(60, 40, Rgb([255; 3]));
        assert!(found(&file, &shown, None).unwrap_err().reason.contains("does not show"));
        let mut paint = |dx: u32, dy: u32, brighter: u8| {
            for (x, y, pixel) in picture.enumerate_pixels() {
                shown.put_pixel(dx + x, dy + y, Rgb(pixel.0.map(|c| c.saturating_add(brighter))));
            }
            shown.clone()
        };
        let once = paint(54, 35, 20);
        assert_eq!(found(&file, &once, None), Ok(Rect::new(54.0, 35.0, 60.0, 40.0)));
        let twice = paint(3, 7, 0);
        assert!(found(&file, &twice, None).unwrap_err().reason.contains("2 times"));
        assert_eq!(found(&file, &twice, Some([0.0, 0.0])), Ok(Rect::new(3.0, 7.0, 9.0, 12.0)));
        let missing = folder.path().join("other.png");
        assert!(found(&missing, &once, None).unwrap_err().reason.contains("cannot read"));
        assert!(found(&file, &RgbImage::new(5, 5), None).unwrap_err().reason.contains("this size"));
    }
}
