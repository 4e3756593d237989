//! `vigorl calibrate`: known places through the whole chain of coordinates, and where the clicks arrived.

use serde_json::json;
use vigorl_agent::calibration::{Calibration, Target, calibrate};
use vigorl_geometry::{DevicePixelRatio, Rect, Screen};
use vigorl_interface::{Driver, DriverError};
use vigorl_tasks::scripted::World;

use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::Ending;
use crate::parts::Part;
use crate::settings::Settings;
use crate::terminal;

/// Largest distance between a target and its click, in screenshot pixels.
const TOLERANCE_PX: f64 = 1.0;

/// Clicks and tells.
pub(crate) fn run(settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let calibration = match settings.driver {
        World::Web => {
            let mut driver = browser::start(settings, settings.viewport)?;
            let mut page = Page::open(&mut driver)?;
            calibrate(&mut driver, &mut page)?
        }
        World::Desktop => {
            Part::Desktop.needed()?;
            desktop::calibration(&settings.area)?
        }
    };
    let worst = calibration.worst_px();
    let good = worst.is_some_and(|px| px <= TOLERANCE_PX);
    match form {
        Form::Json => terminal::data(&pretty(&as_json(&calibration, good))),
        Form::Text => {
            for hit in &calibration.hits {
                let arrived = hit.arrived.map_or("nowhere".to_owned(), |at| format!("({}, {})", at.x, at.y));
                let verdict = match hit.error_px() {
                    None => "lost".to_owned(),
                    Some(px) if hit.is_seen => format!("{px:.2} px"),
                    Some(px) => format!("{px:.2} px, but the screenshot shows it elsewhere"),
                };
                terminal::data(&format!(
                    "({}, {})  arrived at {arrived}  {verdict}",
                    hit.meant.x, hit.meant.y
                ));
            }
            let (width, height) = (calibration.size.width, calibration.size.height);
            let ratio = calibration.device_pixel_ratio.get();
            terminal::data(&match worst {
                Some(px) => format!(
                    "{width}x{height} screenshot, device pixel ratio {ratio}: largest error {px:.2} px"
                ),
                None => format!(
                    "{width}x{height} screenshot, device pixel ratio {ratio}: a click was lost or is shown elsewhere"
                ),
            });
        }
    }
    if !good {
        terminal::note(&format!(
            "not calibrated: clicks must arrive within {TOLERANCE_PX} px of their place"
        ));
    }
    Ok(if good { Ending::Done } else { Ending::NotDone })
}

fn as_json(calibration: &Calibration, good: bool) -> serde_json::Value {
    let hits = calibration.hits.iter().map(|hit| {
        json!({
            "meant": [hit.meant.x, hit.meant.y],
            "arrived": hit.arrived.map(|at| [at.x, at.y]),
            "error_px": hit.error_px(),
            "seen": hit.is_seen,
        })
    });
    json!({
        "ok": good,
        "worst_px": calibration.worst_px(),
        "image_size": [calibration.size.width, calibration.size.height],
        "device_pixel_ratio": calibration.device_pixel_ratio.get(),
        "hits": hits.collect::<Vec<_>>(),
    })
}

/// A page that marks where it was clicked.
struct Page;

impl Page {
    fn open(driver: &mut dyn Driver) -> Result<Self, DriverError> {
        let script = "document.title = 'calibration'; window.hits = []; \
            addEventListener('pointerdown', (e) => { \
                hits.push([e.clientX, e.clientY]); \
                const mark = document.createElement('div'); \
                mark.style = `position: fixed; background: #f00; width: 7px; height: 7px; \
                              left: ${e.clientX - 3}px; top: ${e.clientY - 3}px`; \
                document.body.replaceChildren(mark); \
            }, true)";
        driver.evaluate(script).map(|_| Self)
    }
}

impl Target for Page {
    fn last_hit(&mut self, driver: &mut dyn Driver) -> Result<Option<Rect<Screen>>, DriverError> {
        let answer = driver.evaluate(
            "const at = hits.pop(); hits.length = 0; return at ? [...at, devicePixelRatio] : null",
        )?;
        let at: Option<[f64; 3]> = serde_json::from_str(&answer).unwrap_or_default();
        // The page knows whole CSS pixels: each is a box of screenshot pixels.
        Ok(at.and_then(|[x, y, ratio]| {
            let viewport_from_screen = DevicePixelRatio::new(ratio)?.viewport_from_screen();
            Some(viewport_from_screen.inverse().apply_rect(Rect::new(x, y, x + 1.0, y + 1.0)))
        }))
    }
}
