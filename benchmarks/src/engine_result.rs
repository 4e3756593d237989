//! What `vigorl bench engine` found, as data, as text and as the README's table.
//!
//! Invariant: everything that is printed is computed from the data, so that a stored result prints the same later.

use serde::{Deserialize, Serialize};

use crate::engine::{Ceilings, EngineSpeed};

/// One run on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineResult {
    /// Of the program.
    pub commit: String,
    /// The name of the processor or card.
    pub machine: String,
    /// Threads that compute.
    pub n_threads: usize,
    /// `3b` or `7b`.
    pub size: String,
    /// What the processor can do; nothing if a card computes.
    pub ceilings: Option<Ceilings>,
    /// This program, one storage of the weights after the other.
    pub measured: Vec<Measured>,
    /// Other programs on the same weights.
    pub peers: Vec<Peer>,
}

/// One storage of the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub dtype: String,
    /// Time to load the checkpoint.
    pub load_secs: f64,
    /// The most memory the process had, mapped files included.
    pub peak_rss_gb: f64,
    /// What the work consists of.
    pub work: Work,
    /// How long it took.
    #[serde(flatten)]
    pub speed: EngineSpeed,
}

/// The work of the workloads in matrix products, which is nearly all of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Operations for the screenshot's visual tokens, in billions.
    pub vision_gops: f64,
    /// Operations for W1's prompt, in billions.
    pub prefill_gops: f64,
    /// Weights that are read for one sampled token, in billions of bytes.
    pub decode_gb: f64,
    /// Whether the products are of 8-bit numbers; of f32 otherwise.
    pub is_int8: bool,
}

/// Another program on the same weights and as many tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of `Measured` and `EngineSpeed`")]
pub struct Peer {
    /// Name and version.
    pub system: String,
    pub dtype: String,
    pub n_threads: usize,
    pub n_repeats: usize,
    pub load_secs: f64,
    pub peak_rss_gb: f64,
    pub vision_secs: f64,
    pub prefill_secs: f64,
    pub decode_per_sec: f64,
    pub zoom_secs: f64,
}

impl Peer {
    fn name(&self) -> String {
        let program = self.system.split([' ', ',']).next().unwrap_or_default();
        format!("{program} {}", self.dtype)
    }
}

impl EngineResult {
    /// A table of everything, and ratios.
    pub fn text(&self) -> String {
        let machine = match self.ceilings {
            Some(Ceilings { int8_gops, f32_gops, read_gb_per_sec }) => format!(
                "{}, {} threads: {int8_gops:.0} billion 8-bit and {f32_gops:.0} billion f32 operations, {read_gb_per_sec:.1} GB read a second",
                self.machine, self.n_threads
            ),
            None => self.machine.clone(),
        };
        let mut lines = vec![
            machine,
            format!(
                "Qwen2.5-VL-{} with random weights, a 1280x800 screenshot, a zoom, another instruction",
                self.size.to_uppercase()
            ),
        ];
        let row = |cells: [String; 11]| {
            let [name, rest @ ..] = cells;
            rest.iter().fold(format!("{name:<18}"), |line, cell| format!("{line} {cell:>11}"))
        };
        lines.push(row([
            "",
            "vision s",
            "prefill s",
            "prefill t/s",
            "decode t/s",
            "zoom s",
            "again s",
            "one 64 s",
            "8 : 1",
            "load s",
            "peak GB",
        ]
        .map(str::to_owned)));
        for m in &self.measured {
            let s = &m.speed;
            lines.push(row([
                m.dtype.clone(),
                format!("{:.3}", s.vision_secs),
                format!("{:.3}", s.prefill_secs),
                format!("{:.0}", s.n_prompt_tokens as f64 / s.prefill_secs),
                format!("{:.2}", s.decode_per_sec),
                format!("{:.3}", s.zoom_secs),
                format!("{:.3}", s.second_instruction_secs),
                format!("{:.3}", s.one_completion_secs),
                format!("{:.2}", s.eight_completions_secs / s.one_completion_secs),
                format!("{:.1}", m.load_secs),
                format!("{:.2}", m.peak_rss_gb),
            ]));
        }
        let n_prompt = self.measured.first().map_or(0, |m| m.speed.n_prompt_tokens) as f64;
        for p in &self.peers {
            lines.push(row([
                p.name(),
                format!("{:.3}", p.vision_secs),
                format!("{:.3}", p.prefill_secs),
                format!("{:.0}", n_prompt / p.prefill_secs),
                format!("{:.2}", p.decode_per_sec),
                format!("{:.3}", p.zoom_secs),
                "-".to_owned(),
                "-".to_owned(),
                "-".to_owned(),
                format!("{:.1}", p.load_secs),
                format!("{:.2}", p.peak_rss_gb),
            ]));
        }
        lines.push(
            "8 : 1 is the time of eight completions of 64 tokens side by side over that of one".to_owned(),
        );
        if let Some(ceilings) = &self.ceilings {
            lines.extend(self.measured.iter().map(|m| shares(m, ceilings)));
        }
        lines.extend(self.peers.iter().flat_map(|peer| self.measured.iter().map(|m| against(m, peer))));
        lines.join("\n")
    }

    /// The rows a user compares, as Markdown.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            "| | first token on a 1280x800 screenshot | zoom | tokens a second | memory |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ];
        let row = |name: &str, first: f64, zoom: f64, decode: f64, memory: f64| {
            format!("| {name} | {first:.1} s | {zoom:.1} s | {decode:.1} | {memory:.1} GB |")
        };
        lines.extend(self.measured.iter().map(|m| {
            let s = &m.speed;
            let first = s.vision_secs + s.prefill_secs;
            row(&format!("`vigorl` {}", m.dtype), first, s.zoom_secs, s.decode_per_sec, m.peak_rss_gb)
        }));
        lines.extend(self.peers.iter().map(|p| {
            row(&p.name(), p.vision_secs + p.prefill_secs, p.zoom_secs, p.decode_per_sec, p.peak_rss_gb)
        }));
        lines.join("\n")
    }
}

/// How much of what the machine can do is used.
fn shares(m: &Measured, ceilings: &Ceilings) -> String {
    let ceiling = if m.work.is_int8 { ceilings.int8_gops } else { ceilings.f32_gops };
    let percent = |gops: f64, secs: f64| 100.0 * gops / secs / ceiling;
    format!(
        "{}: products alone would take {:.0} % of the vision time and {:.0} % of the prefill time at this machine's rate; decoding reads weights at {:.0} % of its rate",
        m.dtype,
        percent(m.work.vision_gops, m.speed.vision_secs),
        percent(m.work.prefill_gops, m.speed.prefill_secs),
        100.0 * m.work.decode_gb * m.speed.decode_per_sec / ceilings.read_gb_per_sec,
    )
}

fn against(m: &Measured, peer: &Peer) -> String {
    let first = (m.speed.vision_secs + m.speed.prefill_secs) / (peer.vision_secs + peer.prefill_secs);
    let (decode, zoom) = (m.speed.decode_per_sec / peer.decode_per_sec, m.speed.zoom_secs / peer.zoom_secs);
    format!(
        "{} against {} {}: {first:.2} of its time to the first token, {zoom:.2} of its time for a zoom, decodes {decode:.1} times as fast",
        m.dtype, peer.system, peer.dtype
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `UPDATE_README=1` writes the table anew.
    #[test]
    fn the_table_of_the_readme_is_that_of_the_stored_result() {
        const OPEN: &str = "<!-- benchmarks/results/engine_3b.json -->\n";
        const CLOSE: &str = "\n<!-- end -->";
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let stored = std::fs::read_to_string(root.join("benchmarks/results/engine_3b.json")).unwrap();
        let result: EngineResult = serde_json::from_str(&stored).unwrap();
        let path = root.join("README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = readme.split_once(OPEN).unwrap();
        let (table, after) = rest.split_once(CLOSE).unwrap();
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(&path, [before, OPEN, &result.markdown(), CLOSE, after].concat()).unwrap();
        } else {
            assert_eq!(table, result.markdown(), "write it anew with UPDATE_README=1");
        }
    }

    #[test]
    fn shares_and_ratios_follow_from_the_data() {
        let speed = EngineSpeed {
            n_repeats: 3,
            n_prompt_tokens: 100,
            vision_secs: 2.0,
            prefill_secs: 1.0,
            decode_per_sec: 10.0,
            n_zoom_tokens: 20,
            zoom_secs: 0.5,
            second_instruction_secs: 0.1,
            one_completion_secs: 6.0,
            eight_completions_secs: 12.0,
        };
        let work = Work { vision_gops: 100.0, prefill_gops: 80.0, decode_gb: 2.0, is_int8: true };
        let measured = Measured { dtype: "int8".into(), load_secs: 1.0, peak_rss_gb: 4.0, work, speed };
        let peer = Peer {
            system: "other 1.0, with more".into(),
            dtype: "f32".into(),
            n_threads: 2,
            n_repeats: 3,
            load_secs: 3.0,
            peak_rss_gb: 16.0,
            vision_secs: 4.0,
            prefill_secs: 2.0,
            decode_per_sec: 2.5,
            zoom_secs: 2.0,
        };
        let result = EngineResult {
            commit: "c".into(),
            machine: "a machine".into(),
            n_threads: 2,
            size: "3b".into(),
            ceilings: Some(Ceilings { int8_gops: 100.0, f32_gops: 30.0, read_gb_per_sec: 40.0 }),
            measured: vec![measured],
            peers: vec![peer],
        };
        let text = result.text();
        assert!(text.contains("50 % of the vision time and 80 % of the prefill time"), "{text}");
        assert!(text.contains("reads weights at 50 % of its rate"), "{text}");
        assert!(text.contains("0.50 of its time to the first token, 0.25 of its time for a zoom"), "{text}");
        assert!(text.contains("decodes 4.0 times as fast"), "{text}");
        let table = result.markdown();
        assert!(table.ends_with("| other f32 | 6.0 s | 2.0 s | 2.5 | 16.0 GB |"), "{table}");
    }
}
