//! A scene as SVG.
//!
//! Colours are classes of a style sheet, so that one file is readable on bright and on dark paper; a viewer
//! that knows no style sheets for darkness shows the bright one.

use std::fmt::Write;

use crate::color::{Ink, Rgb, SERIES, Theme};
use crate::png::encode;
use crate::scene::{Anchor, Scene, Shape};

/// A file of its own, with its paper.
pub fn document(scene: &Scene) -> String {
    let style = format!("<style>{}</style>", style());
    let paper = format!(
        "<rect width=\"{}\" height=\"{}\" class=\"f-paper\"/>",
        short(scene.width),
        short(scene.height)
    );
    element(scene, &(style + &paper))
}

/// An element for a page, which has [`style`] in its own style sheet.
pub fn fragment(scene: &Scene) -> String {
    element(scene, "")
}

/// The style sheet: `s-…` for lines, `f-…` for areas.
pub fn style() -> String {
    let sheet = |theme: Theme| -> String {
        inks()
            .into_iter()
            .map(|(name, ink)| {
                let color = hex(ink.rgb(theme));
                format!(".f-{name}{{fill:{color}}}.s-{name}{{stroke:{color};fill:none}}")
            })
            .collect()
    };
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}",
        sheet(Theme::Light),
        sheet(Theme::Dark)
    )
}

fn inks() -> Vec<(String, Ink)> {
    let fixed = [
        Ink::Text,
        Ink::Axis,
        Ink::Grid,
        Ink::Paper,
        Ink::Black,
        Ink::White,
    ];
    let series = (0..SERIES).map(Ink::Series);
    fixed
        .into_iter()
        .chain(series)
        .map(|ink| (class(ink), ink))
        .collect()
}

fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "text".to_string(),
        Ink::Axis => "axis".to_string(),
        Ink::Grid => "grid".to_string(),
        Ink::Paper => "paper".to_string(),
        Ink::Black => "black".to_string(),
        Ink::White => "white".to_string(),
        Ink::Series(i) => format!("c{}", i % SERIES),
    }
}

fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn element(scene: &Scene, head: &str) -> String {
    let (w, h) = (short(scene.width), short(scene.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         role=\"img\" font-family=\"'DejaVu Sans',Verdana,'Helvetica Neue',Arial,sans-serif\">{head}"
    );
    for shape in &scene.shapes {
        write_shape(shape, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

/// Writing to a string does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("writing to a string does not fail")
    };
}

fn write_shape(shape: &Shape, out: &mut String) {
    match shape {
        Shape::Lines {
            lines,
            ink,
            width,
            dashed,
        } => {
            if lines.is_empty() {
                return;
            }
            put!(
                out,
                "<path class=\"s-{}\" stroke-width=\"{}\" ",
                class(*ink),
                short(*width)
            );
            if *dashed {
                put!(out, "stroke-dasharray=\"5 4\" ");
            }
            put!(out, "stroke-linejoin=\"round\" d=\"");
            for line in lines {
                path(line, out);
            }
            put!(out, "\"/>");
        }
        Shape::Area {
            points,
            ink,
            opacity,
        } => {
            put!(
                out,
                "<path class=\"f-{}\" fill-opacity=\"{}\" d=\"",
                class(*ink),
                short(*opacity)
            );
            path(points, out);
            put!(out, "z\"/>");
        }
        Shape::Dots {
            centres,
            radius,
            ink,
        } => {
            for (x, y) in centres {
                put!(
                    out,
                    "<circle class=\"f-{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                    class(*ink),
                    short(*x),
                    short(*y),
                    short(*radius)
                );
            }
        }
        Shape::Text {
            at: (x, y),
            text,
            size,
            anchor,
            upwards,
            ink,
        } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let (x, y) = (short(*x), short(*y));
            put!(
                out,
                "<text class=\"f-{}\" x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\"",
                class(*ink),
                short(*size)
            );
            if *upwards {
                put!(out, " transform=\"rotate(-90 {x} {y})\"");
            }
            put!(out, ">{}</text>", escaped(text));
        }
        Shape::Pixels {
            to,
            columns,
            rows,
            rgb,
        } => {
            put!(
                out,
                "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                short(to.x),
                short(to.y),
                short(to.width),
                short(to.height),
                base64(&encode(*columns, *rows, rgb))
            );
        }
    }
}

fn path(points: &[(f64, f64)], out: &mut String) {
    for (i, (x, y)) in points.iter().enumerate() {
        let command = if i == 0 { 'M' } else { 'L' };
        put!(out, "{command}{} {}", short(*x), short(*y));
    }
}

/// A number with at most two places: a hundredth of a pixel cannot be seen.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" | "" => "0".to_string(),
        _ => text.to_string(),
    }
}

/// A text that means itself in XML and HTML. Characters that XML forbids are replaced.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = word >> (18 - 6 * digit) & 63;
                out.push(char::from(DIGITS[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (text, coded) in pairs {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn numbers_are_short_and_texts_safe() {
        assert_eq!(
            [3.0, -0.001, 1.25, 100.0].map(short),
            ["3", "0", "1.25", "100"]
        );
        assert_eq!(
            escaped("a<b & \"c\"\u{1}"),
            "a&lt;b &amp; &quot;c&quot;\u{fffd}"
        );
    }
}
