//! Lines of the judge `screenspot`: a box in an image with a point, or with a response in which one is looked for.
//!
//! Invariant: a line that says something of no meaning, or twice, is refused in words that name the key. It has no verdict,
//! because a mistake of whoever wrote the line is no wrong answer of a model.

use serde_json::{Map, Value, json};

use super::parser::{Counts, Parser};
use super::target::{Prediction, Shape, Space, Target};
use crate::home::{Lines, kind};

/// The judge at work.
#[derive(Debug)]
pub(crate) struct ScreenSpot {
    /// How responses are read.
    pub(crate) parser: Option<Parser>,
}

const BBOX: &str = "bbox";
const IMG_SIZE: &str = "img_size";
const POINT: &str = "point";
const RESPONSE: &str = "response";
const POINT_SPACE: &str = "point_space";
const RESIZED_SIZE: &str = "resized_size";

/// Every key of a line.
const KEYS: [&str; 6] = [BBOX, IMG_SIZE, POINT, RESPONSE, POINT_SPACE, RESIZED_SIZE];

impl Lines for ScreenSpot {
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String> {
        let object = line.as_object().ok_or_else(|| format!("{} is no JSON object", kind(line)))?;
        if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("the key `{key}` is not known: there are {}", KEYS.join(", ")));
        }
        let bbox = numbers(BBOX, required(object, BBOX)?)?;
        let bbox = <[f64; 4]>::try_from(bbox.as_slice())
            .map_err(|_wrong_length| format!("`{BBOX}` has {} numbers, and not 4", bbox.len()))?;
        let size = size(IMG_SIZE, required(object, IMG_SIZE)?)?;
        let target = Target::try_new(bbox, size).map_err(|why| why.to_string())?;
        let prediction = self.prediction(object, size)?;
        Ok(Some(json!({ "correctness": target.judge(prediction.as_ref()) })))
    }
}

/// What a line gives to be judged.
enum Given<'a> {
    /// It says that nothing was predicted.
    Nothing,
    /// Numbers.
    Shape(Shape),
    /// A response, and by what it is read.
    Response(Parser, &'a str),
}

impl ScreenSpot {
    /// What the line predicts; nothing if there is no point, or none can be read.
    fn prediction(
        &self,
        line: &Map<String, Value>,
        img_size: [u32; 2],
    ) -> Result<Option<Prediction>, String> {
        let space = |counts| space(line, img_size, counts);
        Ok(match self.given(line)? {
            // Even so, nothing of no meaning may be said.
            Given::Nothing => space(None).map(|_| None)?,
            Given::Shape(shape) => Some(Prediction { shape, space: space(Some(Counts::Either))? }),
            Given::Response(parser, text) => parser.read(text, space(Some(parser.counts()))?),
        })
    }

    fn given<'a>(&self, line: &'a Map<String, Value>) -> Result<Given<'a>, String> {
        match (line.get(POINT), line.get(RESPONSE)) {
            (Some(Value::Null), None) => Ok(Given::Nothing),
            (Some(point), None) => Ok(Given::Shape(shape(point)?)),
            (None, Some(Value::String(text))) => {
                let parser = self.parser.ok_or_else(|| {
                    format!("a `{RESPONSE}` is read by a parser: name one with --parser, or give a `{POINT}`")
                })?;
                Ok(Given::Response(parser, text))
            }
            (None, Some(other)) => Err(format!("`{RESPONSE}` is {}, and not a text", kind(other))),
            (None, None) => Err(format!("one of the keys `{POINT}` and `{RESPONSE}` is missing")),
            (Some(_), Some(_)) => Err(format!("`{POINT}` and `{RESPONSE}` exclude each other")),
        }
    }
}

/// What the numbers of a line count: what it says, where its format does not. Without a point there is nothing to count, and
/// no `counts`.
fn space(line: &Map<String, Value>, img_size: [u32; 2], counts: Option<Counts>) -> Result<Space, String> {
    let is_pixels = match line.get(POINT_SPACE) {
        None => None,
        Some(Value::String(name)) if name == "pixel" => Some(true),
        Some(Value::String(name)) if name == "normalized" => Some(false),
        Some(other) => return Err(format!("`{POINT_SPACE}` is {other}: it is \"normalized\" or \"pixel\"")),
    };
    let resized = line.get(RESIZED_SIZE).map(|value| size(RESIZED_SIZE, value)).transpose()?;
    let pixels = || Ok(Space::Pixels(resized.unwrap_or(img_size)));
    match (counts, is_pixels) {
        (None, _) => pixels(),
        (Some(Counts::Either), None) => {
            Err(format!("the key `{POINT_SPACE}` is missing: it is \"normalized\" or \"pixel\""))
        }
        (Some(Counts::Shares), Some(true)) => Err(format!(
            "`{POINT_SPACE}` is \"pixel\", and this parser reads parts of the image: leave it out"
        )),
        (Some(Counts::Pixels | Counts::PixelsShown), Some(false)) => {
            Err(format!("`{POINT_SPACE}` is \"normalized\", and this parser reads pixels: leave it out"))
        }
        (Some(Counts::PixelsShown), _) if resized.is_none() => Err(format!(
            "the key `{RESIZED_SIZE}` is missing: this parser reads pixels of the image that was shown to the model"
        )),
        (Some(Counts::Shares), _) | (Some(Counts::Either), Some(false)) => {
            if resized.is_some() {
                return Err(format!(
                    "`{RESIZED_SIZE}` is for pixels, and parts of the image are read: leave it out"
                ));
            }
            Ok(Space::Normalized)
        }
        (Some(Counts::Pixels | Counts::PixelsShown), _) | (Some(Counts::Either), Some(true)) => pixels(),
    }
}

fn required<'a>(line: &'a Map<String, Value>, key: &str) -> Result<&'a Value, String> {
    line.get(key).ok_or_else(|| format!("the key `{key}` is missing"))
}

fn list<'a>(key: &str, value: &'a Value) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("`{key}` is {}, and not a list", kind(value)))
}

fn numbers(key: &str, value: &Value) -> Result<Vec<f64>, String> {
    let number = |(idx, item): (usize, &Value)| {
        item.as_f64().ok_or_else(|| format!("`{key}[{idx}]` is {}, and not a number", kind(item)))
    };
    list(key, value)?.iter().enumerate().map(number).collect()
}

fn shape(point: &Value) -> Result<Shape, String> {
    let numbers = numbers(POINT, point)?;
    Shape::of(&numbers)
        .ok_or_else(|| format!("`{POINT}` has {} numbers: a point has 2, and a box has 4", numbers.len()))
}

/// Width and height of an image.
fn size(key: &str, value: &Value) -> Result<[u32; 2], String> {
    let side = |(idx, item): (usize, &Value)| {
        let side = item.as_u64().and_then(|side| u32::try_from(side).ok()).filter(|&side| side > 0);
        side.ok_or_else(|| {
            format!("`{key}[{idx}]` is {item}, and no whole number of pixels from 1 to {}", u32::MAX)
        })
    };
    let sides: Vec<u32> = list(key, value)?.iter().enumerate().map(side).collect::<Result<_, _>>()?;
    <[u32; 2]>::try_from(sides.as_slice())
        .map_err(|_wrong_length| format!("`{key}` has {} numbers: it is [width, height]", sides.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(parser: Option<Parser>, line: Value) -> Result<String, String> {
        let verdict = ScreenSpot { parser }.line(&line)?.unwrap();
        Ok(verdict["correctness"].as_str().unwrap().to_owned())
    }

    fn with(more: Value) -> Value {
        let mut line = json!({ "bbox": [10, 20, 30, 40], "img_size": [100, 200] });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    }

    #[track_caller]
    fn check(parser: Option<Parser>, more: Value, expected: &str) {
        assert_eq!(judge(parser, with(more.clone())).as_deref(), Ok(expected), "{more}");
    }

    #[track_caller]
    fn refuse(parser: Option<Parser>, more: Value, words: &str) {
        let why = judge(parser, with(more.clone())).unwrap_err();
        assert!(why.contains(words), "{more}: {why}");
    }

    #[test]
    fn points_are_judged_in_their_space() {
        check(None, json!({ "point": [30, 40], "point_space": "pixel" }), "correct");
        check(None, json!({ "point": [0.3, 0.2], "point_space": "normalized" }), "correct");
        check(None, json!({ "point": [0.3, 0.2], "point_space": "pixel" }), "wrong");
        check(None, json!({ "point": [-5, 900], "point_space": "pixel" }), "wrong");
        check(None, json!({ "point": [0, 0, 40, 60], "point_space": "pixel" }), "correct");
        check(
            None,
            json!({ "point": [15, 15], "point_space": "pixel", "resized_size": [50, 100] }),
            "correct",
        );
        let on_line = |x: f64| json!({ "bbox": [10, 20, 10, 40], "point": [x, 30], "point_space": "pixel" });
        check(None, on_line(10.0), "correct");
        check(None, on_line(10.5), "wrong");
        check(None, json!({ "point": null, "point_space": "pixel" }), "wrong_format");
        check(None, json!({ "point": null }), "wrong_format");
    }

    #[test]
    fn responses_are_read_by_the_parser() {
        check(Some(Parser::SeeClick), json!({ "response": "(0.2, 0.15)" }), "correct");
        check(
            Some(Parser::SeeClick),
            json!({ "response": "no", "point_space": "normalized" }),
            "wrong_format",
        );
        check(Some(Parser::Numbers), json!({ "response": "(20, 30)", "point_space": "pixel" }), "correct");
        check(Some(Parser::Vigorl), json!({ "response": "<answer> (20, 30) </answer>" }), "correct");
        let shown = json!({ "response": "<answer> (20, 30) </answer>", "resized_size": [50, 100] });
        check(Some(Parser::Vigorl), shown, "wrong");
        let call = "<tool_call>\n{\"arguments\": {\"coordinate\": [10, 15]}}\n</tool_call>";
        check(Some(Parser::QwenToolCall), json!({ "response": call, "resized_size": [50, 100] }), "correct");
    }

    #[test]
    fn a_line_of_no_meaning_is_refused_and_the_key_is_named() {
        let pixel = |point: Value| json!({ "point": point, "point_space": "pixel" });
        for (more, words) in [
            (json!({}), "one of the keys `point` and `response` is missing"),
            (json!({ "point": [1, 2], "response": "x" }), "exclude each other"),
            (json!({ "point": [1, 2] }), "the key `point_space` is missing"),
            (json!({ "point": [1, 2], "point_space": "px" }), "`point_space` is \"px\""),
            (json!({ "point": null, "point_space": 1 }), "`point_space` is 1"),
            (pixel(json!([1])), "`point` has 1 numbers: a point has 2"),
            (pixel(json!([1, "2"])), "`point[1]` is a text, and not a number"),
            (pixel(json!("1, 2")), "`point` is a text, and not a list"),
            (
                json!({ "point": [1, 2], "point_space": "normalized", "resized_size": [1, 1] }),
                "`resized_size` is for pixels",
            ),
            (json!({ "point": null, "resized_size": [0, 1] }), "`resized_size[0]` is 0"),
            (json!({ "response": "x" }), "name one with --parser"),
            (json!({ "point": null, "pont": [1, 2] }), "the key `pont` is not known"),
            (json!({ "point": null, "bbox": [1, 2, 3] }), "`bbox` has 3 numbers, and not 4"),
            (json!({ "point": null, "bbox": [10, 20, 5, 40] }), "`bbox` is swapped"),
            (json!({ "point": null, "bbox": [10, 20, 101, 40] }), "`bbox` reaches beyond the image"),
            (json!({ "point": null, "bbox": [10, 20, null, 40] }), "`bbox[2]` is null"),
            (json!({ "point": null, "img_size": [100, 200.5] }), "`img_size[1]` is 200.5"),
            (json!({ "point": null, "img_size": [100] }), "`img_size` has 1 numbers"),
            (json!({ "point": null, "img_size": [100, -200] }), "`img_size[1]` is -200"),
        ] {
            refuse(None, more, words);
        }
        assert_eq!(
            judge(None, json!({ "bbox": [1, 2, 3, 4] })),
            Err("the key `img_size` is missing".to_owned())
        );
        assert_eq!(judge(None, json!("x")), Err("a text is no JSON object".to_owned()));
    }

    #[test]
    fn what_a_parser_does_not_read_is_not_said() {
        let response = |more: Value| {
            let mut line = json!({ "response": "x" });
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        for (parser, more, words) in [
            (Parser::SeeClick, json!({ "point_space": "pixel" }), "reads parts of the image"),
            (Parser::QwenBox, json!({ "resized_size": [1, 1] }), "`resized_size` is for pixels"),
            (Parser::Vigorl, json!({ "point_space": "normalized" }), "this parser reads pixels"),
            (Parser::QwenToolCall, json!({}), "the key `resized_size` is missing"),
            (Parser::QwenToolCall, json!({ "point_space": "pixel" }), "the key `resized_size` is missing"),
            (Parser::Numbers, json!({}), "the key `point_space` is missing"),
        ] {
            refuse(Some(parser), response(more), words);
        }
        refuse(Some(Parser::SeeClick), json!({ "response": null }), "`response` is null, and not a text");
    }
}
