//! What the predicate language has not: each with its message.

use arrow_schema::DataType;

use super::{column, orders, span, table};
use crate::RowPredicate;

/// Rule and message of the one fault of a predicate.
fn refused(text: &str) -> (&'static str, String, String) {
    let mut faults = super::parse(text, &span(), &orders()).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    let fault = faults.remove(0);
    assert_eq!(fault.span, span());
    (fault.rule, fault.message, fault.help.unwrap_or_default())
}

#[test]
fn every_construct_outside_the_language() {
    let cases = [
        ("100 / id > 1", "division (at character 1)"),
        ("id + 1 > 1", "operator `+` (at character 1)"),
        ("id % 2 = 0", "operator `%` (at character 1)"),
        ("-id > 1", "operator `-` (at character 2)"),
        ("region || 'x' = 'y'", "operator `||` (at character 1)"),
        ("region ~ 'x'", "operator `~` (at character 1)"),
        ("CAST(id AS TEXT) = '1'", "CAST (at character 6)"),
        ("id::text = '1'", "CAST (at character 1)"),
        ("TRY_CAST(id AS TEXT) = '1'", "CAST (at character 10)"),
        ("CASE WHEN open THEN TRUE END", "CASE (at character 1)"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("id = (SELECT 1)", "a subquery"),
        ("id IS DISTINCT FROM 1", "IS DISTINCT FROM (at character 1)"),
        (
            "region SIMILAR TO 'x'",
            "a regular expression (at character 1)",
        ),
        ("region REGEXP 'x'", "a regular expression (at character 1)"),
        ("id = ANY(ARRAY[1])", "ANY (at character 1)"),
        ("id = ALL(ARRAY[1])", "ALL (at character 1)"),
        ("id IN UNNEST(ARRAY[1])", "IN UNNEST"),
        ("EXTRACT(YEAR FROM ordered_at) = 2026", "EXTRACT"),
        ("CEIL(amount) = 2", "CEIL"),
        ("FLOOR(amount) = 2", "FLOOR"),
        ("POSITION('x' IN region) = 2", "POSITION"),
        ("SUBSTRING(region, 1) = 'x'", "SUBSTRING"),
        ("TRIM(region) = 'x'", "TRIM"),
        ("OVERLAY(region PLACING 'x' FROM 1) = 'x'", "OVERLAY"),
        ("region COLLATE \"C\" = 'x'", "COLLATE (at character 1)"),
        (
            "ordered_at AT TIME ZONE 'UTC' = '2026-01-01'",
            "AT TIME ZONE (at character 1)",
        ),
        ("(id, region) = (1, 'x')", "a row of values"),
        ("id = ARRAY[1]", "an array"),
        ("ordered_at > INTERVAL '1 day'", "an interval"),
        ("region[1] = 'x'", "field access (at character 1)"),
        ("region = $1", "placeholder `$1` (at character 10)"),
        ("region = ?", "placeholder `?` (at character 10)"),
        ("region = N'x'", "a literal of this kind (at character 10)"),
        ("region = E'x'", "a literal of this kind (at character 10)"),
        ("open = (id = 1)", "operator `=` (at character 9)"),
        (
            "open = (id IS NULL)",
            "a condition as a value (at character 9)",
        ),
        ("now() > ordered_at", "function `now` (at character 1)"),
        ("random() > 0.5", "function `random` (at character 1)"),
        (
            "current_date > ordered_at",
            "function `current_date` (at character 1)",
        ),
        (
            "concat(region, 'x') = 'y'",
            "function `concat` (at character 1)",
        ),
    ];
    for (text, construct) in cases {
        let (rule, message, help) = refused(text);
        assert_eq!(rule, "predicate-not-allowed", "{text}: {message}");
        let (construct, at) = construct.split_once(" (at").unwrap_or((construct, ""));
        let expected = format!("{construct} is not allowed in a row predicate");
        assert!(message.starts_with(&expected), "{text}: {message}");
        assert!(message.ends_with(at), "{text}: {message}");
        assert!(!help.is_empty(), "{text}");
    }
    assert!(
        refused("id + 1 > 1")
            .2
            .starts_with("allowed are comparisons, IN with literals")
    );
}

#[test]
fn each_message() {
    let cases = [
        (
            "",
            "predicate-syntax",
            "the row predicate is empty",
            "leave `rows` out",
        ),
        (
            "region =",
            "predicate-syntax",
            "the row predicate does not parse: ",
            "",
        ),
        (
            "'",
            "predicate-syntax",
            "the row predicate does not parse: ",
            "",
        ),
        (
            "open; DROP TABLE x",
            "predicate-syntax",
            "the row predicate should end before `;` (at character 5)",
            "",
        ),
        // YAML folds lines: what follows would be in the comment.
        (
            "id > 1 -- real ones AND region = 'EU'",
            "predicate-comment",
            "a row predicate takes no comments: YAML can fold what follows into them (at character 8)",
            "write it as a YAML comment",
        ),
        (
            "id > 1 -- real ones\nAND region = 'EU'",
            "predicate-comment",
            "a row predicate takes no comments: YAML can fold what follows into them (at line 1, character 8)",
            "write it as a YAML comment",
        ),
        (
            "id > 1 /* real ones */ AND region = 'EU'",
            "predicate-comment",
            "a row predicate takes no comments",
            "write it as a YAML comment",
        ),
        (
            "open region",
            "predicate-syntax",
            "the row predicate should end before `region`",
            "",
        ),
        (
            "regoin = 'EU'",
            "unknown-column",
            "column `regoin` is not in table `orders` (at character 1)",
            "did you mean `region`?",
        ),
        (
            "\"Region\" = 'EU'",
            "unknown-column",
            "column `Region` is not in table `orders` (at character 1)",
            "did you mean `\"region\"`?",
        ),
        (
            "MIXED = 1",
            "unknown-column",
            "column `MIXED` is not in table `orders` (at character 1)",
            "did you mean `\"Mixed\"`?",
        ),
        (
            "region = \"EU\"",
            "unknown-column",
            "column `EU` is not in table `orders` (at character 10)",
            "double quotes make a column's name",
        ),
        (
            "region = user",
            "predicate-not-allowed",
            "function `user` is not allowed",
            "the principal's name is `session.user`",
        ),
        (
            "region = session.use",
            "predicate-not-allowed",
            "there is no `session.use` (at character 10)",
            "did you mean `session.user`?",
        ),
        (
            "region = session.tenant",
            "predicate-not-allowed",
            "there is no `session.tenant`",
            "the session has `user`, `purpose`, `attr('x')`",
        ),
        (
            "region = session.attr",
            "predicate-not-allowed",
            "there is no `session.attr`",
            "write `session.attr('x')`",
        ),
        (
            "region = session.user()",
            "predicate-syntax",
            "the row predicate should end before `(` (at character 22)",
            "",
        ),
        (
            "region = session.atr('x')",
            "predicate-not-allowed",
            "function `session.atr` is not allowed",
            "did you mean `session.attr`?",
        ),
        (
            "orders.region = 'EU'",
            "predicate-not-allowed",
            "`orders.region` names its table (at character 1)",
            "write the column's name alone",
        ),
        (
            "a.b = 'EU'",
            "predicate-not-allowed",
            "`a.b` has a dot (at character 1)",
            "fields of structs",
        ),
        (
            "region",
            "predicate-type",
            "column `region` is Utf8, not a condition (at character 1)",
            "compare it",
        ),
        (
            "1",
            "predicate-type",
            "`1` is not a condition (at character 1)",
            "compare it",
        ),
        (
            "NULL",
            "predicate-type",
            "`NULL` is not a condition",
            "compare it",
        ),
        (
            "session.user",
            "predicate-type",
            "`session.user` is text, not a condition",
            "compare it",
        ),
        (
            "1 = 1",
            "predicate-type",
            "`1` and `1` are both literals (at character 1)",
            "`TRUE` and `FALSE` stand alone",
        ),
        (
            "region = NULL",
            "predicate-type",
            "a comparison with NULL is never true (at character 10)",
            "write `IS NULL`",
        ),
        (
            "region IN ('EU', NULL)",
            "predicate-type",
            "NULL in an IN list is never equal to anything (at character 18)",
            "IS NULL`",
        ),
        (
            "region IN (session.user)",
            "predicate-not-allowed",
            "IN takes literals only (at character 12)",
            "`a = x OR a = y`",
        ),
        (
            "'EU' IN ('EU')",
            "predicate-type",
            "`'EU'` is a literal on the left of IN",
            "test a column",
        ),
        (
            "NULL IS NULL",
            "predicate-type",
            "IS NULL of the literal `NULL`",
            "test a column",
        ),
        (
            "region = 1",
            "predicate-type",
            "column `region`: `1` is a number, not Utf8 (at character 10)",
            "",
        ),
        (
            "session.user = 1",
            "predicate-type",
            "session.user: `1` is a number, not Utf8",
            "",
        ),
        (
            "id = session.attr('x')",
            "predicate-type",
            "column `id` is Int64, but `session.attr('x')` is text (at character 1)",
            "compare columns of one type",
        ),
        (
            "id = region",
            "predicate-type",
            "column `id` is Int64, but column `region` is Utf8",
            "",
        ),
        (
            "id LIKE '1%'",
            "predicate-type",
            "text is needed, and column `id` is Int64 (at character 1)",
            "",
        ),
        (
            "1 LIKE '1%'",
            "predicate-type",
            "text is needed, and `1` is not text",
            "",
        ),
        ("'x' LIKE 'x'", "predicate-type", "LIKE on a literal", ""),
        (
            "region LIKE email",
            "predicate-not-allowed",
            "the pattern of LIKE has to be a literal text (at character 13)",
            "starts_with",
        ),
        (
            "region LIKE 'a\\'",
            "predicate-syntax",
            "`\\` in a LIKE pattern has to stand before `%`, `_` or `\\`",
            "",
        ),
        (
            "region LIKE 'a\\b'",
            "predicate-syntax",
            "`\\` in a LIKE pattern has to stand before `%`, `_` or `\\`",
            "",
        ),
        (
            "region LIKE 'a' ESCAPE 'xy'",
            "predicate-syntax",
            "ESCAPE takes one character",
            "",
        ),
        (
            "region LIKE ANY ('a', 'b')",
            "predicate-not-allowed",
            "",
            "",
        ),
        (
            "starts_with(region)",
            "predicate-not-allowed",
            "`starts_with` takes two arguments (at character 1)",
            "",
        ),
        (
            "starts_with(region, email)",
            "predicate-not-allowed",
            "the prefix of `starts_with` has to be a literal or a session value (at character 21)",
            "",
        ),
        (
            "starts_with(id, 'x')",
            "predicate-type",
            "text is needed, and column `id` is Int64",
            "",
        ),
        (
            "starts_with(region, 'x') = TRUE",
            "predicate-type",
            "`starts_with` is a condition, not a value",
            "",
        ),
        (
            "lower(region)",
            "predicate-type",
            "`lower(region)` is Utf8, not a condition",
            "",
        ),
        (
            "lower(region, 'x') = 'y'",
            "predicate-not-allowed",
            "`lower` takes one argument",
            "",
        ),
        (
            "lower(DISTINCT region) = 'y'",
            "predicate-not-allowed",
            "a function takes plain arguments only",
            "",
        ),
        (
            "lower(region) OVER () = 'y'",
            "predicate-not-allowed",
            "a function takes plain arguments only",
            "",
        ),
        (
            "lower(*) = 'y'",
            "predicate-not-allowed",
            "a function takes plain arguments only",
            "",
        ),
        (
            "session.attr(region) = 'y'",
            "predicate-not-allowed",
            "write `session.attr('x')`, a literal text",
            "",
        ),
        (
            "session.attr('') = 'y'",
            "predicate-not-allowed",
            "write `session.attr('x')`, a literal text",
            "",
        ),
        (
            "session.attr() = 'y'",
            "predicate-not-allowed",
            "write `session.attr('x')`, one literal text",
            "",
        ),
        (
            "session.in_group(region)",
            "predicate-not-allowed",
            "write `session.in_group('g')`, a literal text",
            "",
        ),
        (
            "session.in_group('g') = TRUE",
            "predicate-type",
            "`session.in_group` is a condition, not a value",
            "",
        ),
    ];
    for (text, rule, message, help) in cases {
        let found = refused(text);
        assert_eq!(found.0, rule, "{text}: {}", found.1);
        assert!(found.1.starts_with(message), "{text}: {}", found.1);
        assert!(found.2.contains(help), "{text}: {}", found.2);
    }
}

#[test]
fn all_parts_are_reported() {
    let faults = super::parse(
        "regoin = 'EU'\n AND (id = 'x' OR now() = 1)",
        &span(),
        &orders(),
    )
    .unwrap_err();
    let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "column `regoin` is not in table `orders` (at line 1, character 1)",
            "column `id`: `'x'` is text, not Int64 (at line 2, character 12)",
            "function `now` is not allowed in a row predicate (at line 2, character 19)",
        ]
    );
}

#[test]
fn nested_columns_cannot_be_read() {
    let list = DataType::new_list(DataType::Int32, true);
    let table = table(
        "t",
        vec![column("items", list), column("half", DataType::Float16)],
    );
    for (text, message) in [
        (
            "items IS NULL",
            "column `items` is List(Int32), which a row predicate cannot read",
        ),
        (
            "half > 1",
            "column `half` is Float16, which a row predicate cannot read",
        ),
    ] {
        let faults = super::parse(text, &span(), &table).unwrap_err();
        assert!(
            faults[0].message.starts_with(message),
            "{}",
            faults[0].message
        );
    }
}

/// On a stack as small as a server's worker has.
#[test]
fn length_and_depth_are_limited() {
    let run = || {
        let rule = |text: &str| refused(text).0;
        assert_eq!(rule(&"x".repeat(16 * 1024 + 1)), "predicate-too-long");
        let nested = |depth| format!("{}open{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(rule(&nested(5000)), "predicate-too-deep");
        assert!(super::parse(&nested(20), &span(), &orders()).is_ok());
        // There the parser gives up NOT as a word before the depth is told.
        assert_eq!(
            rule(&format!("{}open", "NOT ".repeat(4000))),
            "predicate-syntax"
        );
        assert_eq!(
            rule(&format!("open{}", " IS TRUE".repeat(2000))),
            "predicate-too-deep"
        );
        // Long chains are not deep.
        let chain = vec!["open"; 1600].join(" AND ");
        let RowPredicate::And(parts) = super::parse(&chain, &span(), &orders()).unwrap() else {
            panic!()
        };
        assert_eq!(parts.len(), 1600);
        assert_eq!(
            rule(&format!("id{} > 0", "+1".repeat(8000))),
            "predicate-not-allowed"
        );
        assert_eq!(
            rule(&format!("id{} > 0", "::int".repeat(3000))),
            "predicate-not-allowed"
        );
        assert_eq!(
            rule(&format!("id{}", " IS NULL".repeat(2000))),
            "predicate-not-allowed"
        );
        assert_eq!(
            rule(&format!("region LIKE '{}'", "_".repeat(257))),
            "predicate-syntax"
        );
    };
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap();
    thread.join().unwrap();
}
