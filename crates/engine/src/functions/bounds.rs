//! How large a function's result can get, from its arguments, for each
//! function whose result can be larger than they are.

use super::size::Rows;

/// Bytes that the result of one row cannot exceed.
pub(super) type Bound = fn(&Rows, usize) -> usize;

/// The bound of a function of the engine's registry by its name; `None` if its
/// result cannot outgrow its arguments by more than a small factor.
pub(super) fn bound_of(function: &str) -> Option<Bound> {
    let bound: Bound = match function {
        "repeat" => |rows, row| times(rows.bytes(0, row), rows.integer(1, row)),
        "lpad" | "rpad" => {
            |rows, row| times(4, rows.integer(1, row)).saturating_add(rows.bytes(0, row))
        }
        "replace" => replace,
        "regexp_replace" => regexp_replace,
        "regexp_match" => regexp_match,
        "concat" | "overlay" | "array_concat" | "array_append" | "array_prepend"
        | "array_union" | "make_array" | "||" => together,
        "concat_ws" => concat_ws,
        "encode" => |rows, row| rows.bytes(0, row).saturating_mul(2),
        "string_to_array" => |rows, row| rows.bytes(0, row).saturating_mul(24),
        "array_to_string" => array_to_string,
        "array_repeat" => {
            |rows, row| times(rows.bytes(0, row).saturating_add(8), rows.integer(1, row))
        }
        "array_resize" => array_resize,
        "array_replace" | "array_replace_n" | "array_replace_all" => |rows, row| {
            let grown = rows.elements(0, row).saturating_mul(rows.bytes(2, row));
            grown.saturating_add(rows.bytes(0, row))
        },
        "arrays_zip" => arrays_zip,
        "range" | "generate_series" => super::series::list_bytes,
        "to_char" => |rows, row| rows.bytes(1, row).saturating_mul(64).saturating_add(64),
        _ => return None,
    };
    Some(bound)
}

/// Steps that a function may take for a row, where they grow faster than its
/// arguments: no timeout stops a function that is at it.
pub(super) fn work_of(function: &str) -> Option<Bound> {
    let work: Bound = match function {
        "levenshtein" => |rows, row| rows.bytes(0, row).saturating_mul(rows.bytes(1, row)),
        "array_has_all" | "array_has_any" | "array_except" | "array_intersect"
        | "array_remove_all" => {
            |rows, row| rows.elements(0, row).saturating_mul(rows.elements(1, row))
        }
        _ => return None,
    };
    Some(work)
}

fn times(bytes: usize, count: Option<i64>) -> usize {
    bytes.saturating_mul(usize::try_from(count.unwrap_or_default()).unwrap_or_default())
}

/// All arguments one behind the other.
fn together(rows: &Rows, row: usize) -> usize {
    (0..rows.arguments()).fold(0, |sum, argument| {
        sum.saturating_add(rows.bytes(argument, row))
            .saturating_add(8)
    })
}

fn concat_ws(rows: &Rows, row: usize) -> usize {
    let separators = rows.bytes(0, row).saturating_mul(rows.arguments());
    separators.saturating_add(together(rows, row))
}

fn replace(rows: &Rows, row: usize) -> usize {
    let (Some(text), Some(from), Some(to)) =
        (rows.text(0, row), rows.text(1, row), rows.text(2, row))
    else {
        return 0;
    };
    if to.len() <= from.len() {
        return text.len();
    }
    // An empty `from` is found between any two characters.
    let found = if from.is_empty() {
        text.len() + 1
    } else {
        text.matches(&from).count()
    };
    text.len().saturating_add(found.saturating_mul(to.len()))
}

fn regexp_replace(rows: &Rows, row: usize) -> usize {
    let text = rows.bytes(0, row);
    let Some(replacement) = rows.text(2, row) else {
        return 0;
    };
    let references = replacement.matches(['$', '\\']).count() + 1;
    let everywhere = rows.text(3, row).is_some_and(|flags| flags.contains('g'));
    let matches = if everywhere {
        text.saturating_add(1)
    } else {
        1
    };
    replacement
        .len()
        .saturating_mul(matches)
        .saturating_add(text.saturating_mul(references))
}

fn regexp_match(rows: &Rows, row: usize) -> usize {
    let groups = rows
        .text(1, row)
        .map_or(0, |pattern| pattern.matches('(').count());
    rows.bytes(0, row)
        .saturating_add(16)
        .saturating_mul(groups + 1)
}

fn array_to_string(rows: &Rows, row: usize) -> usize {
    /// The longest number as text.
    const NUMBER: usize = 80;
    let separator = rows
        .bytes(1, row)
        .saturating_add(rows.bytes(2, row))
        .saturating_add(NUMBER);
    rows.elements(0, row)
        .saturating_mul(separator)
        .saturating_add(rows.bytes(0, row))
}

fn array_resize(rows: &Rows, row: usize) -> usize {
    let filler = rows.bytes(2, row).max(16);
    times(filler, rows.integer(1, row)).saturating_add(rows.bytes(0, row))
}

/// Shorter lists are filled up with nulls.
fn arrays_zip(rows: &Rows, row: usize) -> usize {
    let longest = (0..rows.arguments())
        .map(|argument| rows.elements(argument, row))
        .max()
        .unwrap_or_default();
    let nulls = longest.saturating_mul(16).saturating_mul(rows.arguments());
    together(rows, row).saturating_add(nulls)
}
