//! Masks as text, their types, and the order in which they reveal.

use arrow_schema::{DataType, TimeUnit};
use datafusion_common::ScalarValue;

use super::column;
use crate::ColumnMask;

fn parse(mask: &str, data_type: DataType) -> Result<ColumnMask, String> {
    ColumnMask::parse(mask, &column("c", data_type))
}

#[test]
fn every_mask_of_the_list() {
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let cases = [
        (
            "bucket(1000)",
            DataType::Int32,
            ColumnMask::Bucket(ScalarValue::Int32(Some(1000))),
            DataType::Int32,
        ),
        (
            "bucket( 0.5 )",
            DataType::Decimal128(12, 2),
            ColumnMask::Bucket(ScalarValue::Decimal128(Some(50), 12, 2)),
            DataType::Decimal128(12, 2),
        ),
        (
            "bucket(2.5)",
            DataType::Float64,
            ColumnMask::Bucket(ScalarValue::Float64(Some(2.5))),
            DataType::Float64,
        ),
        (
            "truncate_month",
            DataType::Date32,
            ColumnMask::TruncateMonth,
            DataType::Date32,
        ),
        (
            "truncate_year",
            micros.clone(),
            ColumnMask::TruncateYear,
            micros,
        ),
        (
            "show_last(4)",
            DataType::Utf8,
            ColumnMask::ShowLast(4),
            DataType::Utf8,
        ),
        (
            "show_first(1)",
            DataType::LargeUtf8,
            ColumnMask::ShowFirst(1),
            DataType::LargeUtf8,
        ),
        (
            "token(partner)",
            DataType::Int64,
            ColumnMask::Token("partner".to_owned()),
            DataType::Utf8,
        ),
        ("hash", DataType::Utf8View, ColumnMask::Hash, DataType::Utf8),
        (" hash ", DataType::UInt8, ColumnMask::Hash, DataType::Utf8),
        (
            "alphanum",
            DataType::Utf8,
            ColumnMask::Alphanum,
            DataType::Utf8,
        ),
        (
            "fixed('x')",
            DataType::Utf8,
            ColumnMask::Fixed(text("x")),
            DataType::Utf8,
        ),
        (
            "fixed('(a)')",
            DataType::Utf8,
            ColumnMask::Fixed(text("(a)")),
            DataType::Utf8,
        ),
        (
            "fixed(0)",
            DataType::Int16,
            ColumnMask::Fixed(ScalarValue::Int16(Some(0))),
            DataType::Int16,
        ),
        (
            "fixed(-1.5)",
            DataType::Float32,
            ColumnMask::Fixed(ScalarValue::Float32(Some(-1.5))),
            DataType::Float32,
        ),
        (
            "fixed('1970-01-02')",
            DataType::Date32,
            ColumnMask::Fixed(ScalarValue::Date32(Some(1))),
            DataType::Date32,
        ),
        (
            "fixed(false)",
            DataType::Boolean,
            ColumnMask::Fixed(ScalarValue::Boolean(Some(false))),
            DataType::Boolean,
        ),
        (
            "nullify",
            DataType::Binary,
            ColumnMask::Nullify,
            DataType::Binary,
        ),
        (
            "nullify",
            DataType::new_list(DataType::Int8, true),
            ColumnMask::Nullify,
            DataType::new_list(DataType::Int8, true),
        ),
    ];
    for (written, data_type, mask, output) in cases {
        assert_eq!(
            parse(written, data_type.clone()),
            Ok(mask.clone()),
            "{written}"
        );
        assert_eq!(mask.output_type(&data_type), Some(output), "{written}");
    }
}

#[test]
fn each_message() {
    use DataType::*;
    let cases = [
        (
            "bucket",
            Int32,
            "mask `bucket` needs a width, as in `bucket(1000)`",
        ),
        (
            "bucket()",
            Int32,
            "the width of `bucket` has to be a positive number, not ``",
        ),
        (
            "bucket(0)",
            Int32,
            "the width of `bucket` has to be a positive number, not `0`",
        ),
        (
            "bucket(-5)",
            Int32,
            "the width of `bucket` has to be a positive number, not `-5`",
        ),
        (
            "bucket(x)",
            Int32,
            "the width of `bucket` has to be a positive number, not `x`",
        ),
        (
            "bucket(1.5)",
            Int32,
            "the width of `bucket`: `1.5` is not a whole number, as Int32 is",
        ),
        (
            "bucket(300)",
            Int8,
            "the width of `bucket`: `300` does not fit Int8",
        ),
        (
            "bucket(10",
            Int32,
            "mask `bucket(10` has no closing parenthesis",
        ),
        (
            "bucket(10)",
            Utf8,
            "mask `bucket` does not fit column `c`, which is Utf8; these fit: `show_last(n)`, `show_first(n)`, `token(scope)`, `hash`, `alphanum`, `fixed(value)`, `nullify`",
        ),
        (
            "truncate_month",
            Int32,
            "mask `truncate_month` does not fit column `c`, which is Int32; these fit: `bucket(width)`, `token(scope)`, `hash`, `fixed(value)`, `nullify`",
        ),
        (
            "truncate_year",
            Boolean,
            "mask `truncate_year` does not fit column `c`, which is Boolean; these fit: `fixed(value)`, `nullify`",
        ),
        (
            "hash",
            Date32,
            "mask `hash` does not fit column `c`, which is Date32; these fit: `truncate_month`, `truncate_year`, `fixed(value)`, `nullify`",
        ),
        (
            "hash",
            Float64,
            "mask `hash` does not fit column `c`, which is Float64; these fit: `bucket(width)`, `fixed(value)`, `nullify`",
        ),
        (
            "show_last",
            Utf8,
            "mask `show_last` needs a number of characters, as in `show_last(4)`",
        ),
        (
            "show_first",
            Utf8,
            "mask `show_first` needs a number of characters, as in `show_first(4)`",
        ),
        (
            "show_last(0)",
            Utf8,
            "`show_last` takes a whole number of characters from 1, not `0`",
        ),
        (
            "show_last(x)",
            Utf8,
            "`show_last` takes a whole number of characters from 1, not `x`",
        ),
        (
            "show_last(4)",
            Int32,
            "mask `show_last(4)` does not fit column `c`, which is Int32; these fit: `bucket(width)`, `token(scope)`, `hash`, `fixed(value)`, `nullify`",
        ),
        (
            "token",
            Utf8,
            "mask `token` needs a scope, as in `token(partner)`",
        ),
        (
            "token()",
            Utf8,
            "the scope of `token` is a name of letters, digits, `_`, `-` and `.`, not ``",
        ),
        (
            "token(a b)",
            Utf8,
            "the scope of `token` is a name of letters, digits, `_`, `-` and `.`, not `a b`",
        ),
        (
            "fixed",
            Utf8,
            "mask `fixed` needs a value, as in `fixed('x')`",
        ),
        (
            "fixed(x)",
            Utf8,
            "`fixed` takes a literal, as in `fixed('x')` or `fixed(0)`, not `x`",
        ),
        ("fixed(NULL)", Utf8, "`fixed(NULL)` is `nullify`"),
        ("fixed(1)", Utf8, "`fixed`: `1` is a number, not Utf8"),
        ("fixed('x')", Int32, "`fixed`: `'x'` is text, not Int32"),
        ("hash(x)", Utf8, "mask `hash` takes no argument"),
        ("nullify()", Utf8, "mask `nullify` takes no argument"),
        (
            "null",
            Utf8,
            "there is no mask `null`; did you mean `nullify`?",
        ),
        (
            "hahs",
            Utf8,
            "there is no mask `hahs`; did you mean `hash`?",
        ),
        (
            "Hash",
            Utf8,
            "there is no mask `Hash`; did you mean `hash`?",
        ),
        (
            "",
            Utf8,
            "there is no mask ``; there are `bucket`, `truncate_month`",
        ),
    ];
    for (mask, data_type, message) in cases {
        let found = parse(mask, data_type).unwrap_err();
        assert!(found.starts_with(message), "{mask}: {found}");
    }
    let long = format!("token({})", "x".repeat(2000));
    assert_eq!(
        parse(&long, Utf8).unwrap_err(),
        "the mask has 2007 bytes, more than 1024"
    );
}

#[test]
fn the_order_of_the_list() {
    let bucket = |width| ColumnMask::Bucket(ScalarValue::Int64(Some(width)));
    let fixed = |value| ColumnMask::Fixed(ScalarValue::Int64(Some(value)));
    let ordered = [
        bucket(1),
        bucket(9),
        bucket(10),
        ColumnMask::TruncateMonth,
        ColumnMask::TruncateYear,
        ColumnMask::ShowLast(10),
        ColumnMask::ShowLast(9),
        ColumnMask::ShowFirst(4),
        ColumnMask::ShowFirst(3),
        ColumnMask::Token("a".to_owned()),
        ColumnMask::Token("b".to_owned()),
        ColumnMask::Hash,
        ColumnMask::Alphanum,
        fixed(1),
        fixed(2),
        ColumnMask::Nullify,
    ];
    for (a, left) in ordered.iter().enumerate() {
        for (b, right) in ordered.iter().enumerate() {
            assert_eq!(left.cmp_revealing(right), a.cmp(&b), "{left} {right}");
        }
    }
}
