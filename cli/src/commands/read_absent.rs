//! Stands in for `read.rs` in a program that is built without the reader. Invariant: it reads nothing.

use crate::args::ReadArgs;
use crate::commands::Form;
use crate::exit::Ending;
use crate::parts::Part;

pub(crate) fn read(_: &ReadArgs, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Reader.missing())
}
