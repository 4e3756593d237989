//! `vigorl train`: runs the trainer and shows how far it is.

use vigorl_training::bar::TerminalBar;
use vigorl_training::{SftEnd, run_sft};

use crate::args::TrainSftArgs;
use crate::exit::{Ending, usage};
use crate::{interrupt, terminal};

/// The supervised warm start.
pub(crate) fn sft(args: &TrainSftArgs) -> anyhow::Result<Ending> {
    if !args.config.is_file() {
        let shown = args.config.display();
        return Err(usage(format!("`{shown}` is no file; an example is training/configs/nano.toml")));
    }
    let cancel = interrupt::install()?;
    let mut bar = TerminalBar::new();
    let end = run_sft(&args.config, cancel.flag(), &mut |progress| bar.show(progress))?;
    Ok(match end {
        SftEnd::Finished => Ending::Done,
        SftEnd::Interrupted { step } => {
            terminal::note(&format!("stopped after step {step}; the same command continues"));
            Ending::Interrupted
        }
    })
}
