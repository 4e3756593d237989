//! A training's folder, read as data: `config.toml`, `metrics.jsonl`, and whether there is a `model/`.
//!
//! Invariant: what is said of a training comes from these files and their times; nothing is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::record::Record;
use crate::tables::Kind;

/// The resolved configuration.
const CONFIG: &str = "config.toml";
/// The log.
const METRICS: &str = "metrics.jsonl";
/// Whoever writes nothing for less than this still runs.
const PATIENCE: Duration = Duration::from_secs(120);
/// A line may take this many times as long as the slowest of the last lines.
const PATIENCE_IN_LINES: f64 = 5.0;

/// A folder cannot be read as a training's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It holds no training.
    #[error("`{path}` is no folder of a training: it has no {missing}")]
    NoTraining {
        /// The folder.
        path: PathBuf,
        /// The files that are not there.
        missing: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration is no TOML.
    #[error("`{path}` is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        detail: String,
    },
}

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It wrote a line not long ago.
    Running,
    /// It has written its model.
    Finished,
    /// It has no model, and has long written nothing.
    Stopped,
}

impl Standing {
    /// As a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// A training, as its folder tells of it.
#[derive(Debug, Clone)]
pub struct Training {
    /// The folder.
    pub root: PathBuf,
    /// The resolved configuration, as it is written.
    pub config_text: String,
    /// The same, as values.
    pub config: toml::Table,
    /// The lines of the log.
    pub records: Vec<Record>,
    /// How the policy is trained.
    pub kind: Kind,
    /// Whether it goes on.
    pub standing: Standing,
    /// When the last line was written.
    pub written: SystemTime,
}

impl Training {
    /// Whether a folder holds a training.
    pub fn is_at(root: &Path) -> bool {
        [CONFIG, METRICS].iter().all(|file| root.join(file).is_file())
    }

    /// The files that [`Training::read`] opens.
    pub fn files(root: &Path) -> [PathBuf; 2] {
        [CONFIG, METRICS].map(|file| root.join(file))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn read(root: &Path) -> Result<Self, FolderError> {
        Self::read_at(root, SystemTime::now())
    }

    fn read_at(root: &Path, now: SystemTime) -> Result<Self, FolderError> {
        let missing: Vec<&str> =
            [CONFIG, METRICS].into_iter().filter(|file| !root.join(file).is_file()).collect();
        if !missing.is_empty() {
            return Err(FolderError::NoTraining { path: root.to_owned(), missing: missing.join(" and no ") });
        }
        let [config_path, metrics_path] = Self::files(root);
        let config_text = fs::read_to_string(&config_path).map_err(read_error(&config_path))?;
        let config = config_text.parse().map_err(|error: toml::de::Error| FolderError::Damaged {
            path: config_path,
            detail: error.message().to_owned(),
        })?;
        let records = Record::all_of(&fs::read_to_string(&metrics_path).map_err(read_error(&metrics_path))?);
        let written = changed(&metrics_path).map_err(read_error(&metrics_path))?;
        let standing = standing(root, written, now, || records.clone());
        let kind = Kind::of(&records);
        Ok(Self { root: root.to_owned(), config_text, config, records, kind, standing, written })
    }

    /// How the training in a folder stands. The log is read only where its time does not tell, so that this can be asked
    /// often.
    ///
    /// # Errors
    /// [`FolderError::Read`].
    pub fn standing_at(root: &Path) -> Result<Standing, FolderError> {
        let [_, path] = Self::files(root);
        let written = changed(&path).map_err(read_error(&path))?;
        // A log that cannot be read has no slow lines.
        let records = || fs::read_to_string(&path).map(|text| Record::all_of(&text)).unwrap_or_default();
        Ok(standing(root, written, SystemTime::now(), records))
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        let whole = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        whole.file_name().unwrap_or(self.root.as_os_str()).to_string_lossy().into_owned()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.records.last().map_or(0, |record| record.step)
    }

    /// Steps of the whole training, if its configuration says so.
    pub fn total_steps(&self) -> Option<u64> {
        let of_run = self.config.get("run").and_then(|run| run.get("steps")).and_then(steps);
        of_run.or_else(|| self.stages().last().map(|&(end, _)| end))
    }

    /// The longest time that the training may take, in seconds, if its configuration has a limit.
    pub fn limit_secs(&self) -> Option<f64> {
        let minutes = self.config.get("run")?.get("minutes")?;
        let minutes = minutes.as_float().or_else(|| minutes.as_integer().map(|whole| whole as f64));
        minutes.filter(|&minutes| minutes > 0.0).map(|minutes| minutes * 60.0)
    }

    /// The step at which each stage ends and the name of the next; nothing where there are no stages.
    pub fn stage_marks(&self) -> Vec<(u64, String)> {
        let stages = self.stages();
        let nexts = stages.iter().skip(1).map(|(_, name)| name.clone());
        stages.iter().map(|&(end, _)| end).zip(nexts).collect()
    }

    /// The end of each stage, and its name.
    fn stages(&self) -> Vec<(u64, String)> {
        let stages = self.config.get("stage").and_then(toml::Value::as_array).into_iter().flatten();
        let mut end = 0;
        stages
            .map(|stage| {
                end += stage.get("steps").and_then(steps).unwrap_or_default();
                let name = stage.get("name").and_then(toml::Value::as_str).unwrap_or_default();
                (end, name.to_owned())
            })
            .collect()
    }

    /// The newest value under a key, and its step.
    pub fn newest(&self, key: &str) -> Option<(u64, f64)> {
        self.records.iter().rev().find_map(|record| Some((record.step, *record.values.get(key)?)))
    }

    /// All values under a key, from first to last.
    pub fn values(&self, key: &str) -> Vec<f64> {
        self.records.iter().filter_map(|record| record.values.get(key).copied()).collect()
    }
}

fn changed(path: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified())
}

fn standing(
    root: &Path,
    written: SystemTime,
    now: SystemTime,
    records: impl FnOnce() -> Vec<Record>,
) -> Standing {
    let age = now.duration_since(written).unwrap_or_default();
    // A finished training that is given more steps goes on.
    match changed(&root.join("model")) {
        Ok(exported) if exported >= written => Standing::Finished,
        _ if age < PATIENCE || age < patience(&records()) => Standing::Running,
        Ok(_) => Standing::Finished,
        Err(_) => Standing::Stopped,
    }
}

fn steps(value: &toml::Value) -> Option<u64> {
    value.as_integer().and_then(|steps| u64::try_from(steps).ok())
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> FolderError {
    move |source| FolderError::Read { path: path.to_owned(), source }
}

/// How long a training that goes on may write nothing.
fn patience(records: &[Record]) -> Duration {
    let ends: Vec<f64> =
        records.iter().rev().take(11).filter_map(|r| r.values.get("time/secs").copied()).collect();
    let slowest = ends.windows(2).map(|pair| pair[0] - pair[1]).fold(0.0, f64::max);
    Duration::try_from_secs_f64(slowest * PATIENCE_IN_LINES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, config: &str, secs: &[f64]) {
        let line = |(i, secs): (usize, &f64)| {
            let mut record = Record::at(i as u64 + 1);
            record.set("time/secs", *secs);
            record.set("reward/mean", secs / 2.0);
            record.to_line()
        };
        fs::create_dir_all(root).unwrap();
        fs::write(root.join(CONFIG), config).unwrap();
        fs::write(root.join(METRICS), secs.iter().enumerate().map(line).collect::<String>()).unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = || Training::read(dir.path()).unwrap_err().to_string();
        assert!(said().ends_with("it has no config.toml and no metrics.jsonl"), "{}", said());
        fs::write(dir.path().join(METRICS), "").unwrap();
        assert!(said().ends_with("it has no config.toml"), "{}", said());
        fs::write(dir.path().join(CONFIG), "[run").unwrap();
        assert!(said().contains("config.toml` is damaged"), "{}", said());
        fs::write(dir.path().join(CONFIG), "").unwrap();
        let empty = Training::read(dir.path()).unwrap();
        assert_eq!((empty.step(), empty.total_steps(), empty.newest("reward/mean")), (0, None, None));
    }

    #[test]
    fn the_standing_follows_the_last_line_and_the_model() {
        let dir = tempfile::tempdir().unwrap();
        let standing = |after: f64| {
            let written = fs::metadata(dir.path().join(METRICS)).unwrap().modified().unwrap();
            Training::read_at(dir.path(), written + Duration::from_secs_f64(after)).unwrap().standing
        };
        write(dir.path(), "", &[10.0, 20.0]);
        assert_eq!((standing(100.0), standing(130.0)), (Standing::Running, Standing::Stopped));
        // Where a line takes a minute, five minutes are waited.
        write(dir.path(), "", &[10.0, 70.0]);
        assert_eq!((standing(290.0), standing(310.0)), (Standing::Running, Standing::Stopped));
        fs::create_dir(dir.path().join("model")).unwrap();
        assert_eq!((standing(1.0), standing(310.0)), (Standing::Finished, Standing::Finished));
        // More steps after the model was written.
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().append(true).open(dir.path().join(METRICS)).unwrap().set_modified(later).unwrap();
        assert_eq!((standing(1.0), standing(310.0)), (Standing::Running, Standing::Finished));
        assert_eq!(Training::standing_at(dir.path()).unwrap(), Standing::Running);
    }

    #[test]
    fn stages_and_steps_come_from_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "[run]\nsteps = 7", &[1.0]);
        let training = Training::read(dir.path()).unwrap();
        assert_eq!((training.total_steps(), training.stage_marks()), (Some(7), vec![]));
        assert_eq!(training.limit_secs(), None);
        write(dir.path(), "[run]\nsteps = 7\nminutes = 2", &[1.0]);
        assert_eq!(Training::read(dir.path()).unwrap().limit_secs(), Some(120.0));
        let stages = "[[stage]]\nname = \"a\"\nsteps = 3\n[[stage]]\nname = \"b\"\nsteps = 4";
        write(dir.path(), stages, &[1.0]);
        let training = Training::read(dir.path()).unwrap();
        assert_eq!((training.total_steps(), training.stage_marks()), (Some(7), vec![(3, "b".to_owned())]));
        assert_eq!((training.newest("reward/mean"), training.kind), (Some((1, 0.5)), Kind::ByReward));
    }
}
