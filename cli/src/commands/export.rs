//! `vigorl train export-rollouts`: recorded samples as lines for trainers elsewhere.
//!
//! Invariants: memory holds one sample; the file is written whole or not at all, and never without a line.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigorl_files::write_whole_with;
use vigorl_rollouts::{Exported, Exporting, LeftOut, Places, Samples, Trainer, export as lines};
use vigorl_tasks::sources::Part;

use crate::args::{ExportRolloutsArgs, PartArg, TrainerArg};
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::terminal;

/// Writes the file, and tells what became of the samples.
pub(crate) fn export(args: &ExportRolloutsArgs, form: Form) -> anyhow::Result<Ending> {
    let mut samples = Samples::open(&args.dir).map_err(|error| usage(error.to_string()))?;
    let output = &*args.output;
    if let (Ok(read), Ok(written)) = (samples.path().canonicalize(), output.canonicalize())
        && read == written
    {
        return Err(usage(format!("`{}` is what is read: --output names another file", output.display())));
    }
    let mut places = places(samples.path(), output, args.absolute_paths)?;
    let run = places.run_name();
    let how = Exporting {
        trainer: match args.format {
            TrainerArg::Trl => Trainer::Trl,
            TrainerArg::Verl => Trainer::Verl,
        },
        run: &run,
        part: match args.part {
            PartArg::Train => Part::Train,
            PartArg::HeldOut => Part::HeldOut,
        },
        min_reward: args.min_reward,
    };
    let told = write_whole_with(output, |out| {
        let mut told = Told::default();
        while let Some(sample) = samples.next() {
            let sample = sample?;
            let exported = lines(&sample, &how, told.n_lines, &mut |name| places.of(name))
                .with_context(|| format!("line {} of `{}`", samples.line(), samples.path().display()))?;
            told.n_samples += 1;
            for exported in exported {
                match exported {
                    Exported::Line(line) => {
                        writeln!(out, "{line}")?;
                        told.n_lines += 1;
                    }
                    Exported::LeftOut(why) => *told.left_out.entry(why).or_default() += 1,
                }
            }
        }
        // Nobody can read a file without a line, and the old one may be worth more.
        match told.n_lines {
            0 => Err(usage(format!("there is nothing to export: {}", told.words("; ")))),
            _ => Ok(told),
        }
    })
    .map_err(|error: anyhow::Error| match error.is::<io::Error>() {
        true => error.context(format!("cannot write `{}`", output.display())),
        false => error,
    })?;
    terminal::data(&match form {
        Form::Json => pretty(&told.to_json(output)),
        Form::Text => format!("{}\nwritten  {}", told.words("\n"), output.display()),
    });
    Ok(Ending::Done)
}

fn places(lines: &Path, output: &Path, is_absolute: bool) -> anyhow::Result<Places> {
    let folder_of = |file: &Path| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => Path::new(".").to_owned(),
    };
    let folder = folder_of(output);
    if !folder.is_dir() {
        return Err(usage(format!("there is no folder `{}` for --output", folder.display())));
    }
    let run = folder_of(lines);
    Places::new(&run, (!is_absolute).then_some(&*folder))
        .with_context(|| format!("cannot open the folder `{}`", run.display()))
}

/// What became of the samples.
#[derive(Debug, Default)]
struct Told {
    n_samples: usize,
    n_lines: u64,
    left_out: BTreeMap<LeftOut, usize>,
}

impl Told {
    fn words(&self, between: &str) -> String {
        let Self { n_samples, n_lines, left_out } = self;
        let left_out = left_out.iter().map(|(why, n)| format!("{between}left out: {n} actions {why}"));
        format!("{n_lines} lines of {n_samples} samples{}", left_out.collect::<String>())
    }

    fn to_json(&self, output: &Path) -> serde_json::Value {
        let left_out: BTreeMap<_, _> = self.left_out.iter().map(|(why, n)| (why.as_str(), n)).collect();
        json!({ "file": output, "n_samples": self.n_samples, "n_lines": self.n_lines, "left_out": left_out })
    }
}
