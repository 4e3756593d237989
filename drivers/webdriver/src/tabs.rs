//! Tabs: which one is meant, and which one a person is at when one closes. Invariant: of several that fit, none is meant.

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use vigorl_interface::{DriverError, TabId, TabSearch};

use crate::WebDriver;
use crate::driver::{text_of, unexpected};

impl WebDriver {
    /// The tab that is meant. Several that fit are none.
    pub(crate) fn find_tab(&self, search: &TabSearch) -> Result<TabId, DriverError> {
        let refused = |detail: String| DriverError::Refused { request: "switch tab", detail };
        let handles = self.handles()?;
        if let TabSearch::Index(number) = search {
            let at = usize::from(*number).checked_sub(1);
            let found = at.and_then(|at| handles.get(at)).cloned();
            return found
                .ok_or_else(|| refused(format!("there is no {search}, but {} in all", handles.len())));
        }
        let answer = self.session.devtools("switch tab", "Target.getTargets", json!({}))?;
        let word = |target: &Value, name: &str| target[name].as_str().unwrap_or_default().to_owned();
        let targets = answer["targetInfos"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tabs: Vec<(TabId, String, String)> = targets
            .iter()
            .map(|target| (TabId(word(target, "targetId")), word(target, "title"), word(target, "url")))
            .filter(|(tab, ..)| handles.contains(tab))
            .collect();
        let fits = |(_, title, url): &&(TabId, String, String)| match search {
            TabSearch::TitleContains(text) => title.contains(text),
            TabSearch::UrlContains(text) => url.contains(text),
            TabSearch::Index(_) => false,
        };
        match &tabs.iter().filter(fits).collect::<Vec<_>>()[..] {
            [(tab, ..)] => Ok(tab.clone()),
            fitting => {
                let n = fitting.len();
                let all: Vec<String> =
                    tabs.iter().map(|(_, title, url)| format!("`{title}` ({url})")).collect();
                Err(refused(format!("{n} tabs are a {search}, of {}", all.join(", "))))
            }
        }
    }

    pub(crate) fn open_tab(&mut self) -> Result<(), DriverError> {
        let answer = self.session.send("open tab", Command::NewTab)?;
        let tab = TabId(text_of("open tab", answer["handle"].clone())?);
        if let Some(attached) = self.session.attached() {
            attached.is_ours_now(&tab.0);
        }
        self.enter(tab)
    }

    /// Goes to the tab that was current before, if this one has closed itself; false if it is there. A tab that crashed is
    /// there.
    pub(crate) fn leave_closed_tab(&mut self) -> Result<bool, DriverError> {
        let handles = self.handles()?;
        if handles.contains(&self.tab) {
            return Ok(false);
        }
        let before = self.left.iter().rev().find(|tab| handles.contains(tab));
        let Some(next) = before.or(handles.first()).cloned() else { return Ok(false) };
        self.enter(next)?;
        self.left.retain(|tab| handles.contains(tab));
        Ok(true)
    }

    /// All tabs; in the browser of a person, those that are ours.
    pub(crate) fn handles(&self) -> Result<Vec<TabId>, DriverError> {
        let answer = self.session.send("tabs", Command::GetWindowHandles)?;
        let Value::Array(handles) = answer else { return Err(unexpected("tabs", &answer)) };
        let handles: Result<_, DriverError> =
            handles.into_iter().map(|handle| text_of("tabs", handle).map(TabId)).collect();
        match self.session.attached() {
            Some(attached) => attached.ours_of(handles?),
            None => handles,
        }
    }

    pub(crate) fn close_tab(&mut self) -> Result<(), DriverError> {
        if self.handles()?.len() < 2 {
            return Err(DriverError::Refused {
                request: "close tab",
                detail: "it is the last one".to_owned(),
            });
        }
        self.session.send("close tab", Command::CloseWindow)?;
        self.leave_closed_tab().map(drop)
    }
}
