//! Stands in for `read.rs` in a program that is built without the reader. Invariant: it measures nothing.

use crate::args::BenchReadArgs;
use crate::commands::Form;
use crate::exit::Ending;
use crate::parts::Part;

pub(crate) fn read(_: &BenchReadArgs, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Reader.missing())
}
