//! The one binary. Invariant: data goes to standard output, everything else to standard error; the exit code is
//! 0 done, 1 failed, 2 wrong usage, 130 interrupted.

mod args;
mod commands;
mod confidence;
mod confirm;
mod env;
mod exit;
mod eyes;
#[cfg(feature = "hub")]
mod hub;
#[cfg(not(feature = "hub"))]
#[path = "hub_absent.rs"]
mod hub;
mod interrupt;
#[cfg(feature = "junit")]
mod junit;
#[cfg(not(feature = "junit"))]
#[path = "junit_absent.rs"]
mod junit;
mod model;
mod parts;
#[cfg(feature = "reader")]
mod reading;
#[cfg(not(feature = "reader"))]
#[path = "reading_absent.rs"]
mod reading;
mod record;
mod running;
mod secrets;
mod served;
mod settings;
mod suite;
mod suite_report;
mod terminal;
#[cfg(feature = "training")]
mod training_bar;

use std::process::ExitCode;

use clap::Parser as _;

/// A screenshot's activations are tens of megabytes, made and dropped hundreds of times: the C library's allocator
/// gives such memory back at once, and the system clears every page of it anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => args::with_cure(error).exit(),
        Err(help) => {
            return exit::code(
                terminal::help(&help).map_err(anyhow::Error::msg).map(|()| exit::Ending::Done),
            );
        }
    };
    say_n_threads(args.command.n_threads());
    let running = args.command.acts().then(|| running::Running::mark(&env::command_line()));
    let code = exit::code(commands::run(args));
    drop(running);
    code
}

/// Lets the allocator hold on to freed memory for a minute instead of a second, unless the environment says otherwise:
/// the next layer of a pass, or the next training step, needs as much again, and the system clears what it hands out.
#[expect(unsafe_code, reason = "the allocator's options are set through its C interface")]
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of mimalloc 3, and its default, in milliseconds.
    const PURGE_DELAY: (std::ffi::c_int, std::ffi::c_long) = (15, 1_000);
    // SAFETY: there are no other threads yet, which the library asks for.
    unsafe {
        // Another value is another option, or the user's choice.
        if libmimalloc_sys::mi_option_get(PURGE_DELAY.0) == PURGE_DELAY.1 {
            libmimalloc_sys::mi_option_set(PURGE_DELAY.0, 60_000);
        }
    }
}

/// Sets the number of computing threads for every library that asks, unless the caller has: all physical cores, or
/// `n_threads`.
///
/// Without the variable, candle 0.11 reads `/proc/cpuinfo` to count the cores at every single matrix product:
/// two thirds of the embedded policy's time.
#[expect(unsafe_code, reason = "the environment can only be changed before there are threads")]
fn say_n_threads(n_threads: Option<usize>) {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let n_threads = n_threads.unwrap_or_else(|| num_cpus::get_physical().min(allowed));
    // SAFETY: before this the program only looked at its arguments, so no other thread reads the environment meanwhile.
    unsafe { std::env::set_var(VARIABLE, n_threads.to_string()) };
}
