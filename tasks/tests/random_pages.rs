//! Random pages: what is called reachable gets the click itself, and what is called covered gets none anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, MouseButton};
use vigorl_tasks::Blind;
use vigorl_tasks::scripted::{Cure, Place, Purpose};
use vigorl_webdriver::{Options, WebDriver};

const N_PAGES: u32 = 200;
const SIDES: (u32, u32) = (400, 300);

/// Presses at a pixel that came to the button.
fn hits(driver: &mut WebDriver, x: f64, y: f64) -> usize {
    driver.evaluate("window.hits = 0").unwrap();
    driver.act(&Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 }).unwrap();
    driver.evaluate("return window.hits").unwrap().parse().unwrap()
}

#[test]
fn reach_is_what_clicks_say_on_random_pages() {
    let mut driver = WebDriver::start(Options::headless(SIDES.0, SIDES.1)).unwrap();
    let blank = "data:text/html,<!doctype html><body>";
    driver.act(&Action::Navigate { url: blank.to_owned() }).unwrap();
    let place = Place::selector("#target");
    let (mut n_reached, mut n_refused) = (0, 0);
    let mut faults = Vec::new();
    for seed in 0..N_PAGES {
        let build = format!("{}\nreturn build({seed});", include_str!("random_page.js"));
        if driver.evaluate(&build).unwrap() != "true" {
            continue;
        }
        let screenshot = driver.screenshot().unwrap();
        let aim =
            |driver: &mut WebDriver| place.aim(Some(driver), &mut Blind, &screenshot, Purpose::Act).unwrap();
        let mut found = aim(&mut driver);
        if matches!(&found, Err(absence) if absence.cure == Cure::Scroll) {
            place.bring_into_view(&mut driver).unwrap();
            found = aim(&mut driver);
        }
        match found {
            Ok(part) => {
                n_reached += 1;
                let at = part.center();
                if hits(&mut driver, at.x, at.y) != 1 {
                    faults.push(format!("seed {seed}: the click at {at:?} did not come"));
                }
            }
            Err(absence) => {
                n_refused += 1;
                if absence.cure != Cure::Uncover && !absence.reason.contains("takes no clicks") {
                    continue;
                }
                let steps = |side: u32| (0..5).map(move |nth| f64::from(side) * (f64::from(nth) + 0.5) / 5.0);
                for (x, y) in steps(SIDES.0).flat_map(|x| steps(SIDES.1).map(move |y| (x, y))) {
                    if hits(&mut driver, x, y) > 0 {
                        faults
                            .push(format!("seed {seed}: {}, but a click at ({x}, {y}) came", absence.reason));
                        break;
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let least = N_PAGES as usize / 5;
    assert!(n_reached >= least && n_refused >= least, "{n_reached} reached, {n_refused} refused");
}
