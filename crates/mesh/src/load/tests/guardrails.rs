use super::fixture::{Fixture, MESH_YAML};
use crate::{GuardrailEffect, GuardrailManifest, GuardrailTarget, Spanned};

const GUARDRAILS_YAML: &str = "guardrails.yaml";
const HEADER: &str = "apiVersion: weft/v1\nkind: Guardrails\nguardrails:\n";

/// A sound mesh with these guardrails, each a list of lines.
fn mesh(guardrails: &[&[&str]]) -> Fixture {
    let mut text = HEADER.to_owned();
    for lines in guardrails {
        for (at, line) in lines.iter().enumerate() {
            text.push_str(if at == 0 { "  - " } else { "    " });
            text.push_str(line);
            text.push('\n');
        }
    }
    let fixture = Fixture::new();
    fixture
        .append(MESH_YAML, "guardrails: guardrails.yaml\n")
        .write(GUARDRAILS_YAML, &text);
    fixture
}

fn sound(lines: &[&str]) -> GuardrailManifest {
    let fixture = mesh(&[lines]);
    let report = fixture.load();
    assert!(!report.has_errors(), "{}", fixture.faults().join("\n\n"));
    report.mesh.unwrap().guardrails.remove(0)
}

fn values<T: ToString>(values: &[Spanned<T>]) -> Vec<String> {
    values.iter().map(|it| it.value.to_string()).collect()
}

fn target(guardrail: &GuardrailManifest) -> &GuardrailTarget {
    match &guardrail.effect {
        GuardrailEffect::Rows { on, .. }
        | GuardrailEffect::Mask { on, .. }
        | GuardrailEffect::Deny { on }
        | GuardrailEffect::RequirePurpose { on } => on,
        GuardrailEffect::ForbidCombine { .. } => panic!("it has no `on`"),
    }
}

#[test]
fn guardrails_in_every_form() {
    let fixture = mesh(&[
        &[
            "name: pii-is-hashed",
            "on: {tags: [pii]}",
            "except: [group:privacy-office, \"user:ana\", \"service:bi\"]",
            "mask: hash",
        ],
        &[
            "name: eu-only",
            "on: {domains: [sales, crm], column: region}",
            "except: [group:global]",
            "rows: \"region = 'EU'\"",
        ],
        &[
            "name: no-restricted-without-purpose",
            "on: {classification: restricted}",
            "requirePurpose: true",
        ],
        &["name: secrets", "on: {tags: [secret]}", "deny: true"],
        &[
            "name: hr-and-health-never-meet",
            "forbidCombine: [hr.*, health.people@2, health.visits]",
        ],
    ]);
    let report = fixture.load();
    assert!(!report.has_errors(), "{}", fixture.faults().join("\n\n"));
    let guardrails = report.mesh.unwrap().guardrails;
    let [pii, eu, restricted, secrets, apart] = guardrails.as_slice() else {
        panic!("five guardrails");
    };

    assert_eq!(pii.name.value, "pii-is-hashed");
    assert_eq!((pii.name.span.line, pii.name.span.column), (4, 11));
    assert_eq!(
        values(&pii.except),
        ["group:privacy-office", "user:ana", "service:bi"]
    );
    assert_eq!(values(&target(pii).tags), ["pii"]);
    assert!(target(pii).picks_columns());
    let GuardrailEffect::Mask { mask, .. } = &pii.effect else {
        panic!("a mask");
    };
    assert_eq!(mask.value, "hash");
    assert_eq!((mask.span.line, mask.span.column), (7, 11));

    assert_eq!(values(&target(eu).domains), ["sales", "crm"]);
    assert_eq!(values(&target(eu).columns), ["region"]);
    assert!(target(eu).tags.is_empty() && target(eu).tables.is_empty());
    let GuardrailEffect::Rows { rows, .. } = &eu.effect else {
        panic!("rows");
    };
    assert_eq!(rows.value, "region = 'EU'");

    assert_eq!(values(&target(restricted).classification), ["restricted"]);
    assert!(restricted.except.is_empty());
    assert!(matches!(
        restricted.effect,
        GuardrailEffect::RequirePurpose { .. }
    ));
    assert!(matches!(secrets.effect, GuardrailEffect::Deny { .. }));
    let GuardrailEffect::ForbidCombine { sides } = &apart.effect else {
        panic!("sides");
    };
    assert_eq!(values(sides), ["hr.*", "health.people@2", "health.visits"]);
}

#[test]
fn each_key_of_on_takes_one_name_or_a_list() {
    for (key, one, many) in [
        ("tags", "pii", "[pii, secret]"),
        ("classification", "restricted", "[restricted, secret]"),
        ("domains", "sales", "[sales, crm]"),
        ("tables", "sales.orders", "[sales.orders@1, crm.*]"),
        ("column", "region", "[region, country]"),
    ] {
        for (value, count) in [(one, 1), (many, 2)] {
            let guardrail = sound(&["name: g", &format!("on: {{{key}: {value}}}"), "deny: true"]);
            let on = target(&guardrail);
            let found = [
                on.tags.len(),
                on.classification.len(),
                on.domains.len(),
                on.tables.len(),
                on.columns.len(),
            ];
            assert_eq!(found.iter().sum::<usize>(), count, "{key}: {value}");
            let picks = ["tags", "classification", "column"].contains(&key);
            assert_eq!(on.picks_columns(), picks, "{key}");
        }
    }
    let all = sound(&[
        "name: g",
        "on:",
        "  tags: pii",
        "  classification: restricted",
        "  domains: sales",
        "  tables: sales.*",
        "  column: email",
        "deny: true",
    ]);
    let on = target(&all);
    assert_eq!(on.columns.len() + on.tables.len() + on.domains.len(), 3);
    assert_eq!((on.span.line, on.span.column), (6, 7));
}

#[test]
fn every_bad_guardrail_is_a_fault_and_nothing_of_the_mesh_is_served() {
    let (name, on, deny) = ("name: g", "on: {tags: [pii]}", "deny: true");
    for (lines, rule, message) in [
        (
            vec![on, deny],
            "missing-key",
            "a guardrail needs the key `name`",
        ),
        (
            vec!["name: [g]", on, deny],
            "wrong-type",
            "`name` must be a string, found a list",
        ),
        (
            vec![name, deny],
            "missing-key",
            "a guardrail needs the key `on`",
        ),
        (
            vec![name, on],
            "guardrail-effect",
            "the guardrail takes nothing away",
        ),
        (
            vec![name, on, deny, "mask: hash"],
            "guardrail-effect",
            "the guardrail has `mask` and `deny`",
        ),
        (
            vec![name, on, "rows: open", "requirePurpose: true", deny],
            "guardrail-effect",
            "the guardrail has `rows` and `deny` and `requirePurpose`",
        ),
        (
            vec![name, on, "deny: false"],
            "wrong-value",
            "`deny` is always `true`",
        ),
        (
            vec![name, on, "deny: yes"],
            "wrong-value",
            "`deny` is always `true`",
        ),
        (
            vec![name, on, "deny:"],
            "wrong-value",
            "`deny` is always `true`",
        ),
        (
            vec![name, on, "requirePurpose: false"],
            "wrong-value",
            "`requirePurpose` is always `true`",
        ),
        (
            vec![name, on, "mask: null"],
            "wrong-type",
            "the mask is nothing",
        ),
        (vec![name, on, "mask:"], "wrong-type", "the mask is nothing"),
        (vec![name, on, "mask: ''"], "empty", "`mask` is empty"),
        (
            vec![name, on, "mask: 7"],
            "wrong-type",
            "`mask` must be a string",
        ),
        (
            vec![name, on, "rows: true"],
            "wrong-type",
            "`rows` must be a string, found a boolean",
        ),
        (vec![name, on, "rows: ''"], "empty", "`rows` is empty"),
        (
            vec![name, on, deny, "excpet: [group:x]"],
            "unknown-key",
            "`excpet` is not a key of a guardrail",
        ),
        (
            vec![name, on, deny, "columns: [a]"],
            "unknown-key",
            "`columns` is not a key of a guardrail",
        ),
        (
            vec![name, on, deny, "except: [everyone]"],
            "wrong-value",
            "a guardrail that excepts everyone binds nobody",
        ),
        (
            vec![name, on, deny, "except: group:x"],
            "wrong-type",
            "`except` must be a list, found a string",
        ),
        (
            vec![name, on, deny, "except: []"],
            "empty",
            "`except` is an empty list",
        ),
        (
            vec![name, on, deny, "except: [privacy-office]"],
            "grantee",
            "`privacy-office` is not a grantee",
        ),
        (
            vec![name, "on: {}", deny],
            "missing-key",
            "`on` names nothing",
        ),
        (
            vec![name, "on:", deny],
            "wrong-type",
            "`on` must be a mapping, found nothing",
        ),
        (
            vec![name, "on: sales.orders", deny],
            "wrong-type",
            "`on` must be a mapping, found a string",
        ),
        (
            vec![name, "on: {tag: [pii]}", deny],
            "unknown-key",
            "`tag` is not a key of `on`",
        ),
        (
            vec![name, "on: {tags: []}", deny],
            "empty",
            "`tags` is an empty list",
        ),
        (
            vec![name, "on: {tags:}", deny],
            "wrong-type",
            "`tags` must be a list, found nothing",
        ),
        (
            vec![name, "on: {tables:}", deny],
            "wrong-type",
            "`tables` must be a list, found nothing",
        ),
        (
            vec![name, "on: {tags: [pii, pii]}", deny],
            "duplicate-value",
            "`pii` is listed twice in `tags`",
        ),
        (
            vec![name, "on: {domains: [\"*\"]}", deny],
            "wrong-value",
            "`*` stands alone",
        ),
        (
            vec![name, "on: {tables: orders}", deny],
            "wrong-value",
            "`orders` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [sales.or ders]}", deny],
            "wrong-value",
            "`sales.or ders` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [\"*.orders\"]}", deny],
            "wrong-value",
            "`*.orders` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [acme.sales.orders]}", deny],
            "wrong-value",
            "`acme.sales.orders` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [sales.orders@two]}", deny],
            "wrong-value",
            "`sales.orders@two` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [sales.orders@+2]}", deny],
            "wrong-value",
            "`sales.orders@+2` names no tables of a domain",
        ),
        (
            vec![name, "on: {tables: [\"sales.*@2\"]}", deny],
            "wrong-value",
            "`sales.*@2` names no tables of a domain",
        ),
        (
            vec![name, "forbidCombine: [hr.*]"],
            "guardrail-effect",
            "`forbidCombine` has one side",
        ),
        (
            vec![name, "forbidCombine: []"],
            "empty",
            "`forbidCombine` is an empty list",
        ),
        (
            vec![name, "forbidCombine: hr.*"],
            "wrong-type",
            "`forbidCombine` must be a list, found a string",
        ),
        (
            vec![name, "forbidCombine: [hr.*, hr.*]"],
            "duplicate-value",
            "`hr.*` is listed twice",
        ),
        (
            vec![name, "forbidCombine: [hr.*, health]"],
            "wrong-value",
            "`health` names no tables of a domain",
        ),
        (
            vec![name, on, "forbidCombine: [hr.*, health.*]"],
            "wrong-key",
            "`forbidCombine` names its tables itself",
        ),
    ] {
        let fixture = mesh(&[&lines, &["name: other", on, deny]]);
        let faults = fixture.faults();
        assert!(fixture.rules().contains(&rule), "{lines:?}: {faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains(message)),
            "{lines:?}: {faults:?}"
        );
        assert!(fixture.load().mesh.is_none(), "{lines:?}");
    }
}

#[test]
fn a_fault_shows_its_place_and_what_to_do() {
    let fixture = mesh(&[&["name: g", "on: {tags: [pii]}", "deny: false"]]);
    assert_eq!(
        fixture.fault(),
        "guardrails.yaml:6:11: error[wrong-value]: `deny` is always `true`\n\
         6 |     deny: false\n  \
           |           ^\n  \
         = help: remove the guardrail to lift it"
    );
    let fixture = mesh(&[&["name: g", "on: {tags: [pii]}", "mask: null"]]);
    assert!(
        fixture
            .fault()
            .ends_with("= help: YAML reads `null` as nothing; the mask is called `nullify`")
    );
    let on = "on: {tags: [pii]}";
    let fixture = mesh(&[
        &["name: g", on, "deny: true"],
        &["name: h", on, "deny: true"],
        &["name: g", on, "mask: hash"],
    ]);
    assert_eq!(
        fixture.fault(),
        "guardrails.yaml:10:11: error[duplicate-guardrail]: guardrail `g` is named twice, first in line 4\n\
         10 |   - name: g\n   \
            |           ^\n  \
         = help: rename one of the two: the name says in the audit which guardrail it was"
    );
    assert!(fixture.load().mesh.is_none());
}

#[test]
fn a_guardrails_file_that_cannot_be_read_takes_the_whole_mesh() {
    for (named, text, rule, message) in [
        (
            "missing.yaml",
            None,
            "missing-file",
            "`missing.yaml` does not exist",
        ),
        ("../limits.yaml", None, "unsafe-path", "`../limits.yaml`"),
        (
            "/etc/limits.yaml",
            None,
            "unsafe-path",
            "`/etc/limits.yaml`",
        ),
        ("guardrails.yaml", Some("guardrails: ["), "yaml-syntax", ""),
        (
            "guardrails.yaml",
            Some("- a\n"),
            "wrong-type",
            "a guardrails file must be a mapping",
        ),
        (
            "guardrails.yaml",
            Some(""),
            "yaml-syntax",
            "the file is empty",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Grants\nguardrails: []\n"),
            "wrong-kind",
            "",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Guardrails\n"),
            "missing-key",
            "a guardrails file needs the key `guardrails`",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Guardrails\nguardrails:\n"),
            "wrong-type",
            "`guardrails` must be a list, found nothing",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Guardrails\nguardrails: {}\n"),
            "wrong-type",
            "`guardrails` must be a list, found a mapping",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Guardrails\nguardrails: [deny-all]\n"),
            "wrong-type",
            "a guardrail must be a mapping, found a string",
        ),
        (
            "guardrails.yaml",
            Some("apiVersion: weft/v1\nkind: Guardrails\nguardrails: []\nmore: 1\n"),
            "unknown-key",
            "`more` is not a key of a guardrails file",
        ),
        ("", None, "empty", "`guardrails` is empty"),
    ] {
        let fixture = Fixture::new();
        fixture.append(MESH_YAML, &format!("guardrails: '{named}'\n"));
        if let Some(text) = text {
            fixture.write(GUARDRAILS_YAML, text);
        }
        let faults = fixture.faults();
        let report = fixture.load();
        assert!(
            fixture.rules().contains(&rule),
            "{named} {text:?}: {faults:?}"
        );
        assert!(
            faults.iter().any(|fault| fault.contains(message)),
            "{named} {text:?}: {faults:?}"
        );
        assert!(report.mesh.is_none(), "{named} {text:?}");
        // The domains are looked at all the same: every fault at once.
        assert_eq!(report.domains.len(), 2);
    }
}

#[test]
fn the_guardrails_file_is_watched_even_where_it_is_missing() {
    let fixture = mesh(&[&["name: g", "on: {tags: [a]}", "deny: true"]]);
    let root = std::fs::canonicalize(fixture.path(".")).unwrap();
    let watched = |fixture: &Fixture| {
        let files = fixture.load().files;
        files.contains(&root.join(GUARDRAILS_YAML)) || files.contains(&root)
    };
    assert!(watched(&fixture));
    std::fs::remove_file(fixture.path(GUARDRAILS_YAML)).unwrap();
    assert!(watched(&fixture));
    assert!(fixture.load().mesh.is_none());
}
