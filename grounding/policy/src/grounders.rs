//! Presets of published grounders of the same architecture: one look, one point, no zooms.
//!
//! Invariants: the words of a prompt are byte for byte those that its makers evaluate with; all of them write pixels of
//! what the network sees, so that a point is mapped by the resize that made it.
//! Source of each value: docs/models.md, which also says what nobody could confirm.

use crate::grammar::AnswerForm;
use crate::preset::{Limits, PixelLimits, Preset, Query};
use crate::view::AnswerSpace;

/// All of them by name.
const GROUNDERS: [&str; 5] = ["gta1", "ui-tars-1.5", "infigui-g1", "holo1.5", "gui-g2"];

/// Yan98/GTA1@81f0c4c, README.md and src/grpo_grounding.py.
const GTA1_SYSTEM: &str = "You are an expert UI element locator. Given a GUI image and a user's element description, \
provide the coordinates of the specified element as a single (x,y) point. The image resolution is height {height} and \
width {width}. For elements with area, return the center point.\n\nOutput the coordinate pair exactly:\n(x,y)";

/// bytedance/UI-TARS@582f3a7, `GROUNDING_DOUBAO` in codes/ui_tars/prompt.py: two quotes close the point there, and a space
/// ends the first line.
const UI_TARS_QUERY: &str = "You are a GUI agent. You are given a task and your action history, with screenshots. You \
need to perform the next action to complete the task. \n\n## Output Format\n\nAction: ...\n\n\n## Action Space\n\
click(point='<point>x1 y1</point>'')\n\n## User Instruction\n{instruction}";

/// InfiXAI/InfiGUI-G1@22208e4, eval/prompts.py, with thoughts.
const INFIGUI_SYSTEM: &str = "You FIRST think about the reasoning process as an internal monologue and then provide the \
final answer.\nThe reasoning process MUST BE enclosed within <think> </think> tags.";
const INFIGUI_QUERY: &str = "The screen's resolution is {width}x{height}.\nLocate the UI element(s) for \
\"{instruction}\", output the coordinates using JSON format: [{\"point_2d\": [x, y]}, ...]";

/// hcompai/hai-cookbook@2ba8961, holo1_5/holo_1_5_quickstart.ipynb. The schema is how Python prints what pydantic makes of
/// the action.
const HOLO_QUERY: &str = "Localize an element on the GUI image according to the provided target and output a click \
position.\n     * You must output a valid JSON following the format: {'description': 'Click at absolute coordinates.', \
'properties': {'action': {'const': 'click_absolute', 'default': 'click_absolute', 'title': 'Action', 'type': 'string'}, \
'x': {'description': 'The x coordinate, number of pixels from the left edge.', 'title': 'X', 'type': 'integer'}, \
'y': {'description': 'The y coordinate, number of pixels from the top edge.', 'title': 'Y', 'type': 'integer'}}, \
'required': ['x', 'y'], 'title': 'ClickAbsoluteAction', 'type': 'object'}\n     Your target is:\n{instruction}";

/// ZJU-REAL/GUI-G2@5c5c365, README.md and src/gui_g2/src/open_r1/gaussian_grpo.py.
const GUI_G2_QUERY: &str = "Outline the position corresponding to the instruction: {instruction}. The output should be only [x1,y1,x2,y2].";

impl Preset {
    /// The preset of a grounder, by its name on the hub in small letters, which its preset's name is a part of.
    pub(crate) fn of_grounder(name: &str) -> Option<Self> {
        GROUNDERS.into_iter().find(|part| name.contains(part)).and_then(Self::named)
    }

    /// GTA1, which learned from reward to click and nothing else.
    pub fn gta1() -> Self {
        Self {
            system: Some(GTA1_SYSTEM.to_owned()),
            query: Query::Instruction,
            ..grounder("gta1", AnswerForm::Pair, 32, [3_136, 4_096 * 2_160])
        }
    }

    /// UI-TARS-1.5, asked for a click without a thought.
    pub fn ui_tars_1_5() -> Self {
        Self {
            query: Query::Words(UI_TARS_QUERY),
            ..grounder("ui-tars-1.5", AnswerForm::Click, 400, [100 * 28 * 28, 16_384 * 28 * 28])
        }
    }

    /// InfiGUI-G1, which thinks, then names places from the likeliest on.
    pub fn infigui_g1() -> Self {
        Self {
            system: Some(INFIGUI_SYSTEM.to_owned()),
            query: Query::Words(INFIGUI_QUERY),
            ..grounder("infigui-g1", AnswerForm::PointsJson, 1_024, [3_136, 5_600 * 28 * 28])
        }
    }

    /// Holo1.5, asked for a click as JSON.
    pub fn holo1_5() -> Self {
        Self {
            query: Query::Words(HOLO_QUERY),
            ..grounder("holo1.5", AnswerForm::ClickJson, 256, [4 * 28 * 28, 2_560 * 1_440])
        }
    }

    /// GUI-G2, which outlines its target.
    pub fn gui_g2() -> Self {
        Self {
            query: Query::Words(GUI_G2_QUERY),
            ..grounder("gui-g2", AnswerForm::Corners, 128, [100 * 28 * 28, 16_384 * 28 * 28])
        }
    }
}

/// What all of them have in common: one turn, and text right behind the image.
fn grounder(name: &'static str, answer_form: AnswerForm, max_tokens: usize, [min, max]: [u64; 2]) -> Preset {
    Preset {
        name,
        answer_space: AnswerSpace::Resized,
        answer_form,
        system: None,
        limits: Limits {
            max_turns: 1,
            max_images: 1,
            max_tokens_per_turn: max_tokens,
            max_response_tokens: max_tokens,
        },
        pixels: Some(PixelLimits { min, max }),
        ..Preset::qwen2_5_vl()
    }
}

#[cfg(test)]
mod tests;
