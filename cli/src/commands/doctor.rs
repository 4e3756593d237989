//! `vigorl doctor`: what is missing here, and how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use vigorl_geometry::Size;
use vigorl_interface::Driver as _;
use vigorl_runs::RunDir;
use vigorl_tasks::scripted::World;
use vigorl_webdriver::WebDriver;

use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::Ending;
use crate::settings::Settings;
use crate::{env, model, reading, record, terminal};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// What was found, or what is wrong and how to cure it.
    result: Result<String, String>,
}

/// Looks at everything a run needs.
pub(crate) fn doctor(settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let mut findings = match settings.driver {
        World::Web => web(settings),
        World::Desktop => vec![Finding { what: "desktop", result: live_desktop(settings) }],
    };
    let (policy, view) = policy(settings);
    findings.extend([
        Finding { what: "policy", result: policy },
        Finding { what: "view", result: view },
        Finding { what: "reader", result: Ok(reader()) },
        Finding { what: "output", result: output(&settings.output_dir) },
    ]);
    let all_well = findings.iter().all(|finding| finding.result.is_ok());
    terminal::data(&match form {
        Form::Json => {
            let entries = findings.iter().map(|finding| {
                let (ok, detail) = match &finding.result {
                    Ok(detail) => (true, detail),
                    Err(detail) => (false, detail),
                };
                json!({ "what": finding.what, "ok": ok, "detail": detail })
            });
            pretty(
                &json!({ "ok": all_well, "version": record::VERSION, "findings": entries.collect::<Vec<_>>() }),
            )
        }
        Form::Text => {
            let lines = findings.iter().map(|finding| match &finding.result {
                Ok(detail) => format!("ok       {:<13} {detail}", finding.what),
                Err(detail) => format!("MISSING  {:<13} {detail}", finding.what),
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    });
    Ok(if all_well { Ending::Done } else { Ending::NotDone })
}

fn web(settings: &Settings) -> Vec<Finding> {
    let (browser, fonts) = match live_browser(settings) {
        Ok((found, mut driver)) => (Ok(found), fonts(&mut driver)),
        Err(cause) => (Err(cause), Err("cannot be seen without a browser".to_owned())),
    };
    vec![
        Finding { what: "chromedriver", result: chromedriver(settings) },
        Finding { what: "browser", result: browser },
        Finding { what: "fonts", result: fonts },
    ]
}

/// Connects to the display and looks at the area once.
fn live_desktop(settings: &Settings) -> Result<String, String> {
    let mut driver = desktop::start(&settings.area, settings.allowed_windows.as_ref())
        .map_err(|error| error.to_string())?;
    let clock = Instant::now();
    let shown = driver.screenshot().map_err(|error| format!("it gives no screenshot: {error}"))?;
    let (captured, (width, height)) = (clock.elapsed(), shown.pixels.dimensions());
    let version = desktop::version();
    Ok(format!("{version}, {width}x{height} pixels, a screenshot takes {} ms", captured.as_millis()))
}

fn chromedriver(settings: &Settings) -> Result<String, String> {
    if let Some(url) = &settings.webdriver_url {
        return Ok(format!("not needed: --webdriver-url {url}"));
    }
    let program = settings.chromedriver.clone().or_else(|| env::find_program("chromedriver"));
    let program: PathBuf = program.ok_or(
        "not in PATH; on Debian: apt-get install chromium chromium-driver; or point --chromedriver at it",
    )?;
    let output = Command::new(&program).arg("--version").output();
    let output = output.map_err(|error| format!("`{}` cannot be run: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let (program, ended, last) =
            (program.display(), output.status, said.lines().last().unwrap_or_default());
        return Err(format!("`{program} --version` ended with {ended}; its last words: {last:?}"));
    }
    let version = String::from_utf8_lossy(&output.stdout);
    Ok(format!("{} ({})", version.split(" (").next().unwrap_or_default().trim(), program.display()))
}

/// Starts a browser, looks through it once, and measures both.
fn live_browser(settings: &Settings) -> Result<(String, WebDriver), String> {
    let clock = Instant::now();
    // The driver knows what failed, and names the cure that fits.
    let mut driver = browser::start(settings, Size::of_pixels(320, 200))
        .map_err(|error| error.root_cause().to_string())?;
    let started = clock.elapsed();
    let clock = Instant::now();
    driver.screenshot().map_err(|error| format!("it starts, but gives no screenshot: {error}"))?;
    let captured = clock.elapsed();
    let version = browser::version(&mut driver);
    let found = format!(
        "{version}, starts in {:.1} s, a screenshot takes {} ms",
        started.as_secs_f64(),
        captured.as_millis()
    );
    Ok((found, driver))
}

/// The typefaces that practice pages are drawn with: others give other pictures than the policy has learned.
const FONTS: [&str; 4] = ["Liberation Sans", "Liberation Serif", "DejaVu Sans", "DejaVu Sans Mono"];

fn fonts(driver: &mut WebDriver) -> Result<String, String> {
    // A font that is there is as wide whatever would stand in for it.
    let names = json!(FONTS);
    let script = format!(
        "const pen = document.createElement('canvas').getContext('2d'); \
         const width = (font) => {{ pen.font = `40px ${{font}}`; return pen.measureText('mimic WAVE 1l').width; }}; \
         return {names}.filter((name) => width(`'${{name}}', serif`) !== width(`'${{name}}', monospace`))"
    );
    let answer = driver.evaluate(&script).map_err(|error| format!("the browser does not tell: {error}"))?;
    let missing: Vec<String> = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    if missing.is_empty() {
        return Ok(FONTS.join(", "));
    }
    Err(format!(
        "{} not found; on Debian: apt-get install fonts-dejavu-core fonts-liberation",
        missing.join(", ")
    ))
}

/// Who reads texts; nobody need, so that it is nothing that is missing.
fn reader() -> String {
    match reading::is_there() {
        true => reading::name().to_owned(),
        false => "none, so that --eyes auto and reader are missing: `vigorl fetch reader` fetches the text models; or \
                  `make setup` fetches them and `make build` builds them in"
            .to_owned(),
    }
}

/// The policy, and what it sees of the viewport.
fn policy(settings: &Settings) -> (Result<String, String>, Result<String, String>) {
    let clock = Instant::now();
    let eyes = match model::load(settings) {
        Ok(eyes) => eyes,
        Err(error) => return (Err(format!("{error:#}")), Err("cannot be said without a policy".to_owned())),
    };
    let ratio = settings.device_pixel_ratio.get();
    let [width, height] =
        record::sides(settings.viewport).map(|side| (f64::from(side) * ratio).round() as u32);
    let view = eyes.describe_seen((width, height)).map_err(|error| error.to_string());
    let record = match eyes.record() {
        Ok(record) => record,
        Err(error) => return (Err(error.to_string()), view),
    };
    let (name, preset, millis) = (&record.name, eyes.preset.name, clock.elapsed().as_millis());
    let found = match (&record.sha256, &record.endpoint) {
        (Some(sha256), _) => {
            let short = sha256.get(..12).unwrap_or(sha256);
            format!("{name} (sha256 {short}), preset {preset}, loads in {millis} ms")
        }
        (None, Some(endpoint)) => {
            let found = endpoint.found.iter().map(|(what, how)| format!("\n{:<23}{what}: {how}", ""));
            let url = &endpoint.base_url;
            format!("{name} at {url} (weights unknown), preset {preset}{}", found.collect::<String>())
        }
        (None, None) => format!("{name}, preset {preset}"),
    };
    (Ok(found), view)
}

fn output(folder: &Path) -> Result<String, String> {
    let shown = folder.display();
    match RunDir::check(folder) {
        Ok(()) => Ok(format!("`{shown}` can be written")),
        Err(error) => Err(format!("{error}; choose another --output-dir")),
    }
}
