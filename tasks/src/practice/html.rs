//! A page as HTML. Invariant: alone or tiled, the same markup and the same style sheet; only the whole-pixel
//! offset differs, so the pixels are the same.

use super::look::{Frame, Palette, Tick};
use super::outline::{path, snap};
use super::page::{Decoration, PracticePage, is_on};
use super::widget::{Chrome, Kind, PixelBox, Shape, Widget};

// `will-change` gives every page a layer of its own: curves are then rasterized from the page's origin and
// come out equal, wherever the page stands.
const STYLE: &str = "html,body{margin:0;overflow:hidden;background:#fff}\
.page{position:absolute;overflow:hidden;will-change:transform}\
.page *{position:absolute;display:block;box-sizing:border-box;margin:0;padding:0;border:0;border-radius:0;\
background:none;appearance:none;outline:none;font:inherit;color:inherit;text-align:center;\
text-decoration:none;white-space:pre}\
.page svg{left:0;top:0;overflow:visible}\
.page input{text-align:left;padding:0 5px}\
.page input::placeholder{color:inherit;opacity:1}";

const JUDGE: &str = include_str!("judge.js");

/// The page alone at the top left corner, with the script that judges clicks.
pub fn live_document(page: &PracticePage) -> String {
    let body = fragment(page, 0, 0);
    let target = page.tasks[0].target;
    format!("{}<body data-target=\"{target}\">{body}<script>{JUDGE}</script></body></html>", head())
}

/// Pages side by side, each at its whole-pixel offset, without a judge.
pub fn sheet_document<'a>(pages: impl IntoIterator<Item = (&'a PracticePage, u32, u32)>) -> String {
    let mut html = head();
    html.push_str("<body>");
    for (page, left, top) in pages {
        html.push_str(&fragment(page, left, top));
    }
    html.push_str("</body></html>");
    html
}

fn head() -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>practice</title>\
         <style>{STYLE}</style></head>"
    )
}

fn fragment(page: &PracticePage, left: u32, top: u32) -> String {
    let palette = page.look.palette();
    let canvas = page.spec.canvas;
    let mut html = format!(
        "<div class=\"page\" style=\"left:{left}px;top:{top}px;width:{}px;height:{}px;background:{};\
         color:{};font-family:{}\">",
        canvas.width,
        canvas.height,
        palette.ground,
        css(palette.ink),
        page.look.font.css(),
    );
    for decoration in &page.decorations {
        let (bounds, color) = match decoration {
            Decoration::Card(bounds) => (bounds, palette.card),
            Decoration::TextBar(bounds) => (bounds, palette.faint),
        };
        html.push_str(&format!("<i style=\"{};background:{color}\"></i>", place(*bounds)));
    }
    let painter = Painter { page, palette };
    for (index, widget) in page.widgets.iter().enumerate() {
        html.push_str(&painter.widget(index, widget));
    }
    html.push_str("</div>");
    html
}

fn css([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn place(b: PixelBox) -> String {
    format!("left:{}px;top:{}px;width:{}px;height:{}px", b.left, b.top, b.width(), b.height())
}

struct Painter<'a> {
    page: &'a PracticePage,
    palette: Palette,
}

impl Painter<'_> {
    fn widget(&self, index: usize, widget: &Widget) -> String {
        let attributes = format!("data-widget=\"{index}\" style=\"{}", place(widget.bounds));
        let label = widget.label.as_deref().unwrap_or_default();
        let text_px = widget.text_px;
        let height = widget.bounds.height();
        if widget.kind == Kind::Field {
            let line = self.palette.line;
            let card = self.palette.card;
            return format!(
                "<input type=\"text\" placeholder=\"{label}\" {attributes};font-size:{text_px}px;\
                 border:1px solid {line};background:{card}\">"
            );
        }
        let checked = format!("aria-checked=\"{}\"", is_on(widget));
        let (tag, role) = match widget.kind {
            Kind::Checkbox => ("button", format!("role=\"checkbox\" {checked}")),
            Kind::Radio => ("button", format!("role=\"radio\" {checked}")),
            Kind::Slider => ("button", "role=\"slider\"".to_owned()),
            Kind::Tab => ("button", format!("role=\"tab\" aria-selected=\"{}\"", is_on(widget))),
            Kind::Link => ("a", "href=\"#\"".to_owned()),
            _ => ("button", "type=\"button\"".to_owned()),
        };
        let drawing = match widget.kind {
            Kind::Icon => self.icon(widget),
            Kind::Close => self.close(widget),
            Kind::Checkbox => self.checkbox(widget),
            Kind::Radio => self.radio(widget),
            Kind::Slider => self.slider(widget),
            Kind::Tab => self.tab(widget),
            Kind::Button => self.frame(widget.bounds),
            Kind::Link | Kind::Field => String::new(),
        };
        let text = if label.is_empty() { String::new() } else { self.text(widget, label, text_px, height) };
        format!("<{tag} {role} {attributes}\">{drawing}{text}</{tag}>")
    }

    fn text(&self, widget: &Widget, label: &str, text_px: i32, height: i32) -> String {
        let left = match widget.kind {
            Kind::Checkbox | Kind::Radio => height + 4,
            _ => 0,
        };
        let align = if left > 0 { "left" } else { "center" };
        let link = match widget.kind {
            Kind::Link => format!(";color:{};text-decoration:underline", self.palette.link),
            _ => String::new(),
        };
        format!(
            "<span style=\"left:{left}px;top:0;width:{}px;height:{height}px;line-height:{height}px;\
             text-align:{align};font-size:{text_px}px{link}\">{label}</span>",
            widget.bounds.width() - left
        )
    }

    /// The button frame of the page's look, filling a widget.
    fn frame(&self, bounds: PixelBox) -> String {
        let Palette { line, button, .. } = self.palette;
        let side = bounds.short_side();
        let style = match self.page.look.frame {
            Frame::Outline => format!("border:1px solid {line}"),
            Frame::Rounded => format!("border:1px solid {line};border-radius:{}px", side / 4),
            Frame::Flat => format!("background:{button};border-radius:2px"),
            Frame::Raised => {
                format!(
                    "background:{button};border:1px solid {line};border-bottom-width:2px;border-radius:3px"
                )
            }
        };
        let whole = PixelBox::at(0, 0, bounds.width(), bounds.height());
        format!("<i style=\"{};{style}\"></i>", place(whole))
    }

    /// The frame if the widget has one, and the square left for the drawing.
    fn framed(&self, widget: &Widget, share: f64) -> (String, f64, f64) {
        let side = f64::from(widget.bounds.short_side());
        match widget.chrome {
            Chrome::Bare => (String::new(), 0.0, side),
            Chrome::Framed => {
                let margin = snap(side * (1.0 - share) / 2.0);
                (self.frame(widget.bounds), margin, side - 2.0 * margin)
            }
        }
    }

    fn icon(&self, widget: &Widget) -> String {
        let Some(shape) = widget.shape else { return String::new() };
        let (frame, margin, side) = self.framed(widget, 0.64);
        let outline = path(shape, margin, margin, side);
        frame + &svg(widget.bounds, &format!("<path d=\"{outline}\" fill=\"{}\"/>", css(widget.rgb)))
    }

    fn close(&self, widget: &Widget) -> String {
        let (frame, margin, side) = self.framed(widget, 0.56);
        let width = (side * 0.14).max(1.6);
        let (low, high) = (margin + width / 2.0, margin + side - width / 2.0);
        let strokes = [(low, low), (high, high), (low, high), (high, low)];
        let cross = polyline(&strokes[..2], width, &css(widget.rgb))
            + &polyline(&strokes[2..], width, &css(widget.rgb));
        frame + &svg(widget.bounds, &cross)
    }

    fn checkbox(&self, widget: &Widget) -> String {
        let Palette { line, card, ink, .. } = self.palette;
        let side = widget.bounds.height();
        let inverted = self.page.look.tick == Tick::Inverted && side >= 14 && is_on(widget);
        let (ground, tick) = if inverted { (css(ink), card.to_owned()) } else { (card.to_owned(), css(ink)) };
        let border = 1 + side / 24;
        let square = format!(
            "<i style=\"left:0;top:0;width:{side}px;height:{side}px;border:{border}px solid {line};\
             border-radius:{}px;background:{ground}\"></i>",
            side / 8
        );
        if !is_on(widget) {
            return square;
        }
        let at = |x: f64, y: f64| (x * f64::from(side), y * f64::from(side));
        let mark = [at(0.23, 0.52), at(0.42, 0.72), at(0.78, 0.29)];
        let mark = polyline(&mark, (f64::from(side) * 0.13).max(1.5), &tick);
        square + &svg(widget.bounds, &mark)
    }

    fn radio(&self, widget: &Widget) -> String {
        let Palette { line, card, ink, .. } = self.palette;
        let side = widget.bounds.height();
        let inverted = self.page.look.tick == Tick::Inverted && side >= 14 && is_on(widget);
        let (ground, dot) = if inverted { (css(ink), card.to_owned()) } else { (card.to_owned(), css(ink)) };
        let border = 1 + side / 24;
        let ring = format!(
            "<i style=\"left:0;top:0;width:{side}px;height:{side}px;border:{border}px solid {line};\
             border-radius:50%;background:{ground}\"></i>"
        );
        if !is_on(widget) {
            return ring;
        }
        let margin = snap(f64::from(side) * 0.27);
        let inner = f64::from(side) - 2.0 * margin;
        let outline = path(Shape::Circle, margin, margin, inner);
        ring + &svg(widget.bounds, &format!("<path d=\"{outline}\" fill=\"{dot}\"/>"))
    }

    fn slider(&self, widget: &Widget) -> String {
        let (width, height) = (widget.bounds.width(), widget.bounds.height());
        let knob = (width - height) * widget.value.unwrap_or_default() / 100;
        let thickness = (height / 4).max(2) / 2 * 2;
        let top = (height - thickness) / 2;
        let bar = |to: i32, color: &str| {
            let bounds = PixelBox::at(0, top, to, thickness);
            format!(
                "<i style=\"{};background:{color};border-radius:{}px\"></i>",
                place(bounds),
                thickness / 2
            )
        };
        let color = css(widget.rgb);
        let circle = path(Shape::Circle, knob.into(), 0.0, height.into());
        bar(width, self.palette.line)
            + &bar(knob + height / 2, &color)
            + &svg(widget.bounds, &format!("<path d=\"{circle}\" fill=\"{color}\"/>"))
    }

    fn tab(&self, widget: &Widget) -> String {
        let Palette { line, button, card, .. } = self.palette;
        let whole = PixelBox::at(0, 0, widget.bounds.width(), widget.bounds.height());
        let (ground, bottom) = if is_on(widget) { (card, 0) } else { (button, 1) };
        format!(
            "<i style=\"{};background:{ground};border:1px solid {line};border-bottom-width:{bottom}px;\
             border-radius:4px 4px 0 0\"></i>",
            place(whole)
        )
    }
}

fn svg(bounds: PixelBox, content: &str) -> String {
    format!("<svg width=\"{}\" height=\"{}\">{content}</svg>", bounds.width(), bounds.height())
}

fn polyline(points: &[(f64, f64)], width: f64, color: &str) -> String {
    let points: Vec<_> = points.iter().map(|&(x, y)| format!("{},{}", snap(x), snap(y))).collect();
    format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{}\" \
         stroke-linecap=\"square\"/>",
        points.join(" "),
        snap(width)
    )
}
