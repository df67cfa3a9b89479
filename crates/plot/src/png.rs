//! A scene as pixels. Text is drawn from the outlines of the font that is built in.

use tiny_skia::{
    FillRule, FilterQuality, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, PixmapPaint,
    PremultipliedColorU8, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use crate::color::{Ink, Rgb, Theme};
use crate::scene::{Anchor, Scene, Shape};
use crate::text;

/// The largest side of a picture in pixels.
const MOST: f64 = 16_384.0;

/// The bytes of a PNG file; `scale` pixels for each unit of the scene, fewer if the picture would be huge.
pub fn render(scene: &Scene, theme: Theme, scale: f64) -> Vec<u8> {
    let scale = scale.min(MOST / scene.width.max(scene.height).max(1.0));
    let side = |length: f64| (length * scale).ceil().clamp(1.0, MOST) as u32;
    let mut pixmap = Pixmap::new(side(scene.width), side(scene.height))
        .expect("a picture has at least one pixel and at most as many as fit");
    let [r, g, b] = Ink::Paper.rgb(theme);
    pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
    let mut painter = Painter {
        pixmap,
        theme,
        base: Transform::from_scale(scale as f32, scale as f32),
    };
    scene.shapes.iter().for_each(|shape| painter.shape(shape));
    bytes(&painter.pixmap)
}

/// A table of pixels as the bytes of a PNG file.
pub(crate) fn encode(columns: usize, rows: usize, rgb: &[Rgb]) -> Vec<u8> {
    bytes(&table(columns, rows, rgb))
}

fn bytes(pixmap: &Pixmap) -> Vec<u8> {
    pixmap
        .encode_png()
        .expect("writing a PNG into memory does not fail")
}

fn table(columns: usize, rows: usize, rgb: &[Rgb]) -> Pixmap {
    let mut pixmap = Pixmap::new(columns.max(1) as u32, rows.max(1) as u32)
        .expect("a table has at least one cell");
    for (pixel, [r, g, b]) in pixmap.pixels_mut().iter_mut().zip(rgb) {
        *pixel =
            PremultipliedColorU8::from_rgba(*r, *g, *b, 255).expect("an opaque colour is a colour");
    }
    pixmap
}

struct Painter {
    pixmap: Pixmap,
    theme: Theme,
    base: Transform,
}

impl Painter {
    fn paint(&self, ink: Ink, opacity: f64) -> Paint<'static> {
        let [r, g, b] = ink.rgb(self.theme);
        let mut paint = Paint::default();
        paint.set_color_rgba8(r, g, b, (255.0 * opacity).round() as u8);
        paint
    }

    fn fill(&mut self, path: &Path, ink: Ink, opacity: f64, at: Transform) {
        let paint = self.paint(ink, opacity);
        let place = at.post_concat(self.base);
        self.pixmap
            .fill_path(path, &paint, FillRule::Winding, place, None);
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Lines {
                lines,
                ink,
                width,
                dashed,
            } => {
                let stroke = Stroke {
                    width: *width as f32,
                    line_cap: LineCap::Butt,
                    line_join: LineJoin::Round,
                    dash: dashed
                        .then(|| StrokeDash::new(vec![5.0, 4.0], 0.0))
                        .flatten(),
                    ..Stroke::default()
                };
                let paint = self.paint(*ink, 1.0);
                if let Some(path) = path(lines.iter().map(|l| &l[..]), false) {
                    self.pixmap
                        .stroke_path(&path, &paint, &stroke, self.base, None);
                }
            }
            Shape::Area {
                points,
                ink,
                opacity,
            } => {
                if let Some(path) = path([&points[..]].into_iter(), true) {
                    self.fill(&path, *ink, *opacity, Transform::identity());
                }
            }
            Shape::Dots {
                centres,
                radius,
                ink,
            } => {
                for (x, y) in centres {
                    let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                    if let Some(circle) = circle {
                        self.fill(&circle, *ink, 1.0, Transform::identity());
                    }
                }
            }
            Shape::Text { .. } => self.text(shape),
            Shape::Pixels {
                to,
                columns,
                rows,
                rgb,
            } => {
                let source = table(*columns, *rows, rgb);
                let place = Transform::from_row(
                    (to.width / *columns as f64) as f32,
                    0.0,
                    0.0,
                    (to.height / *rows as f64) as f32,
                    to.x as f32,
                    to.y as f32,
                );
                let paint = PixmapPaint {
                    quality: FilterQuality::Nearest,
                    ..PixmapPaint::default()
                };
                self.pixmap.draw_pixmap(
                    0,
                    0,
                    source.as_ref(),
                    &paint,
                    place.post_concat(self.base),
                    None,
                );
            }
        }
    }

    fn text(&mut self, shape: &Shape) {
        let Shape::Text {
            at: (x, y),
            text,
            size,
            anchor,
            upwards,
            ink,
        } = shape
        else {
            return;
        };
        let units = f64::from(text::face().units_per_em());
        let scale = (size / units) as f32;
        let share = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => 0.5,
            Anchor::End => 1.0,
        };
        let back = (share * text::width(text, *size)) as f32;
        let turned = if *upwards {
            Transform::from_rotate(-90.0)
        } else {
            Transform::identity()
        };
        // Units of the font have y upwards.
        let place = Transform::from_scale(scale, -scale)
            .post_translate(-back, 0.0)
            .post_concat(turned)
            .post_translate(*x as f32, *y as f32);
        for glyph in text::outlines(text, Outline::at) {
            if let Some(path) = glyph.path.finish() {
                self.fill(&path, *ink, 1.0, place);
            }
        }
    }
}

fn path<'a>(lines: impl Iterator<Item = &'a [(f64, f64)]>, closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for line in lines {
        for (i, (x, y)) in line.iter().enumerate() {
            match i {
                0 => builder.move_to(*x as f32, *y as f32),
                _ => builder.line_to(*x as f32, *y as f32),
            }
        }
        if closed && !line.is_empty() {
            builder.close();
        }
    }
    builder.finish()
}

/// Takes the outline of a glyph as a path, moved along by an offset.
struct Outline {
    path: PathBuilder,
    offset: f32,
}

impl Outline {
    fn at(offset: f64) -> Outline {
        Outline {
            path: PathBuilder::new(),
            offset: offset as f32,
        }
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(x + self.offset, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(x + self.offset, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to(x1 + self.offset, y1, x + self.offset, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let o = self.offset;
        self.path.cubic_to(x1 + o, y1, x2 + o, y2, x + o, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
