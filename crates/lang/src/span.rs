//! Places in source text: [`Span`], and [`SourceMap`] which knows the files they point into.
//!
//! A program is several files because of imports. All of them share one address space: the map
//! gives each file a range of offsets, so that two `u32` are enough to say both which file and
//! where in it. Later stages carry a span as an opaque pair and never need the text.
//!
//! Invariants: a span made by the parser lies inside its file and on character boundaries; two
//! files never share an offset; offset 0 is a place in the first file, so the default span is
//! "the beginning of the program".

use std::ops::Range;

/// A half-open range of bytes `start..end` in the address space of a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end`.
    pub fn new(start: u32, end: u32) -> Span {
        debug_assert!(start <= end, "a span runs forwards");
        Span { start, end }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The empty span just before this one; an edit there inserts.
    pub fn before(self) -> Span {
        Span::new(self.start, self.start)
    }

    /// The empty span just after this one; an edit there inserts.
    pub fn after(self) -> Span {
        Span::new(self.end, self.end)
    }

    /// Number of bytes.
    pub fn len(self) -> u32 {
        self.end - self.start
    }

    /// Whether the span covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A file of a [`SourceMap`]. Only [`SourceMap::add`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    index: u32,
    base: u32,
}

impl FileId {
    /// The span of the bytes `range` of this file.
    ///
    /// Offsets beyond the 32 bits saturate; the parser refuses files long before.
    pub fn span(self, range: Range<usize>) -> Span {
        let at = |offset: usize| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            self.base.saturating_add(offset)
        };
        Span::new(at(range.start), at(range.end))
    }

    /// Position among the files, in the order in which they were added.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// One file: the name shown to the user and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    id: FileId,
    /// Byte offset of the first character of each line.
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// The name, as given to [`SourceMap::add`]: a path, or `std/…` for an embedded file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The identifier that the parser was given for this file.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Line and column of a byte offset in this file, both from 1; the column counts characters.
    ///
    /// An offset past the end, or inside a character, gives the nearest place before it.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = floor_char_boundary(&self.text, offset);
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The text of a line (from 1) without its line break; empty if there is no such line.
    pub fn line(&self, line: usize) -> &str {
        let Some(&start) = line.checked_sub(1).and_then(|i| self.line_starts.get(i)) else {
            return "";
        };
        let end = self.line_starts.get(line).map_or(self.text.len(), |&e| e);
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// Number of lines; a text without a line break has one.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }
}

/// A place that a person can find: file name, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// All files of one program.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    next_base: u32,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Adds a file and gives the identifier to parse it with.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let index = u32::try_from(self.files.len()).expect("fewer than 2^32 files");
        let id = FileId {
            index,
            base: self.next_base,
        };
        // One spare offset, so that the place "end of file" belongs to this file only.
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.next_base = self.next_base.saturating_add(len).saturating_add(1);
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(i, _)| i + 1))
            .collect();
        self.files.push(SourceFile {
            name: name.into(),
            text,
            id,
            line_starts,
        });
        id
    }

    /// The files in the order in which they were added.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file of an identifier.
    ///
    /// # Panics
    /// If the identifier came from another map.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.index()]
    }

    /// The file that a span points into and the byte range in its text, both clamped to what
    /// exists; `None` only when the map is empty.
    pub fn resolve(&self, span: Span) -> Option<(&SourceFile, Range<usize>)> {
        let after = self
            .files
            .partition_point(|file| file.id.base <= span.start);
        let file = self.files.get(after.checked_sub(1)?)?;
        let local = |offset: u32| offset.saturating_sub(file.id.base) as usize;
        let start = floor_char_boundary(&file.text, local(span.start));
        let end = floor_char_boundary(&file.text, local(span.end)).max(start);
        Some((file, start..end))
    }

    /// The text that a span covers; empty for a span outside every file.
    pub fn text(&self, span: Span) -> &str {
        match self.resolve(span) {
            Some((file, range)) => &file.text[range],
            None => "",
        }
    }

    /// Where a span begins, for people.
    pub fn location(&self, span: Span) -> Option<Location<'_>> {
        let (file, range) = self.resolve(span)?;
        let (line, column) = file.line_column(range.start);
        Some(Location {
            file: file.name(),
            line,
            column,
        })
    }
}

/// The largest character boundary that is at most `offset`.
fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_find_their_file_line_and_text() {
        let mut map = SourceMap::new();
        let first = map.add("a.snn", "one\nß two\n");
        let second = map.add("b.snn", "three");
        let two = first.span(7..10);
        assert_eq!(map.text(two), "two");
        let place = map.location(two).expect("the map has files");
        assert_eq!((place.file, place.line, place.column), ("a.snn", 2, 3));
        assert_eq!(map.text(second.span(0..5)), "three");
        let place = map.location(second.span(0..5)).expect("the map has files");
        assert_eq!((place.file, place.line, place.column), ("b.snn", 1, 1));
        // The end of the first file is not the beginning of the second.
        let end = map.location(first.span(11..11)).expect("the map has files");
        assert_eq!((end.file, end.line), ("a.snn", 3));
        assert_eq!(map.text(Span::new(500, 900)), "");
        assert_eq!(map.file(first).line(2), "ß two");
    }
}
