//! Rows of parquet files with pictures in them, as data sets are mirrored on their hub.
//!
//! Invariants: a file from elsewhere is data: whatever it holds, reading it gives rows or an error and never a panic, also
//! where the library that reads it gives up; pictures stay in the file until they are shown.
//!
//! The library is the crate `parquet` without any of its default features but decompression: its record interface suffices,
//! and its columnar one would bring the whole of arrow.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use image::RgbImage;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::TreeBuilder;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use vigorl_files::load_picture;

use crate::fields::number;
use crate::pictures::dimensions_of;

/// So many values of a column are decoded at once: a value may be a picture of megabytes.
const BATCH: usize = 4;
/// The columns that hold pictures, in order, and the field in them that holds the bytes of a file.
const IMAGES: [&str; 6] = ["image", "image_1", "image_2", "image_3", "image_4", "image_bytes"];
const BYTES: &str = "bytes";
/// The ways in which a column may be compressed.
const COMPRESSIONS: &str = "snappy, gzip, zstd, lz4 and brotli";

/// Where a parquet file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    /// In this program.
    Bundled(&'static [u8]),
}

impl Source {
    /// The stem of the file's name, which ids begin with.
    pub(crate) fn stem(&self) -> String {
        match self {
            Self::File(path) => stem(path),
            Self::Bundled(_) => "bundled".to_owned(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::File(path) => format!("`{}`", path.display()),
            Self::Bundled(_) => "the bundled set".to_owned(),
        }
    }

    fn open(&self) -> Result<Box<dyn FileReader>, ParquetError> {
        Ok(match self {
            Self::File(path) => Box::new(SerializedFileReader::new(File::open(path)?)?),
            Self::Bundled(bytes) => Box::new(SerializedFileReader::new(Bytes::from_static(bytes))?),
        })
    }
}

/// The stem of a file's name.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where a picture lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embedded {
    pub(crate) source: Source,
    group: usize,
    row: usize,
}

/// A picture in a file, and its size, or why it has none.
pub(crate) type Found = (Embedded, Result<(u32, u32), String>);

/// A row: its columns without the picture, and the picture.
pub(crate) struct ParquetRow {
    pub(crate) columns: Map<String, Value>,
    pub(crate) picture: Option<Found>,
    /// Widths and heights of all pictures of the row.
    pub(crate) sizes: Result<Vec<(u32, u32)>, String>,
}

/// All rows of a file.
pub(crate) fn rows(source: &Source) -> Result<Vec<ParquetRow>, String> {
    let (mut rows, mut unread) = (Vec::new(), None);
    let all = guarded(|| {
        let reader = source.open()?;
        unread = unread_column(&*reader);
        if unread.is_some() {
            return Ok(());
        }
        for group in 0..reader.num_row_groups() {
            each_row(&*reader, group, &mut |row, columns| {
                let sizes: Vec<Result<(u32, u32), String>> =
                    pictures(&columns).into_iter().map(dimensions).collect();
                let at = Embedded { source: source.clone(), group, row };
                let picture = sizes.first().cloned().map(|size| (at, size));
                let sizes = sizes.into_iter().collect();
                rows.push(ParquetRow { picture, sizes, columns: values(columns) });
                true
            })?;
        }
        Ok(())
    });
    all.map_err(|why| {
        let n = rows.len();
        format!(
            "{} cannot be read behind its row {n}: {why}; fetch the file again, or leave it out",
            source.shown()
        )
    })?;
    match unread {
        Some(column) => Err(format!(
            "{} cannot be read: {column}, and {COMPRESSIONS} are what is read; write the file again with one of them, as \
             pyarrow.parquet.write_table does",
            source.shown()
        )),
        None => Ok(rows),
    }
}

/// A column that is compressed in a way that is not read, in words.
fn unread_column(reader: &dyn FileReader) -> Option<String> {
    let mut columns = reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let name = |column: &ColumnChunkMetaData, way| {
        format!("its column `{}` is compressed with {way}", column.column_path().string())
    };
    columns.find_map(|column| match column.compression() {
        Compression::LZO => Some(name(column, "LZO")),
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::BROTLI(_)
        | Compression::LZ4
        | Compression::ZSTD(_)
        | Compression::LZ4_RAW => None,
    })
}

impl Embedded {
    /// The first picture of the row.
    pub(crate) fn pixels(&self) -> Result<RgbImage, String> {
        let mut all = self.all_pixels()?;
        Ok(all.swap_remove(0))
    }

    /// All pictures of the row, one at least.
    pub(crate) fn all_pixels(&self) -> Result<Vec<RgbImage>, String> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let read = guarded(|| {
            let reader = self.source.open()?;
            each_row(&*reader, self.group, &mut |row, columns| {
                if row == self.row {
                    found = pictures(&columns).into_iter().map(<[u8]>::to_vec).collect();
                }
                row < self.row
            })
        });
        let shown = || format!("row {} of group {} of {}", self.row, self.group, self.source.shown());
        read.map_err(|why| format!("{}: {why}", shown()))?;
        if found.is_empty() {
            return Err(format!("{} has no picture any more", shown()));
        }
        let decoded = found.iter().map(|bytes| load_picture(bytes).map(image::DynamicImage::into_rgb8));
        decoded.collect::<Result<_, _>>().map_err(|error| format!("{}: {error}", shown()))
    }
}

/// Hands over the rows of a group until `use_row` wants no more.
fn each_row(
    reader: &dyn FileReader,
    group: usize,
    use_row: &mut dyn FnMut(usize, Vec<(String, Field)>) -> bool,
) -> Result<(), ParquetError> {
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let group = reader.get_row_group(group)?;
    let rows = TreeBuilder::new().with_batch_size(BATCH).as_iter(schema, &*group)?;
    for (number, row) in rows.enumerate() {
        if !use_row(number, Row::into_columns(row?)) {
            break;
        }
    }
    Ok(())
}

/// The library panics on some files whose parts contradict each other.
fn guarded(read: impl FnOnce() -> Result<(), ParquetError>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("its parts contradict each other".to_owned()),
    }
}

/// The bytes of the pictures of a row.
fn pictures(columns: &[(String, Field)]) -> Vec<&[u8]> {
    let column = |wanted: &&str| columns.iter().find(|(name, _)| name == wanted).map(|(_, field)| field);
    IMAGES.iter().filter_map(column).flat_map(files_in).collect()
}

/// The bytes of files in a field: itself, its field for them, or those of a list.
fn files_in(field: &Field) -> Vec<&[u8]> {
    match field {
        Field::Bytes(bytes) => vec![bytes.data()],
        Field::Group(row) => {
            let bytes = row.get_column_iter().find_map(|(name, field)| match field {
                Field::Bytes(bytes) if name == BYTES => Some(bytes.data()),
                _ => None,
            });
            bytes.into_iter().collect()
        }
        Field::ListInternal(list) => list.elements().iter().flat_map(files_in).collect(),
        _ => Vec::new(),
    }
}

fn dimensions(bytes: &[u8]) -> Result<(u32, u32), String> {
    dimensions_of(bytes).map_err(|why| format!("its picture cannot be read: {why}"))
}

fn values(columns: Vec<(String, Field)>) -> Map<String, Value> {
    columns.into_iter().map(|(name, field)| (name, value(&field))).collect()
}

/// The same as JSON; bytes are left out.
fn value(field: &Field) -> Value {
    match field {
        Field::Null | Field::Bytes(_) => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => number(f64::from(*value)),
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(value) => value.clone().into(),
        Field::Group(row) => {
            row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
        }
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().into(),
    }
}
