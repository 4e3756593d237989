//! Pictures that were read lately, for several threads.
//!
//! Invariants: a picture is read by one thread at a time, and whoever wants it meanwhile waits for that one; a picture that
//! cannot be read is an error each time; no more are kept than there is room for.

use std::collections::VecDeque;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use image::{ImageError, ImageReader, RgbImage};
use vigorl_files::{check_whole, open_picture};
use vigorl_tasks::Failure;

/// The picture of a file, whatever its name says that it is: sets have pictures with wrong endings.
///
/// # Errors
/// Why it cannot be read, with its path.
pub(crate) fn open(path: &Path) -> Result<RgbImage, String> {
    let read = open_picture(path).map(image::DynamicImage::into_rgb8);
    read.map_err(|error| unreadable(path, &error.to_string()))
}

/// How large the picture of a file is, which must be whole: its pixels are decoded when it is shown, and not before.
///
/// # Errors
/// As [`open`], as far as that is told without decoding.
pub(crate) fn dimensions(path: &Path) -> Result<(u32, u32), String> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error.to_string()))?;
    dimensions_of(&bytes).map_err(|why| unreadable(path, &why))
}

/// The same of a picture's bytes.
///
/// # Errors
/// Why they are no whole picture.
pub(crate) fn dimensions_of(bytes: &[u8]) -> Result<(u32, u32), String> {
    check_whole(bytes).map_err(|error| format!("{error}; fetch it again"))?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    reader.map_err(ImageError::from).and_then(ImageReader::into_dimensions).map_err(|error| error.to_string())
}

fn unreadable(path: &Path, why: &str) -> String {
    format!("`{}` cannot be read: {why}", path.display())
}

/// A picture, or why it cannot be read, once somebody has tried.
type Slot = Arc<OnceLock<Result<Arc<RgbImage>, String>>>;

/// The pictures of a set, by whatever tells them apart.
#[derive(Debug)]
pub(crate) struct Pictures<K> {
    kept: Mutex<VecDeque<(K, Slot)>>,
    room: AtomicUsize,
}

impl<K> Default for Pictures<K> {
    fn default() -> Self {
        Self { kept: Mutex::default(), room: AtomicUsize::new(1) }
    }
}

impl<K: Clone + PartialEq> Pictures<K> {
    /// Keeps so many from now on.
    pub(crate) fn expect(&self, n: usize) {
        self.room.store(n.max(1), Ordering::Relaxed);
    }

    /// A picture, which `read` reads if it is not here.
    pub(crate) fn get(
        &self,
        key: &K,
        read: impl FnOnce() -> Result<RgbImage, String>,
    ) -> Result<Arc<RgbImage>, Failure> {
        let slot = self.slot(key);
        slot.get_or_init(|| read().map(Arc::new)).clone().map_err(Failure::from)
    }

    fn slot(&self, key: &K) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(of, _)| of == key)
            && let Some(found) = kept.remove(at)
        {
            let slot = found.1.clone();
            kept.push_back(found);
            return slot;
        }
        let slot = Slot::default();
        kept.push_back((key.clone(), slot.clone()));
        while kept.len() > self.room.load(Ordering::Relaxed) {
            kept.pop_front();
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_read_once_as_long_as_there_is_room() {
        let pictures = Pictures::default();
        pictures.expect(2);
        let n_read = AtomicUsize::new(0);
        let get = |key: u32| {
            let read = || {
                n_read.fetch_add(1, Ordering::Relaxed);
                Ok(RgbImage::new(key, 1))
            };
            pictures.get(&key, read).unwrap().width()
        };
        assert_eq!([get(1), get(2), get(1), get(3), get(1)], [1, 2, 1, 3, 1]);
        assert_eq!(n_read.load(Ordering::Relaxed), 3, "the second one made room for the third");
        assert_eq!((get(2), n_read.load(Ordering::Relaxed)), (2, 4));
    }

    #[test]
    fn a_picture_is_what_its_bytes_say_and_not_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shot.jpg");
        RgbImage::new(7, 5).save_with_format(&path, image::ImageFormat::Png).unwrap();
        assert_eq!((dimensions(&path), open(&path).unwrap().dimensions()), (Ok((7, 5)), (7, 5)));
        std::fs::write(&path, "no picture").unwrap();
        let (error, of_size) = (open(&path).unwrap_err(), dimensions(&path).unwrap_err());
        assert!(error.contains("shot.jpg") && of_size.contains("shot.jpg"), "{error}; {of_size}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a picture that takes long to read")]
    fn threads_that_want_the_same_picture_wait_for_one_of_them() {
        let (pictures, n_read) = (Pictures::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let read = || {
                        n_read.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Err("it is torn".to_owned())
                    };
                    let error = pictures.get(&0, read).unwrap_err();
                    assert_eq!(error.to_string(), "it is torn");
                });
            }
        });
        assert_eq!(n_read.load(Ordering::Relaxed), 1);
    }
}
