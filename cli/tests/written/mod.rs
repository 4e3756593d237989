//! Runs and a training as they are written, and the viewer that shows them. For tests only.
#![allow(dead_code, reason = "every test file uses a part")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use image::{Rgb, RgbImage};
use vigorl_interface::{Effect, MouseButton};
use vigorl_runs::RunDir;
use vigorl_runs::record::{
    ActionRecord, EpisodeRecord, Event, GroundingRecord, MapsRecord, ModelRecord, Plain, RunRecord,
    StepRecord, Summary, ThoughtRecord, Timings, TurnRecord, Xy,
};
use vigorl_tasks::Verification;

pub(crate) const SIZE: [u32; 2] = [320, 200];

/// A page with a box, which is green after it was clicked.
pub(crate) fn screen(color: [u8; 3]) -> Arc<RgbImage> {
    let is_box = |x: u32, y: u32| (40..120).contains(&x) && (30..70).contains(&y);
    let pixel = |x, y| Rgb(if is_box(x, y) { color } else { [246, 247, 251] });
    Arc::new(RgbImage::from_fn(SIZE[0], SIZE[1], pixel))
}

/// A run of one episode that is written step by step.
pub(crate) struct Writing {
    pub(crate) dir: RunDir,
    n_steps: usize,
}

impl Writing {
    pub(crate) fn begin(folder: &Path, task: &str) -> Self {
        let record = RunRecord {
            format: 1,
            task: task.to_owned(),
            model: ModelRecord { name: "scripted".to_owned(), ..ModelRecord::default() },
            started_at: "2026-01-01T12:00:00.000Z".to_owned(),
            ..RunRecord::default()
        };
        let mut dir = RunDir::create(folder, task, &record, &[]).unwrap();
        let labels = std::collections::BTreeMap::new();
        dir.event(&Event::EpisodeStarted { episode: 1, name: task.to_owned(), labels, seed: None }).unwrap();
        Self { dir, n_steps: 0 }
    }

    pub(crate) fn step(&mut self, at: Xy, effect: Effect) {
        self.n_steps += 1;
        let (step, instruction) = (self.n_steps, "the <blue> box".to_owned());
        let started = Event::StepStarted { step, episode: 1, instruction: instruction.clone() };
        self.dir.event(&started).unwrap();
        self.dir.image(step, "before.png", &screen([59, 108, 246])).unwrap();
        self.dir.event(&Event::Observed { step, image_size: SIZE }).unwrap();
        let thought = ThoughtRecord { text: "The box is there.".to_owned(), points: vec![at] };
        let turn = TurnRecord { thoughts: vec![thought], ..TurnRecord::default() };
        let model = GroundingRecord { turns: vec![turn], answer: Some(at), ..GroundingRecord::default() };
        self.dir.json(step, "model.json", &model).unwrap();
        self.dir.image(step, "after.png", &screen([18, 161, 80])).unwrap();
        let record = StepRecord {
            step,
            episode: 1,
            instruction,
            action: Some(ActionRecord::Click { at, button: MouseButton::Left, count: 1 }),
            effect,
            detail: None,
            verification: Verification::Unknown,
            image_size: SIZE,
            n_changed_pixels: Some(3200),
            url: None,
            title: None,
            dialog: None,
            settled: true,
            troubles: Vec::new(),
            n_more_troubles: 0,
            place: None,
            element: None,
            finding: None,
            maps: MapsRecord::default(),
            millis: Timings { act: Plain(40.0), ..Timings::default() },
        };
        self.dir.json(step, "action.json", &record).unwrap();
        let (detail, dialog, millis) = (None, None, Timings::default());
        self.dir.event(&Event::StepEnded { step, effect, detail, dialog, millis }).unwrap();
    }

    pub(crate) fn end(mut self, success: bool) -> PathBuf {
        let reward = Some(f64::from(success));
        let outcome = EpisodeRecord { success: Some(success), reward, ..EpisodeRecord::default() };
        self.dir.event(&Event::EpisodeEnded { episode: 1, outcome }).unwrap();
        let summary = Summary {
            success: Some(success),
            reward,
            n_steps: self.n_steps,
            n_episodes: 1,
            n_success: usize::from(success),
            ..Summary::default()
        };
        self.dir.finish(&summary).unwrap()
    }
}

pub(crate) fn xy(x: f64, y: f64) -> Xy {
    [Plain(x), Plain(y)]
}

/// Two runs that part in their second step.
pub(crate) fn two_runs(folder: &Path) -> [PathBuf; 2] {
    let mut good = Writing::begin(folder, "click twice");
    good.step(xy(80.0, 50.0), Effect::Confirmed);
    good.step(xy(80.0, 50.0), Effect::Confirmed);
    let mut bad = Writing::begin(folder, "click twice");
    bad.step(xy(80.0, 50.0), Effect::Confirmed);
    bad.step(xy(200.0, 50.0), Effect::SuspectedNoop);
    bad.step(xy(210.0, 50.0), Effect::SuspectedNoop);
    [good.end(true), bad.end(false)]
}

pub(crate) fn name(run: &Path) -> &str {
    run.file_name().unwrap().to_str().unwrap()
}

/// The viewer, which ends with the test.
pub(crate) struct Viewer {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// What it said to open.
    pub(crate) url: String,
}

impl Viewer {
    pub(crate) fn start(args: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vigorl"))
            .arg("view")
            .args(args)
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        Self { child, address, url }
    }

    /// Status and body of an answer.
    pub(crate) fn ask(&self, method: &str, target: &str, host: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
    }

    pub(crate) fn get(&self, target: &str) -> (u16, String) {
        let (status, body) = self.ask("GET", target, &self.address);
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Appends lines to the log of a training, which is begun if there is none.
pub(crate) fn train(root: &Path, steps: std::ops::Range<u64>) {
    fs::create_dir_all(root).unwrap();
    fs::write(root.join("config.toml"), "[run]\nseed = 4\noutput_dir = \"data\"\nsteps = 50\n").unwrap();
    let mut log = fs::File::options().create(true).append(true).open(root.join("metrics.jsonl")).unwrap();
    for step in steps {
        let share = step as f64 / 100.0;
        let mut line = format!("{{\"step\":{step},\"success/train\":{share},\"reward/mean\":{share}");
        if step % 10 == 0 {
            line.push_str(&format!(",\"heldout/icons/greedy\":{share},\"heldout/icons/n\":100"));
        }
        writeln!(log, "{line}}}").unwrap();
    }
}
