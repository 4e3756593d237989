//! The start page of `vigorl view`: every run of a folder, one a row. Two can be chosen to be compared.

use std::fmt::Write as _;

use vigorl_runs::Glance;
use vigorl_runs::RunDirError;

use crate::Standing;
use crate::html::{self, Follow, Shown, count, date, duration, escape};

/// The page. `runs` are names and what is known of them; `address` says where a run is shown; `version` is that of
/// the whole list, which the server has under `/state`.
pub fn render_list(
    folder: &str,
    runs: &[(String, Result<Glance, RunDirError>)],
    address: impl Fn(&str) -> String,
    version: &str,
) -> String {
    let mut out = String::new();
    let follow = Follow { address: "/state", version };
    html::open_page(&mut out, folder, Shown::Served { follow: Some(follow) });
    let rows: Vec<Row<'_>> = runs.iter().map(|(name, glance)| Row::of(name, glance)).collect();
    header(&mut out, folder, &rows);
    if rows.is_empty() {
        out.push_str(
            r#"<div class="panel"><p class="empty">No run is recorded here yet. This page shows it as soon as one begins.</p></div>"#,
        );
    } else {
        table(&mut out, &rows, address);
    }
    html::close_page(&mut out);
    out
}

/// A run, or why it cannot be read.
struct Row<'a> {
    name: &'a str,
    standing: Standing,
    glance: Result<&'a Glance, &'a RunDirError>,
}

impl<'a> Row<'a> {
    fn of(name: &'a str, glance: &'a Result<Glance, RunDirError>) -> Self {
        let standing = match glance {
            Ok(glance) => Standing::of(glance.success, glance.summary.as_ref()),
            Err(_) => Standing { class: "miss", mark: "!", word: "cannot be read" },
        };
        Self { name, standing, glance: glance.as_ref() }
    }
}

fn header(out: &mut String, folder: &str, rows: &[Row<'_>]) {
    let n = |class: &str| rows.iter().filter(|row| row.standing.class == class).count();
    write!(
        out,
        concat!(
            r#"<div class="panel"><div class="brand">vigorl <span>recorded runs</span></div><h1>{}</h1><dl class="facts">"#,
            "<div><dt>runs</dt><dd>{}</dd></div><div><dt>solved</dt><dd>{}</dd></div><div><dt>failures</dt><dd>{}</dd></div></dl></div>"
        ),
        escape(folder),
        count(rows.len()),
        count(n("hit")),
        count(n("miss")),
    )
    .ok();
}

fn table(out: &mut String, rows: &[Row<'_>], address: impl Fn(&str) -> String) {
    out.push_str(
        r#"<form class="panel" action="/compare"><div class="bar"><h2>Runs</h2><div class="chips">"#,
    );
    let n = |class: &str| rows.iter().filter(|row| row.standing.class == class).count();
    for (filter, word, n) in [
        ("all", "all", rows.len()),
        ("hit", "solved", n("hit")),
        ("miss", "failures", n("miss")),
        ("open", "undecided", n("open")),
    ] {
        if n > 0 {
            let pressed = filter == "all";
            write!(
                out,
                r#"<button type="button" data-filter="{filter}" aria-pressed="{pressed}">{word} {n}</button>"#
            )
            .ok();
        }
    }
    out.push_str("</div>");
    if rows.len() > 1 {
        out.push_str(
            r#"<div class="chips"><span class="labels">choose A and B</span><button>Compare</button></div>"#,
        );
    }
    out.push_str(r#"</div><table class="runs"><thead><tr>"#);
    if rows.len() > 1 {
        out.push_str(r#"<th class="pick">A</th><th class="pick">B</th>"#);
    }
    out.push_str("<th>run</th><th>started</th><th>outcome</th><th class=\"n\">steps</th><th class=\"n\">reward</th><th class=\"n\">took</th></tr></thead><tbody>");
    for row in rows {
        tr(out, row, rows.len() > 1, &address(row.name));
    }
    out.push_str("</tbody></table></form>");
}

fn tr(out: &mut String, row: &Row<'_>, can_compare: bool, address: &str) {
    let Row { name, standing: Standing { class, mark, word }, glance } = row;
    let name = escape(name);
    write!(out, r#"<tr class="run {class}">"#).ok();
    if can_compare {
        for (side, label) in [("a", "A"), ("b", "B")] {
            let able = if glance.is_ok() { "required" } else { "disabled" };
            write!(
                out,
                r#"<td class="pick"><input type="radio" name="{side}" value="{name}" {able} aria-label="{label}: {name}"></td>"#
            )
            .ok();
        }
    }
    let glance = match glance {
        Ok(glance) => glance,
        Err(error) => {
            write!(
                out,
                r#"<td>{name}<small>{}</small></td><td></td><td><span class="pill state">{mark} {word}</span></td><td></td><td></td><td></td></tr>"#,
                escape(&error.to_string())
            )
            .ok();
            return;
        }
    };
    let task = if glance.run.task.is_empty() { name.clone() } else { escape(&glance.run.task) };
    let solved = match glance.n_judged {
        0 | 1 => String::new(),
        n => format!("<small>{} of {} solved</small>", count(glance.n_success), count(n)),
    };
    write!(
        out,
        concat!(
            r#"<td><a href="{address}">{task}</a><small>{name} · {model}</small></td><td>{started}</td>"#,
            r#"<td><span class="pill state">{mark} {word}</span>{solved}</td><td class="n">{n_steps}</td><td class="n">{reward}</td><td class="n">{took}</td></tr>"#
        ),
        address = escape(address),
        task = task,
        name = name,
        model = escape(&glance.run.model.name),
        started = escape(&date(&glance.run.started_at)),
        mark = mark,
        word = word,
        solved = solved,
        n_steps = count(glance.n_steps),
        reward = glance.reward.map_or_else(|| "–".to_owned(), html::reward),
        took = glance.summary.as_ref().map_or_else(|| "–".to_owned(), |summary| duration(summary.wall_millis.0)),
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::{RunRecord, Summary};

    use super::*;

    fn glance(task: &str, success: Option<bool>, err_msg: Option<&str>) -> Glance {
        let summary = Summary { success, err_msg: err_msg.map(str::to_owned), ..Summary::default() };
        let run = RunRecord { task: task.to_owned(), ..RunRecord::default() };
        Glance {
            run,
            success,
            reward: success.map(f64::from),
            n_steps: 3,
            n_judged: 1,
            n_success: 0,
            summary: Some(summary),
        }
    }

    fn page(runs: Vec<(&str, Glance)>) -> String {
        let runs: Vec<_> = runs.into_iter().map(|(name, glance)| (name.to_owned(), Ok(glance))).collect();
        render_list("runs", &runs, |name| format!("/run/{name}/"), "7")
    }

    #[test]
    fn every_run_has_a_row_with_how_it_ended() {
        let html = page(vec![
            ("a", glance("find it", Some(true), None)),
            ("b", glance("lose it", Some(false), None)),
            ("c", glance("break it", None, Some("gone"))),
        ]);
        for words in [
            r#"<tr class="run hit">"#,
            "✓ solved",
            r#"<tr class="run miss">"#,
            "✗ not solved",
            "! failed",
            r#"<a href="/run/b/">lose it</a>"#,
            "failures 2",
            r#"data-follow="/state" data-version="7""#,
        ] {
            assert!(html.contains(words), "{words}");
        }
    }

    #[test]
    fn names_and_tasks_cannot_leave_their_place() {
        let html = page(vec![
            ("\"><script>x</script>", glance("<img src=x>", None, None)),
            ("b", glance("", None, None)),
        ]);
        assert!(!html.contains("<script>x") && !html.contains("<img src=x>"));
        assert!(html.contains("&lt;img src=x&gt;"));
    }
}
