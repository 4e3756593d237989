//! The records of a training as an event file, which TensorBoard reads.
//!
//! A file is a row of framed messages (TFRecord): length, checksum of the length, message, checksum of the message. A
//! message is an `Event` of TensorFlow's `event.proto`; of it only what a curve needs is written, by hand, because that is
//! two messages of few fields.
//!
//! Invariant: a file begins with the mark of a new session, so that TensorBoard forgets what an earlier file of the same
//! training has of steps that are done again.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::TrainingError;
use crate::metrics::Record;

/// The version of the format; from 2 on, a session's mark makes readers forget.
const VERSION: &str = "brain.Event:2";
/// What follows the time in a file's name, where others write the name of the machine.
const NAME: &str = "vigorl";
/// Added to a rotated checksum, so that a checksum of data that holds checksums is no weak one.
const MASK_DELTA: u32 = 0xa282_ead8;
/// `SessionLog.START`.
const START: u64 = 1;

/// A file of events that grows record by record.
#[derive(Debug)]
pub struct EventsFile {
    path: PathBuf,
    file: File,
}

impl EventsFile {
    /// Begins a new file in the folder of a training that has done `step` steps.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn create(dir: &Path, step: u64) -> Result<Self, TrainingError> {
        Self::create_at(dir, step, now())
    }

    fn create_at(dir: &Path, step: u64, wall_secs: f64) -> Result<Self, TrainingError> {
        // Readers take files in the order of their names, so that a second file of one second gets the next one.
        let mut secs = wall_secs as u64;
        let (path, file) = loop {
            let path = dir.join(format!("events.out.tfevents.{secs:010}.{NAME}"));
            match File::create_new(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => secs += 1,
                Err(error) => return Err(TrainingError::file("create", &path)(error)),
            }
        };
        let mut events = Self { path, file };
        events.write(&event(wall_secs, 0, &text_field(3, VERSION)))?;
        // Forgotten is everything from this step on. A training that was killed before its first checkpoint does even its
        // first step again.
        events.write(&event(wall_secs, step + 1, &message_field(7, &varint_field(1, START))))?;
        Ok(events)
    }

    /// Appends the values of a record.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn append(&mut self, record: &Record) -> Result<(), TrainingError> {
        self.write(&event_of(record, now()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, event: &[u8]) -> Result<(), TrainingError> {
        // One write, so that a program that is killed leaves whole events.
        self.file.write_all(&framed(event)).map_err(TrainingError::file("write", &self.path))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The event of a record: a summary with a value for each metric.
fn event_of(record: &Record, wall_secs: f64) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, &value) in &record.values {
        let mut fields = text_field(1, name);
        fields.extend(key(2, 5));
        fields.extend((value as f32).to_le_bytes());
        summary.extend(message_field(1, &fields));
    }
    event(wall_secs, record.step, &message_field(5, &summary))
}

/// `Event`: the time, the step, and what happened.
fn event(wall_secs: f64, step: u64, what: &[u8]) -> Vec<u8> {
    let mut out = key(1, 1);
    out.extend(wall_secs.to_le_bytes());
    out.extend(varint_field(2, step));
    out.extend(what);
    out
}

/// A message with its length and both checksums.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(message);
    out.extend(masked_crc(message).to_le_bytes());
    out
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

/// The number and the wire type of a protobuf field.
fn key(field: u64, wire_type: u64) -> Vec<u8> {
    varint(field << 3 | wire_type)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn varint_field(field: u64, value: u64) -> Vec<u8> {
    [key(field, 0), varint(value)].concat()
}

fn text_field(field: u64, text: &str) -> Vec<u8> {
    message_field(field, text.as_bytes())
}

fn message_field(field: u64, message: &[u8]) -> Vec<u8> {
    [&key(field, 2), &varint(message.len() as u64), message].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros give 0x8a9136aa.
        let zeros: u32 = 0x8a91_36aa;
        assert_eq!(crc32c::crc32c(&[0; 32]), zeros);
        // Rotated by 15: 0x6d55_1522; and the constant, by hand: 0x0fd7_fffa.
        assert_eq!(masked_crc(&[0; 32]), 0x0fd7_fffa);
    }

    #[test]
    fn numbers_are_cut_into_seven_bits() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(300), [0xac, 0x02]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }

    #[test]
    fn an_event_has_the_bytes_that_its_definition_says() {
        let mut record = Record::at(300);
        record.set("a/b", 0.5);
        let expected = [
            // wall_time = 1.5, a double: field 1, wire type 1.
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f][..],
            // step = 300: field 2, wire type 0.
            &[0x10, 0xac, 0x02],
            // summary, of 12 bytes: field 5, wire type 2; in it one value, of 10 bytes: field 1, wire type 2.
            &[0x2a, 12, 0x0a, 10],
            // tag = "a/b": field 1; simple_value = 0.5, a float: field 2, wire type 5.
            &[0x0a, 3, b'a', b'/', b'b', 0x15, 0, 0, 0, 0x3f],
        ];
        assert_eq!(event_of(&record, 1.5), expected.concat());
    }

    /// The messages of a file, with their frames checked.
    fn messages(path: &Path) -> Vec<Vec<u8>> {
        let bytes = fs::read(path).unwrap();
        let (mut rest, mut found) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let n = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            found.push(rest[12..12 + n].to_vec());
            assert_eq!(rest[12 + n..16 + n], masked_crc(&rest[12..12 + n]).to_le_bytes());
            rest = &rest[16 + n..];
        }
        found
    }

    #[test]
    fn a_resumed_training_begins_a_file_that_makes_readers_forget() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = EventsFile::create_at(dir.path(), 0, 7.0).unwrap();
        first.append(&Record::at(1)).unwrap();
        let second = EventsFile::create_at(dir.path(), 20, 7.0).unwrap();
        let name = |events: &EventsFile| events.path().file_name().unwrap().to_owned();
        assert_eq!(name(&first), "events.out.tfevents.0000000007.vigorl");
        assert_eq!(name(&second), "events.out.tfevents.0000000008.vigorl");
        let version = event(7.0, 0, b"\x1a\x0dbrain.Event:2");
        let written = messages(first.path());
        // session_log, of 2 bytes: field 7; in it status = START.
        let mark =
            |step: u8| [&[0x09, 0, 0, 0, 0, 0, 0, 0x1c, 0x40][..], &[0x10, step, 0x3a, 2, 0x08, 1]].concat();
        assert_eq!((written.len(), &written[..2]), (3, &[version.clone(), mark(1)][..]));
        assert_eq!(messages(second.path()), [version, mark(21)]);
    }
}
