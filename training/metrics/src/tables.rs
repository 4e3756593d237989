//! The tables of metrics: one for each kind of training.
//!
//! Invariant: every name in `metrics.jsonl` is in the table of its kind, and has one definition, here. Held-out names
//! are `heldout/SET/` in front of one of the kind's held-out table. A name that ends in `/` stands for all behind it.

use crate::record::Record;

/// How a policy is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It learns right answers.
    Supervised,
    /// It learns from what its own answers are worth.
    ByReward,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Plain,
    /// A share, from 0 to 1.
    Share,
    /// Nats.
    Nats,
    /// Pixels.
    Pixels,
    /// How many.
    Count,
    /// Seconds.
    Seconds,
    /// In each minute.
    PerMinute,
    /// In each second.
    PerSecond,
}

/// How the vertical axis of a panel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From 0, or the smallest value below it, to the largest.
    FromZero,
    /// Shares, from 0 to 1.
    Share,
}

/// A panel of `curves.png` and of a training's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Losses.
    Loss,
    /// Errors of coordinates.
    Error,
    /// Shares of right tokens, and the learning rate.
    Right,
    /// Held-out answers in the target box.
    InBox,
    /// The reward and its terms.
    Reward,
    /// Solved episodes, in training and held out.
    Success,
    /// How episodes ended.
    Ends,
    /// What groups taught.
    Groups,
    /// How far the policy went from where it began.
    Divergence,
    /// What the loss cut off.
    Clipping,
    /// How undecided the policy is.
    Entropy,
    /// How many tokens it says.
    Tokens,
    /// How often it speaks and acts.
    Turns,
    /// How fast episodes are played.
    Speed,
    /// Where the time of a step goes.
    StepTime,
    /// How long gradients are.
    Gradient,
}

impl Panel {
    /// What stands above it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Loss => "loss (nats per token)",
            Self::Error => "median error of a coordinate (px)",
            Self::Right => "right tokens, and the learning rate",
            Self::InBox => "held-out: point in the box",
            Self::Reward => "reward and its terms",
            Self::Success => "solved: in training and held out",
            Self::Ends => "how episodes end (share)",
            Self::Groups => "groups (share)",
            Self::Divergence => "KL from the reference (nats per token)",
            Self::Clipping => "clipped tokens (share)",
            Self::Entropy => "entropy (nats per token)",
            Self::Tokens => "tokens per sample",
            Self::Turns => "turns and actions per sample",
            Self::Speed => "episodes per minute",
            Self::StepTime => "time of a step (s)",
            Self::Gradient => "length of the gradient",
        }
    }

    /// How its vertical axis runs.
    pub const fn scale(self) -> Scale {
        match self {
            Self::Right | Self::InBox | Self::Success | Self::Ends | Self::Groups => Scale::Share,
            _ => Scale::FromZero,
        }
    }
}

/// A metric's name and definition, and where it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Key in `metrics.jsonl`; with `/` at its end it stands for all keys that begin so.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
    /// What is computed, over the steps since the last line.
    pub definition: &'static str,
    /// The panel of its curve and what the curve is called there; the set stands before it where it is held out.
    pub curve: Option<(Panel, &'static str)>,
}

impl Metric {
    /// Whether its values stand under this key, which has no `heldout/SET/` before it.
    pub fn is_named(&self, key: &str) -> bool {
        if self.name.ends_with('/') {
            key.strip_prefix(self.name).is_some_and(|rest| !rest.is_empty())
        } else {
            key == self.name
        }
    }
}

const fn drawn(
    name: &'static str,
    unit: Unit,
    panel: Panel,
    label: &'static str,
    definition: &'static str,
) -> Metric {
    Metric { name, unit, definition, curve: Some((panel, label)) }
}

const fn listed(name: &'static str, unit: Unit, definition: &'static str) -> Metric {
    Metric { name, unit, definition, curve: None }
}

/// The key of a held-out metric, measured on the set of that name.
pub fn held_out_key(set: &str, name: &str) -> String {
    format!("heldout/{set}/{name}")
}

/// The set and the name of a held-out metric's key; nothing for other keys.
pub fn set_and_name(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("heldout/")?.rsplit_once('/')
}

impl Kind {
    /// The kind of the training that wrote these records.
    pub fn of(records: &[Record]) -> Self {
        let mut keys = records.iter().flat_map(|record| record.values.keys());
        let is_by_reward =
            |key: &String| Self::ByReward.metric(key).is_some() && Self::Supervised.metric(key).is_none();
        if keys.any(is_by_reward) { Self::ByReward } else { Self::Supervised }
    }

    /// What it is called.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Supervised => "supervised",
            Self::ByReward => "by reward",
        }
    }

    /// Metrics of training steps.
    pub const fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Supervised => &SUPERVISED,
            Self::ByReward => &BY_REWARD,
        }
    }

    /// Metrics of held-out measurements.
    pub const fn held_out(self) -> &'static [Metric] {
        match self {
            Self::Supervised => &SUPERVISED_HELD_OUT,
            Self::ByReward => &BY_REWARD_HELD_OUT,
        }
    }

    /// The held-out metric that says how good the policy is, unless another one is asked for.
    pub const fn success(self) -> &'static str {
        match self {
            Self::Supervised => "in_box",
            Self::ByReward => "greedy",
        }
    }

    /// Its panels, from left to right and from top to bottom.
    pub const fn panels(self) -> &'static [Panel] {
        match self {
            Self::Supervised => &[Panel::Loss, Panel::Error, Panel::Right, Panel::InBox],
            Self::ByReward => &[
                Panel::Success,
                Panel::Reward,
                Panel::Groups,
                Panel::Ends,
                Panel::Divergence,
                Panel::Entropy,
                Panel::Clipping,
                Panel::Gradient,
                Panel::Tokens,
                Panel::Turns,
                Panel::Speed,
                Panel::StepTime,
            ],
        }
    }

    /// The metric whose values stand under a key.
    pub fn metric(self, key: &str) -> Option<&'static Metric> {
        match set_and_name(key) {
            Some((_, name)) => self.held_out().iter().find(|metric| metric.is_named(name)),
            None => self.metrics().iter().find(|metric| metric.is_named(key)),
        }
    }
}

/// Metrics of supervised steps.
pub const SUPERVISED: [Metric; 19] = [
    drawn(
        "loss/total",
        Unit::Nats,
        Panel::Loss,
        "all",
        "weighted mean divergence from the targets, per token",
    ),
    drawn(
        "loss/number",
        Unit::Nats,
        Panel::Loss,
        "coordinates",
        "mean divergence at first mentions of coordinates",
    ),
    drawn("loss/word", Unit::Nats, Panel::Loss, "words", "mean divergence at words and decisions"),
    listed("loss/syntax", Unit::Nats, "mean divergence at tags, brackets and turn ends"),
    drawn(
        "accuracy/word",
        Unit::Share,
        Panel::Right,
        "words",
        "share of words and decisions whose likeliest token is right",
    ),
    drawn(
        "accuracy/number",
        Unit::Share,
        Panel::Right,
        "coordinates, exact",
        "share of coordinates whose likeliest token is exactly right",
    ),
    drawn(
        "loss/patch",
        Unit::Nats,
        Panel::Loss,
        "patches",
        "mean divergence at merged patches that show a widget",
    ),
    drawn(
        "accuracy/patch",
        Unit::Share,
        Panel::Right,
        "patches",
        "share of them whose noun beats every wrong word",
    ),
    drawn(
        "loss/gaze",
        Unit::Nats,
        Panel::Loss,
        "looks",
        "mean of minus the logarithm of the attention on the widget",
    ),
    listed("accuracy/gaze", Unit::Share, "share of looks whose most attended token shows the widget"),
    drawn(
        "error/number_median_px",
        Unit::Pixels,
        Panel::Error,
        "training",
        "median distance of the likeliest coordinate, one axis",
    ),
    drawn(
        "optim/lr_share",
        Unit::Share,
        Panel::Right,
        "learning rate / peak",
        "learning rate as a share of its peak, stage scale included",
    ),
    listed("optim/gradient_norm", Unit::Plain, "length of the gradient before clipping, mean"),
    listed("data/pages", Unit::Count, "pages seen since the start"),
    listed("data/questions", Unit::Count, "questions seen since the start"),
    listed("data/tokens_per_question", Unit::Count, "tokens of rows, images included, per question"),
    listed("time/secs", Unit::Seconds, "time in training steps since the start"),
    listed("time/step_secs", Unit::Seconds, "time per step, mean"),
    listed("time/questions_per_sec", Unit::PerSecond, "questions per second of training steps"),
];

/// Metrics of held-out pages in a supervised training. Teacher-forced: the true text stands before each token.
pub const SUPERVISED_HELD_OUT: [Metric; 10] = [
    listed("loss_number", Unit::Nats, "mean divergence at first mentions of coordinates"),
    listed("accuracy_word", Unit::Share, "share of words and decisions whose likeliest token is right"),
    listed("accuracy_patch", Unit::Share, "share of patches whose noun beats every wrong word"),
    listed("accuracy_gaze", Unit::Share, "share of looks whose most attended token shows the widget"),
    drawn(
        "error_median_px",
        Unit::Pixels,
        Panel::Error,
        "",
        "median distance of the likeliest coordinate, one axis",
    ),
    drawn(
        "in_box",
        Unit::Share,
        Panel::InBox,
        "",
        "share of answers whose likeliest point lies in the target box",
    ),
    listed("in_box_small", Unit::Share, "the same for targets under 14 px"),
    listed("in_box_medium", Unit::Share, "the same for targets of 14 to 24 px"),
    listed("in_box_large", Unit::Share, "the same for targets over 24 px"),
    listed("in_box_zoomed", Unit::Share, "the same for answers given after at least one zoom turn"),
];

/// Metrics of steps that learn from reward. Shares of samples are of those whose episode the world did not lose.
pub const BY_REWARD: [Metric; 30] = [
    drawn("reward/mean", Unit::Plain, Panel::Reward, "reward", "mean reward of the samples"),
    listed("reward/std", Unit::Plain, "standard deviation of the samples' rewards"),
    drawn(
        "reward/term/",
        Unit::Plain,
        Panel::Reward,
        "",
        "mean of one term of the reward, before its weight",
    ),
    drawn(
        "success/train",
        Unit::Share,
        Panel::Success,
        "in training",
        "share of samples that did what was asked",
    ),
    drawn("ends/judged", Unit::Share, Panel::Ends, "judged", "share of samples whose episode was judged"),
    drawn(
        "ends/step_limit",
        Unit::Share,
        Panel::Ends,
        "out of steps",
        "share of samples that a limit of steps ended",
    ),
    drawn(
        "ends/token_limit",
        Unit::Share,
        Panel::Ends,
        "out of tokens",
        "share of samples that a limit of tokens ended",
    ),
    listed("ends/errors", Unit::Count, "episodes in which the world failed: they are no samples"),
    drawn(
        "groups/with_variance",
        Unit::Share,
        Panel::Groups,
        "rewards differ",
        "share of groups whose samples differ in reward: only these teach",
    ),
    drawn(
        "groups/solved",
        Unit::Share,
        Panel::Groups,
        "all solved",
        "share of groups in which every sample is solved",
    ),
    drawn(
        "groups/failed",
        Unit::Share,
        Panel::Groups,
        "none solved",
        "share of groups in which no sample is solved",
    ),
    listed("groups/dropped", Unit::Count, "groups that were left out of the update"),
    listed("policy/loss", Unit::Plain, "the loss whose gradient moves the policy"),
    drawn(
        "policy/kl",
        Unit::Nats,
        Panel::Divergence,
        "KL",
        "estimated divergence of the policy from its reference, per token",
    ),
    drawn(
        "policy/clip_share",
        Unit::Share,
        Panel::Clipping,
        "clipped",
        "share of tokens whose ratio left the interval in which it is trusted",
    ),
    drawn(
        "policy/dual_clip_share",
        Unit::Share,
        Panel::Clipping,
        "second bound",
        "share of tokens with a negative advantage that met the second bound",
    ),
    drawn("policy/entropy", Unit::Nats, Panel::Entropy, "entropy", "mean entropy of the next token"),
    listed(
        "policy/ratio_error",
        Unit::Plain,
        "largest distance of a ratio from 1 before the first update: how far sampler and trainer differ",
    ),
    drawn(
        "rollout/tokens_per_sample",
        Unit::Count,
        Panel::Tokens,
        "tokens",
        "tokens that the policy said, per sample",
    ),
    drawn("rollout/turns_per_sample", Unit::Count, Panel::Turns, "turns", "turns of the policy, per sample"),
    drawn(
        "rollout/actions_per_sample",
        Unit::Count,
        Panel::Turns,
        "actions",
        "actions that were executed, per sample",
    ),
    drawn(
        "optim/gradient_norm",
        Unit::Plain,
        Panel::Gradient,
        "before clipping",
        "length of the gradient before clipping",
    ),
    listed("loss/lessons", Unit::Nats, "mean loss of the lessons beside reward"),
    listed("optim/lr_share", Unit::Share, "learning rate as a share of its peak"),
    listed(
        "optim/skipped_steps",
        Unit::Count,
        "steps without an update since the start: they had nothing to teach",
    ),
    drawn(
        "time/rollout_secs",
        Unit::Seconds,
        Panel::StepTime,
        "episodes",
        "time in which episodes were played",
    ),
    drawn("time/update_secs", Unit::Seconds, Panel::StepTime, "update", "time in which the policy was moved"),
    drawn("time/episodes_per_min", Unit::PerMinute, Panel::Speed, "episodes", "episodes played in a minute"),
    listed("time/secs", Unit::Seconds, "time in training steps since the start"),
    listed("data/episodes", Unit::Count, "episodes played since the start"),
];

/// Held-out measurements of a training by reward.
pub const BY_REWARD_HELD_OUT: [Metric; 6] = [
    drawn(
        "greedy",
        Unit::Share,
        Panel::Success,
        "greedy",
        "share of episodes solved by the likeliest tokens",
    ),
    listed(
        "given",
        Unit::Share,
        "share of episodes that the policy solved as it was given, before its warm start",
    ),
    drawn(
        "greedy_search",
        Unit::Share,
        Panel::Success,
        "greedy with search",
        "share of episodes solved by the likeliest tokens and the search that the policy is used with",
    ),
    drawn(
        "mean_at_k",
        Unit::Share,
        Panel::Success,
        "mean of k samples",
        "share of sampled episodes that are solved",
    ),
    drawn(
        "pass_at_k",
        Unit::Share,
        Panel::Success,
        "any of k samples",
        "share of episodes that at least one of k samples solves",
    ),
    listed("n", Unit::Count, "episodes that were measured"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_definition() {
        for kind in [Kind::Supervised, Kind::ByReward] {
            for (prefix, table) in [("", kind.metrics()), ("heldout/a/b/", kind.held_out())] {
                for metric in table {
                    let key = format!(
                        "{prefix}{}{}",
                        metric.name,
                        if metric.name.ends_with('/') { "x" } else { "" }
                    );
                    assert_eq!(kind.metric(&key).map(|found| found.name), Some(metric.name), "{key}");
                    let panel = metric.curve.map(|(panel, _)| panel);
                    assert!(
                        panel.is_none_or(|panel| kind.panels().contains(&panel)),
                        "{key} is drawn nowhere"
                    );
                }
            }
            for &panel in kind.panels() {
                let mut all = kind.metrics().iter().chain(kind.held_out());
                assert!(
                    all.any(|metric| metric.curve.is_some_and(|(of, _)| of == panel)),
                    "{panel:?} is empty"
                );
            }
        }
        for key in ["reward/term/", "reward/other", "heldout/greedy", "heldout/a/other"] {
            assert!(Kind::ByReward.metric(key).is_none(), "{key}");
        }
    }

    #[test]
    fn the_kind_is_read_off_the_names() {
        let of = |key: &str| {
            let mut record = Record::at(1);
            record.set(key, 0.5);
            Kind::of(&[Record::at(0), record])
        };
        assert_eq!(of("loss/total"), Kind::Supervised);
        assert_eq!(of("optim/gradient_norm"), Kind::Supervised, "both log it");
        assert_eq!(of("reward/term/format"), Kind::ByReward);
        assert_eq!(of("heldout/icons/greedy"), Kind::ByReward);
        assert_eq!(of("heldout/icons/in_box"), Kind::Supervised);
    }
}
