//! Values with a unit, and counts.

use std::time::Duration;

use crate::measure::{ByteSize, parse_duration};
use crate::yaml::{Node, Source};

pub(crate) fn read_duration(source: &Source, node: &Node, what: &str) -> Option<Duration> {
    read(source, node, what, &DURATION, parse_duration)
}

pub(crate) fn read_size(source: &Source, node: &Node, what: &str) -> Option<ByteSize> {
    read(source, node, what, &SIZE, |text| ByteSize::parse(text).ok())
}

/// A whole number above zero.
pub(crate) fn read_count(source: &Source, node: &Node, what: &str) -> Option<u64> {
    let count = node.as_integer().and_then(|it| u64::try_from(it).ok());
    read(source, node, what, &COUNT, |_| count.filter(|it| *it > 0))
}

/// A kind of value, and how to write one.
struct Measure {
    name: &'static str,
    help: &'static str,
}

const DURATION: Measure = Measure {
    name: "a duration",
    help: "write a whole number and its unit: `30s`, `15m`, `12h` or `400d`",
};
const SIZE: Measure = Measure {
    name: "a size",
    help: "write a whole number and its unit: `512KiB`, `64MiB` or `1GiB`",
};
const COUNT: Measure = Measure {
    name: "a whole number above 0",
    help: "write digits alone, without quotes: `2` or `1000000`",
};

fn read<T>(
    source: &Source,
    node: &Node,
    what: &str,
    measure: &Measure,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Some(text) = node.as_scalar().filter(|text| !text.is_empty()) else {
        source.wrong_type(node, what, measure.name);
        return None;
    };
    let value = parse(text);
    if value.is_none() {
        source
            .error(
                node,
                "wrong-value",
                format!("`{what}` is `{text}`, which is not {}", measure.name),
            )
            .help(measure.help)
            .report();
    }
    value
}
