//! Writes a run directory while the run goes on.
//!
//! Invariant: what was written stays readable whatever happens next. Events are appended and flushed one by
//! one; every other file appears whole, by rename. Images are encoded on a second thread, and a failure there
//! is returned by the next call.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use serde::Serialize;
use serde_json::Value;
use vigorl_files::write_whole;
use vigorl_tasks::scripted::Secret;

use crate::clock::Stamp;
use crate::hidden::Hidden;
use crate::record::{Event, RunRecord, Summary, TextRecord};

/// Files that wait for the writer; more make the loop wait, so that memory stays bounded.
const QUEUE: usize = 16;

/// The run directory cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    /// Disk full, no permission, not a folder.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of a run is missing or unreadable.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of a run is not what it should be.
    #[error("`{path}` is damaged: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A whole line of the event log is not what it should be.
    #[error("`{path}`, line {line} is damaged: {source}; without that line, the rest can be read")]
    DamagedLine {
        /// The event log.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

struct Job {
    path: PathBuf,
    content: Content,
}

enum Content {
    Png(Arc<RgbImage>),
    Bytes(Vec<u8>),
}

/// An open run directory.
#[derive(Debug)]
pub struct RunDir {
    root: PathBuf,
    events: File,
    queue: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<Result<(), RunDirError>>>,
    hidden: Hidden,
}

impl RunDir {
    /// Creates `<output_dir>/<utc>-<slug of name>/` with `run.json` and an empty event log. No record will contain a
    /// value of `secrets`: its name stands there instead. (Screenshots show what the screen shows.)
    ///
    /// # Errors
    /// [`RunDirError::Write`] if the folder cannot be created or written.
    pub fn create(
        output_dir: &Path,
        name: &str,
        run: &RunRecord,
        secrets: &[Secret],
    ) -> Result<Self, RunDirError> {
        let hidden = Hidden::of(secrets);
        let root =
            fresh_folder(output_dir, &format!("{}-{}", Stamp::now().compact(), slug(&hidden.in_text(name))))?;
        write(&root.join("run.json"), &pretty(&hidden, run))?;
        let path = root.join("events.jsonl");
        let events = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| RunDirError::Write { path, source })?;
        let (queue, jobs) = sync_channel(QUEUE);
        let writer = Some(std::thread::spawn(move || write_all(jobs)));
        let mut dir = Self { root, events, queue: Some(queue), writer, hidden };
        dir.event(&Event::RunStarted { task: run.task.clone() })?;
        Ok(dir)
    }

    /// Finds out whether runs can be written into `output_dir`, which is created if it is missing.
    ///
    /// # Errors
    /// [`RunDirError::Write`] if not.
    pub fn check(output_dir: &Path) -> Result<(), RunDirError> {
        // Runs that start at the same time must not remove each other's file.
        let probe = output_dir.join(format!(".vigorl-{}", std::process::id()));
        fs::create_dir_all(output_dir)
            .and_then(|()| fs::write(&probe, ""))
            .and_then(|()| fs::remove_file(&probe))
            .map_err(|source| RunDirError::Write { path: output_dir.to_owned(), source })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Appends one event, with its time, and hands it to the operating system.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn event(&mut self, event: &Event) -> Result<(), RunDirError> {
        #[derive(Serialize)]
        struct Line<'a> {
            at: String,
            #[serde(flatten)]
            event: &'a Event,
        }
        let mut line = json(&self.hidden, &Line { at: Stamp::now().iso(), event }).to_string().into_bytes();
        line.push(b'\n');
        // One write per line: a crash can only cut the last one.
        self.events
            .write_all(&line)
            .and_then(|()| self.events.flush())
            .map_err(|source| RunDirError::Write { path: self.root.join("events.jsonl"), source })
    }

    /// Queues an image of a step.
    ///
    /// # Errors
    /// [`RunDirError::Write`] of an earlier file.
    pub fn image(&mut self, step: usize, name: &str, pixels: &Arc<RgbImage>) -> Result<(), RunDirError> {
        self.enqueue(Job { path: self.step_path(step, name), content: Content::Png(Arc::clone(pixels)) })
    }

    /// Queues a record of a step.
    ///
    /// # Errors
    /// [`RunDirError::Write`] of an earlier file.
    pub fn json(&mut self, step: usize, name: &str, record: &impl Serialize) -> Result<(), RunDirError> {
        self.enqueue(Job {
            path: self.step_path(step, name),
            content: Content::Bytes(pretty(&self.hidden, record)),
        })
    }

    /// Queues what was read on the screenshots of a step.
    ///
    /// # Errors
    /// [`RunDirError::Write`] of an earlier file.
    pub fn texts(&mut self, step: usize, mut texts: TextRecord) -> Result<(), RunDirError> {
        for reading in [&mut texts.before, &mut texts.after].into_iter().flatten() {
            self.hidden.in_lines(&mut reading.lines);
        }
        self.json(step, "text.json", &texts)
    }

    /// What was read into a variable: from now on the variable's name stands instead of it. Where only secrets are to be
    /// hidden, that holds of what has a secret in it.
    pub(crate) fn hide_value(&mut self, name: &str, value: &str, only_secrets: bool) {
        if !only_secrets || self.hidden.is_in_reading(value) {
            self.hidden.add_word(name, value);
        }
    }

    /// A text that nobody is to find a secret in, also such as is cut or written otherwise.
    pub(crate) fn hidden_text(&self, text: &str) -> String {
        self.hidden.in_reading(text)
    }

    /// Waits for queued files, writes the summary and closes the log.
    ///
    /// # Errors
    /// [`RunDirError::Write`] of any file.
    pub fn finish(mut self, summary: &Summary) -> Result<PathBuf, RunDirError> {
        let queued = self.drain();
        write(&self.root.join("summary.json"), &pretty(&self.hidden, summary))?;
        queued?;
        self.event(&Event::RunEnded)?;
        Ok(self.root.clone())
    }

    fn step_path(&self, step: usize, name: &str) -> PathBuf {
        self.root.join("steps").join(format!("{step:04}")).join(name)
    }

    fn enqueue(&mut self, job: Job) -> Result<(), RunDirError> {
        let path = job.path.clone();
        if self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok()) {
            return Ok(());
        }
        // The writer ends early only after a failure; that failure is the answer.
        self.drain()?;
        Err(RunDirError::Write { path, source: io::Error::other("the writer has ended") })
    }

    fn drain(&mut self) -> Result<(), RunDirError> {
        self.queue = None;
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => {
                let source = io::Error::other("the writer panicked");
                Err(RunDirError::Write { path: self.root.clone(), source })
            }
        }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A run that was not finished has failed already; its error is the one to report.
        self.drain().ok();
    }
}

fn write_all(jobs: Receiver<Job>) -> Result<(), RunDirError> {
    // What a step sees last is what the next one starts from: the same picture is encoded once.
    let mut last: Option<(Arc<RgbImage>, Vec<u8>)> = None;
    for Job { path, content } in jobs {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| RunDirError::Write { path: folder.to_owned(), source })?;
        }
        match content {
            Content::Bytes(bytes) => write(&path, &bytes)?,
            Content::Png(pixels) => {
                let known =
                    last.take().filter(|(known, _)| Arc::ptr_eq(known, &pixels)).map(|(_, bytes)| bytes);
                let bytes = match known {
                    Some(bytes) => bytes,
                    None => {
                        png(&pixels).map_err(|source| RunDirError::Write { path: path.clone(), source })?
                    }
                };
                write(&path, &bytes)?;
                last = Some((pixels, bytes));
            }
        }
    }
    Ok(())
}

/// Lossless and fast, at about twice the size of the best compression.
fn png(pixels: &RgbImage) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels.as_raw(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    write_whole(path, bytes).map_err(|source| RunDirError::Write { path: path.to_owned(), source })
}

fn fresh_folder(parent: &Path, name: &str) -> Result<PathBuf, RunDirError> {
    fs::create_dir_all(parent).map_err(|source| RunDirError::Write { path: parent.to_owned(), source })?;
    let mut root = parent.join(name);
    for again in 2.. {
        match fs::create_dir(&root) {
            Ok(()) => break,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                root = parent.join(format!("{name}-{again}"))
            }
            Err(source) => return Err(RunDirError::Write { path: root, source }),
        }
    }
    Ok(root)
}

/// Lower-case letters and digits of `text` with single dashes, at most 40 characters, never empty.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "run".to_owned() } else { slug.to_owned() }
}

/// The only way from a record to a file.
fn json(hidden: &Hidden, record: &impl Serialize) -> Value {
    hidden.in_record(serde_json::to_value(record).expect("records have string keys and finite structure"))
}

fn pretty(hidden: &Hidden, record: &impl Serialize) -> Vec<u8> {
    format!("{:#}\n", json(hidden, record)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_safe_names() {
        let check = |text: &str, expect: &str| assert_eq!(slug(text), expect);
        check("Click the Red ✕ (close)", "click-the-red-close");
        check("../../etc/passwd", "etc-passwd");
        check("…", "run");
        check(&"ab ".repeat(40), "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-a");
    }

    #[test]
    fn two_runs_in_the_same_second_get_two_folders() {
        let parent = tempfile::tempdir().unwrap();
        let first = fresh_folder(parent.path(), "x").unwrap();
        let second = fresh_folder(parent.path(), "x").unwrap();
        assert_eq!(second, parent.path().join("x-2"));
        assert_ne!(first, second);
    }
}
