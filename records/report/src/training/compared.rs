//! Several trainings on one page: a table, and curves of every seed with their mean.
//!
//! Invariant: an interval is of one training's held-out episodes; a range is of seeds. Neither stands for the other.

use maud::{Markup, html};
use vigorl_metrics::{Comparison, GroupSpread, HeldOut, Measured, Spread, smooth};
use vigorl_runs::wilson95;

use super::chart::{Chart, Line, Weight, charts};
use super::{MIN_FOR_TREND, thinned};
use crate::html::{self, Shown, count};

/// The page, as a file.
pub fn render_training_comparison(comparison: &Comparison) -> String {
    let n = comparison.members.len();
    let title = format!("{n} trainings");
    let content = html! {
        div.panel {
            div.brand { "vigorl " span { "trainings compared" } }
            h1 { (title) }
            p.labels {
                "Trainings whose configurations differ in seed and folder alone are a group. Intervals are Wilson's, of the "
                "episodes of one measurement; ranges are those of the seeds. The best of several measurements flatters."
            }
            @for (index, _) in comparison.groups.iter().enumerate() { (group(comparison, index)) }
        }
        (panels(comparison))
        footer { p { "Thin lines are single trainings, thick ones the means of their groups (of steps of training, over a window of a "
            "twentieth of the lines) · this file needs no network" } }
    };
    html::page(&title, Shown::Alone, &content)
}

fn group(comparison: &Comparison, index: usize) -> Markup {
    let of_group = &comparison.groups[index];
    html! {
        section.compared {
            h3 class=(format!("k{index}")) { i {} (comparison.group_name(index)) }
            div.scrolls {
                table.numbers {
                    thead {
                        tr {
                            th { "training" } th.n { "seed" } th.n { "steps" }
                            th { "held out" } th.n { "first" } th.n { "best" } th.n { "last" }
                            th.n { "reward, first tenth" } th.n { "last tenth" }
                        }
                    }
                    tbody {
                        @for member in comparison.of_group(of_group) {
                            @let rows = member.held_out.len().max(1);
                            @for row in 0..rows {
                                tr {
                                    @if row == 0 {
                                        td rowspan=(rows) { (member.name) }
                                        td.n rowspan=(rows) { (member.seed.map_or_else(|| "–".to_owned(), |seed| seed.to_string())) }
                                        td.n rowspan=(rows) { (count(member.training.step() as usize)) }
                                    }
                                    (held_out(member.held_out.get(row)))
                                    @if row == 0 {
                                        td.n rowspan=(rows) { (reward(member.reward.map(|ends| ends.0))) }
                                        td.n rowspan=(rows) { (reward(member.reward.map(|ends| ends.1))) }
                                    }
                                }
                            }
                        }
                        @if of_group.members.len() > 1 {
                            (means(&comparison.over_seeds(of_group)))
                        }
                    }
                }
            }
        }
    }
}

fn reward(reward: Option<f64>) -> String {
    reward.map_or_else(|| "–".to_owned(), |reward| format!("{reward:.3}"))
}

fn held_out(held_out: Option<&HeldOut>) -> Markup {
    let Some(held_out) = held_out else { return html! { td { "–" } td.n {} td.n {} td.n {} } };
    html! {
        td { (held_out.set) " " (held_out.measure) }
        @for measured in [held_out.first, held_out.best, held_out.last] { td.n { (share(measured)) } }
    }
}

fn share(Measured { step, share, n }: Measured) -> Markup {
    html! {
        (format!("{:.1} %", share * 100.0))
        small {
            "step " (count(step as usize))
            @if let Some(n) = n {
                @let (low, high) = wilson95((share * n as f64).round() as usize, n);
                (format!(" · {:.1} to {:.1} % of {}", low * 100.0, high * 100.0, count(n)))
            }
        }
    }
}

/// The means and the ranges of a group, a row for each set.
fn means(over: &GroupSpread) -> Markup {
    let cell = |spread: Spread, factor: f64, decimals: usize, unit: &str| {
        html! {
            (format!("{:.decimals$}{unit}", spread.mean * factor))
            small { (format!("{:.decimals$} to {:.decimals$}", spread.min * factor, spread.max * factor)) }
        }
    };
    let share = |spread| cell(spread, 100.0, 1, " %");
    html! {
        @for (row, of_set) in over.held_out.iter().enumerate() {
            tr.mean {
                td colspan="3" { "mean and range of " (of_set.last.n) " seeds" }
                td { (of_set.set) }
                @for spread in [of_set.first, of_set.best, of_set.last] { td.n { (share(spread)) } }
                @for reward in [over.reward_first, over.reward_last] {
                    td.n { @if row == 0 { @if let Some(reward) = reward { (cell(reward, 1.0, 3, "")) } } }
                }
            }
        }
    }
}

fn panels(comparison: &Comparison) -> Markup {
    let last_step = comparison.members.iter().map(|member| member.training.step()).max().unwrap_or_default();
    let drawn = comparison.charts().into_iter().map(|chart| {
        let lines = chart.lines.into_iter().flat_map(|line| {
            let points = thinned(line.points);
            let is_mean = line.member.is_none();
            let is_alone = comparison.groups[line.group].members.len() == 1;
            let has_trend = !chart.held_out && points.len() >= MIN_FOR_TREND && (is_mean || is_alone);
            let trend = if has_trend { smooth(&points, points.len() / 40) } else { points.clone() };
            // Single seeds are read off where they were measured on episodes that they never learned from.
            let label = match line.member {
                Some(member) if is_alone || chart.held_out => Some(comparison.members[member].name.clone()),
                Some(_) => None,
                None => Some(format!("{} (mean)", comparison.group_name(line.group))),
            };
            let one = |weight, label, points| Line {
                label,
                color: line.group,
                unit: chart.unit,
                weight,
                marked: chart.held_out && weight == Weight::Thick,
                points,
            };
            match (is_mean, is_alone) {
                (true, _) => vec![one(Weight::Thick, label, trend)],
                (false, true) => {
                    vec![one(Weight::Thin, None, points), one(Weight::Thick, label, trend)]
                }
                (false, false) => vec![one(Weight::Thin, label, points)],
            }
        });
        Chart { title: chart.title, about: Some(chart.about), scale: chart.scale, lines: lines.collect() }
    });
    charts(drawn.collect::<Vec<_>>(), last_step as f64, &[])
}
