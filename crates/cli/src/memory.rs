//! `--memory 2G`: the limit that a training step keeps to, and the plan in words.
//!
//! Without it the limit is the memory of the machine: what does not fit gets a shorter tape as well, and what
//! cannot fit is warned of. With it what cannot fit is refused before anything is allocated.

use rheobase_runtime::MemoryPlan;
use rheobase_train::Trainer;

use crate::console::Console;
use crate::failure::Failure;

/// For clap: a size in bytes (`2G`, `500MB`, `1.5 GiB`); `k`, `M`, `G`, `T` are powers of 1000, with `i` of 1024.
///
/// # Errors
///
/// It is no positive number with such a unit.
pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size; write it like `2G` or `500M`");
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().trim_end_matches(['b', 'B']);
    let (prefix, base) = match unit.strip_suffix('i') {
        Some(prefix) => (prefix, 1024.0f64),
        None => (unit, 1000.0),
    };
    let power = match prefix {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        "t" | "T" => 4,
        _ => return Err(wrong()),
    };
    let bytes = number * base.powi(power);
    if bytes >= 1.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(wrong())
    }
}

/// The memory of this machine in bytes, where the system tells.
fn memory_of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Makes a trainer keep to the limit, and says what is worth knowing about it.
///
/// # Errors
///
/// No plan keeps to the limit that was asked for.
pub(crate) fn keep_to(
    trainer: &mut Trainer,
    asked: Option<u64>,
    console: &Console,
) -> Result<(), Failure> {
    let limit = asked.or_else(memory_of_machine);
    match (trainer.plan_memory(limit), asked, limit) {
        (Ok(plan), Some(_), _) => {
            for line in in_words(&plan) {
                console.note(&format!("memory: {line}\n"));
            }
            Ok(())
        }
        (Ok(_), None, _) | (Err(_), None, None) => Ok(()),
        (Err(least), Some(limit), _) => Err(refused(&least, limit)),
        (Err(least), None, Some(there)) => {
            let message = format!(
                "training needs about {}, this machine has {}; train fewer steps, neurons or threads",
                size_text(least.total()),
                size_text(there as usize)
            );
            console.coded_warning("W0608", &message);
            Ok(())
        }
    }
}

/// That no plan keeps to the limit.
pub(crate) fn refused(least: &MemoryPlan, limit: u64) -> Failure {
    Failure::Coded {
        code: "W0608",
        message: format!(
            "training needs at least {}, more than `--memory` allows ({}): {} for a group of {}, {} for parameters, {} for encoded samples and traces of the loss",
            size_text(least.total()),
            size_text(limit as usize),
            size_text(least.group.total()),
            counted(least.samples, "sample"),
            size_text(least.parameters),
            size_text(least.fixed)
        ),
    }
}

/// The plan, line by line.
pub(crate) fn in_words(plan: &MemoryPlan) -> Vec<String> {
    let group = &plan.group;
    let mut lines = vec![format!(
        "tape {}, rows of a block {}, what layers send {}: {} for a group of {}",
        size_text(group.tape),
        size_text(group.block),
        size_text(group.sent),
        size_text(group.total()),
        counted(plan.samples, "sample")
    )];
    if group.again > 0 {
        lines.push(format!(
            "the first {} steps run forward twice; checkpoints {}",
            group.again,
            size_text(group.checkpoints)
        ));
    }
    lines.push(format!(
        "weights with gradients and moments {}",
        size_text(plan.parameters)
    ));
    if plan.fixed > 0 {
        lines.push(format!(
            "encoded samples and traces of the loss {}",
            size_text(plan.fixed)
        ));
    }
    lines.push(format!(
        "in all {}, with {} at once",
        size_text(plan.total()),
        counted(plan.groups, "group")
    ));
    lines
}

/// `1 sample`, `2 samples`
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// `1.5 kB`
pub(crate) fn size_text(bytes: usize) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e3 => format!("{bytes} bytes"),
        1e3..1e6 => format!("{:.1} kB", bytes / 1e3),
        1e6..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_memory;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("2G", 2_000_000_000),
            ("500MB", 500_000_000),
            ("1.5 GiB", 1_610_612_736),
            ("64k", 64_000),
            ("4096", 4096),
        ] {
            assert_eq!(parse_memory(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "2X", "-1G", "0", "1e3", "1..2G", "99999999T"] {
            assert!(parse_memory(text).is_err(), "{text}");
        }
    }
}
