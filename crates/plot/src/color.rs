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

/// After Okabe & Ito (2008): blue, vermilion, green, purple, orange, sky, grey; then dark red, petrol, olive, brown
/// and magenta. Moved from there until all have contrast to the paper and, the first seven above all, to each other,
/// also for eyes without one of the three cones (the tests have the numbers).
const LIGHT: [Rgb; SERIES] = [
    [0x00, 0x5b, 0xb2],
    [0xb4, 0x52, 0x00],
    [0x00, 0x8d, 0x63],
    [0xb8, 0x5c, 0x8b],
    [0xb7, 0x86, 0x3e],
    [0x2b, 0x8f, 0xc9],
    [0x5c, 0x5c, 0x5c],
    [0x8b, 0x1e, 0x16],
    [0x00, 0x5f, 0x6b],
    [0x6b, 0x9b, 0x00],
    [0x7a, 0x4a, 0x2b],
    [0xc2, 0x1e, 0x8c],
];

/// The same, lightened for dark paper.
const DARK: [Rgb; SERIES] = [
    [0x4d, 0xa9, 0xe0],
    [0xf2, 0x8c, 0x3a],
    [0x2f, 0xbf, 0x93],
    [0xe0, 0x96, 0xc0],
    [0xf0, 0xb8, 0x27],
    [0x89, 0xe2, 0xf1],
    [0x82, 0x82, 0x82],
    [0xe1, 0x66, 0x6d],
    [0x5b, 0xe6, 0xd5],
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

    /// Linear light of sRGB.
    fn linear(rgb: Rgb) -> [f64; 3] {
        rgb.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    /// Relative luminance of the Web Content Accessibility Guidelines 2.1.
    fn luminance(rgb: Rgb) -> f64 {
        let [red, green, blue] = linear(rgb);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
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

    /// Matrices on linear light: as it is, without the cones for long waves, without those for middle ones
    /// (G. Machado, M. Oliveira, L. Fernandes, 2009, full severity).
    const EYES: [[[f64; 3]; 3]; 3] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ];

    fn times(matrix: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(v).map(|(m, x)| m * x).sum())
    }

    /// CIE L*a*b* of what an eye sees of a colour.
    fn lab(rgb: Rgb, eye: &[[f64; 3]; 3]) -> [f64; 3] {
        let seen = times(eye, linear(rgb)).map(|c| c.clamp(0.0, 1.0));
        let to_xyz = [
            [0.4124, 0.3576, 0.1805],
            [0.2126, 0.7152, 0.0722],
            [0.0193, 0.1192, 0.9505],
        ];
        let [x, y, z] = times(&to_xyz, seen);
        let f = |t: f64| match t > 0.008_856 {
            true => t.cbrt(),
            false => 7.787 * t + 16.0 / 116.0,
        };
        let (x, y, z) = (f(x / 0.9505), f(y), f(z / 1.089));
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn series_can_be_told_apart_by_all_eyes() {
        for theme in [Theme::Light, Theme::Dark] {
            for (eye, least) in EYES.iter().zip([(20.0, 28.0), (8.0, 14.0), (7.5, 14.0)]) {
                for (i, j) in (0..SERIES).flat_map(|j| (0..j).map(move |i| (i, j))) {
                    let [a, b] = [i, j].map(|s| lab(Ink::Series(s).rgb(theme), eye));
                    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
                    let distance = squares.sum::<f64>().sqrt();
                    let wanted = if j < 7 { least.1 } else { least.0 };
                    assert!(distance > wanted, "{theme:?}: {i} and {j}: {distance}");
                }
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
