//! A world in memory: one box that turns green when it is clicked. For tests only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use image::{Rgb, RgbImage};
use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{
    Action, Driver, DriverError, PageState, Screenshot, Settled, TabId, Trouble, WhichTab,
};
use vigorl_tasks::environment::{observe, perform};
use vigorl_tasks::scripted::{Check, Clause, ReadStep, Scene, ScriptedTask, Surroundings};
use vigorl_tasks::{Allowance, Environment, Failure, Observation, Performed, Senses, Start, Verdict};

/// Where the box is.
pub(crate) const BOX: [u32; 4] = [120, 40, 140, 60];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The browser dies when it is asked to act.
    GoneOnAct,
    /// A click opens a dialog.
    DialogOnAct,
    /// The page never becomes quiet.
    Restless,
    /// A dialog is open from the start.
    DialogFromStart,
    /// A click shows only after three waits for a quiet page.
    Late,
    /// A click opens a tab, which is green.
    TabOnAct,
    /// A click opens a tab that is closed before anybody has looked at it, as one that only downloads is.
    TabForAMoment,
    /// The driver does not do what it is asked.
    Refuses,
    /// The page says that the box is what is meant, wherever else the point is.
    Contradicts,
}

/// The driver.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// What was done.
    pub(crate) acts: Vec<Action>,
    /// How often the screen was captured.
    pub(crate) n_screenshots: usize,
    /// How often the judge's question was answered.
    pub(crate) n_questions: usize,
    /// What goes wrong inside the page before it is asked the first time, the second time, and so on.
    pub(crate) troubles: VecDeque<Vec<Trouble>>,
    /// With which the page answered.
    pub(crate) status: Option<u16>,
    /// How often a page had to be waited for since the click.
    n_settled: usize,
    green: bool,
    dialog: Option<String>,
    tabs: Vec<TabId>,
}

impl Fake {
    /// A world with a fault.
    pub(crate) fn with(fault: Fault) -> Self {
        let dialog = (fault == Fault::DialogFromStart).then(|| "Leave?".to_owned());
        Self { fault, dialog, ..Self::default() }
    }
}

impl Driver for Fake {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        if let Some(text) = self.dialog.clone() {
            return Err(DriverError::DialogOpen { text });
        }
        self.n_screenshots += 1;
        let fill = if self.green { Rgb([20, 160, 80]) } else { Rgb([40, 80, 220]) };
        let pixels = RgbImage::from_fn(200, 100, |x, y| {
            let inside = x >= BOX[0] && y >= BOX[1] && x < BOX[2] && y < BOX[3];
            if inside { fill } else { Rgb([255, 255, 255]) }
        });
        let device_pixel_ratio = DevicePixelRatio::new(1.0).unwrap();
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        if self.fault == Fault::GoneOnAct {
            return Err(DriverError::Gone { what: "browser", detail: "connection refused".to_owned() });
        }
        if self.fault == Fault::Refuses {
            return Err(DriverError::Refused { request: "click", detail: "not today".to_owned() });
        }
        match action {
            Action::AnswerDialog { accept, .. } => {
                self.green |= accept;
                return self.dialog.take().map(drop).ok_or(DriverError::unsupported(action));
            }
            Action::SwitchTab { .. } if self.fault == Fault::TabForAMoment => {
                self.tabs.clear();
                return Err(DriverError::Gone { what: "tab", detail: "no such window".to_owned() });
            }
            Action::SwitchTab { tab: WhichTab::Id(tab) } => {
                self.green = self.tabs.contains(tab);
                return Ok(());
            }
            Action::OpenTab | Action::CloseTab => return Err(DriverError::unsupported(action)),
            _ => {}
        }
        self.acts.push(action.clone());
        self.n_settled = 0;
        if let Action::Click { at, .. } = action {
            let [l, t, r, b] = BOX.map(f64::from);
            let hit = Rect::<Screen>::new(l, t, r, b).contains(*at);
            self.green |= hit && !matches!(self.fault, Fault::Late | Fault::TabOnAct);
            if matches!(self.fault, Fault::TabOnAct | Fault::TabForAMoment) {
                self.tabs.push(TabId("two".to_owned()));
            }
            if self.fault == Fault::DialogOnAct {
                self.dialog = Some("Are you sure?".to_owned());
            }
        }
        Ok(())
    }

    fn troubles(&mut self) -> Vec<Trouble> {
        self.troubles.pop_front().unwrap_or_default()
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        self.n_settled += 1;
        self.green |= self.fault == Fault::Late && !self.acts.is_empty() && self.n_settled > 3;
        Ok(match self.fault {
            Fault::Restless => Settled::Capped { after: cap },
            _ => Settled::Quiet { after: Duration::ZERO },
        })
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        let url = Some("fake:one".to_owned());
        Ok(PageState { url, title: Some("one".to_owned()), dialog: self.dialog.clone(), status: self.status })
    }

    fn evaluate(&mut self, script: &str) -> Result<String, DriverError> {
        self.n_questions += 1;
        if script.contains("elementAt(") && self.fault == Fault::Contradicts {
            let point = script.strip_prefix("const [pointX, pointY] = [").unwrap();
            let x: f64 = point.split(',').next().unwrap().parse().unwrap();
            let beside = x < f64::from(BOX[0]);
            let element = |name: &str| serde_json::json!({ "role": "button", "name": name });
            let mut found = element(if beside { "Cancel" } else { "Save" });
            found["meant"] = if beside { element("Save") } else { serde_json::Value::Null };
            for side in ["left", "top", "right", "bottom"] {
                found[side] = 0.0.into();
            }
            return Ok(found.to_string());
        }
        // Questions about what is shown are asked of frames as well.
        let answer = serde_json::json!({ "answer": self.green, "foreign": 0 });
        Ok(if script.contains("foreign:") { answer.to_string() } else { self.green.to_string() })
    }

    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        match self.fault {
            Fault::TabOnAct | Fault::TabForAMoment => {
                Ok([TabId("one".to_owned())].into_iter().chain(self.tabs.clone()).collect())
            }
            _ => Err(DriverError::Unsupported { what: "list tabs" }),
        }
    }
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Satisfied when the box is green.
    IsGreen,
    /// The same, and the box may still become green.
    BecomesGreen,
    /// Nobody.
    Nobody,
}

/// The world around the driver.
pub(crate) struct World<'a> {
    /// The driver.
    pub(crate) driver: &'a mut Fake,
    /// Who judges.
    pub(crate) judge: Judge,
    /// The clauses of a task, which judge instead.
    pub(crate) task: Option<&'a ScriptedTask>,
    /// How the episode begins.
    pub(crate) start: Start,
}

impl<'a> World<'a> {
    pub(crate) fn new(driver: &'a mut Fake, judge: Judge) -> Self {
        Self { driver, judge, task: None, start: Start { goal: "n".to_owned(), ..Start::default() } }
    }
}

impl Environment for World<'_> {
    fn reset(&mut self, _seed: u64) -> Result<Start, Failure> {
        Ok(self.start.clone())
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(self.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        Ok(perform(self.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        if let Some(task) = self.task {
            let surroundings = Surroundings::default();
            let (driver, allowance) = (&mut *self.driver, *allowance);
            return task
                .judge(&task.values, &mut Scene { driver, surroundings: &surroundings, senses, allowance });
        }
        if self.judge == Judge::Nobody {
            return Ok(Verdict::UNKNOWN);
        }
        let green = self.driver.evaluate("green")? == "true";
        Ok(Verdict { may_change: self.judge == Judge::BecomesGreen, ..Verdict::of(green, false, None) })
    }

    fn check(
        &mut self,
        clause: &Clause,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Check, Failure> {
        let surroundings = Surroundings::default();
        let (driver, allowance) = (&mut *self.driver, *allowance);
        clause.verify(&mut Scene { driver, surroundings: &surroundings, senses, allowance })
    }

    fn read(&mut self, read: &ReadStep, senses: &mut dyn Senses) -> Result<Result<String, String>, Failure> {
        read.read(self.driver, senses)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self.driver)
    }
}

/// The middle of the box.
pub(crate) fn middle() -> Point<Screen> {
    Point::new(130.0, 50.0)
}
