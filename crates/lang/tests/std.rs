//! The embedded `std/` files: they parse and check without a finding.

use rheobase_lang::check::check;
use rheobase_lang::diag::render::render_all;
use rheobase_lang::load::{NoFiles, STD, load};

#[test]
fn std_files_are_without_findings() {
    // As a program's own file each is looked at in full; as an import it is trusted.
    for (name, text) in STD {
        let loaded = load("main.snn", text, &NoFiles);
        let checked = check(&loaded.files);
        let all = [loaded.diagnostics, checked.diagnostics].concat();
        assert_eq!(render_all(&all, &loaded.sources, false), "", "{name}");
    }
}
