//! Whether a text that was read at a place is gone from it.
//!
//! That nothing is read there is no proof: a detector overlooks a text now and then, and a blank picture shows none. So a
//! text is gone only if its former place was read and says something else, or is plainly empty while other text is read.
//!
//! Invariant: what is not sure is unknown.

use image::RgbImage;
use vigorl_geometry::{Rect, Screen};

use crate::exact::{Certainty, Spaces, dense, doubt};
use crate::reader::{Reader, ReaderError};
use crate::reading::{Line, Reading};
use crate::shapes::{Pixels, ground_of};

/// A text counts as other than the one that was there if this share of its letters differ.
const OTHER: f64 = 0.34;
/// The share of a place that is enough to tell what it says.
const TELLS: f64 = 0.4;
/// A line counts as read from this mean confidence on.
const READ: f32 = 0.9;
/// What belongs to no letter on either side of a place, in heights of it.
const MARGIN: f64 = 0.15;
/// What stands in an empty place and is no wider, in pixels, is a caret, if a text of at least so many letters stood there.
const CARET_PX: u32 = 3;
const WORD: usize = 3;
/// Colours that differ by less, in each channel, are no ink that anybody could see.
const SEEN: u8 = 6;

/// What became of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is not on the screen any more.
    Gone,
    /// It is, there.
    Stands(Rect<Screen>),
    /// Nobody can tell, and why.
    Unknown(String),
}

impl Reader {
    /// What became of a text that stood at these places.
    ///
    /// # Errors
    /// [`ReaderError::Failed`] if a place cannot be read again.
    pub fn fate(
        &self,
        image: &RgbImage,
        reading: &Reading,
        text: &str,
        former: &[Rect<Screen>],
    ) -> Result<Fate, ReaderError> {
        let mut unsure = None;
        for standing in self.standing(image, reading, text)? {
            let at = standing.rect.center();
            let place = format!("at ({:.0}, {:.0})", at.x, at.y);
            match standing.certainty {
                Certainty::Sure => return Ok(Fate::Stands(standing.rect)),
                Certainty::Doubtful(why) => unsure = Some(format!("it may still stand {place}: {why}")),
                Certainty::Inside => {
                    unsure =
                        Some(format!("`{}` {place} still holds it, in something longer", standing.shown));
                }
            }
        }
        if let Some(why) = unsure {
            return Ok(Fate::Unknown(why));
        }
        let is_blank = !reading.lines.iter().any(|line| line.confidence >= READ);
        if is_blank {
            return Ok(Fate::Unknown("nothing is read on the whole screen".to_owned()));
        }
        for place in former {
            if let Err(why) = self.says_other(image, reading, text, *place)? {
                return Ok(Fate::Unknown(why));
            }
        }
        Ok(Fate::Gone)
    }

    /// Whether a place says something else than the text, or nothing; otherwise why that is not clear.
    fn says_other(
        &self,
        image: &RgbImage,
        reading: &Reading,
        text: &str,
        place: Rect<Screen>,
    ) -> Result<Result<(), String>, ReaderError> {
        let at = format!("at ({:.0}, {:.0})", place.center().x, place.center().y);
        let n_letters = text.chars().filter(|c| !c.is_whitespace()).count();
        if is_empty(image, place) || (n_letters >= WORD && is_caret_alone(image, place)) {
            return Ok(Ok(()));
        }
        let covers = |rect: Rect<Screen>| {
            let across = rect.right.min(place.right) - rect.left.max(place.left);
            let down = rect.bottom.min(place.bottom) - rect.top.max(place.top);
            across > 0.0 && down > 0.5 * place.height().min(rect.height())
        };
        let there: Vec<_> = reading.lines.iter().filter(|line| covers(line.rect)).collect();
        if there.is_empty() {
            return Ok(Err(format!("something stands {at} where it was, which cannot be read")));
        }
        if let Some(line) = there.iter().find(|line| line.confidence < READ) {
            return Ok(Err(format!("`{}` stands {at} where it was, not read for sure", line.text.trim())));
        }
        let covered = Covered { image, place, lines: &there };
        let wanted = dense(text).to_lowercase();
        let is_near = |said: &str| nearness(&dense(said).to_lowercase(), &wanted) < OTHER;
        let mut of_place = self.read_again(image, place)?;
        if let Some(near) = of_place.iter().position(|said| is_near(said)) {
            let said = of_place.swap_remove(near);
            // What is like it says something else only if all of it is read, and for sure.
            let is_it = dense(&said).to_lowercase().contains(&wanted);
            if is_it || !covered.is_whole() {
                return Ok(Err(format!("`{}` is read {at} where it was, like it", said.trim())));
            }
        }
        let mut is_like = false;
        for line in &there {
            let again = self.again(image, line, 0..line.glyphs.len())?;
            let as_read = dense(&line.text);
            let near = std::iter::once(&line.text).chain(&again).find(|said| is_near(said));
            let Some(said) = near else { continue };
            is_like = true;
            let is_sure = doubt(line, 0..line.glyphs.len(), Spaces::Ignored).is_none()
                && again.iter().all(|said| dense(said) == as_read);
            if !is_sure {
                let said = said.trim();
                return Ok(Err(format!("`{said}` is read {at} where it was, like it and not for sure")));
            }
        }
        // Where a good part of the place says something quite different, the text cannot stand there any more.
        let is_told = covered.is_whole() || (!is_like && covered.share() >= TELLS);
        Ok(if is_told { Ok(()) } else { Err(format!("not all of what stands {at} where it was is read")) })
    }
}

/// A place, and the lines that reach into it.
struct Covered<'a> {
    image: &'a RgbImage,
    place: Rect<Screen>,
    lines: &'a [&'a Line],
}

impl Covered<'_> {
    /// How much of the place's width is read.
    fn share(&self) -> f64 {
        let across = |line: &&Line| {
            (line.rect.right.min(self.place.right) - line.rect.left.max(self.place.left)).max(0.0)
        };
        self.lines.iter().map(across).sum::<f64>() / self.place.width().max(1.0)
    }

    /// Whether all that is drawn there is read.
    fn is_whole(&self) -> bool {
        let place = self.place;
        let mut edges: Vec<(f64, f64)> =
            self.lines.iter().map(|line| (line.rect.left, line.rect.right)).collect();
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        edges.push((place.right, place.right));
        let mut from = place.left;
        edges.into_iter().all(|(left, right)| {
            let gap = Rect::new(from, place.top, left.min(place.right), place.bottom);
            from = from.max(right);
            gap.width() < 2.0 || is_empty(self.image, gap)
        })
    }
}

/// Whether no letter is drawn at a place: nothing is in its middle, or what is there goes on above and below, as the side
/// of a box and the edge of a ground do.
fn is_empty(image: &RgbImage, place: Rect<Screen>) -> bool {
    inked(image, place).is_some_and(|columns| columns.is_empty())
}

/// Whether all that is drawn at a place is one upright stroke.
fn is_caret_alone(image: &RgbImage, place: Rect<Screen>) -> bool {
    let columns = inked(image, place).unwrap_or_default();
    match (columns.first(), columns.last()) {
        (Some(first), Some(last)) => last - first < CARET_PX,
        _ => false,
    }
}

/// The columns of a place in which a letter may be drawn; nothing if the place is not on the image.
fn inked(image: &RgbImage, place: Rect<Screen>) -> Option<Vec<u32>> {
    let by = MARGIN * place.height();
    let across = if place.width() > 4.0 * by { by } else { 0.0 };
    let inner =
        Rect::<Screen>::new(place.left + across, place.top + by, place.right - across, place.bottom - by);
    let (whole, area) = (Pixels::of(place, image)?, Pixels::of(inner, image)?);
    let ground = ground_of(image, area);
    let is_alike = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < SEEN);
    let is_inked = |x: &u32| {
        let mut middle = (area.top..area.bottom).map(|y| image.get_pixel(*x, y).0);
        let mut column = (whole.top..whole.bottom).map(|y| image.get_pixel(*x, y).0);
        let first = image.get_pixel(*x, area.top).0;
        !middle.all(|color| is_alike(color, ground)) && !column.all(|color| is_alike(color, first))
    };
    Some((area.left..area.right).filter(is_inked).collect())
}

/// The share of the wanted letters that must be changed, at the least, to have them somewhere in a text: 0 if they are
/// there, 1 if nothing of them is.
fn nearness(said: &str, wanted: &str) -> f64 {
    let (said, wanted): (Vec<char>, Vec<char>) = (said.chars().collect(), wanted.chars().collect());
    // Edits of the wanted letters against every end of the text; a beginning of the text costs nothing.
    let mut column: Vec<usize> = (0..=wanted.len()).collect();
    let mut least = wanted.len();
    for c in said {
        let mut next = vec![0];
        for i in 1..=wanted.len() {
            let same = column[i - 1] + usize::from(wanted[i - 1] != c);
            next.push(same.min(column[i] + 1).min(next[i - 1] + 1));
        }
        column = next;
        least = least.min(column[wanted.len()]);
    }
    least as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_is_the_share_of_letters_that_differ() {
        let check = |said: &str, wanted: &str, expected: f64| {
            assert!((nearness(said, wanted) - expected).abs() < 1e-9, "{said} {wanted}");
        };
        check("draftsaved", "saved", 0.0);
        check("draftsavad", "saved", 0.2);
        check("", "saved", 1.0);
        check("xyz", "abc", 1.0);
        check("order4712", "order4711", 1.0 / 9.0);
    }

    #[test]
    fn a_place_is_empty_only_without_any_ink() {
        let mut page = RgbImage::from_pixel(60, 20, image::Rgb([250; 3]));
        let place = Rect::new(10.0, 4.0, 40.0, 16.0);
        page.put_pixel(50, 10, image::Rgb([0; 3]));
        assert!(is_empty(&page, place));
        // Greyed until it can hardly be seen is still drawn.
        page.put_pixel(20, 10, image::Rgb([243; 3]));
        assert!(!is_empty(&page, place));
        // The side of a box is no letter; what is as high as a letter may be one.
        let mut page = RgbImage::from_pixel(60, 20, image::Rgb([250; 3]));
        (0..20).for_each(|y| page.put_pixel(30, y, image::Rgb([0; 3])));
        assert!(is_empty(&page, place));
        page.put_pixel(30, 5, image::Rgb([250; 3]));
        assert!(!is_empty(&page, place));
        // A stroke alone is a caret, where it stands instead of a word; two are not.
        assert!(is_caret_alone(&page, place));
        page.put_pixel(20, 10, image::Rgb([0; 3]));
        assert!(!is_caret_alone(&page, place));
    }
}
