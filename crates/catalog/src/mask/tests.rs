//! Each mask against a naive model, at the extremes of its types.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a test hands its values over"
)]

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
    Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float64Type, Int8Type, Int64Type,
    Schema, TimestampMicrosecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
    i256,
};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, col};
use datafusion::physical_expr::create_physical_expr;

use weft_policy::ColumnMask;

use super::{MaskKeys, apply, is_mask};

fn keys() -> MaskKeys {
    MaskKeys::new(b"a secret of tests")
}

fn expr(mask: &ColumnMask, input: &DataType) -> Expr {
    apply(mask, &keys(), col("v"), input)
}

/// Runs a mask as the engine does, and checks its type and NULLs.
fn run(mask: &ColumnMask, values: ArrayRef) -> ArrayRef {
    let input = values.data_type().clone();
    let schema = Schema::new(vec![Field::new("v", input.clone(), true)]);
    let logical = DFSchema::try_from(schema.clone()).unwrap();
    let expr = expr(mask, &input);
    // A fixed text takes the layout that the column has in its files.
    let expected = mask.output_type(&input).unwrap_or_else(|| input.clone());
    assert_eq!(expr.get_type(&logical).unwrap(), expected, "{mask}");
    let physical = create_physical_expr(
        &expr,
        &logical,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
    .unwrap();
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&values)]).unwrap();
    let masked = physical
        .evaluate(&batch)
        .unwrap()
        .into_array(values.len())
        .unwrap();
    assert_eq!(*masked.data_type(), expected, "{mask}");
    for row in 0..values.len() {
        assert!(
            values.is_valid(row) || masked.is_null(row),
            "{mask} keeps NULL"
        );
        assert!(
            values.is_null(row) || masked.is_valid(row) || *mask == ColumnMask::Nullify,
            "{mask}"
        );
    }
    // A slice is masked like the whole, and so is a single value.
    if values.len() > 1 {
        let tail = batch.slice(1, values.len() - 1);
        let part = physical
            .evaluate(&tail)
            .unwrap()
            .into_array(tail.num_rows())
            .unwrap();
        assert_eq!(&part, &masked.slice(1, values.len() - 1));
    }
    masked
}

fn texts(mask: &ColumnMask, values: &[&str]) -> Vec<String> {
    let masked = run(mask, Arc::new(StringArray::from(values.to_vec())));
    let masked: Vec<_> = masked
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap().to_owned())
        .collect();
    // The layouts of text agree.
    let large = run(mask, Arc::new(LargeStringArray::from(values.to_vec())));
    let view = run(mask, Arc::new(StringViewArray::from(values.to_vec())));
    let as_utf8 = |array: &ArrayRef| cast(array, &DataType::Utf8).unwrap();
    for other in [large, view] {
        let other = as_utf8(&other);
        assert_eq!(
            other
                .as_string::<i32>()
                .iter()
                .map(|it| it.unwrap().to_owned())
                .collect::<Vec<_>>(),
            masked
        );
    }
    masked
}

fn bucket(width: ScalarValue, values: ArrayRef) -> ArrayRef {
    run(&ColumnMask::Bucket(width), values)
}

#[test]
fn buckets_of_integers() {
    let values = [
        i64::MIN,
        i64::MIN + 1,
        -1001,
        -1000,
        -1,
        0,
        1,
        999,
        1000,
        i64::MAX,
    ];
    for width in [1, 7, 1000, i64::MAX] {
        let array = Int64Array::from_iter(values.iter().map(|value| Some(*value)).chain([None]));
        let masked = bucket(ScalarValue::Int64(Some(width)), Arc::new(array));
        for (row, value) in values.into_iter().enumerate() {
            let (value, width) = (i128::from(value), i128::from(width));
            let floor = value.div_euclid(width) * width;
            let expected = floor.max(i128::from(i64::MIN));
            assert_eq!(
                i128::from(masked.as_primitive::<Int64Type>().value(row)),
                expected,
                "{value} by {width}"
            );
        }
    }
    let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    for width in 1..=i8::MAX {
        let masked = bucket(
            ScalarValue::Int8(Some(width)),
            Arc::new(Int8Array::from(all.clone())),
        );
        for (row, value) in all.iter().enumerate() {
            let floor = i32::from(*value).div_euclid(i32::from(width)) * i32::from(width);
            assert_eq!(
                i32::from(masked.as_primitive::<Int8Type>().value(row)),
                floor.max(-128)
            );
        }
    }
    let array = UInt64Array::from(vec![Some(0), Some(9), Some(10), Some(u64::MAX), None]);
    let masked = bucket(ScalarValue::UInt64(Some(10)), Arc::new(array));
    let masked: Vec<_> = masked.as_primitive::<UInt64Type>().iter().collect();
    assert_eq!(
        masked,
        [
            Some(0),
            Some(0),
            Some(10),
            Some(18_446_744_073_709_551_610),
            None
        ]
    );
}

#[test]
fn buckets_of_floats() {
    let values = vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
        -0.0,
        0.0,
        -0.1,
        2.4,
        2.5,
        f64::MIN_POSITIVE,
    ];
    for width in [2.5, 1e300, f64::MAX, f64::MIN_POSITIVE] {
        let masked = bucket(
            ScalarValue::Float64(Some(width)),
            Arc::new(Float64Array::from(values.clone())),
        );
        for (value, masked) in values
            .iter()
            .zip(masked.as_primitive::<Float64Type>().values())
        {
            assert_eq!(value.is_finite(), masked.is_finite(), "{value} by {width}");
            assert_eq!(value.is_nan(), masked.is_nan());
            assert!(
                value.is_nan() || masked <= value,
                "{value} by {width} is {masked}"
            );
        }
    }
    let masked = bucket(
        ScalarValue::Float64(Some(2.5)),
        Arc::new(Float64Array::from(vec![-0.1, 2.4, 2.5, 7.6])),
    );
    assert_eq!(
        masked.as_primitive::<Float64Type>().values(),
        &[-2.5, 0.0, 2.5, 7.5]
    );
    bucket(
        ScalarValue::Float32(Some(0.1)),
        Arc::new(Float32Array::from(vec![f32::MIN, f32::MAX, f32::NAN])),
    );
}

#[test]
fn buckets_of_decimals() {
    let top = 10i128.pow(38) - 1;
    let values = [
        -top,
        -top + 1,
        -151,
        -150,
        -1,
        0,
        149,
        top,
        i128::MIN,
        i128::MAX,
    ];
    let array = || {
        Decimal128Array::from_iter_values(values)
            .with_precision_and_scale(38, 2)
            .unwrap()
    };
    for width in [1, 150, top] {
        let masked = bucket(
            ScalarValue::Decimal128(Some(width), 38, 2),
            Arc::new(array()),
        );
        for (row, value) in values.iter().enumerate() {
            let floor =
                i256::from_i128(*value).wrapping_sub(i256::from_i128(value.rem_euclid(width)));
            let expected = if floor < i256::from_i128(-top) {
                -top
            } else {
                floor.to_i128().unwrap()
            };
            assert_eq!(
                masked.as_primitive::<Decimal128Type>().value(row),
                expected,
                "{value} by {width}"
            );
        }
    }
    let small = Decimal128Array::from_iter_values([-999, -50])
        .with_precision_and_scale(3, 0)
        .unwrap();
    let masked = bucket(ScalarValue::Decimal128(Some(100), 3, 0), Arc::new(small));
    assert_eq!(
        masked.as_primitive::<Decimal128Type>().values(),
        &[-999, -100]
    );

    let wide = |value: i64| i256::from(value);
    let values = vec![
        i256::MIN,
        wide(-151),
        wide(-1),
        wide(0),
        wide(151),
        i256::MAX,
    ];
    let array = Decimal256Array::from_iter_values(values)
        .with_precision_and_scale(76, 0)
        .unwrap();
    let masked = bucket(
        ScalarValue::Decimal256(Some(wide(150)), 76, 0),
        Arc::new(array),
    );
    let masked = masked.as_primitive::<Decimal256Type>().values();
    let least = wide(1).wrapping_sub(i256::from(10).checked_pow(76).unwrap());
    assert_eq!(
        masked[..5],
        [least, wide(-300), wide(-150), wide(0), wide(150)]
    );
}

#[test]
fn truncation_is_that_of_the_calendar() {
    let days: Vec<i32> = (-800_000..800_000)
        .step_by(13)
        .chain(10_900..11_100)
        .collect();
    let array: ArrayRef = Arc::new(Date32Array::from(days.clone()));
    let months = run(&ColumnMask::TruncateMonth, Arc::clone(&array));
    let years = run(&ColumnMask::TruncateYear, array);
    let epoch = NaiveDate::default();
    for (row, day) in days.into_iter().enumerate() {
        let date = epoch + chrono::Duration::days(i64::from(day));
        let since = |date: NaiveDate| i32::try_from((date - epoch).num_days()).unwrap();
        let (month, year) = (
            date.with_day(1).unwrap(),
            NaiveDate::from_yo_opt(date.year(), 1).unwrap(),
        );
        assert_eq!(
            months.as_primitive::<Date32Type>().value(row),
            since(month),
            "{date}"
        );
        assert_eq!(
            years.as_primitive::<Date32Type>().value(row),
            since(year),
            "{date}"
        );
    }
}

#[test]
fn truncation_at_the_extremes() {
    let extremes = vec![Some(i64::MIN), Some(-1), Some(0), Some(i64::MAX), None];
    let utc = |array: TimestampMicrosecondArray| array.with_timezone("UTC");
    for mask in [ColumnMask::TruncateMonth, ColumnMask::TruncateYear] {
        let least = run(&mask, Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX])));
        assert_eq!(least.as_primitive::<Date32Type>().value(0), i32::MIN);
        run(&mask, Arc::new(Date64Array::from(extremes.clone())));
        let seconds = run(
            &mask,
            Arc::new(TimestampSecondArray::from(extremes.clone())),
        );
        let seconds = seconds.as_primitive::<TimestampSecondType>();
        assert_eq!(seconds.value(0), i64::MIN);
        assert!(seconds.value(3) < i64::MAX && seconds.value(3) > i64::MAX - 367 * 86_400);
        let micros = run(
            &mask,
            Arc::new(utc(TimestampMicrosecondArray::from(extremes.clone()))),
        );
        let micros = micros.as_primitive::<TimestampMicrosecondType>();
        let december = if mask == ColumnMask::TruncateMonth {
            -31
        } else {
            -365
        };
        assert_eq!(
            (micros.value(1), micros.value(2)),
            (december * 86_400_000_000, 0)
        );
        let nanos = run(
            &mask,
            Arc::new(TimestampNanosecondArray::from(extremes.clone())),
        );
        assert_eq!(
            nanos.as_primitive::<TimestampNanosecondType>().value(0),
            i64::MIN
        );
    }
}

#[test]
fn shown_ends() {
    let values = [
        "",
        "a",
        "abcd",
        "abcde",
        "Straße",
        "日本語です",
        "👩‍💻x",
        "e\u{301}e",
    ];
    for count in [1, 4, u32::MAX] {
        for (mask, last) in [
            (ColumnMask::ShowLast(count), true),
            (ColumnMask::ShowFirst(count), false),
        ] {
            let masked = texts(&mask, &values);
            for (value, masked) in values.iter().zip(masked) {
                let characters: Vec<char> = value.chars().collect();
                let shown = if characters.len() > count as usize {
                    count as usize
                } else {
                    0
                };
                let expected: String = characters
                    .iter()
                    .enumerate()
                    .map(|(at, c)| {
                        let visible = if last {
                            at >= characters.len() - shown
                        } else {
                            at < shown
                        };
                        if visible { *c } else { '*' }
                    })
                    .collect();
                assert_eq!(masked, expected, "{mask} of {value}");
            }
        }
    }
    assert_eq!(
        texts(&ColumnMask::ShowLast(4), &["4111111111111111"]),
        ["************1111"]
    );
    assert_eq!(texts(&ColumnMask::ShowLast(4), &["1234"]), ["****"]);
}

#[test]
fn alphanumerics() {
    assert_eq!(
        texts(
            &ColumnMask::Alphanum,
            &["", "Ana.Bär-42@x.de", "日本 ٣½", "a\0b\n"]
        ),
        ["", "xxx.xxx-99@x.xx", "xx 99", "x\0x\n"]
    );
}

#[test]
fn digests_are_hmac_sha_256_of_the_text() {
    let hash = texts(&ColumnMask::Hash, &["ana@example.org", "", "42"]);
    let token = texts(
        &ColumnMask::Token("partner".to_owned()),
        &["ana@example.org"],
    );
    // key=HMAC(b"a secret of tests", label); HMAC(key, text): Python's hmac and hashlib.
    assert_eq!(
        hash[0],
        "3d7962b743368aaf581315fbf985d95f589ab3fa0faf2e56886b0e0d43bfed23"
    );
    assert_eq!(
        hash[2],
        "409ea0fd5b45347aba47d2076283aee03bd4d8f5ef744a1bee5e82c24b3ccf7e"
    );
    assert_eq!(
        token[0],
        "4a7be638eb2fccd6a354b8a3ab2973138833edde72aa015d379b566b6d82c64e"
    );
    assert!(hash.iter().all(|hex| hex.len() == 64));

    // Integers are digested as decimal text, whatever their width.
    let of = |values: ArrayRef| {
        let masked = run(&ColumnMask::Hash, values);
        masked.as_string::<i32>().value(0).to_owned()
    };
    assert_eq!(
        of(Arc::new(Int64Array::from(vec![Some(42), None]))),
        hash[2]
    );
    assert_eq!(of(Arc::new(Int32Array::from(vec![42]))), hash[2]);
    assert_eq!(of(Arc::new(UInt8Array::from(vec![42]))), hash[2]);
    let least = texts(&ColumnMask::Hash, &["-9223372036854775808"]);
    assert_eq!(of(Arc::new(Int64Array::from(vec![i64::MIN]))), least[0]);
}

#[test]
fn fixed_and_nullify() {
    let masked = texts(
        &ColumnMask::Fixed(ScalarValue::Utf8(Some("x".to_owned()))),
        &["a", ""],
    );
    assert_eq!(masked, ["x", "x"]);
    let values = || Arc::new(Int64Array::from(vec![Some(5), None]));
    let fixed = run(&ColumnMask::Fixed(ScalarValue::Int64(Some(0))), values());
    assert_eq!(
        fixed.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(0), None]
    );
    let nothing = run(&ColumnMask::Nullify, values());
    assert_eq!(nothing.null_count(), 2);
}

#[test]
fn every_mask_takes_no_rows_and_only_nulls() {
    let utf8 = [
        ColumnMask::ShowLast(1),
        ColumnMask::ShowFirst(1),
        ColumnMask::Hash,
        ColumnMask::Token("a".to_owned()),
        ColumnMask::Alphanum,
        ColumnMask::Nullify,
    ];
    for mask in utf8 {
        for rows in [0, 3] {
            let masked = run(&mask, Arc::new(StringArray::new_null(rows)));
            assert_eq!((masked.len(), masked.null_count()), (rows, rows));
        }
    }
}

#[test]
fn a_mask_that_does_not_fit_shows_nothing() {
    let null = |mask: ColumnMask, input: DataType| {
        let Expr::Literal(value, _) = expr(&mask, &input) else {
            panic!("{mask} of {input}")
        };
        assert!(value.is_null());
        assert_eq!(value.data_type(), input);
    };
    null(ColumnMask::Hash, DataType::Date32);
    null(ColumnMask::ShowLast(4), DataType::Int64);
    null(ColumnMask::TruncateMonth, DataType::Utf8);
    null(
        ColumnMask::Bucket(ScalarValue::Int64(Some(300))),
        DataType::Int8,
    );
    null(
        ColumnMask::Bucket(ScalarValue::Int64(Some(3))),
        DataType::Utf8,
    );
}

#[test]
fn parameters_and_keys_tell_masks_apart() {
    let one = |mask: &ColumnMask, keys: &MaskKeys| apply(mask, keys, col("v"), &DataType::Utf8);
    let (a, b) = (keys(), MaskKeys::new(b"another"));
    let token = |scope: &str| ColumnMask::Token(scope.to_owned());
    let exprs = [
        one(&ColumnMask::Hash, &a),
        one(&ColumnMask::Hash, &b),
        one(&token("x"), &a),
        one(&token("y"), &a),
        one(&token("x"), &b),
        one(&ColumnMask::ShowLast(1), &a),
        one(&ColumnMask::ShowLast(2), &a),
        one(&ColumnMask::ShowFirst(1), &a),
        one(&ColumnMask::Alphanum, &a),
    ];
    for (row, left) in exprs.iter().enumerate() {
        for (column, right) in exprs.iter().enumerate() {
            assert_eq!(left == right, row == column, "{left} {right}");
        }
    }
    assert_eq!(one(&ColumnMask::Hash, &a), one(&ColumnMask::Hash, &keys()));
}

#[test]
fn masks_are_known_by_their_code() {
    let Expr::ScalarFunction(hash) = expr(&ColumnMask::Hash, &DataType::Utf8) else {
        panic!()
    };
    assert!(is_mask(&hash.func));
    assert!(!is_mask(&datafusion::functions::string::lower()));
}

#[test]
fn nothing_prints_a_key() {
    let keys = keys();
    let token = ColumnMask::Token("scope".to_owned());
    let expr = apply(&token, &keys, col("v"), &DataType::Utf8);
    for printed in [
        format!("{keys:?}"),
        format!("{expr:?}"),
        format!("{expr}"),
        format!("{:?}", keys.hash()),
    ] {
        assert!(
            !printed.contains("secret") && !printed.contains("97, 32"),
            "{printed}"
        );
    }
}
