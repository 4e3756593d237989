//! The reader: a screenshot in, its text out.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use image::RgbImage;
use vigorl_geometry::Size;

use crate::boxes::boxes;
use crate::detector::{CoreMap, Region};
use crate::memory::{Changed, KnownLines, Memory};
use crate::networks::Networks;
use crate::reading::{Line, Reading};
use crate::recogniser::LinePicture;
use crate::signs;
use crate::weights::Weights;

/// Larger pictures are not read: their map and their lines would not fit into the memory that is set aside for it.
const MAX_PIXELS: u64 = 64_000_000;
/// Lines that are read at most; a screen has no more, noise can.
const MAX_LINES: usize = 6_000;
/// How far the middles of lines side by side may be apart, in heights of a line.
const SIDE_BY_SIDE: f64 = 0.3;
/// A line of one, two, three, four or more characters is text if its mean confidence is at least this: boxes, icons and
/// bullets look like a character or two, but not for sure.
const TEXT: [f32; 4] = [0.88, 0.88, 0.75, 0.5];

/// Why nothing was read. What a picture shows is never a reason.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A model's file is missing, damaged or another one.
    #[error("{file} cannot be used: {detail}")]
    Weights {
        /// Which file.
        file: String,
        /// Why.
        detail: String,
    },
    /// The picture has more pixels than are read at once.
    #[error("the picture is {width}x{height}: more than {} million pixels are not read; cut it or make it smaller", MAX_PIXELS / 1_000_000)]
    TooLarge {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// It was told to stop.
    #[error("the reading was broken off")]
    Stopped,
    /// The models could not be computed.
    #[error("the text models cannot be computed: {detail}")]
    Failed {
        /// What they said.
        detail: String,
    },
}

/// Reads screenshots, and remembers the last one.
pub struct Reader {
    pub(crate) networks: Arc<Networks>,
    last: Option<(Memory, Arc<Reading>)>,
    known: KnownLines,
    is_pieced: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Loads the models.
    ///
    /// # Errors
    /// [`ReaderError::Weights`] if they are no text models.
    pub fn new(weights: Weights) -> Result<Self, ReaderError> {
        Ok(Self {
            networks: Arc::new(Networks::load(weights)?),
            last: None,
            known: KnownLines::default(),
            is_pieced: false,
        })
    }

    /// The same models with a memory of its own, for a thread beside this one.
    pub fn beside(&self) -> Self {
        Self {
            networks: Arc::clone(&self.networks),
            last: None,
            known: KnownLines::default(),
            is_pieced: false,
        }
    }

    /// The networks alone, for whoever measures them.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The reader of a build that has one.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn embedded() -> Result<Option<Self>, ReaderError> {
        Weights::embedded().map(Self::new).transpose()
    }

    /// Breaks off, also beside this one, what is read once `stop` is set.
    pub fn stop_when(&self, stop: &'static AtomicBool) {
        self.networks.stop_when(stop);
    }

    /// Everything that is written on `image`.
    ///
    /// # Errors
    /// [`ReaderError::TooLarge`], [`ReaderError::Stopped`], [`ReaderError::Failed`].
    pub fn read(&mut self, image: &RgbImage) -> Result<Arc<Reading>, ReaderError> {
        let (width, height) = image.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(ReaderError::TooLarge { width, height });
        }
        let whole = Region::of_image(image);
        let same_size = self.last.take().filter(|(last, _)| last.image.dimensions() == image.dimensions());
        let (mut map, changed) = match same_size {
            Some((mut last, reading)) => match last.compare(image) {
                Changed::Nothing => {
                    self.last = Some((last, Arc::clone(&reading)));
                    return Ok(reading);
                }
                Changed::These(regions) => (last.map, regions),
            },
            None => (CoreMap::new(image), vec![whole]),
        };
        self.is_pieced = changed != [whole];
        for region in changed.into_iter().filter(|region| region.width() > 0 && region.height() > 0) {
            map.look(&self.networks, image, region)?;
        }
        // Lines have other sizes.
        self.networks.give_memory_back();
        let lines = self.lines(image, &map)?;
        self.networks.give_memory_back();
        let reading = Arc::new(Reading { size: Size::of_pixels(width, height), lines });
        self.last = Some((Memory { image: image.clone(), map }, Arc::clone(&reading)));
        Ok(reading)
    }

    /// Whether the last reading was pieced together from what was known: a line that begins in what changed can be cut
    /// otherwise than in the whole picture.
    pub fn is_pieced(&self) -> bool {
        self.is_pieced
    }

    /// The same, and nothing is taken from memory but lines whose pictures are the same.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_anew(&mut self, image: &RgbImage) -> Result<Arc<Reading>, ReaderError> {
        self.last = None;
        self.read(image)
    }

    /// The same with signs that stand alone, which a line's detector does not see: for whoever looks for one.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_with_signs(&mut self, image: &RgbImage) -> Result<Arc<Reading>, ReaderError> {
        let reading = self.read(image)?;
        let (told, places) = signs::signs(image, &reading.lines);
        let pictures: Vec<LinePicture> =
            places.into_iter().map(|edges| LinePicture::cut(image, edges)).collect();
        let read = self.read_all(&pictures.iter().collect::<Vec<_>>())?;
        let found = read.into_iter().flatten().filter_map(signs::sign);
        let lines = reading.lines.iter().cloned().chain(found).chain(told).collect();
        Ok(Arc::new(Reading { size: reading.size, lines }))
    }

    fn lines(&mut self, image: &RgbImage, map: &CoreMap) -> Result<Vec<Line>, ReaderError> {
        let pictures: Vec<LinePicture> =
            boxes(map).into_iter().take(MAX_LINES).map(|edges| LinePicture::cut(image, edges)).collect();
        let recalled: Vec<_> =
            pictures.iter().map(|picture| self.known.recall(&picture.pixels, picture.origin())).collect();
        let open: Vec<&LinePicture> = pictures
            .iter()
            .zip(&recalled)
            .filter(|(_, known)| known.is_none())
            .map(|(picture, _)| picture)
            .collect();
        let mut read = self.read_all(&open)?.into_iter();
        let mut lines = Vec::new();
        for (picture, known) in pictures.into_iter().zip(recalled) {
            let line = known.unwrap_or_else(|| read.next().flatten());
            self.known.remember(picture.pixels, line.clone());
            lines.extend(line.filter(is_text));
        }
        self.known.turn_page();
        sort(&mut lines);
        Ok(lines)
    }

    fn read_all(&self, pictures: &[&LinePicture]) -> Result<Vec<Option<Line>>, ReaderError> {
        // The widest ones first: their memory is large enough for all others, and no core gets a long one at the end.
        let mut order: Vec<usize> = (0..pictures.len()).collect();
        order.sort_by_key(|at| Reverse(pictures[*at].width_when_read()));
        let read =
            self.networks.for_each(order.len(), |at, core| pictures[order[at]].read(&self.networks, core))?;
        let mut read: Vec<_> = order.into_iter().zip(read).collect();
        read.sort_by_key(|(at, _)| *at);
        Ok(read.into_iter().map(|(_, line)| line).collect())
    }
}

/// From top to bottom, and from left to right where lines stand side by side: their boxes differ by a pixel or two.
fn sort(lines: &mut [Line]) {
    lines.sort_by(|a, b| a.rect.center().y.total_cmp(&b.rect.center().y));
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let below = first.rect.center().y + first.rect.height() * SIDE_BY_SIDE;
        let n = rest.iter().take_while(|line| line.rect.center().y <= below).count().max(1);
        let (row, others) = rest.split_at_mut(n);
        row.sort_by(|a, b| a.rect.left.total_cmp(&b.rect.left));
        rest = others;
    }
}

/// Boxes, icons and bullets are read as something, but not surely.
fn is_text(line: &Line) -> bool {
    let n = line.glyphs.iter().filter(|glyph| !glyph.character.is_whitespace()).count();
    line.confidence >= TEXT[n.clamp(1, TEXT.len()) - 1]
}
