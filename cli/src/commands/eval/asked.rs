//! What was typed for an evaluation, and whether it fits together.
//!
//! Invariant: what is for one evaluation alone is refused for the others; nothing that was typed is silently left out.

use anyhow::Context as _;
use vigorl_benchmarks::miniwob::Choice;
use vigorl_benchmarks::sets::{BoxFormat, GtType, InstructionStyle, Language};
use vigorl_benchmarks::{EVALUATIONS, Evaluation, OptionOrder, QuestionChoice, SetChoice, Wanted};
use vigorl_tasks::miniwob::{Area, Protocol};
use vigorl_tasks::practice::Split;

use crate::args::{
    BoxFormatArg, EvalArgs, GtTypeArg, InstructionStyleArg, LanguageArg, OptionsArg, ProtocolArg, ViewArg,
};
use crate::commands::pages;
use crate::exit::usage;
use crate::eyes;
use crate::settings::Settings;

/// The evaluation of that name.
pub(super) fn open(args: &EvalArgs, settings: &Settings) -> anyhow::Result<Box<dyn Evaluation>> {
    let named = EVALUATIONS.iter().find(|named| named.name == args.name()).context("no such evaluation")?;
    if !args.is_practice() && args.pages.is_any() {
        return Err(usage(format!(
            "`{}` has no practice pages: leave out what says how they are",
            args.name()
        )));
    }
    if args.is_practice() && !(args.folders.is_empty() && args.wordings.is_empty()) {
        return Err(usage("practice pages are generated: leave out the folder and --wording"));
    }
    let first_page = pages::first_page(&args.pages, settings, Split::HeldOut)?;
    let (data, wordings) = (args.folders.clone(), args.wordings.clone());
    let (miniwob, set, questions) = (args.choice(), args.set_choice(), args.question_choice());
    (named.open)(&Wanted { n: args.episodes, first_page, data, wordings, miniwob, set, questions })
        .map_err(usage)
}

impl EvalArgs {
    pub(super) fn is_practice(&self) -> bool {
        self.name() == "practice"
    }

    /// Whether it is a published data set.
    fn is_set(&self) -> bool {
        !["practice", "pages", "miniwob"].contains(&self.name())
    }

    /// Whether it is a set of questions that are answered in words.
    fn is_questions(&self) -> bool {
        ["vstar", "blink", "sat2"].contains(&self.name())
    }

    /// What of a set of questions.
    pub(super) fn question_choice(&self) -> QuestionChoice {
        let args = &self.set;
        QuestionChoice {
            folder: self.data.clone().filter(|_| self.is_questions()),
            limit: args.limit.filter(|_| self.is_questions()),
            options: args.options.map(|options| match options {
                OptionsArg::AsGiven => OptionOrder::AsGiven,
                OptionsArg::Shuffled => OptionOrder::Shuffled,
                OptionsArg::Circular => OptionOrder::Circular,
            }),
            part: args.part.clone(),
        }
    }

    /// Whether what is for published data sets was typed for one, and nothing else for it.
    pub(super) fn check_set(&self) -> anyhow::Result<()> {
        let has_words = !(self.folders.is_empty() && self.wordings.is_empty());
        let wrong = match self.is_set() {
            true if self.is_questions() && self.set.is_of_boxes() => {
                "questions are answered in words: leave out what says how boxes are read and in which words one is asked for"
                    .to_owned()
            }
            true if self.is_questions() && self.episodes.is_some() => {
                "--episodes counts pages that are played: --limit counts questions".to_owned()
            }
            _ if !self.is_questions() && (self.set.options.is_some() || self.set.part.is_some()) => {
                "--options and --part are for vstar, blink and sat2: leave them out".to_owned()
            }
            true if has_words => {
                "a data set has its own words: name its folder with --data, and leave out --wording"
                    .to_owned()
            }
            false if self.set_choice().is_any() => format!(
                "`{}` is no published data set: leave out --limit, and what says how a set is read",
                self.name()
            ),
            false if self.data.is_some() && self.name() != "miniwob" => {
                "--data is the folder of a data set: name folders of pages without it".to_owned()
            }
            _ => return Ok(()),
        };
        Err(usage(wrong))
    }

    /// Whether what says how it is run fits together.
    pub(super) fn check_run(&self, settings: &Settings) -> anyhow::Result<()> {
        let n_at_once = self.concurrency.unwrap_or(1);
        let wrong = if self.seeds.is_some_and(|n| n > 1) && settings.temperature <= 0.0 {
            "--seeds: a greedy policy says the same each time; draw its answers with --temperature 0.5"
        } else if self.record && n_at_once > 1 {
            "--record keeps episodes one after the other: leave --concurrency out"
        } else if self.record && self.seeds.is_some_and(|n| n > 1) {
            "--record keeps each item once: leave --seeds out"
        } else if self.fit_confidence.is_some() && self.shard.is_some() {
            "--fit-confidence fits a map on all items: leave --shard out"
        } else if self.miniwob.clicker.is_some()
            && (self.shard.is_some() || self.seeds.is_some() || n_at_once > 1 || self.out.is_some())
        {
            "--clicker asks nobody: leave --shard, --seeds, --concurrency and --out out"
        } else {
            return Ok(());
        };
        Err(usage(wrong))
    }

    /// What of a published data set.
    pub(super) fn set_choice(&self) -> SetChoice {
        let args = &self.set;
        SetChoice {
            folder: self.data.clone().filter(|_| self.is_set()),
            limit: args.limit,
            box_format: args.bbox_format.map(|format| match format {
                BoxFormatArg::XywhPx => BoxFormat::XywhPx,
                BoxFormatArg::XyxyPx => BoxFormat::XyxyPx,
                BoxFormatArg::XywhNorm => BoxFormat::XywhNorm,
                BoxFormatArg::XyxyNorm => BoxFormat::XyxyNorm,
            }),
            skip_broken: args.skip_broken,
            instruction_style: args.instruction_style.map(|style| match style {
                InstructionStyleArg::Instruction => InstructionStyle::Instruction,
                InstructionStyleArg::Action => InstructionStyle::Action,
                InstructionStyleArg::Description => InstructionStyle::Description,
            }),
            language: args.language.map(|language| match language {
                LanguageArg::En => Language::En,
                LanguageArg::Cn => Language::Cn,
            }),
            gt_type: args.gt_type.map(|gt_type| match gt_type {
                GtTypeArg::Positive => GtType::Positive,
                GtTypeArg::Negative => GtType::Negative,
                GtTypeArg::All => GtType::All,
            }),
            refined: args.refined,
        }
    }

    /// What of MiniWoB++.
    pub(super) fn choice(&self) -> Choice {
        Choice {
            tasks: self.miniwob.tasks.clone(),
            protocol: match self.miniwob.protocol {
                None | Some(ProtocolArg::Browsergym) => Protocol::Browsergym,
                Some(ProtocolArg::Pix2act) => Protocol::Pix2act,
                Some(ProtocolArg::Seeclick) => Protocol::Seeclick,
            },
            area: self.miniwob.view.map(|view| match view {
                ViewArg::Page => Area::Page,
                ViewArg::Task => Area::Task,
            }),
            pages: self.data.clone(),
        }
    }

    /// What an answer must be worth to be acted on; nothing where the eyes are measured, and not what they are held to.
    pub(super) fn min_confidence(&self, settings: &Settings) -> Option<f64> {
        let measures_eyes = self.is_practice() || self.name() == "miniwob" || self.is_set();
        (!measures_eyes || settings.is_typed("min_confidence")).then_some(settings.min_confidence)
    }

    /// The policy alone where it is what is measured.
    pub(super) fn eyes(&self) -> &str {
        let by_itself = if self.is_practice() || self.is_set() { eyes::POLICY } else { eyes::by_default() };
        self.eyes.as_deref().unwrap_or(by_itself)
    }
}
