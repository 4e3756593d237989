//! The one binary. Invariant: data goes to standard output, everything else to standard error; the exit code is
//! 0 done, 1 failed, 2 wrong usage, 130 interrupted.

mod args;
mod commands;
mod env;
mod exit;
mod interrupt;
mod marks;
mod model;
mod record;
mod settings;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    exit::code(commands::run(args))
}
