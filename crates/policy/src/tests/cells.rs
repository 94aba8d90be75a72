//! Two overlapping grants, a table of cells written by hand.

use datafusion_common::ScalarValue;

use super::{
    Narrow, ana, grant, granted,
    interpreter::{Cell, cell, visible},
    viewer,
};
use crate::{ColumnMask, Exposure, Reveal};

/// `id, region, email, amount, ordered_at, open, "Mixed"`.
fn row(id: i64, region: Option<&str>, open: Option<bool>) -> Vec<ScalarValue> {
    vec![
        ScalarValue::Int64(Some(id)),
        ScalarValue::Utf8(region.map(str::to_owned)),
        ScalarValue::Utf8(Some("a@b.example".to_owned())),
        ScalarValue::Decimal128(Some(1050), 12, 2),
        ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into())),
        ScalarValue::Boolean(open),
        ScalarValue::Int32(None),
    ]
}

#[test]
fn two_overlapping_grants() {
    let grants = vec![
        // EU rows: amount in clear, email hashed.
        grant("eu", &["group:analysts"])
            .only(&["id", "region", "email", "amount"])
            .mask("email", "hash")
            .rows("region = session.attr('region')"),
        // Open rows: email in clear, amount in buckets, nothing else but id.
        grant("open", &["user:ana"])
            .only(&["id", "email", "amount"])
            .mask("amount", "bucket(100)")
            .rows("open"),
    ];
    let access = granted(grants, &ana());
    let names: Vec<_> = access
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "region", "email", "amount"]);

    let bucket = || {
        Cell::Masked(ColumnMask::Bucket(ScalarValue::Decimal128(
            Some(10_000),
            12,
            2,
        )))
    };
    let hash = || Cell::Masked(ColumnMask::Hash);
    let (clear, hidden) = (|| Cell::Clear, || Cell::Hidden);
    //    region      open         visible  id       region    email    amount
    let table = [
        (
            Some("EU"),
            Some(true),
            Some([clear(), clear(), clear(), clear()]),
        ),
        (
            Some("EU"),
            Some(false),
            Some([clear(), clear(), hash(), clear()]),
        ),
        (Some("EU"), None, Some([clear(), clear(), hash(), clear()])),
        (
            Some("US"),
            Some(true),
            Some([clear(), hidden(), clear(), bucket()]),
        ),
        (
            None,
            Some(true),
            Some([clear(), hidden(), clear(), bucket()]),
        ),
        (Some("US"), Some(false), None),
        (Some("US"), None, None),
        (None, None, None),
    ];
    for (region, open, expected) in table {
        let row = row(1, region, open);
        assert_eq!(
            visible(&access, &row, &viewer(&ana())),
            expected.is_some(),
            "{region:?} {open:?}"
        );
        for (index, expected) in expected.into_iter().flatten().enumerate() {
            let seen = cell(&access, index, &row, &viewer(&ana())).unwrap();
            assert_eq!(seen, expected, "{region:?} {open:?} column {index}");
        }
    }

    // `id` is clear in both grants: an identity column that keeps NOT NULL.
    assert_eq!(access.columns[0].exposure, Exposure::Clear);
    assert!(!access.columns[0].nullable);
    assert!(access.columns[1].nullable);
    assert_eq!(
        access.rows.as_ref().unwrap().to_string(),
        "(open) OR (region = 'EU')",
    );
}

#[test]
fn the_most_revealing_mask_wins_where_both_grants_hold() {
    let access = granted(
        vec![
            grant("a", &["everyone"])
                .mask("amount", "nullify")
                .rows("region = 'EU'"),
            grant("b", &["everyone"])
                .mask("amount", "bucket(1000)")
                .rows("open"),
            grant("c", &["everyone"])
                .mask("amount", "bucket(10)")
                .rows("id > 5"),
        ],
        &ana(),
    );
    let Exposure::Cells(rules) = &access.columns[3].exposure else {
        panic!()
    };
    let masks: Vec<_> = rules
        .iter()
        .map(|rule| match &rule.reveal {
            Reveal::Masked(mask) => mask.to_string(),
            Reveal::Clear => "clear".to_owned(),
        })
        .collect();
    assert_eq!(masks, ["bucket(10.00)", "bucket(1000.00)", "nullify"]);
    // On every visible row one of the three holds, so the last needs no condition.
    assert!(rules[1].when.is_some() && rules[2].when.is_none());
}
