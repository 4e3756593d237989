//! Times the parts of a training step, on one core, for every mixture of a configuration:
//! `cargo run --release -p vigorl-training --example speed -- CONFIG.toml`
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::path::PathBuf;
use std::time::Instant;

use vigorl_tasks::practice::dataset::Dataset;
use vigorl_training::config::{Freeze, InitConfig, SftConfig};
use vigorl_training::fresh;
use vigorl_training::sample::Encoder;
use vigorl_training::work::{Trained, Work, contribution, draw_work, turns_loss};
use vigorl_training::workers::Workers;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("which CONFIG.toml?")?.into();
    let config = SftConfig::read(&path)?;
    let InitConfig::New(new) = &config.init else { return Err("only for new models".into()) };
    let files = fresh::files(new)?;
    let weights = fresh::weights(&files.config()?, &new.weights, new.tokenizer.numbers, 1)?;
    let trained = Trained::new(files, weights, Freeze::Nothing)?;
    let encoder = Encoder::new(&trained.files, config.policy.preset(), &config.loss)?;
    let one = Workers::new(1)?;
    for stage in &config.stages {
        for mix in &stage.mixes {
            let data = Dataset::open(&mix.data)?;
            let lines = one.map(&[()], |()| {
                let mut best = [f64::MAX; 3];
                let mut seen = String::new();
                for repeat in 0..4 {
                    let start = Instant::now();
                    let work = draw_work(&encoder, &trained.model, &data, mix, 1, &[repeat]).ok()?;
                    let drawn = start.elapsed().as_secs_f64();
                    let start = Instant::now();
                    match &work {
                        Work::Turns(b) => {
                            turns_loss(&trained.model, b, &encoder).ok()?;
                            seen = format!("{} questions, {} tokens", b.asked.len(), b.n_tokens);
                        }
                        Work::Patches(b) => {
                            b.logits(&trained.model).ok()?;
                            seen = format!("{} visual tokens", b.targets.len());
                        }
                    }
                    let forward = start.elapsed().as_secs_f64();
                    let start = Instant::now();
                    contribution(&trained, &work, &encoder).ok()?;
                    let both = start.elapsed().as_secs_f64();
                    for (best, new) in best.iter_mut().zip([drawn, forward, both]) {
                        *best = best.min(new);
                    }
                }
                let [drawn, forward, both] = best.map(|secs| 1e3 * secs);
                let name = mix.data.display();
                Some(format!(
                    "{} {name} {:?}: {} pages, {seen}: draw {drawn:.0} ms, forward {forward:.0} ms, with backward {both:.0} ms",
                    stage.name, mix.objective, mix.pages
                ))
            });
            println!("{}", lines[0].as_deref().unwrap_or("failed"));
        }
    }
    Ok(())
}
