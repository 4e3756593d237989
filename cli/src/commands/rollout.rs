//! `vigorl rollout`: groups of sampled episodes in a run directory; and `vigorl train replay-rollout`, which plays them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::NamesTexts;
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::{Rewards, RewardsConfig};
use vigorl_policy::{Policy, Preset, Sampling, share};
use vigorl_report::write_report;
use vigorl_rollouts::{
    CollectError, Collected, Collecting, Ended, Group, Images, Kit, SaidBy, Sample, Store, Wanted, collect,
    compare, read_samples,
};
use vigorl_runs::record::InputRecord;
use vigorl_tasks::sources::{Part, Source};
use vigorl_tasks::{Failure, Senses};

use crate::args::{PartArg, ReplayRolloutArgs, RolloutArgs};
use crate::commands::browsers::Browsers;
use crate::commands::judge::rewards_config;
use crate::commands::{Form, pretty, sources};
use crate::exit::{Ending, usage};
use crate::eyes::LoadedEyes;
use crate::reading::{LoadedReader, SharedTexts};
use crate::settings::Settings;
use crate::{eyes, interrupt, record, terminal};

/// Groups, where nobody says how many.
const GROUPS: u64 = 8;
/// More errors are told to programs alone.
const MOST_ERRORS: usize = 10;
/// What is sampled, where nobody says otherwise: as the reference learns.
const TEMPERATURE: f64 = 1.0;
/// As above.
const TOP_P: f64 = 0.99;

/// Browsers for threads, and who says what a sample is worth.
pub(crate) struct Tools<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) browsers: Arc<Browsers>,
    pub(crate) rewards: Option<&'a RewardsConfig>,
    /// Who tells the policy where the words of a goal stand, if it is told.
    pub(crate) texts: Option<SharedTexts>,
}

impl Kit for Tools<'_> {
    fn driver(&self, viewport: Size<Viewport>) -> Result<Box<dyn Driver>, Failure> {
        Ok(Box::new(self.browsers.lend(viewport)?))
    }

    fn world_failed(&self) {
        self.browsers.world_failed();
    }

    fn senses(&self) -> Result<Box<dyn Senses>, Failure> {
        Ok(sources::senses(self.settings)?)
    }

    fn device_pixel_ratio(&self) -> DevicePixelRatio {
        self.settings.device_pixel_ratio
    }

    fn named_texts(&self) -> Result<Option<Box<dyn NamesTexts>>, Failure> {
        Ok(self.texts.as_ref().map(|texts| texts()))
    }

    fn rewards(&self) -> Result<Option<Rewards>, Failure> {
        Ok(self.rewards.map(Rewards::in_worlds).transpose()?)
    }
}

/// Samples groups, and prints what they are worth.
pub(crate) fn rollout(args: &RolloutArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if settings.constrain {
        return Err(usage(format!(
            "{} holds turns to a form, and what a form asks for was not drawn: nothing could be learned from it; \
             --constrain off samples freely",
            settings.origin_of("constrain")
        )));
    }
    settings.needs_weights(
        "a server does not tell the tokens that it drew, so nothing could be learned from them",
    )?;
    let source = sources::open(&args.name, settings)?;
    let part = match args.part {
        PartArg::Train => Part::Train,
        PartArg::HeldOut => Part::HeldOut,
    };
    let n_groups = n_groups(args, &*source, part)?;
    let max_time = Duration::try_from_secs_f64(args.episode_secs)
        .map_err(|_| usage("--episode-secs is a number of seconds from 0 on"))?;
    let rewards = args.rewards.as_deref().map(rewards_config).transpose()?;
    if let (Some(config), Some(path)) = (&rewards, &args.rewards) {
        Rewards::in_worlds(config).map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
    }
    let secrets = sources::secrets(&args.name)?;
    record::check_output(settings)?;
    let loaded = LoadedEyes::load(eyes::POLICY, settings)?;
    let LoadedEyes::Policy(policy, reader) = &loaded else { unreachable!("a policy was asked for") };
    let reader = reader.clone();
    let said = policy.record()?;
    let preset = policy.preset.clone().for_rollouts();
    let sampling = sampling(settings, &policy.sampling);
    let said_by = SaidBy {
        policy: said.name.clone(),
        weights_sha256: said.sha256.clone(),
        preset: preset.name.to_owned(),
        weights_version: 0,
    };
    let input = InputRecord {
        evaluation: Some(json!({
            "id": "rollout/1",
            "environment": args.name,
            "part": part,
            "rewards": rewards,
        })),
        ..InputRecord::default()
    };
    let title = format!("rollout {}", args.name);
    let run_record = record::of_run(&title, input, said, settings, "see the episodes".to_owned());
    let slug = format!("rollout-{}", args.name.replace(['/', '.', '@', ','], "-"));
    let mut run = record::begin(settings, &slug, &run_record, &secrets, &loaded)?;
    let root = run.path().context("a rollout is recorded")?.to_owned();
    let (mut store, images) = (Store::create(&root)?, Images::under(&root));
    let wanted = Wanted::groups(&*source, part, args.first, n_groups, args.group_size, settings.seed, 0);
    let LoadedEyes::Policy(mut policy, _) = loaded else { unreachable!("a policy was asked for") };
    let n_at_once = usize::try_from(args.at_once)?;
    let bar = terminal::bar(wanted.len() as u64, "episodes");
    let (mut totals, mut n_episodes) = (Totals::default(), 0);
    let mut keep = |group: Group| {
        for played in &group.samples {
            played.tape.clone().labelled("group", group.number + 1).tell(&mut run)?;
            n_episodes += 1;
            store.add(&Sample { episode: Some(n_episodes), ..played.sample.clone() })?;
        }
        totals.add(&group);
        bar.inc((group.samples.len() + group.failed.len()) as u64);
        bar.set_message(totals.standing());
        Ok(())
    };
    let collected = share(&mut policy.policy.policy, |policy| {
        let texts = reader.as_ref().map(LoadedReader::shared_texts);
        let browsers = Browsers::new(settings);
        let tools = Tools { settings, browsers, rewards: rewards.as_ref(), texts };
        let of_thread = || Box::new(policy.clone()) as Box<dyn Policy + Send>;
        let how = Collecting {
            source: &*source,
            kit: &tools,
            policy: &of_thread,
            preset: &preset,
            sampling: &sampling,
            is_told: reader.is_some(),
            is_blindfolded: false,
            said_by: &said_by,
            images: &images,
            settle_cap: settings.settle_cap,
            max_time: Some(max_time),
            cancel: &cancel,
            n_at_once,
        };
        collect(&how, &wanted, &mut keep)
    });
    bar.finish_and_clear();
    if !matches!(&collected, Ok(collected) if !collected.is_cancelled) {
        run.interrupt();
    }
    match &collected {
        Ok(collected) if !collected.failed.is_empty() => run.fail(&errors_in_words(collected).join("; "))?,
        Err(error @ (CollectError::KeepsFailing { .. } | CollectError::NoReward { .. })) => {
            run.fail(&error.to_string())?;
        }
        _ => {}
    }
    let (_, path) = run.finish()?;
    let collected = collected?;
    if let Some(path) = path {
        terminal::note(&format!("report  {}", write_report(&path)?.display()));
    }
    terminal::data(&match form {
        Form::Json => pretty(&totals.to_json(&collected, &root)),
        Form::Text => totals.told(&collected, &root),
    });
    Ok(match collected.is_cancelled {
        true => Ending::Interrupted,
        // A group without a sample teaches nothing, and nobody asked for one.
        false if totals.n_empty > 0 => Ending::NotDone,
        false => Ending::Done,
    })
}

/// How many groups there are to play.
fn n_groups(args: &RolloutArgs, source: &dyn Source, part: Part) -> anyhow::Result<u64> {
    let there = source.n_episodes(part).map(|n| n.saturating_sub(args.first));
    match (args.groups, there) {
        (_, Some(0)) => Err(usage(format!(
            "`{}` has no episode from number {} on in the part `{}`",
            args.name,
            args.first,
            part.as_str()
        ))),
        (Some(groups), Some(there)) if groups > there => Err(usage(format!(
            "`{}` has {there} episodes from number {} on, not {groups}: lower --groups",
            args.name, args.first
        ))),
        (Some(groups), _) => Ok(groups),
        (None, there) => Ok(there.map_or(GROUPS, |there| there.min(GROUPS))),
    }
}

fn sampling(settings: &Settings, own: &Sampling) -> Sampling {
    let of = |name: &str, typed: f64, by_itself: f64| if settings.is_typed(name) { typed } else { by_itself };
    Sampling {
        temperature: of("temperature", settings.temperature, TEMPERATURE),
        top_p: of("top_p", settings.top_p, TOP_P),
        repetition_penalty: 1.0,
        form: None,
        ..own.clone()
    }
}

/// What was sampled so far.
#[derive(Debug, Default)]
struct Totals {
    n: usize,
    n_success: usize,
    n_rewarded: usize,
    reward: f64,
    /// Of each term that somebody said: how often, and the sum.
    terms: BTreeMap<String, (usize, f64)>,
    /// Why the last sample without a reward has none.
    unrewarded: Option<String>,
    ended: BTreeMap<&'static str, usize>,
    n_groups: usize,
    /// Groups whose episodes all failed.
    n_empty: usize,
    n_with_variance: usize,
    n_other_start: usize,
    millis: [f64; 3],
}

impl Totals {
    fn add(&mut self, group: &Group) {
        let mut rewards = Vec::new();
        for sample in group.samples.iter().map(|played| &played.sample) {
            let Sample { success, reward, ended, millis, .. } = sample;
            for entry in sample.judged.iter().flat_map(|judged| &judged.entries) {
                if let Ok(value) = entry.value() {
                    let (n, sum) = self.terms.entry(entry.name.clone()).or_default();
                    (*n, *sum) = (*n + 1, *sum + value);
                }
            }
            self.unrewarded = sample.unrewarded.clone().or_else(|| self.unrewarded.take());
            self.n += 1;
            self.n_success += usize::from(*success == Some(true));
            rewards.extend(*reward);
            *self.ended.entry(word(*ended)).or_default() += 1;
            for (sum, one) in self.millis.iter_mut().zip([millis.total, millis.world, millis.inference]) {
                *sum += one;
            }
        }
        self.n_rewarded += rewards.len();
        self.reward += rewards.iter().sum::<f64>();
        self.n_groups += 1;
        self.n_empty += usize::from(group.samples.is_empty());
        self.n_with_variance += usize::from(rewards.iter().any(|reward| *reward != rewards[0]));
        self.n_other_start += usize::from(!group.is_same_start);
    }

    fn mean_reward(&self) -> Option<f64> {
        (self.n_rewarded > 0).then(|| self.reward / self.n_rewarded as f64)
    }

    /// The mean of each term over the samples for which somebody said it.
    fn mean_terms(&self) -> BTreeMap<&str, f64> {
        self.terms.iter().map(|(name, (n, sum))| (&**name, sum / *n as f64)).collect()
    }

    fn standing(&self) -> String {
        let mean = self.mean_reward().map_or_else(|| "none".to_owned(), |mean| format!("{mean:.2}"));
        format!("reward {mean}, {} of {} groups have both", self.n_with_variance, self.n_groups)
    }

    fn to_json(&self, collected: &Collected, root: &std::path::Path) -> serde_json::Value {
        let [total, world, inference] = self.millis.map(|sum| sum / self.n.max(1) as f64);
        json!({
            "run_dir": root,
            "n_samples": self.n,
            "n_success": self.n_success,
            "mean_reward": self.mean_reward(),
            "n_without_reward": self.n - self.n_rewarded,
            "without_reward_because": self.unrewarded,
            "mean_terms": self.mean_terms(),
            "n_groups": self.n_groups,
            "n_empty_groups": self.n_empty,
            "n_groups_with_variance": self.n_with_variance,
            "n_groups_with_other_starts": self.n_other_start,
            "ended": self.ended,
            "n_errors": collected.n_errors,
            "errors": collected.errors,
            "failed": collected.failed,
            "millis_per_episode": { "total": total, "world": world, "inference": inference,
                                    "rest": total - world - inference },
            "cancelled": collected.is_cancelled,
        })
    }

    fn told(&self, collected: &Collected, root: &std::path::Path) -> String {
        let Self { n, n_success, n_groups, n_with_variance, n_other_start, .. } = self;
        let mean = self.mean_reward().map_or_else(|| "none".to_owned(), |mean| format!("{mean:.3}"));
        let ended: Vec<String> = self.ended.iter().map(|(word, n)| format!("{n} {word}")).collect();
        let n_failed: usize = collected.failed.values().sum();
        let [total, world, inference] = self.millis.map(|sum| sum / 1e3 / (*n).max(1) as f64);
        let mut lines = vec![
            format!("{n} samples in {n_groups} groups, {n_success} solved, mean reward {mean}"),
            format!("{n_with_variance} groups have different rewards; only those teach something"),
            format!(
                "ended: {}; {} errors of the world, {n_failed} episodes lost to them",
                if ended.is_empty() { "none".to_owned() } else { ended.join(", ") },
                collected.n_errors
            ),
            format!(
                "an episode: {total:.2} s, of which {world:.2} in the world and {inference:.2} in the policy"
            ),
        ];
        if !self.terms.is_empty() {
            let terms = self.mean_terms();
            let terms: Vec<String> = terms.iter().map(|(name, mean)| format!("{name} {mean:.3}")).collect();
            lines.insert(1, format!("on average: {}", terms.join(", ")));
        }
        if let Some(why) = &self.unrewarded {
            lines.push(format!("{} samples have no reward, the last one: {why}", n - self.n_rewarded));
        }
        lines.extend(errors_in_words(collected));
        if self.n_empty > 0 {
            lines
                .push(format!("{} groups have no sample: each of their episodes failed twice", self.n_empty));
        }
        if *n_other_start > 0 {
            lines.push(format!(
                "{n_other_start} groups did not begin with the same pixels: `vigorl env check` says why"
            ));
        }
        lines.push(format!("rollouts  {}", root.join("rollouts.jsonl").display()));
        lines.join("\n")
    }
}

/// What episodes failed of, the most frequent first.
fn errors_in_words(collected: &Collected) -> Vec<String> {
    let mut errors: Vec<(&String, usize)> = collected.errors.iter().map(|(error, n)| (error, *n)).collect();
    errors.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let told = errors.iter().take(MOST_ERRORS).map(|(error, n)| format!("failed {n} times: {error}"));
    let more = errors.len().saturating_sub(MOST_ERRORS);
    told.chain((more > 0).then(|| format!("{more} other errors: --json tells them all"))).collect()
}

fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Judged => "judged",
        Ended::StepLimit => "step limit",
        Ended::TokenLimit => "token limit",
    }
}

/// Plays recorded samples again.
pub(crate) fn replay(args: &ReplayRolloutArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    settings.needs_weights("a server does not tell the tokens that it drew, so nothing could be compared")?;
    let cancel = interrupt::install()?;
    for name in ["seed", "temperature", "top_p", "constrain", "preset"] {
        if settings.is_typed(name) {
            let flag = settings.origin_of(name);
            return Err(usage(format!("samples are drawn again as they were recorded: leave out {flag}")));
        }
    }
    let mut samples = read_samples(&args.dir).map_err(|error| usage(error.to_string()))?;
    samples.truncate(args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    let first = samples.first().context("there is no sample")?;
    let LoadedEyes::Policy(mut policy, reader) = LoadedEyes::load(eyes::POLICY, settings)? else {
        unreachable!("a policy was asked for")
    };
    let weights = policy.record()?.sha256;
    if first.said_by.weights_sha256 != weights {
        let name = &first.said_by.policy;
        return Err(usage(format!(
            "these are rollouts of other weights, of `{name}`: --model names whose they are"
        )));
    }
    let names: BTreeSet<&str> = samples.iter().map(|sample| &*sample.key.source).collect();
    let (own_preset, own_sampling, n_at_once) =
        (policy.preset.clone(), policy.sampling.clone(), usize::try_from(args.at_once)?);
    let bar = terminal::bar(samples.len() as u64, "samples");
    let (mut n_same, mut different, mut lost) = (0_usize, Vec::new(), Vec::new());
    for name in names {
        let of_source: Vec<&Sample> = samples.iter().filter(|sample| sample.key.source == name).collect();
        let first = of_source[0];
        let mut as_then = settings.clone();
        as_then.max_steps = first.max_steps.or(settings.max_steps);
        let source = sources::open(name, &as_then)?;
        let preset =
            Preset::named(&first.said_by.preset).unwrap_or_else(|| own_preset.clone()).for_rollouts();
        let sampling = Sampling {
            temperature: first.sampled_as.temperature,
            top_p: first.sampled_as.top_p,
            repetition_penalty: 1.0,
            form: None,
            ..own_sampling.clone()
        };
        let images = Images::nowhere();
        let wanted: Vec<Wanted> = of_source
            .iter()
            .map(|sample| Wanted { key: sample.key.clone(), part: sample.part, group: sample.group })
            .collect();
        let mut compare_all = |group: Group| {
            for played in group.samples {
                let again = played.sample;
                let recorded = of_source.iter().find(|sample| sample.key == again.key);
                match recorded.map(|recorded| compare(recorded, &again)) {
                    Some(None) => n_same += 1,
                    Some(Some(difference)) => different.push((again.key, difference.to_string())),
                    None => {}
                }
                bar.inc(1);
            }
            lost.extend(group.failed);
            Ok(())
        };
        let collected = share(&mut policy.policy.policy, |policy| {
            let texts = reader.as_ref().map(LoadedReader::shared_texts);
            let browsers = Browsers::new(settings);
            let tools = Tools { settings, browsers, rewards: None, texts };
            let of_thread = || Box::new(policy.clone()) as Box<dyn Policy + Send>;
            let how = Collecting {
                source: &*source,
                kit: &tools,
                policy: &of_thread,
                preset: &preset,
                sampling: &sampling,
                is_told: reader.is_some(),
                is_blindfolded: false,
                said_by: &first.said_by,
                images: &images,
                settle_cap: settings.settle_cap,
                max_time: None,
                cancel: &cancel,
                n_at_once,
            };
            collect(&how, &wanted, &mut compare_all)
        })?;
        if collected.is_cancelled {
            break;
        }
    }
    bar.finish_and_clear();
    let n = samples.len();
    match form {
        Form::Json => {
            let all: Vec<_> =
                different.iter().map(|(key, what)| json!({ "sample": key, "difference": what })).collect();
            let lost: Vec<_> =
                lost.iter().map(|failed| json!({ "sample": failed.key, "error": failed.error })).collect();
            terminal::data(&pretty(&json!({ "n": n, "n_same": n_same, "different": all, "failed": lost })));
        }
        Form::Text => {
            for (key, what) in &different {
                terminal::data(&format!("seed {}, sample {}: {what}", key.seed, key.sample));
            }
            for failed in &lost {
                terminal::data(&format!(
                    "seed {}, sample {}: the world failed: {}",
                    failed.key.seed, failed.key.sample, failed.error
                ));
            }
            terminal::data(&format!("{n_same} of {n} samples are the same"));
        }
    }
    Ok(match cancel.is_set() {
        true => Ending::Interrupted,
        false if n_same == n => Ending::Done,
        false => Ending::NotDone,
    })
}
