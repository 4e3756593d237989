//! Prints what a step costs besides the policy at 1280x800: capture, click, settle, and all of them together.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::time::{Duration, Instant};

use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, DriverError, MouseButton};
use vigorl_webdriver::{Options, WebDriver};

const ROUNDS: usize = 40;
const PAGE: &str = "data:text/html,<meta charset=utf-8><title>bench</title>\
    <style>body{margin:20px;font:16px sans-serif}button{margin:4px;padding:8px}</style>\
    <h1>Overhead</h1><p id=n>0</p><input autofocus value=text>\
    <script>for(let i=0;i<60;i++){const b=document.createElement('button');b.textContent='Button '+i;\
    b.onclick=()=>n.textContent=+n.textContent+1;document.body.append(b)}</script>";

fn main() -> Result<(), DriverError> {
    let start = Instant::now();
    let mut driver = WebDriver::start(Options::headless(1280, 800))?;
    println!("start {:?}", start.elapsed());
    driver.act(&Action::Navigate { url: PAGE.to_owned() })?;
    driver.settle(Duration::from_secs(5))?;
    let click = Action::Click { at: Point::new(640.0, 400.0), button: MouseButton::Left, count: 1 };
    let cap = Duration::from_secs(2);

    print_times("capture", &mut driver, |driver| driver.screenshot().map(drop))?;
    print_times("click", &mut driver, |driver| driver.act(&click))?;
    print_times("settle", &mut driver, |driver| driver.settle(cap).map(drop))?;
    print_times("page_state", &mut driver, |driver| driver.page_state().map(drop))?;
    print_times("step = capture + click + settle + capture", &mut driver, |driver| {
        driver.screenshot()?;
        driver.act(&click)?;
        driver.settle(cap)?;
        driver.screenshot().map(drop)
    })
}

fn print_times(
    name: &str,
    driver: &mut WebDriver,
    mut work: impl FnMut(&mut WebDriver) -> Result<(), DriverError>,
) -> Result<(), DriverError> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work(driver)?;
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "{name}: min {:.1?} median {:.1?} max {:.1?} (n {ROUNDS})",
        times[0],
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
    Ok(())
}
