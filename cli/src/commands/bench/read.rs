//! `vigorl bench read`: how fast the reader is, and its two networks beside another engine.
//!
//! Invariant: whole readings use the networks that this program has. Against another engine both compute the files of
//! `--weights`, in turns, and no ratio is printed if their answers differ.

use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::Context as _;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vigorl_benchmarks::read::{NetworkRound, NetworkWork, measure, median};
use vigorl_files::write_whole;
use vigorl_reader::{NAME, Networks, Reader, Weights, file_names};

use crate::args::BenchReadArgs;
use crate::commands::bench::peer::{self, machine, peak_rss_gb};
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::{reading, record, terminal};

const ONNXRUNTIME: &str = include_str!("../../../../benchmarks/peers/onnxruntime_read.py");
/// How such a Python is made.
const PYTHON: &str = "`make bench-read` makes it with onnxruntime and numpy";
/// How far the detector's mean may differ, relative to ours, and the share of frames whose class must be the same.
const TOLERANCE: f64 = 0.01;
const SAME_FRAMES: f64 = 0.99;

/// One turn of another program.
#[derive(Debug, Serialize, Deserialize)]
struct PeerRound {
    system: String,
    n_threads: usize,
    #[serde(flatten)]
    round: NetworkRound,
}

/// Both programs in turns: seconds, and ours in shares of theirs.
#[derive(Debug, Serialize)]
struct Compared {
    system: String,
    n_threads: usize,
    n_rounds: usize,
    n_lines: usize,
    detector: Ratio,
    lines: Ratio,
}

/// Medians of the rounds; `speed` is their time divided by ours.
#[derive(Debug, Serialize)]
struct Ratio {
    our_secs: f64,
    their_secs: f64,
    speed: f64,
    slowest_round: f64,
    fastest_round: f64,
}

/// Measures and prints.
pub(crate) fn read(args: &BenchReadArgs, form: Form) -> anyhow::Result<Ending> {
    let (what, text) = match &args.against {
        Some(name) => {
            let compared = compare(args, name)?;
            (json!({ "peer": compared }), compared.text())
        }
        None => pictures(args)?,
    };
    let mut json = json!({
        "commit": record::COMMIT,
        "machine": machine(),
        "n_threads": available_parallelism().map_or(0, usize::from),
        "reader": NAME,
        "n_rounds": args.rounds,
    });
    if let (Some(all), serde_json::Value::Object(what)) = (json.as_object_mut(), what) {
        all.extend(what);
    }
    if let Some(path) = &args.result {
        write_whole(path, pretty(&json).as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => {
            let n_threads = available_parallelism().map_or(0, usize::from);
            format!("this machine: {}, {n_threads} threads\n{text}", machine())
        }
    });
    Ok(Ending::Done)
}

/// Whole readings, as JSON and as a table.
fn pictures(args: &BenchReadArgs) -> anyhow::Result<(serde_json::Value, String)> {
    let clock = Instant::now();
    let reader = reading::reader()?;
    let load_secs = clock.elapsed().as_secs_f64();
    let bar = terminal::bar(u64::from(args.rounds), "rounds");
    let rows = measure(&reader, args.rounds.into(), &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let peak_rss_gb = peak_rss_gb()?;
    let mut lines = vec![
        format!("{NAME}, {} rounds, loaded in {load_secs:.3} s", args.rounds),
        format!(
            "{:<44} {:>11} {:>10} {:>10} {:>12}",
            "", "lines found", "median s", "fastest s", "processor s"
        ),
    ];
    lines.extend(rows.iter().map(|row| {
        let [width, height] = row.image_size;
        let name = format!("{width}x{height}, {}", row.name);
        format!(
            "{name:<44} {:>11} {:>10.4} {:>10.4} {:>12.4}",
            row.n_lines, row.median_secs, row.fastest_secs, row.processor_secs
        )
    }));
    lines.push(format!("at most {:.0} MB of memory", peak_rss_gb * 1_000.0));
    Ok((json!({ "load_secs": load_secs, "peak_rss_gb": peak_rss_gb, "pictures": rows }), lines.join("\n")))
}

fn compare(args: &BenchReadArgs, name: &str) -> anyhow::Result<Compared> {
    let weights = Weights::of_folder(&args.weights).map_err(|error| {
        usage(format!("{error}; `make setup` fetches the files, --weights names their folder"))
    })?;
    let reader = Reader::new(weights)?;
    let work = NetworkWork::new();
    let folder = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    write_work(&work, folder.path())?;
    let repeats = usize::from(args.repeats);
    let (n_threads, n_repeats) =
        (available_parallelism().map_or(1, usize::from).to_string(), repeats.to_string());
    let [detector, recogniser] = file_names().map(|file| args.weights.join(file));
    let of_peer = [
        folder.path().as_os_str(),
        detector.as_os_str(),
        recogniser.as_os_str(),
        "--repeats".as_ref(),
        n_repeats.as_ref(),
        "--threads".as_ref(),
        n_threads.as_ref(),
    ];
    let mut rounds: Vec<(NetworkRound, PeerRound)> = Vec::new();
    terminal::note(&format!("{} rounds of {repeats} repetitions here and in {name}", args.rounds));
    // What is done first also touches all memory for the first time.
    work.round(reader.networks(), 1)?;
    for _ in 0..args.rounds {
        let ours = work.round(reader.networks(), repeats)?;
        let theirs: PeerRound = peer::ask((name, PYTHON), &args.python, ONNXRUNTIME, &of_peer)?;
        is_same_answer(&ours, &theirs.round)?;
        rounds.push((ours, theirs));
    }
    let (_, first) = rounds.first().context("no round")?;
    Ok(Compared {
        system: first.system.clone(),
        n_threads: first.n_threads,
        n_rounds: rounds.len(),
        n_lines: work.lines.len(),
        detector: ratio(&rounds, |round| round.detector_secs),
        lines: ratio(&rounds, |round| round.lines_secs),
    })
}

fn ratio(rounds: &[(NetworkRound, PeerRound)], secs: impl Fn(&NetworkRound) -> f64) -> Ratio {
    let ours: Vec<f64> = rounds.iter().map(|(ours, _)| secs(ours)).collect();
    let theirs: Vec<f64> = rounds.iter().map(|(_, theirs)| secs(&theirs.round)).collect();
    let speeds: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours).collect();
    Ratio {
        our_secs: median(&ours),
        their_secs: median(&theirs),
        speed: median(&speeds),
        slowest_round: speeds.iter().copied().fold(f64::INFINITY, f64::min),
        fastest_round: speeds.iter().copied().fold(0.0, f64::max),
    }
}

/// `NAME.f32` with the numbers that the networks take, and `shapes.json`.
fn write_work(work: &NetworkWork, folder: &Path) -> anyhow::Result<()> {
    let planes = |pictures: &[RgbImage]| -> Vec<u8> {
        pictures.iter().flat_map(Networks::input).flat_map(f32::to_le_bytes).collect()
    };
    let shape = |pictures: &[RgbImage]| {
        let (width, height) = pictures.first().map_or((0, 0), RgbImage::dimensions);
        json!([pictures.len(), 3, height, width])
    };
    let screen = std::slice::from_ref(&work.screen);
    let shapes = json!({ "screen": shape(screen), "lines": shape(&work.lines) });
    for (name, bytes) in [
        ("screen.f32", planes(screen)),
        ("lines.f32", planes(&work.lines)),
        ("shapes.json", shapes.to_string().into_bytes()),
    ] {
        std::fs::write(folder.join(name), bytes).with_context(|| format!("cannot write `{name}`"))?;
    }
    Ok(())
}

/// Fails if `theirs` computed something else.
fn is_same_answer(ours: &NetworkRound, theirs: &NetworkRound) -> anyhow::Result<()> {
    let (here, there) = (ours.detector_mean, theirs.detector_mean);
    anyhow::ensure!(
        (here - there).abs() <= TOLERANCE * here.abs(),
        "the detector's mean is {here} here and {there} there: not the same network, so no comparison"
    );
    let frames = |round: &NetworkRound| round.classes.concat();
    let (here, there) = (frames(ours), frames(theirs));
    let n_same = here.iter().zip(&there).filter(|(here, there)| here == there).count();
    anyhow::ensure!(
        here.len() == there.len() && n_same as f64 >= SAME_FRAMES * here.len() as f64,
        "{n_same} of {} frames are read alike: not the same network, so no comparison",
        here.len()
    );
    Ok(())
}

impl Compared {
    fn text(&self) -> String {
        let row = |what: &str, ratio: &Ratio| {
            format!(
                "{what}: {:.4} s, {:.4} s in {} with {} threads; {:.2} of its speed ({:.2} to {:.2} in {} rounds in turns)",
                ratio.our_secs,
                ratio.their_secs,
                self.system,
                self.n_threads,
                ratio.speed,
                ratio.slowest_round,
                ratio.fastest_round,
                self.n_rounds
            )
        };
        [
            row("the detector at 1280x800", &self.detector),
            row(&format!("the recogniser, {} lines of 768x48", self.n_lines), &self.lines),
        ]
        .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(detector_mean: f64, classes: Vec<u32>) -> NetworkRound {
        NetworkRound { detector_secs: 1.0, lines_secs: 1.0, detector_mean, classes: vec![classes] }
    }

    #[test]
    fn another_answer_is_no_comparison() {
        let ours = round(0.05, vec![0, 7, 7, 0]);
        assert!(is_same_answer(&ours, &round(0.0501, vec![0, 7, 7, 0])).is_ok());
        let said = is_same_answer(&ours, &round(0.06, vec![0, 7, 7, 0])).unwrap_err().to_string();
        assert!(said.contains("0.05 here and 0.06 there"), "{said}");
        let said = is_same_answer(&ours, &round(0.05, vec![0, 7, 8, 0])).unwrap_err().to_string();
        assert!(said.contains("3 of 4 frames"), "{said}");
        assert!(is_same_answer(&ours, &round(0.05, vec![0, 7, 7])).is_err());
        assert!(is_same_answer(&ours, &round(f64::NAN, vec![0, 7, 7, 0])).is_err());
    }

    #[test]
    fn a_ratio_is_of_rounds_side_by_side() {
        let of = |secs: f64| NetworkRound { detector_secs: secs, ..round(0.0, Vec::new()) };
        let peer = |secs: f64| PeerRound { system: String::new(), n_threads: 2, round: of(secs) };
        let rounds = [(of(1.0), peer(1.0)), (of(4.0), peer(2.0)), (of(2.0), peer(4.0))];
        let found = ratio(&rounds, |round| round.detector_secs);
        assert_eq!((found.our_secs, found.their_secs), (2.0, 2.0));
        assert_eq!((found.slowest_round, found.speed, found.fastest_round), (0.5, 1.0, 2.0));
    }
}
