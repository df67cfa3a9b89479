//! Inks, their colours in the light and in the dark, and the scales of heat maps.

/// What something is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Titles and the text of ticks.
    Text,
    /// Axes and what is less important.
    Axis,
    /// Lines behind the data.
    Grid,
    /// The paper.
    Paper,
    /// Black in any theme: on a bright colour.
    Black,
    /// White in any theme: on a dark colour.
    White,
    /// The colour of a series; after the last one they start again.
    Series(usize),
}

/// Whether the paper is bright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on bright paper.
    Light,
    /// Bright ink on dark paper.
    Dark,
}

/// Red, green and blue.
pub(crate) type Rgb = [u8; 3];

/// How many colours series have.
pub const SERIES: usize = 12;

/// After Okabe & Ito (2008): blue, vermilion, green, purple, orange, sky, grey; darkened where bright paper
/// would swallow them. Then dark red, petrol, olive, brown and magenta, which need a look at the legend.
const LIGHT: [Rgb; SERIES] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x8c, 0x66],
    [0xb8, 0x5c, 0x92],
    [0xc4, 0x87, 0x00],
    [0x2b, 0x8f, 0xc9],
    [0x6e, 0x6e, 0x6e],
    [0x8b, 0x1a, 0x1a],
    [0x00, 0x5f, 0x6b],
    [0x6b, 0x7a, 0x00],
    [0x7a, 0x4a, 0x2b],
    [0xc2, 0x1e, 0x8c],
];

/// The same, lightened for dark paper.
const DARK: [Rgb; SERIES] = [
    [0x4d, 0xa9, 0xe0],
    [0xf2, 0x8c, 0x3a],
    [0x2f, 0xbf, 0x93],
    [0xe0, 0x96, 0xc0],
    [0xf0, 0xb4, 0x2e],
    [0x8c, 0xcd, 0xf2],
    [0xb4, 0xb4, 0xb4],
    [0xe8, 0x6a, 0x6a],
    [0x5a, 0xc8, 0xd0],
    [0xc0, 0xd0, 0x50],
    [0xc8, 0x9a, 0x70],
    [0xf0, 0x70, 0xd0],
];

impl Ink {
    /// The colour in a theme.
    pub(crate) fn rgb(self, theme: Theme) -> Rgb {
        match (self, theme) {
            (Ink::Text, Theme::Light) => [0x1f, 0x23, 0x28],
            (Ink::Text, Theme::Dark) => [0xe6, 0xea, 0xef],
            (Ink::Axis, Theme::Light) => [0x6a, 0x73, 0x7d],
            (Ink::Axis, Theme::Dark) => [0x94, 0x9e, 0xaa],
            (Ink::Grid, Theme::Light) => [0xe3, 0xe7, 0xeb],
            (Ink::Grid, Theme::Dark) => [0x2c, 0x33, 0x3c],
            (Ink::Paper, Theme::Light) => [0xff, 0xff, 0xff],
            (Ink::Paper, Theme::Dark) => [0x15, 0x19, 0x1f],
            (Ink::Black, Theme::Light | Theme::Dark) => [0, 0, 0],
            (Ink::White, Theme::Light | Theme::Dark) => [0xff, 0xff, 0xff],
            (Ink::Series(i), Theme::Light) => LIGHT[i % SERIES],
            (Ink::Series(i), Theme::Dark) => DARK[i % SERIES],
        }
    }
}

/// How numbers become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From the paper's side of dark to bright yellow, for counts (viridis, Smith & van der Walt 2015).
    Sequential,
    /// Blue below zero, grey at it, orange above, for weights.
    Diverging,
}

/// Viridis at nine equally spaced places.
const VIRIDIS: [Rgb; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

const BLUE_TO_ORANGE: [Rgb; 5] = [
    [5, 64, 140],
    [86, 160, 220],
    [242, 242, 242],
    [240, 150, 60],
    [150, 60, 0],
];

impl Scale {
    /// The colour at a place between 0 and 1; grey for no number.
    pub(crate) fn rgb(self, place: f64) -> Rgb {
        if place.is_nan() {
            return [128, 128, 128];
        }
        let stops: &[Rgb] = match self {
            Scale::Sequential => &VIRIDIS,
            Scale::Diverging => &BLUE_TO_ORANGE,
        };
        let x = place.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let below = (x as usize).min(stops.len() - 2);
        let part = x - below as f64;
        let mix = |i: usize| {
            let (a, b) = (f64::from(stops[below][i]), f64::from(stops[below + 1][i]));
            (a + (b - a) * part).round() as u8
        };
        [mix(0), mix(1), mix(2)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of the Web Content Accessibility Guidelines 2.1.
    fn luminance(rgb: Rgb) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])
    }

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn everything_is_readable_on_both_papers() {
        for theme in [Theme::Light, Theme::Dark] {
            let paper = Ink::Paper.rgb(theme);
            assert!(contrast(Ink::Text.rgb(theme), paper) > 7.0);
            assert!(contrast(Ink::Axis.rgb(theme), paper) > 4.5);
            for i in 0..SERIES {
                let found = contrast(Ink::Series(i).rgb(theme), paper);
                assert!(found > 3.0, "series {i} in {theme:?}: {found}");
            }
        }
    }

    #[test]
    fn a_count_that_is_larger_is_brighter() {
        let places: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
        let light: Vec<f64> = places
            .iter()
            .map(|&p| luminance(Scale::Sequential.rgb(p)))
            .collect();
        assert!(light.is_sorted(), "{light:?}");
    }
}
