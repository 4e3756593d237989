//! Stands in for `fetch.rs` in a program that is built without the reader. Invariant: it fetches nothing.

use crate::args::FetchReaderArgs;
use crate::commands::Form;
use crate::exit::Ending;
use crate::parts::Part;

pub(crate) fn reader(_: &FetchReaderArgs, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Reader.missing())
}
