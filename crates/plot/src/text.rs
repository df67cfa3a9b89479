//! How wide a text is, and its outlines, from the font that is built in.

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// A part of DejaVu Sans; see `font/README.md`.
const FONT: &[u8] = include_bytes!("../font/DejaVuSans-subset.ttf");

/// The font.
pub(crate) fn face() -> Face<'static> {
    Face::parse(FONT, 0).expect("the font that is built in is whole")
}

fn glyph(face: &Face<'_>, c: char) -> GlyphId {
    // Glyph 0 is the box that stands for an unknown character.
    face.glyph_index(c).unwrap_or(GlyphId(0))
}

fn advance(face: &Face<'_>, glyph: GlyphId) -> f64 {
    f64::from(face.glyph_hor_advance(glyph).unwrap_or(0))
}

/// The width of a text in pixels at a size.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let face = face();
    let units: f64 = text.chars().map(|c| advance(&face, glyph(&face, c))).sum();
    units * size / f64::from(face.units_per_em())
}

/// Draws the outlines of a text, which starts at the origin, in units of the font with y upwards; `place`
/// is called before each glyph with its offset.
pub(crate) fn outlines<B: OutlineBuilder>(text: &str, mut place: impl FnMut(f64) -> B) -> Vec<B> {
    let face = face();
    let mut x = 0.0;
    let mut drawn = Vec::new();
    for c in text.chars() {
        let glyph = glyph(&face, c);
        let mut builder = place(x);
        if face.outline_glyph(glyph, &mut builder).is_some() {
            drawn.push(builder);
        }
        x += advance(&face, glyph);
    }
    drawn
}

/// A text cut to a width, with an ellipsis where something is missing.
pub(crate) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_string();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() {
        kept.pop();
        let shorter: String = kept.iter().collect::<String>() + "…";
        if width(&shorter, size) <= most {
            return shorter;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_add_up_and_texts_are_cut() {
        let sum = width("m", 12.0) + width("i", 12.0);
        assert!((width("mi", 12.0) - sum).abs() < 1e-9);
        assert!(width("τ ≥ 10 µs", 10.0) > 30.0);
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted("a name that is far too long", 12.0, 60.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 60.0);
    }
}
