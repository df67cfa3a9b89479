//! The table of all diagnostic codes.
//!
//! One row is a code, a stable name and a title; the long text is the Markdown file of the same
//! code in `pages/`, with the sections What, Why, Wrong and Right. Everything that is about codes
//! reads this table: the enum, the pages of `rheo explain`, the severity, the tests that ask for
//! an example of each. `E` codes are errors, `W` codes warnings. The first two digits are the
//! stage: 01 text, 02 names, 03 units, 04 spikes and gradients, 05 dynamics, 06 networks, 07
//! training and data. A number is never used again for something else.

use std::fmt;

use super::Severity;

/// Declares the codes from the rows of the table.
macro_rules! codes {
    ($($code:ident $name:literal $title:literal;)*) => {
        /// A diagnostic code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$code),*];

            /// `E0201`
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// A stable name in words: `undefined-name`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$code => $name,)* }
            }

            /// What it is about, as a phrase.
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }

            /// The long text in Markdown: What, Why, Wrong, Right.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$code => include_str!(concat!("pages/", stringify!($code), ".md")),)*
                }
            }
        }
    };
}

codes! {
    E0101 "syntax" "the text does not follow the grammar";
    E0102 "unknown-unit" "a unit that does not exist";
    E0103 "unit-without-number" "a unit without a number in front";
    E0104 "compound-unit" "a compound unit without brackets";
    E0105 "duplicate-name" "a name is defined twice";
    E0106 "reserved-word" "a keyword is used as a name";
    E0201 "undefined-name" "a name that is not defined here";
    E0202 "assign-to-non-state" "an assignment to something that is not a state";
    E0203 "undeclared-state" "an equation for a state that is not declared";
    E0204 "two-equations" "two equations for one state";
    W0205 "constant-state" "a state that never changes";
    W0206 "unused" "a parameter, `let` or input that is never read";
    E0207 "let-cycle" "`let` definitions that depend on each other in a circle";
    E0208 "initial-value-reads-state" "an initial value reads something other than parameters";
    E0209 "input-not-received" "an input port whose arrivals are never used";
    E0210 "unknown-override" "a layer or child overrides a parameter that does not exist";
    E0211 "unsupported-construct" "the chosen backend cannot run a construct";
    E0212 "import" "an import that is missing or imports itself";
    E0301 "unit-mismatch" "two quantities of different dimension are combined";
    E0302 "equation-unit" "the right-hand side of an equation has the wrong unit";
    E0303 "dimensional-argument" "a function that needs a plain number is given a unit";
    E0304 "assignment-unit" "an assignment with the wrong unit";
    E0305 "dimensional-margin" "a spike margin with a unit and no `scale`";
    E0306 "parameter-unit" "an override or a bound with the wrong unit";
    E0307 "variable-exponent" "a unit raised to a power that is not constant";
    E0308 "weight-unit" "weights whose unit is not the port's";
    E0309 "branch-units" "the branches of an `if` have different units";
    E0310 "noise-unit" "a noise term with the wrong unit";
    E0401 "missing-surrogate" "a spike that is trained through has no surrogate";
    E0402 "reset-gradient" "a reset that is neither `detached` nor `attached`";
    E0403 "non-differentiable" "an operation without a useful derivative on a learnable path";
    E0404 "stateless-condition" "a spike condition that reads no state";
    E0405 "zero-surrogate" "a surrogate derivative that is zero everywhere";
    E0406 "bad-surrogate" "a surrogate derivative that is negative or not finite";
    E0407 "support-too-small" "a surrogate derivative that is not zero outside its support";
    E0408 "primitive-mismatch" "a surrogate's primitive does not have its derivative";
    E0409 "initial-out-of-bounds" "an initial value outside its bounds";
    E0410 "loss-not-learnable" "no learnable quantity reaches the loss";
    W0411 "no-gradient" "a learnable parameter that receives no gradient";
    E0412 "delay-without-kernel" "a learnable delay without an interpolation kernel";
    E0413 "learn-discrete" "a discrete quantity cannot be learned";
    W0414 "large-attached-reset" "an attached reset with a large jump";
    W0415 "surrogate-width" "a surrogate much too narrow or too wide";
    W0416 "detached-recurrence" "a recurrence whose gradient is cut everywhere";
    W0417 "shape-without-primitive" "a learned parameter in the shape of a surrogate without a primitive";
    E0501 "exact-nonlinear" "`exact` on equations that are not linear";
    E0502 "exact-varying" "`exact` with a coefficient that changes within the step";
    W0503 "euler-unstable" "forward Euler diverges at this step";
    W0504 "euler-oscillates" "forward Euler changes sign at every step";
    W0505 "euler-inaccurate" "forward Euler is inaccurate at this step";
    E0506 "noise-integrator" "noise with an integrator that cannot take it";
    W0507 "exp-overflow" "an exponential that can overflow";
    W0508 "domain" "an operation outside its domain";
    W0509 "time-constant-sign" "a time constant that may become zero or negative";
    W0510 "unstable-linear-part" "equations that grow without bound";
    W0511 "not-a-multiple" "a time that is not a multiple of the step";
    W0512 "reset-above-threshold" "a reset that leaves the spike condition true";
    W0513 "no-reset" "a spiking neuron with neither reset nor refractory time";
    E0514 "order-incomplete" "`order` leaves out a phase that the neuron needs";
    E0601 "zero-delay-cycle" "a loop of connections without a delay";
    E0602 "shape-mismatch" "shapes that do not fit";
    E0603 "unknown-layer-or-port" "a connection to a layer or port that does not exist";
    W0604 "unconnected" "a layer or port that is not connected";
    E0605 "readout-misuse" "a readout asked for something that its layer does not have";
    E0606 "delay-bound" "a delay that needs an upper bound";
    E0607 "recursive-definition" "neurons or networks that contain themselves";
    W0608 "memory" "a memory estimate above the limit";
    E0701 "class-count" "the labels do not fit the readout";
    E0702 "channel-count" "the data's channels do not fit the input";
    E0703 "duration" "a duration that is not a multiple of the step";
    E0704 "unknown-setting" "a setting that does not exist";
    E0705 "data-layout" "a data file without the expected contents";
    W0706 "events-cut" "events outside the duration are dropped";
    W0707 "silent-or-saturated" "a layer that is silent or saturated at the start";
    E0708 "not-finite" "a value became NaN or infinite while running";
}

impl Code {
    /// Error or warning, from the letter.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// The code that is written like this, in either case; also by its name.
    pub fn from_text(text: &str) -> Option<Code> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text) || code.name() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The page of a code, for `rheo explain`; `None` if there is no such code.
pub fn explain(code: &str) -> Option<String> {
    let code = Code::from_text(code)?;
    let kind = code.severity().word();
    Some(
        format!(
            "{kind} {code} ({}): {}\n\n{}",
            code.name(),
            code.title(),
            code.page().trim_end()
        ) + "\n",
    )
}
