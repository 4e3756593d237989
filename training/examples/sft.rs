//! Trains as a configuration file says and prints a line now and then:
//! `cargo run --release -p vigorl-training --example sft -- CONFIG.toml`
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use vigorl_training::bar::measurement_line;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("which CONFIG.toml?")?.into();
    let never = AtomicBool::new(false);
    let end = vigorl_training::run_sft(&path, &never, &mut |progress| {
        if let Some(line) = progress.measured.as_ref().and_then(measurement_line) {
            println!("{line}");
        }
        if progress.step % 10 == 0 {
            let (step, total) = (progress.step, progress.total_steps);
            let (loss, speed) = (progress.loss, progress.questions_per_sec);
            println!("{step}/{total} {}: loss {loss:.3}, {speed:.0} questions/s", progress.stage);
        }
    })?;
    println!("{end:?}");
    Ok(())
}
