//! The pages of trainings, from folders as a trainer writes them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;

use vigorl_metrics::{Comparison, Record, Training};
use vigorl_report::{render_training, render_training_comparison, write_training_report};

/// A training by reward of 40 steps, measured every ten.
fn by_reward(root: &Path, seed: u64, lr: f64) {
    let line = |step: u64| {
        let mut record = Record::at(step);
        let share = 0.4 + step as f64 * 0.01 + seed as f64 * 0.02;
        if step > 0 {
            record.set("success/train", share);
            record.set("reward/mean", share / 2.0);
            record.set("reward/term/<form>", 0.9);
            record.set("groups/with_variance", 0.5);
            record.set("policy/kl", 0.002 * step as f64);
            record.set("optim/skipped_steps", 1.0);
            record.set("time/secs", 60.0 * step as f64);
            record.set("data/episodes", 128.0 * step as f64);
        }
        if step.is_multiple_of(10) {
            record.set("heldout/icons/greedy", (share * 50.0).round() / 50.0);
            record.set("heldout/icons/n", 50.0);
        }
        record.to_line()
    };
    fs::create_dir_all(root).unwrap();
    let config = format!(
        "[run]\nseed = {seed}\noutput_dir = \"{seed}\"\nsteps = 80\n[grpo]\nlr = {lr}\nnote = \"<b>\"\n"
    );
    fs::write(root.join("config.toml"), config).unwrap();
    fs::write(root.join("metrics.jsonl"), (0..=40).map(line).collect::<String>()).unwrap();
}

#[test]
fn a_report_says_in_words_what_was_logged_and_links_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("icons");
    by_reward(&root, 1, 0.5);
    for (run, has_report) in [("before", true), ("after", false), ("rollouts/r 1", true)] {
        fs::create_dir_all(root.join(run)).unwrap();
        fs::write(root.join(run).join("run.json"), "{}").unwrap();
        if has_report {
            fs::write(root.join(run).join("report.html"), "").unwrap();
        }
    }
    let path = write_training_report(&root).unwrap();
    let html = fs::read_to_string(&path).unwrap();
    for words in [
        "40 of 80",
        "not finished",
        "41/50",
        // 41 of 50, by Wilson's formula: 0.692 to 0.902.
        "Held out, icons: 82.0\u{a0}% of 50 episodes are solved by the likeliest tokens (95\u{a0}% interval 69.2 to 90.2\u{a0}%), \
         measured after step 40; after step 0 it was 42.0\u{a0}%.",
        // The first and the last four of forty lines: steps 1 to 4 and 37 to 40.
        "In training, 80.5\u{a0}% of the samples are solved in the last 4 lines; at first it was 44.5\u{a0}%.",
        "The policy is 0.077 nats per token away from its reference.",
        "1 step had nothing to teach",
        "&lt;form&gt;",
        "note = &quot;&lt;b&gt;&quot;",
        r#"href="before/report.html""#,
        r#"href="rollouts/r%201/report.html""#,
    ] {
        assert!(html.contains(words), "{words}");
    }
    for words in [
        "after/report.html",
        "<form>",
        "<b>\"",
        "data-follow",
        "src=\"http",
        "are left",
        "clipped",
        "the entropy",
    ] {
        assert!(!html.contains(words), "{words}");
    }
    fs::create_dir(root.join("model")).unwrap();
    assert!(render_training(&Training::read(&root).unwrap()).contains("✓ finished"));
}

#[test]
fn a_supervised_training_has_the_same_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nano/metrics_small.jsonl");
    let dir = tempfile::tempdir().unwrap();
    fs::copy(docs, dir.path().join("metrics.jsonl")).unwrap();
    let stages = "[[stage]]\nname = \"one\"\nsteps = 1000\n[[stage]]\nname = \"two\"\nsteps = 3400\n";
    fs::write(dir.path().join("config.toml"), stages).unwrap();
    let html = render_training(&Training::read(dir.path()).unwrap());
    for words in [
        "supervised",
        "4,400 of 4,400",
        "stage: two",
        "held-out: point in the box",
        "answers lie in the target box",
    ] {
        assert!(html.contains(words), "{words}");
    }
    // Nobody logged how many pages were measured.
    assert!(!html.contains("95\u{a0}% interval") && !html.contains("reward"));
    fs::write(dir.path().join("metrics.jsonl"), "").unwrap();
    assert!(render_training(&Training::read(dir.path()).unwrap()).contains("No step is logged yet."));
}

#[test]
fn seeds_are_compared_with_their_mean_and_range() {
    let dir = tempfile::tempdir().unwrap();
    let trainings = [(1, 0.5), (3, 0.5), (1, 0.25)].map(|(seed, lr)| {
        let root = dir.path().join(format!("{seed}-{lr}"));
        by_reward(&root, seed, lr);
        (format!("<{seed} {lr}>"), Training::read(&root).unwrap())
    });
    let html = render_training_comparison(&Comparison::of(trainings.into(), None));
    for words in [
        "3 trainings",
        "grpo.lr = 0.5",
        "grpo.lr = 0.25",
        "&lt;3 0.5&gt;",
        "step 40 · 69.2 to 90.2 % of 50",
        "mean and range of 2 seeds",
        // 82 % and 86 %.
        "84.0 %<small>82.0 to 86.0</small>",
        "grpo.lr = 0.5 (mean)",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert_eq!(html.matches("mean and range").count(), 1, "a single training has no range");
}
