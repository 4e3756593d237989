//! The windows of whoever started this program: the terminal with the command, most of all.
//!
//! It shows the instruction, which would be found there instead of where it is meant. So its visible part is left out of
//! the picture.
//!
//! Invariant: only a window whose process this one descends from is own, as the server tells it; what lies on top of it
//! stays in the picture.

use std::fs;

use image::{Rgb, RgbImage};
use vigorl_geometry::{Desktop, Rect};
use vigorl_interface::DriverError;
use x11rb::protocol::xproto::{ConnectionExt as _, Window};

use super::{X11, intersection, lost};

/// What is seen instead of an own window.
const GREY: Rgb<u8> = Rgb([128; 3]);

/// The processes that this one descends from, the nearest first; none where the system does not tell.
pub(super) fn ancestors() -> Vec<u32> {
    let parent = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name before it may hold anything, brackets and spaces too.
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent > 1)
    };
    std::iter::successors(Some(std::process::id()), parent).skip(1).collect()
}

impl X11 {
    /// Paints over what the picture of a place shows of own windows.
    pub(super) fn leave_out_own(
        &self,
        pixels: &mut RgbImage,
        place: Rect<Desktop>,
    ) -> Result<(), DriverError> {
        if self.ancestors.is_empty() {
            return Ok(());
        }
        let own = self.own_frames()?;
        if own.is_empty() {
            return Ok(());
        }
        // From the lowest to the topmost.
        let frames = self.conn.query_tree(self.root).map_err(lost)?.reply().map_err(lost)?.children;
        let mut is_own = vec![false; pixels.len() / 3];
        for frame in frames {
            let is_mine = own.contains(&frame);
            // One that was closed meanwhile covers nothing.
            let (true, Ok(rect)) = (self.is_seen(frame), self.place_of(frame)) else { continue };
            let seen = intersection(rect, place);
            if seen.width() <= 0.0 || seen.height() <= 0.0 {
                continue;
            }
            let (left, right) = ((seen.left - place.left) as usize, (seen.right - place.left) as usize);
            for y in (seen.top - place.top) as usize..(seen.bottom - place.top) as usize {
                let row = y * pixels.width() as usize;
                is_own[row + left..row + right].fill(is_mine);
            }
        }
        for (pixel, is_own) in pixels.pixels_mut().zip(is_own) {
            if is_own {
                *pixel = GREY;
            }
        }
        Ok(())
    }

    /// Children of the root that hold own windows. A window that was asked for as the area is no own one.
    fn own_frames(&self) -> Result<Vec<Window>, DriverError> {
        let asked_for = self.window.map(|window| self.frame_of(window)).transpose()?;
        let mut own = Vec::new();
        for window in self.windows()? {
            let is_own = self
                .process_of(window)
                .ok()
                .flatten()
                .is_some_and(|process| self.ancestors.contains(&process));
            if is_own {
                own.push(self.frame_of(window)?);
            }
        }
        own.retain(|frame| asked_for != Some(*frame));
        Ok(own)
    }

    /// The child of the root that a window is in: itself, or the frame that a window manager put around it.
    fn frame_of(&self, window: Window) -> Result<Window, DriverError> {
        let mut frame = window;
        loop {
            let Ok(tree) = self.conn.query_tree(frame).map_err(lost)?.reply() else { return Ok(frame) };
            if tree.parent == self.root || tree.parent == x11rb::NONE {
                return Ok(frame);
            }
            frame = tree.parent;
        }
    }
}
