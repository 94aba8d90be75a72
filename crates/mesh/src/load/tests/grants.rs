use chrono::{TimeZone, Utc};

use super::fixture::{Fixture, GRANTS_YAML};
use crate::{ColumnSelection, GrantManifest, GrantTarget, Grantee};

/// The one grant, with these lines in place of its own.
fn grant(lines: &[&str]) -> Fixture {
    let fixture = Fixture::new();
    let mut text =
        "apiVersion: weft/v1\nkind: Grants\ndomain: sales\ngrants:\n  - name: g\n".to_owned();
    for line in lines {
        text.push_str(&format!("    {line}\n"));
    }
    fixture.write(GRANTS_YAML, &text);
    fixture
}

fn sound(lines: &[&str]) -> GrantManifest {
    grant(lines).sales().grants.remove(0)
}

fn values(names: &[crate::Spanned<String>]) -> Vec<&str> {
    names.iter().map(|name| name.value.as_str()).collect()
}

#[test]
fn a_table_can_be_shown_without_its_data() {
    let grant = sound(&[
        "to: [everyone]",
        "on: orders",
        "discover: true",
        "until: 2027-03-31",
    ]);
    assert!(grant.only_discovers());
    assert!(grant.until.is_some());
}

#[test]
fn grants_in_every_form() {
    let grant = sound(&[
        "to: [user:ana, group:eu-partners, service:bi, everyone]",
        "on: [orders, orders@1]",
        "columns: {except: [amount]}",
        "masks: {amount: bucket(10), order_id: fixed(0)}",
        "rows: \"region = session.attr('region')\"",
        "from: 2026-01-01",
        "until: 2027-03-31T02:00:00+02:00",
    ]);
    let to: Vec<String> = grant.to.iter().map(|to| to.value.to_string()).collect();
    assert_eq!(
        to,
        ["user:ana", "group:eu-partners", "service:bi", "everyone"]
    );
    assert_eq!(grant.to[3].value, Grantee::Everyone);
    let GrantTarget::Tables(tables) = &grant.on else {
        panic!("no tables");
    };
    assert_eq!(values(tables), ["orders", "orders@1"]);
    let ColumnSelection::Except(columns) = &grant.columns else {
        panic!("no exception");
    };
    assert_eq!(values(columns), ["amount"]);
    assert_eq!(grant.masks[0].0.value, "amount");
    assert_eq!(grant.masks[0].1.value, "bucket(10)");
    let rows = grant.rows.unwrap();
    assert_eq!(rows.value, "region = session.attr('region')");
    assert_eq!((rows.span.line, rows.span.column), (10, 11));
    assert_eq!(
        grant.from,
        Some(Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap())
    );
    assert_eq!(
        grant.until,
        Some(Utc.with_ymd_and_hms(2027, 3, 31, 0, 0, 0).unwrap())
    );

    let head = "to: [everyone]";
    assert!(matches!(
        sound(&[head, "on: \"*\"", "columns: \"*\""]).on,
        GrantTarget::All
    ));
    assert!(matches!(
        sound(&[head, "on: orders", "columns: \"*\""]).columns,
        ColumnSelection::All
    ));
    assert!(matches!(
        sound(&[head, "on: {tags: [a]}", "columns: {tags: [b]}"]).on,
        GrantTarget::Tags(_)
    ));
    assert!(matches!(
        sound(&[head, "on: orders", "columns: [order_id]"]).columns,
        ColumnSelection::Only(_)
    ));
}

#[test]
fn every_bad_grant_is_a_fault() {
    let (to, on, columns) = ("to: [everyone]", "on: orders", "columns: \"*\"");
    for (lines, rule, message) in [
        (
            vec![on, columns],
            "missing-key",
            "a grant needs the key `to`",
        ),
        (
            vec![to, columns],
            "missing-key",
            "a grant needs the key `on`",
        ),
        (
            vec![to, on],
            "missing-key",
            "a grant needs the key `columns`",
        ),
        (
            vec!["to: everyone", on, columns],
            "wrong-type",
            "`to` must be a list, found a string",
        ),
        (
            vec!["to: []", on, columns],
            "empty",
            "`to` is an empty list",
        ),
        (
            vec!["to: [ana]", on, columns],
            "grantee",
            "`ana` is not a grantee",
        ),
        (
            vec!["to: [role:ana]", on, columns],
            "grantee",
            "`role:ana` is not a grantee",
        ),
        (
            vec!["to: [\"user:\"]", on, columns],
            "grantee",
            "`user:` is not a grantee",
        ),
        (
            vec!["to: [Everyone]", on, columns],
            "grantee",
            "`Everyone` is not a grantee",
        ),
        (
            vec![to, "on: []", columns],
            "empty",
            "`on` is an empty list",
        ),
        (
            vec![to, "on: [\"*\"]", columns],
            "wrong-value",
            "`*` stands alone, not in the list `on`",
        ),
        (
            vec![to, "on: [orders, orders]", columns],
            "duplicate-value",
            "`orders` is listed twice in `on`",
        ),
        (
            vec![to, "on: {tgas: [a]}", columns],
            "unknown-key",
            "`tgas` is not a key of `on`",
        ),
        (
            vec![to, "on: 7", columns],
            "wrong-type",
            "`on` must be a table, a list of tables",
        ),
        (
            vec![to, on, "columns: order_id"],
            "wrong-type",
            "`columns` must be `\"*\"`, a list of columns",
        ),
        (vec![to, on, "columns:"], "wrong-type", "found nothing"),
        (
            vec![to, on, "columns: {}"],
            "missing-key",
            "`columns` needs `except` or `tags`",
        ),
        (
            vec![to, on, "columns: {except: [a], tags: [b]}"],
            "wrong-value",
            "has both `except` and `tags`",
        ),
        (
            vec![to, on, "columns: [a, {b: c}]"],
            "wrong-type",
            "`columns` must be a string, found a mapping",
        ),
        (
            vec![to, on, columns, "masks: {amount: null}"],
            "wrong-type",
            "the mask of `amount` is nothing",
        ),
        (
            vec![to, on, columns, "masks: [amount]"],
            "wrong-type",
            "`masks` must be a mapping, found a list",
        ),
        (
            vec![to, on, columns, "rows: true"],
            "wrong-type",
            "`rows` must be a string, found a boolean",
        ),
        (
            vec![to, on, columns, "rows: \"\""],
            "empty",
            "`rows` is empty",
        ),
        (
            vec![to, on, columns, "from: tomorrow"],
            "wrong-value",
            "`from` is `tomorrow`, which is neither",
        ),
        (
            vec![to, on, columns, "from: 2026-02-30"],
            "wrong-value",
            "which is neither a date nor a moment",
        ),
        (
            vec![to, on, columns, "from: 2026-02-02", "until: 2026-02-02"],
            "empty-period",
            "`until` is not after `from`",
        ),
        (
            vec![to, on, columns, "colums: [a]"],
            "unknown-key",
            "`colums` is not a key of a grant",
        ),
        (
            vec![to, on, columns, "discover: true"],
            "discover-with-data",
            "a grant with `discover` gives no data, and this has `columns`",
        ),
        (
            vec![to, on, "discover: true", "rows: \"true\""],
            "discover-with-data",
            "a grant with `discover` gives no data, and this has `rows`",
        ),
        (
            vec![to, on, columns, "discover: false"],
            "wrong-value",
            "`discover` is `false`",
        ),
        (vec![to, on, "discover: yes"], "wrong-type", "`discover`"),
    ] {
        let fixture = grant(&lines);
        let faults = fixture.faults();
        assert!(fixture.rules().contains(&rule), "{lines:?}: {faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains(message)),
            "{lines:?}: {faults:?}"
        );
        assert!(fixture.load().domains[0].domain.is_none());
    }
}

#[test]
fn grants_belong_to_their_domain_and_have_one_name() {
    let fixture = Fixture::new();
    fixture.edit(GRANTS_YAML, "domain: sales", "domain: crm");
    assert_eq!(
        fixture.fault(),
        "domains/sales/grants.yaml:3:9: error[wrong-domain]: these grants are of domain `crm`, and this is `sales`\n\
         3 | domain: crm\n  \
           |         ^\n  \
         = help: a domain grants only what is its own: write its name, or name its own file"
    );
    let fixture = Fixture::new();
    fixture.append(
        GRANTS_YAML,
        "  - name: analysts\n    to: [everyone]\n    on: orders\n    columns: \"*\"\n",
    );
    assert!(
        fixture
            .fault()
            .contains("error[duplicate-grant]: grant `analysts` is named twice, first in line 5")
    );
}

#[test]
fn a_later_fault_is_shown_with_its_line() {
    let fixture = Fixture::new();
    let report = fixture.load();
    let grant = &report.domains[0].domain.as_ref().unwrap().grants[0];
    let fault = crate::Fault::error(grant.name.span.clone(), "some-rule", "odd");
    assert!(
        report
            .annotate(fault)
            .to_string()
            .ends_with("odd\n5 |   - name: analysts\n  |           ^")
    );
}
