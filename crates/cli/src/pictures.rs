//! Charts of what a program is and what a run did: each file makes one kind, for `rheo plot` and for the
//! report. They take numbers and give panels; where both come from and go to is not known here.

pub(crate) mod activity;
pub(crate) mod arrays;
pub(crate) mod confusion;
pub(crate) mod curves;
pub(crate) mod parameters;
pub(crate) mod response;
pub(crate) mod surrogate;

use rheobase_ir::program::Unit;

/// `name (unit)`
fn with_unit(name: &str, unit: &Unit) -> String {
    if unit.text.is_empty() {
        name.to_string()
    } else {
        format!("{name} ({})", unit.text)
    }
}
