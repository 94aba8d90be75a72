//! What the predicate language reads, and how it is typed.

use arrow_schema::{DataType, TimeUnit};
use datafusion_common::ScalarValue;

use super::{ana, column, orders, span, table, user};
use crate::{CompareOp, Operand, RowPredicate};

fn parse(text: &str) -> RowPredicate {
    super::parse(text, &span(), &orders()).unwrap()
}

/// The literal that a comparison with a column of the type is made with.
fn literal_for(data_type: DataType, literal: &str) -> Result<ScalarValue, String> {
    let table = table("t", vec![column("c", data_type)]);
    match super::parse(&format!("c = {literal}"), &span(), &table) {
        Ok(RowPredicate::Compare {
            right: Operand::Literal(value),
            ..
        }) => Ok(value),
        Ok(other) => panic!("{other:?}"),
        Err(faults) => Err(faults[0].message.clone()),
    }
}

#[test]
fn every_construct_as_sql() {
    let cases = [
        ("region = 'EU'", "region = 'EU'"),
        ("'EU' = region", "'EU' = region"),
        ("id <> 1 AND id != -2", "(id <> 1) AND (id <> -2)"),
        (
            "id < 1 OR id <= 2 OR id > 3 OR id >= 4",
            "(id < 1) OR (id <= 2) OR (id > 3) OR (id >= 4)",
        ),
        ("amount > 10.5", "amount > 10.50"),
        ("region IN ('EU', 'it''s')", "region IN ('EU', 'it''s')"),
        ("id NOT IN (1, 2)", "id NOT IN (1, 2)"),
        ("email IS NULL", "email IS NULL"),
        ("email IS NOT NULL", "email IS NOT NULL"),
        ("id BETWEEN 1 AND 5", "(id >= 1) AND (id <= 5)"),
        ("id NOT BETWEEN 1 AND 5", "NOT ((id >= 1) AND (id <= 5))"),
        ("email LIKE '%@x.de'", "email LIKE '%@x.de'"),
        ("email NOT ILIKE 'a_b%'", "email NOT ILIKE 'a_b%'"),
        (
            "NOT (open OR region = 'EU')",
            "NOT ((open) OR (region = 'EU'))",
        ),
        ("open", "open"),
        ("open = TRUE", "open = true"),
        ("open IS NOT FALSE", "(open) IS NOT FALSE"),
        ("(id = 1) IS UNKNOWN", "(id = 1) IS UNKNOWN"),
        ("id = 1 IS NOT TRUE", "(id = 1) IS NOT TRUE"),
        ("starts_with(email, 'a')", "starts_with(email, 'a')"),
        (
            "STARTS_WITH(lower(email), session.user)",
            "starts_with(lower(email), session.user)",
        ),
        (
            "upper(region) = session.attr('region')",
            "upper(region) = session.attr('region')",
        ),
        ("lower(session.user) = 'ana'", "lower(session.user) = 'ana'"),
        (
            "session.in_group('analysts')",
            "session.in_group('analysts')",
        ),
        (
            "session.attr('region') IS NOT NULL",
            "session.attr('region') IS NOT NULL",
        ),
        ("TRUE", "TRUE"),
        ("false", "FALSE"),
        ("((region)) = (('EU'))", "region = 'EU'"),
        (
            "ordered_at >= '2026-01-31'",
            "ordered_at >= '2026-01-31T00:00:00Z'",
        ),
    ];
    for (text, sql) in cases {
        assert_eq!(
            parse(text)
                .to_string()
                .replace("1769817600000000", "2026-01-31T00:00:00Z"),
            sql
        );
    }
}

#[test]
fn what_is_displayed_reads_back_as_the_same() {
    for text in [
        "amount > 10.5 AND region IN ('a''b')",
        "NOT open OR \"Mixed\" = 4",
        "email LIKE '\\_%'",
    ] {
        let parsed = parse(text);
        assert_eq!(parse(&parsed.to_string()), parsed);
    }
}

#[test]
fn names_fold_as_sql_does() {
    let index = |text: &str| match parse(text) {
        RowPredicate::IsNull {
            operand: Operand::Column { index, .. },
            ..
        } => index,
        other => panic!("{other:?}"),
    };
    assert_eq!(index("REGION IS NULL"), 1);
    assert_eq!(index("\"region\" IS NULL"), 1);
    assert_eq!(index("\"Mixed\" IS NULL"), 6);
    // Nothing is called `mixed`, so the name as written is taken.
    assert_eq!(index("Mixed IS NULL"), 6);
}

#[test]
fn literals_take_the_type_of_the_column() {
    use ScalarValue::*;
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let utc = || Some("UTC".into());
    let cases = [
        (DataType::Int8, "-128", Int8(Some(-128))),
        (DataType::Int32, "10.0", Int32(Some(10))),
        (DataType::Int32, "1e3", Int32(Some(1000))),
        (
            DataType::UInt64,
            "18446744073709551615",
            UInt64(Some(u64::MAX)),
        ),
        (
            DataType::Int64,
            "-9223372036854775808",
            Int64(Some(i64::MIN)),
        ),
        (DataType::Float64, "0.1", Float64(Some(0.1))),
        (DataType::Float32, "-1", Float32(Some(-1.0))),
        (
            DataType::Decimal128(12, 2),
            "10.5",
            Decimal128(Some(1050), 12, 2),
        ),
        (
            DataType::Decimal128(3, 0),
            "999",
            Decimal128(Some(999), 3, 0),
        ),
        (
            DataType::Decimal128(4, 2),
            "-.5",
            Decimal128(Some(-50), 4, 2),
        ),
        (
            DataType::Decimal128(4, 2),
            "0.000",
            Decimal128(Some(0), 4, 2),
        ),
        (DataType::LargeUtf8, "'x'", LargeUtf8(Some("x".to_owned()))),
        (DataType::Utf8View, "'x'", Utf8View(Some("x".to_owned()))),
        (DataType::Date32, "'2026-01-01'", Date32(Some(20454))),
        (DataType::Date32, "DATE '1969-12-31'", Date32(Some(-1))),
        (DataType::Date64, "'1970-01-02'", Date64(Some(86_400_000))),
        (
            micros(None),
            "'1970-01-01 00:00:01.5'",
            TimestampMicrosecond(Some(1_500_000), None),
        ),
        (
            micros(None),
            "TIMESTAMP '1970-01-01T00:01'",
            TimestampMicrosecond(Some(60_000_000), None),
        ),
        (
            micros(None),
            "DATE '1970-01-02'",
            TimestampMicrosecond(Some(86_400_000_000), None),
        ),
        (
            micros(Some("UTC")),
            "'1970-01-01T02:00:00+02:00'",
            TimestampMicrosecond(Some(0), utc()),
        ),
        (
            micros(Some("UTC")),
            "'1970-01-01T00:00:00Z'",
            TimestampMicrosecond(Some(0), utc()),
        ),
        (
            DataType::Time64(TimeUnit::Microsecond),
            "'00:00:01'",
            Time64Microsecond(Some(1_000_000)),
        ),
        (
            DataType::Time32(TimeUnit::Second),
            "TIME '01:00:00'",
            Time32Second(Some(3600)),
        ),
        (DataType::Binary, "X'00ff'", Binary(Some(vec![0, 255]))),
        (
            DataType::FixedSizeBinary(1),
            "X'0a'",
            FixedSizeBinary(1, Some(vec![10])),
        ),
        (DataType::Boolean, "true", Boolean(Some(true))),
    ];
    for (data_type, literal, value) in cases {
        assert_eq!(
            literal_for(data_type.clone(), literal),
            Ok(value),
            "{data_type} = {literal}"
        );
    }
}

#[test]
fn literals_that_do_not_fit_are_refused() {
    let second = DataType::Timestamp(TimeUnit::Second, None);
    let cases = [
        (
            DataType::Int32,
            "10.5",
            "`10.5` is not a whole number, as Int32 is",
        ),
        (DataType::Int8, "128", "`128` does not fit Int8"),
        (DataType::UInt8, "-1", "`-1` does not fit UInt8"),
        (DataType::Int64, "1e30", "`1e30` does not fit Int64"),
        (
            DataType::Int64,
            "1e2000000000",
            "`1e2000000000` does not fit Int64",
        ),
        (
            DataType::Decimal128(4, 2),
            "100",
            "`100` does not fit Decimal128(4, 2)",
        ),
        (
            DataType::Decimal128(4, 2),
            "0.125",
            "`0.125` does not fit Decimal128(4, 2)",
        ),
        (DataType::Float32, "1e39", "`1e39` does not fit Float32"),
        (DataType::Int32, "'1'", "`'1'` is text, not Int32"),
        (DataType::Utf8, "1", "`1` is a number, not Utf8"),
        (DataType::Utf8, "true", "`true` is a truth value, not Utf8"),
        (
            DataType::Utf8,
            "DATE '2026-01-01'",
            "`DATE '2026-01-01'` is a date, not Utf8",
        ),
        (DataType::Date32, "1", "`1` is a number, not Date32"),
        (
            DataType::Date32,
            "'2026-1-1'",
            "`'2026-1-1'` is not a date; write it as 2026-01-31",
        ),
        (
            DataType::Date32,
            "'2026-02-30'",
            "`'2026-02-30'` is not a date; write it as 2026-01-31",
        ),
        (
            DataType::Date32,
            "TIMESTAMP '2026-01-01T00:00:00'",
            "`TIMESTAMP '2026-01-01T00:00:00'` is a timestamp, not Date32",
        ),
        (
            second.clone(),
            "'2026-01-01T00:00:00Z'",
            "`'2026-01-01T00:00:00Z'` names a time zone, and the column has none",
        ),
        (
            second.clone(),
            "'2026-01-01T00:00:00.5'",
            "`'2026-01-01T00:00:00.5'` is finer than the column's s",
        ),
        (
            second,
            "'tomorrow'",
            "`'tomorrow'` is not a timestamp; write it as 2026-01-31T23:59:59Z",
        ),
        (
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            "'9999-01-01'",
            "`'9999-01-01'` is outside of what the column can hold",
        ),
        (
            DataType::Time32(TimeUnit::Second),
            "'24:00:00'",
            "`'24:00:00'` is not a time; write it as 23:59:59",
        ),
        (
            DataType::FixedSizeBinary(2),
            "X'0a'",
            "`X'…'` is bytes, not FixedSizeBinary(2)",
        ),
    ];
    for (data_type, literal, message) in cases {
        let found = literal_for(data_type, literal).unwrap_err();
        assert!(
            found.starts_with(&format!("column `c`: {message} (at character")),
            "{found}"
        );
    }
}

#[test]
fn columns_meet_in_the_narrowest_type_that_holds_both() {
    let meet = |a: DataType, b: DataType| {
        let table = table("t", vec![column("a", a), column("b", b)]);
        match super::parse("a < b", &span(), &table) {
            Ok(RowPredicate::Compare {
                left,
                op: CompareOp::Lt,
                right,
            }) => {
                assert_eq!(left.data_type(), right.data_type());
                Some(left.data_type())
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    };
    use DataType::*;
    let cases = [
        (Int8, Int32, Some(Int32)),
        (UInt8, Int8, Some(Int16)),
        (UInt32, Int64, Some(Int64)),
        (Int8, UInt16, Some(Int32)),
        (UInt64, Int64, None),
        (UInt16, UInt64, Some(UInt64)),
        (Float32, Float64, Some(Float64)),
        (Int32, Float64, None),
        (Utf8, Utf8View, Some(LargeUtf8)),
        (Utf8, Int32, None),
        (Decimal128(5, 2), Decimal128(5, 2), Some(Decimal128(5, 2))),
        (Decimal128(5, 2), Decimal128(6, 2), None),
        (Date32, Timestamp(TimeUnit::Second, None), None),
        (
            Timestamp(TimeUnit::Second, None),
            Timestamp(TimeUnit::Millisecond, None),
            None,
        ),
    ];
    for (a, b, expected) in cases {
        assert_eq!(meet(a.clone(), b.clone()), expected, "{a} {b}");
        assert_eq!(meet(b, a), expected);
    }
}

#[test]
fn session_values_take_the_layout_of_the_column() {
    let table = table("t", vec![column("c", DataType::LargeUtf8)]);
    let parsed = super::parse("c = session.attr('region')", &span(), &table).unwrap();
    let RowPredicate::Compare { right, .. } = parsed.bind(&super::viewer(&ana())) else {
        panic!()
    };
    assert_eq!(
        right,
        Operand::Literal(ScalarValue::LargeUtf8(Some("EU".to_owned())))
    );
}

#[test]
fn binding_folds_what_is_constant() {
    let nobody = user("ben", &[], &[]);
    let cases = [
        ("session.in_group('analysts')", "TRUE", "FALSE"),
        ("session.in_group('analysts') AND open", "open", "FALSE"),
        ("session.in_group('analysts') OR open", "TRUE", "open"),
        ("NOT session.in_group('analysts')", "FALSE", "TRUE"),
        ("region = session.attr('region')", "region = 'EU'", "NULL"),
        (
            "region = lower(session.attr('region'))",
            "region = 'eu'",
            "NULL",
        ),
        (
            "NOT region = session.attr('region')",
            "NOT (region = 'EU')",
            "NULL",
        ),
        ("session.attr('region') = 'EU'", "TRUE", "NULL"),
        ("session.attr('region') IN ('US')", "FALSE", "NULL"),
        ("session.attr('region') NOT IN ('US')", "TRUE", "NULL"),
        ("session.attr('region') IS NULL", "FALSE", "TRUE"),
        ("session.attr('region') LIKE 'E%'", "'EU' LIKE 'E%'", "NULL"),
        ("starts_with(session.user, 'a')", "TRUE", "FALSE"),
        (
            "starts_with(region, session.attr('region'))",
            "starts_with(region, 'EU')",
            "NULL",
        ),
        (
            "open AND region = session.attr('region')",
            "(open) AND (region = 'EU')",
            "(open) AND (NULL)",
        ),
        (
            "(session.attr('region') = 'EU') IS UNKNOWN",
            "FALSE",
            "TRUE",
        ),
    ];
    for (text, ana_sees, ben_sees) in cases {
        assert_eq!(
            parse(text).bind(&super::viewer(&ana())).to_string(),
            ana_sees,
            "{text}"
        );
        assert_eq!(
            parse(text).bind(&super::viewer(&nobody)).to_string(),
            ben_sees,
            "{text}"
        );
    }
    let never = parse("open AND region = session.attr('region')")
        .bind(&super::viewer(&nobody))
        .where_true();
    assert_eq!(never, RowPredicate::Literal(Some(false)));
}

#[test]
fn patterns_are_escaped_with_a_backslash() {
    let pattern = |text: &str| match parse(text) {
        RowPredicate::Like { pattern, .. } => pattern,
        other => panic!("{other:?}"),
    };
    assert_eq!(pattern(r"email LIKE 'a\_b'"), r"a\_b");
    assert_eq!(pattern("email LIKE '100!%' ESCAPE '!'"), r"100\%");
    assert_eq!(pattern("email LIKE '!!' ESCAPE '!'"), "!");
    assert_eq!(pattern(r"email LIKE 'a\b' ESCAPE '!'"), r"a\\b");
}
