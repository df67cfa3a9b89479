//! A program from its first file: parses it and everything that it imports.
//!
//! This crate reads no files. A [`Loader`] gives the text of an import; `std/…` is embedded here.
//! A file is identified by its name: the path in the `import`, relative to the folder of the file
//! that contains it, with `.` and `..` resolved. Each file is read once, however often it is
//! imported; a circle of imports and an import that cannot be read are errors (E0212).

mod needed;

use crate::ast;
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::parse::parse;
use crate::span::{SourceMap, Span};

/// Where the text of imported files comes from.
pub trait Loader {
    /// The text of the file `path`, which stands in an `import` of the file named `from`.
    ///
    /// `from` is the name of that file as it appears in the [`SourceMap`]; `path` is as written.
    ///
    /// # Errors
    /// Why there is no such text, as a phrase: "no such file".
    fn load(&self, from: &str, path: &str) -> Result<String, String>;
}

/// A [`Loader`] for programs of one file: every import but `std/…` is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _from: &str, _path: &str) -> Result<String, String> {
        Err("only `std/` files can be imported here".to_owned())
    }
}

/// The embedded files and their texts.
pub const STD: [(&str, &str); 11] = [
    ("std/surrogates.snn", include_str!("../std/surrogates.snn")),
    ("std/neurons.snn", include_str!("../std/neurons.snn")),
    ("std/mlgenn.snn", include_str!("../std/mlgenn.snn")),
    ("std/norse.snn", include_str!("../std/norse.snn")),
    ("std/rockpool.snn", include_str!("../std/rockpool.snn")),
    ("std/sinabs.snn", include_str!("../std/sinabs.snn")),
    ("std/snntorch.snn", include_str!("../std/snntorch.snn")),
    (
        "std/spikingjelly.snn",
        include_str!("../std/spikingjelly.snn"),
    ),
    ("std/spytorch.snn", include_str!("../std/spytorch.snn")),
    ("std/spyx.snn", include_str!("../std/spyx.snn")),
    ("std/weights.snn", include_str!("../std/weights.snn")),
];

/// More files than this are no program.
const MAX_FILES: usize = 256;

/// All files of a program.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Their names and texts.
    pub sources: SourceMap,
    /// Their trees: the first file, then imports in the order in which they are met.
    pub files: Vec<ast::File>,
    /// What was wrong, in the order of the files and of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether items of `std/` were left out.
    pub partial: bool,
}

/// How much of `std/` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of each imported file.
    Whole,
    /// The items that the program reads, through others too. A program without an error means the same; what
    /// a message suggests may differ.
    Needed,
}

/// Parses a program whose first file has this name and text.
pub fn load(name: &str, source: &str, loader: &dyn Loader) -> Loaded {
    load_extent(name, source, loader, Extent::Whole)
}

fn load_extent(name: &str, source: &str, loader: &dyn Loader, extent: Extent) -> Loaded {
    let mut loading = Loading {
        loader,
        done: Loaded {
            sources: SourceMap::new(),
            files: Vec::new(),
            diagnostics: Vec::new(),
            partial: false,
        },
        open: Vec::new(),
        extent,
        outlined: Vec::new(),
    };
    loading.file(normalize("", name), source.to_owned());
    loading.read_needed();
    crate::diag::sort_and_limit(&mut loading.done.diagnostics);
    loading.done
}

/// [`load`] for bytes that may not be text.
pub fn load_bytes(name: &str, bytes: &[u8], loader: &dyn Loader, extent: Extent) -> Loaded {
    match std::str::from_utf8(bytes) {
        Ok(source) => load_extent(name, source, loader, extent),
        Err(error) => {
            let mut sources = SourceMap::new();
            let at = error.valid_up_to();
            // Shown is what can be read; the report points at its end.
            let text = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let id = sources.add(name, text);
            let message = format!("the file is not UTF-8 text: byte {at} belongs to no character");
            Loaded {
                files: vec![ast::File {
                    id,
                    items: Vec::new(),
                    broken: true,
                    trusted: false,
                }],
                sources,
                diagnostics: vec![Diagnostic::new(Code::E0101, id.span(at..at), message)],
                partial: false,
            }
        }
    }
}

struct Loading<'a> {
    loader: &'a dyn Loader,
    done: Loaded,
    /// The files whose imports are being read, each with the import that leads on.
    open: Vec<(String, Span)>,
    extent: Extent,
    /// The files of which only the imports are read so far, by their index.
    outlined: Vec<(usize, &'static str)>,
}

impl Loading<'_> {
    /// Parses a file and then its imports.
    fn file(&mut self, name: String, source: String) {
        let id = self.done.sources.add(name.clone(), source.as_str());
        let trusted = is_std(&name) && !self.open.is_empty();
        let outlined = embedded(&name).filter(|_| trusted && self.extent == Extent::Needed);
        let (mut tree, mut diagnostics) = match outlined {
            Some(text) => {
                self.outlined.push((self.done.files.len(), text));
                let items = needed::items(text);
                parse(&needed::keep(text, &items, |i| items[i].name.is_none()), id)
            }
            None => parse(&source, id),
        };
        tree.trusted = trusted;
        self.done.diagnostics.append(&mut diagnostics);
        let imports: Vec<ast::Import> = tree
            .items
            .iter()
            .filter_map(|item| match item {
                ast::Item::Import(import) => Some(import.clone()),
                ast::Item::Const(_)
                | ast::Item::Surrogate(_)
                | ast::Item::Fn(_)
                | ast::Item::Neuron(_)
                | ast::Item::Network(_)
                | ast::Item::Train(_) => None,
            })
            .collect();
        self.done.files.push(tree);
        for import in imports {
            self.open.push((name.clone(), import.path_span));
            self.import(&name, &import);
            self.open.pop();
        }
    }

    /// Parses of the files of which only the imports were read what the others need.
    fn read_needed(&mut self) {
        if self.outlined.is_empty() {
            return;
        }
        let is_own = |i: &usize| self.outlined.iter().all(|(outlined, _)| outlined != i);
        let own = (0..self.done.files.len()).filter(is_own);
        let own: Vec<&str> = own
            .map(|i| self.done.sources.file(self.done.files[i].id).text())
            .collect();
        let texts = self.outlined.iter().map(|(_, text)| *text);
        let files: Vec<_> = texts.map(|text| (text, needed::items(text))).collect();
        let needed = needed::needed(&own, &files);
        for ((&(index, _), (text, items)), needed) in self.outlined.iter().zip(&files).zip(needed) {
            let tree = &mut self.done.files[index];
            let kept = |i: usize| needed[i] || items[i].name.is_none();
            self.done.partial |= !(0..items.len()).all(kept);
            let (read, mut diagnostics) = parse(&needed::keep(text, items, kept), tree.id);
            *tree = ast::File {
                trusted: true,
                ..read
            };
            self.done.diagnostics.append(&mut diagnostics);
        }
    }

    fn import(&mut self, from: &str, import: &ast::Import) {
        let name = normalize(from, &import.path);
        if let Some(first) = self.open.iter().position(|(open, _)| *open == name) {
            self.cycle(&name, first, import);
            return;
        }
        let known = self.done.sources.files();
        if known.iter().any(|file| file.name() == name) {
            return;
        }
        if known.len() >= MAX_FILES {
            let message = format!("the program has more than {MAX_FILES} files");
            self.report(import, message, None);
            return;
        }
        match self.text(from, &import.path, &name) {
            Ok(text) => self.file(name, text),
            Err(reason) => self.missing(import, &name, &reason),
        }
    }

    fn text(&self, from: &str, path: &str, name: &str) -> Result<String, String> {
        if !is_std(name) {
            return self.loader.load(from, path);
        }
        match embedded(name) {
            Some(text) => Ok(text.to_owned()),
            None => Err("there is no such file in `std/`".to_owned()),
        }
    }

    fn missing(&mut self, import: &ast::Import, name: &str, reason: &str) {
        let message = format!("cannot import `{}`: {reason}", import.path);
        let names = STD.iter().map(|(name, _)| *name);
        let near = did_you_mean(name, names.clone()).map(str::to_owned);
        self.report(import, message, near);
        if is_std(name)
            && let Some(last) = self.done.diagnostics.last_mut()
        {
            let list: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            last.notes.push(format!("std has {}", list.join(", ")));
        }
    }

    fn report(&mut self, import: &ast::Import, message: String, near: Option<String>) {
        let report = Diagnostic::new(Code::E0212, import.path_span, message);
        let report = match near {
            Some(near) => report.help_edit(
                format!("did you mean `{near}`?"),
                import.path_span,
                format!("\"{near}\""),
            ),
            None => report,
        };
        self.done.diagnostics.push(report);
    }

    /// The import leads back to the file at `first` of those that are open.
    fn cycle(&mut self, name: &str, first: usize, import: &ast::Import) {
        let through: Vec<String> = self.open[first + 1..]
            .iter()
            .map(|(file, _)| format!("`{file}`"))
            .collect();
        let message = match through.as_slice() {
            [] => format!("`{name}` imports itself"),
            files => format!("`{name}` imports itself through {}", files.join(", ")),
        };
        let mut report =
            Diagnostic::new(Code::E0212, import.path_span, message).label("this closes the circle");
        for (file, span) in &self.open[first..self.open.len() - 1] {
            report = report.secondary(*span, format!("`{file}` leads on from here"));
        }
        self.done.diagnostics.push(
            report.note(
                "all items of a program see each other: move what both files need into a third",
            ),
        );
    }
}

/// The text of an embedded file.
fn embedded(name: &str) -> Option<&'static str> {
    let found = STD.iter().find(|(std, _)| *std == name);
    found.map(|(_, text)| *text)
}

fn is_std(name: &str) -> bool {
    name.starts_with("std/")
}

/// The name of the file that `path` means in the file named `from`.
///
/// An absolute path and a `std/` path mean the same everywhere; others are relative to the folder
/// of `from`. Both kinds of slash separate folders; `.` and `..` are resolved.
pub fn normalize(from: &str, path: &str) -> String {
    let path = path.replace('\\', "/");
    let absolute = path.starts_with('/') || path.contains(':');
    let folder = match from.rsplit_once('/') {
        Some((folder, _)) if !absolute && !is_std(&path) => folder,
        Some(_) | None => "",
    };
    let root = if path.starts_with('/') || folder.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if root == "/" => {}
            _ => parts.push(part),
        }
    }
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::render::render_all;

    /// Files in memory, by their normalised names.
    struct Files(Vec<(&'static str, &'static str)>);

    impl Loader for Files {
        fn load(&self, from: &str, path: &str) -> Result<String, String> {
            let name = normalize(from, path);
            let found = self.0.iter().find(|(known, _)| *known == name);
            let text = found.map(|(_, text)| (*text).to_owned());
            text.ok_or_else(|| "no such file".to_owned())
        }
    }

    #[test]
    fn names_are_resolved_against_the_importing_file() {
        assert_eq!(normalize("a/b.snn", "c.snn"), "a/c.snn");
        assert_eq!(normalize("a/b.snn", "../c.snn"), "c.snn");
        assert_eq!(normalize("b.snn", "../c.snn"), "../c.snn");
        assert_eq!(normalize("a/b.snn", "std/c.snn"), "std/c.snn");
        assert_eq!(normalize("/a/b.snn", "./c.snn"), "/a/c.snn");
        assert_eq!(normalize("a/b.snn", "/c.snn"), "/c.snn");
    }

    #[test]
    fn a_file_that_is_imported_twice_is_read_once() {
        let files = Files(vec![
            ("m/b.snn", "import \"c.snn\"\nconst b = 1"),
            ("m/c.snn", "const c = 1"),
        ]);
        let source = "import \"m/b.snn\"\nimport \"m/c.snn\"\nimport \"std/neurons.snn\"";
        let loaded = load("a.snn", source, &files);
        assert_eq!(render_all(&loaded.diagnostics, &loaded.sources, false), "");
        let names: Vec<&str> = loaded.sources.files().iter().map(|f| f.name()).collect();
        let expected = [
            "a.snn",
            "m/b.snn",
            "m/c.snn",
            "std/neurons.snn",
            "std/surrogates.snn",
        ];
        assert_eq!(names, expected);
        assert_eq!(loaded.files.len(), 5);
    }

    #[test]
    fn circles_and_missing_files_are_reported() {
        let files = Files(vec![("b.snn", "# b\nimport \"a.snn\"")]);
        let source = "import \"b.snn\"\nimport \"x.snn\"\nimport \"std/surogates.snn\"";
        let loaded = load("a.snn", source, &files);
        insta::assert_snapshot!(render_all(&loaded.diagnostics, &loaded.sources, false));
        let own = load("a.snn", "import \"./a.snn\"", &files);
        assert_eq!(own.diagnostics[0].message, "`a.snn` imports itself");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let loaded = load_bytes("a.snn", b"const a = 1\n\xff\xfe", &NoFiles, Extent::Whole);
        assert_eq!(loaded.diagnostics.len(), 1);
        let place = loaded.sources.location(loaded.diagnostics[0].primary.span);
        assert_eq!(place.map(|place| place.line), Some(2));
    }
}
