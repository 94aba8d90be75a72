//! One case for each kind of change.

use arrow_schema::DataType;
use weft_mesh::{
    Domain, DomainName, GrantManifest, Grantee, GuardrailEffect, GuardrailManifest, Table,
};

use super::{
    super::{
        Narrow, column, domain, except, grant, guardrail, limited, masked, names, on, orders,
        patterns, spanned, table,
    },
    People, State, diff, told,
};

/// Everything that a mesh is made of.
struct Parts {
    sales: Domain,
    hr: Domain,
    guardrails: Vec<GuardrailManifest>,
    people: People,
    auditors: Vec<&'static str>,
}

/// `sales.orders` and `sales.members`, `hr.people`; ana is an analyst.
fn parts() -> Parts {
    let members = vec![
        column("who", DataType::Utf8),
        column("area", DataType::Utf8),
    ];
    let mut people = table("people", vec![column("name", DataType::Utf8)]);
    people.columns[0].tags.insert("pii".to_owned());
    let mut hr = domain(
        vec![people],
        vec![all("people", &["group:staff"]).named("staff")],
    );
    hr.name = DomainName::parse("hr").unwrap();
    Parts {
        sales: domain(
            vec![orders(), table("members", members)],
            vec![narrow().named("analysts")],
        ),
        hr,
        guardrails: Vec::new(),
        people: People::default()
            .user("ana", &["analysts"], &[("region", "EU")])
            .user("ben", &[], &[])
            .service("bi", &[], &["analysts"]),
        auditors: Vec::new(),
    }
}

/// Two columns of the orders of one region.
fn narrow() -> GrantManifest {
    grant("analysts", &["group:analysts"])
        .only(&["id", "email"])
        .mask("email", "hash")
        .rows("region = 'EU'")
}

fn all(table: &str, to: &[&str]) -> GrantManifest {
    grant("all", to).on(weft_mesh::GrantTarget::Tables(names(&[table])))
}

trait Named {
    fn named(self, name: &str) -> Self;
}

impl Named for GrantManifest {
    fn named(mut self, name: &str) -> Self {
        self.name = spanned(name.to_owned());
        self
    }
}

impl Parts {
    fn state(self) -> State {
        State::new(
            vec![self.sales, self.hr],
            &self.guardrails,
            &self.people,
            &self.auditors,
        )
    }

    fn grant(&mut self) -> &mut GrantManifest {
        &mut self.sales.grants[0]
    }

    fn orders(&mut self) -> &mut Table {
        &mut self.sales.tables[0]
    }

    fn limit(&mut self, name: &str, effect: GuardrailEffect) {
        self.guardrails.push(guardrail(name, effect));
    }
}

fn edit(change: impl FnOnce(&mut GrantManifest)) -> impl FnOnce(&mut Parts) {
    |parts| change(parts.grant())
}

fn rewrite(grant: GrantManifest) -> impl FnOnce(&mut Parts) {
    |parts| *parts.grant() = grant.named("analysts")
}

/// From the first to the second, and back.
fn check(
    what: &str,
    old: impl FnOnce(&mut Parts),
    new: impl FnOnce(&mut Parts),
    forth: &[&str],
    back: &[&str],
) {
    let (mut one, mut other) = (parts(), parts());
    old(&mut one);
    new(&mut other);
    let (one, other) = (one.state(), other.state());
    assert_eq!(told(&diff(&one, &other)), forth, "{what}");
    assert_eq!(told(&diff(&other, &one)), back, "{what}, back");
    assert!(diff(&one, &one).is_empty(), "{what}");
    assert!(diff(&other, &other).is_empty(), "{what}");
}

fn as_it_is(_: &mut Parts) {}

#[test]
fn grants() {
    check(
        "more rows",
        as_it_is,
        rewrite(narrow().rows("region IN ('EU', 'US')")),
        &[
            "+ group:analysts user:ana of sales.orders: +rows region = 'EU' > region IN ('EU', 'US')",
        ],
        &[
            "- group:analysts user:ana of sales.orders: -rows region IN ('EU', 'US') > region = 'EU'",
        ],
    );
    check(
        "other rows",
        as_it_is,
        rewrite(narrow().rows("region = 'US'")),
        &["± group:analysts user:ana of sales.orders: ±rows region = 'EU' > region = 'US'"],
        &["± group:analysts user:ana of sales.orders: ±rows region = 'US' > region = 'EU'"],
    );
    check(
        "rows by attribute: the same for ana, not for whoever else is in the group",
        as_it_is,
        rewrite(narrow().rows("region = session.attr('region')")),
        &[
            "± group:analysts of sales.orders: ±rows region = 'EU' > region = session.attr('region')",
        ],
        &[
            "± group:analysts of sales.orders: ±rows region = session.attr('region') > region = 'EU'",
        ],
    );
    check(
        "another column",
        as_it_is,
        rewrite(narrow().only(&["id", "email", "amount"])),
        &["+ group:analysts user:ana of sales.orders: +nothing > amount clear"],
        &["- group:analysts user:ana of sales.orders: -amount clear > nothing"],
    );
    check(
        "a mask that goes",
        as_it_is,
        edit(|grant| grant.masks.clear()),
        &["+ group:analysts user:ana of sales.orders: +email hash > email clear"],
        &["- group:analysts user:ana of sales.orders: -email clear > email hash"],
    );
    check(
        "another mask",
        as_it_is,
        rewrite(narrow().only(&["id", "email"])),
        &[],
        &[],
    );
    check(
        "another kind of mask",
        as_it_is,
        |parts| parts.grant().masks[0].1 = spanned("token(sales)".to_owned()),
        &["± group:analysts user:ana of sales.orders: ±email hash > email token(sales)"],
        &["± group:analysts user:ana of sales.orders: ±email token(sales) > email hash"],
    );
    let bucket = |width: &str| narrow().mask("id", &format!("bucket({width})"));
    check(
        "another parameter of a mask",
        rewrite(bucket("10")),
        rewrite(bucket("100")),
        &["- group:analysts user:ana of sales.orders: -id bucket(10) > id bucket(100)"],
        &["+ group:analysts user:ana of sales.orders: +id bucket(100) > id bucket(10)"],
    );
    check(
        "another grant, that shows more on other rows",
        as_it_is,
        |parts| {
            let more = narrow().rows("id < 3").named("more");
            parts.sales.grants.push(GrantManifest {
                masks: Vec::new(),
                ..more
            });
        },
        &[
            "+ group:analysts user:ana of sales.orders: +rows region = 'EU' > (id < 3) OR (region = 'EU'); \
           +email hash > email clear where id < 3; hash",
        ],
        &[
            "- group:analysts user:ana of sales.orders: -rows (id < 3) OR (region = 'EU') > region = 'EU'; \
           -email clear where id < 3; hash > email hash",
        ],
    );
    check(
        "whom",
        as_it_is,
        |parts| parts.grant().to = vec![spanned(Grantee::Everyone)],
        &[
            "+ everyone group:staff user:ben service:bi of sales.orders: hidden > granted; \
           +rows none > region = 'EU'; +nothing > id clear; +nothing > email hash",
        ],
        &[
            "- everyone group:staff user:ben service:bi of sales.orders: granted > hidden; \
           -rows region = 'EU' > none; -id clear > nothing; -email hash > nothing",
        ],
    );
    check(
        "purposes",
        as_it_is,
        |parts| parts.grant().purposes = narrow().purposes(&["audit"]).purposes,
        &[
            "- group:analysts user:ana [no purpose, any other purpose] of sales.orders: granted > hidden; \
           -rows region = 'EU' > none; -id clear > nothing; -email hash > nothing",
        ],
        &[
            "+ group:analysts user:ana [no purpose, any other purpose] of sales.orders: hidden > granted; \
           +rows none > region = 'EU'; +nothing > id clear; +nothing > email hash",
        ],
    );
}

#[test]
fn time() {
    check(
        "an end",
        as_it_is,
        rewrite(narrow().between(None, Some("2027-01-01T00:00:00Z"))),
        &[
            "- group:analysts user:ana from 2027-01-01 of sales.orders: granted > hidden; \
           -rows region = 'EU' > none; -id clear > nothing; -email hash > nothing",
        ],
        &[
            "+ group:analysts user:ana from 2027-01-01 of sales.orders: hidden > granted; \
           +rows none > region = 'EU'; +nothing > id clear; +nothing > email hash",
        ],
    );
    check(
        "a grant for a time",
        as_it_is,
        |parts| {
            let times = (Some("2027-01-01T00:00:00Z"), Some("2028-01-01T00:00:00Z"));
            let more = narrow().rows("true").between(times.0, times.1);
            parts.sales.grants.push(more.named("for-a-year"));
        },
        &[
            "+ group:analysts user:ana from 2027-01-01 until 2028-01-01 of sales.orders: \
           +rows region = 'EU' > TRUE",
        ],
        &[
            "- group:analysts user:ana from 2027-01-01 until 2028-01-01 of sales.orders: \
           -rows TRUE > region = 'EU'",
        ],
    );
    check(
        "what has ended already",
        as_it_is,
        |parts| {
            let old = narrow()
                .rows("true")
                .between(None, Some("2026-01-01T00:00:00Z"));
            parts.sales.grants.push(old.named("was"));
        },
        &[],
        &[],
    );
}

#[test]
fn discovery() {
    let shop_window = |parts: &mut Parts| {
        let mut window = grant("window", &["everyone"]);
        window.columns = weft_mesh::ColumnSelection::Nothing;
        parts.sales.grants.push(window);
    };
    check(
        "a table that can be found",
        as_it_is,
        shop_window,
        &[
            "+ everyone group:staff user:ben service:bi of sales.orders: hidden > found; \
             +found Mixed; +found amount; +found email; +found id; +found open; +found ordered_at; +found region",
            "+ group:analysts user:ana of sales.orders: \
             +found Mixed; +found amount; +found open; +found ordered_at; +found region",
        ],
        &[
            "- everyone group:staff user:ben service:bi of sales.orders: found > hidden; \
             -found Mixed; -found amount; -found email; -found id; -found open; -found ordered_at; -found region",
            "- group:analysts user:ana of sales.orders: \
             -found Mixed; -found amount; -found open; -found ordered_at; -found region",
        ],
    );
}

#[test]
fn guardrails() {
    let tagged = |tag: &str| weft_mesh::GuardrailTarget {
        tags: names(&[tag]),
        ..on()
    };
    let clear = |parts: &mut Parts| parts.grant().masks.clear();
    let with = move |effect: GuardrailEffect| {
        move |parts: &mut Parts| {
            clear(parts);
            parts.limit("limit", effect);
        }
    };
    check(
        "a mask",
        clear,
        with(masked(tagged("pii"), "hash")),
        &[
            "- group:staff of hr.people: -name clear > name hash",
            "- group:analysts user:ana of sales.orders: -email clear > email hash",
        ],
        &[
            "+ group:staff of hr.people: +name hash > name clear",
            "+ group:analysts user:ana of sales.orders: +email hash > email clear",
        ],
    );
    let sales = || weft_mesh::GuardrailTarget {
        domains: names(&["sales"]),
        ..on()
    };
    check(
        "rows",
        clear,
        with(limited(sales(), "id < 100")),
        &[
            "- group:analysts user:ana of sales.orders: -rows region = 'EU' > (id < 100) AND (region = 'EU')",
        ],
        &[
            "+ group:analysts user:ana of sales.orders: +rows (id < 100) AND (region = 'EU') > region = 'EU'",
        ],
    );
    check(
        "columns",
        clear,
        with(GuardrailEffect::Deny { on: tagged("pii") }),
        &[
            "- group:staff of hr.people: granted > hidden; -rows TRUE > none; -name clear > nothing",
            "- group:analysts user:ana of sales.orders: -email clear > nothing",
        ],
        &[
            "+ group:staff of hr.people: hidden > granted; +rows none > TRUE; +nothing > name clear",
            "+ group:analysts user:ana of sales.orders: +nothing > email clear",
        ],
    );
    check(
        "a purpose",
        clear,
        with(GuardrailEffect::RequirePurpose {
            on: tagged("public"),
        }),
        &[
            "- group:analysts user:ana [no purpose] of sales.orders: granted > hidden; \
           -rows region = 'EU' > none; -id clear > nothing; -email clear > nothing",
        ],
        &[
            "+ group:analysts user:ana [no purpose] of sales.orders: hidden > granted; \
           +rows none > region = 'EU'; +nothing > id clear; +nothing > email clear",
        ],
    );
    check(
        "an exception",
        with(masked(tagged("pii"), "hash")),
        |parts| {
            with(masked(tagged("pii"), "hash"))(parts);
            parts.guardrails[0] = except(parts.guardrails[0].clone(), &["user:ana"]);
        },
        &["+ user:ana of sales.orders: +email hash > email clear"],
        &["- user:ana of sales.orders: -email clear > email hash"],
    );
    let everything = |parts: &mut Parts| {
        parts.sales.grants.push(all("orders", &["user:ben"]));
        let people = all("people", &["user:ben"]).named("ben");
        parts.hr.grants.push(people);
    };
    check(
        "tables kept apart, for whoever could read both",
        everything,
        |parts| {
            everything(parts);
            let sides = patterns(&["hr.*", "sales.*"]);
            parts.limit("apart", GuardrailEffect::ForbidCombine { sides });
        },
        &[
            "- user:ben: may no longer read `hr.people` and `sales.orders` in one query: guardrail `apart`",
        ],
        &["+ user:ben: may read `hr.people` and `sales.orders` in one query: guardrail `apart`"],
    );
}

/// What policies look up is kept apart with what is read.
#[test]
fn lookups_kept_apart() {
    fn by_members(parts: &mut Parts, rows: &str) {
        parts.sales.grants = vec![all("orders", &["user:ben"]).rows(rows)];
        parts.hr.grants = vec![all("people", &["user:ben"]).named("ben")];
    }
    fn apart(parts: &mut Parts, sides: &[&str]) {
        let sides = patterns(sides);
        parts.limit("apart", GuardrailEffect::ForbidCombine { sides });
    }
    const MEMBERS: &str = "region IN (SELECT area FROM sales.members WHERE who = session.user)";
    let looks_up = |parts: &mut Parts| {
        by_members(parts, MEMBERS);
        apart(parts, &["hr.people", "sales.members"]);
    };
    let may = "may read `hr.people` and `sales.orders` in one query: guardrail `apart`";
    let may_not =
        "may no longer read `hr.people` and `sales.orders` in one query: guardrail `apart`";
    check(
        "a lookup that goes",
        looks_up,
        |parts| {
            by_members(parts, "region = 'EU'");
            apart(parts, &["hr.people", "sales.members"]);
        },
        &[
            &format!("+ user:ben: {may}"),
            "± user:ben of sales.orders: ±rows region IN (SELECT area FROM sales.members WHERE who = 'ben') > region = 'EU'",
        ],
        &[
            &format!("- user:ben: {may_not}"),
            "± user:ben of sales.orders: ±rows region = 'EU' > region IN (SELECT area FROM sales.members WHERE who = 'ben')",
        ],
    );
    check(
        "a guardrail on a lookup that goes",
        looks_up,
        |parts| by_members(parts, MEMBERS),
        &[&format!("+ user:ben: {may}")],
        &[&format!("- user:ben: {may_not}")],
    );
    check(
        "a guardrail of another name on a lookup",
        looks_up,
        |parts| {
            looks_up(parts);
            parts.guardrails[0].name = spanned("kept-apart".to_owned());
        },
        &[],
        &[],
    );
    check(
        "a lookup that another grant no longer needs",
        |parts| {
            looks_up(parts);
        },
        |parts| {
            looks_up(parts);
            parts
                .sales
                .grants
                .push(all("orders", &["user:ben"]).named("open"));
        },
        &[
            &format!("+ user:ben: {may}"),
            "+ user:ben of sales.orders: +rows region IN (SELECT area FROM sales.members WHERE who = 'ben') > TRUE",
        ],
        &[
            &format!("- user:ben: {may_not}"),
            "- user:ben of sales.orders: -rows TRUE > region IN (SELECT area FROM sales.members WHERE who = 'ben')",
        ],
    );
    check(
        "a table that its own policy keeps from being read",
        |parts| {
            by_members(parts, MEMBERS);
            apart(parts, &["sales.orders", "sales.members"]);
        },
        |parts| by_members(parts, MEMBERS),
        &["+ user:ben: may read `sales.orders` with what its policy looks up: guardrail `apart`"],
        &[
            "- user:ben: may no longer read `sales.orders` with what its policy looks up: guardrail `apart`",
        ],
    );
}

/// What a guardrail denies is not found either.
#[test]
fn columns_that_are_found_under_guardrails() {
    let found = |parts: &mut Parts| {
        let mut shown = all("people", &["user:ben"]).named("window");
        shown.columns = weft_mesh::ColumnSelection::Nothing;
        parts.hr.grants = vec![shown];
    };
    let denied = move |parts: &mut Parts| {
        found(parts);
        let on = weft_mesh::GuardrailTarget {
            tags: names(&["pii"]),
            ..on()
        };
        parts.limit("secret", GuardrailEffect::Deny { on });
    };
    let sales = |parts: &mut Parts| parts.sales.grants.clear();
    check(
        "a denial that is lifted",
        |parts| {
            denied(parts);
            sales(parts);
        },
        |parts| {
            found(parts);
            sales(parts);
        },
        &["+ user:ben of hr.people: +found name"],
        &["- user:ben of hr.people: -found name"],
    );
    check(
        "a tag that a denial goes by",
        |parts| {
            denied(parts);
            sales(parts);
        },
        |parts| {
            denied(parts);
            sales(parts);
            parts.hr.tables[0].columns[0].tags.clear();
        },
        &[
            "~ hr.people: column `name` has tag `pii` no longer",
            "+ user:ben of hr.people: +found name",
        ],
        &[
            "~ hr.people: column `name` has tag `pii`",
            "- user:ben of hr.people: -found name",
        ],
    );
}

#[test]
fn credentials() {
    check(
        "another password",
        |_| {},
        |parts| parts.people = parts.people.clone().with_credential("ana", "env:OTHER"),
        &["± user:ana: shows who they are by another password or token"],
        &["± user:ana: shows who they are by another password or token"],
    );
    check(
        "another token",
        |_| {},
        |parts| {
            parts.people = parts
                .people
                .clone()
                .with_credential("bi", "file:/etc/other")
        },
        &["± service:bi: shows who they are by another password or token"],
        &["± service:bi: shows who they are by another password or token"],
    );
}

/// A guardrail cannot be slipped without it being seen.
#[test]
fn contracts_under_guardrails() {
    let guarded = |on: weft_mesh::GuardrailTarget| {
        move |parts: &mut Parts| {
            parts.grant().masks.clear();
            parts.limit("pii", masked(on, "hash"));
        }
    };
    let tagged = || weft_mesh::GuardrailTarget {
        tags: names(&["pii"]),
        ..on()
    };
    check(
        "a tag that goes",
        guarded(tagged()),
        |parts| {
            guarded(tagged())(parts);
            parts.orders().columns[2].tags.clear();
        },
        &[
            "~ sales.orders: column `email` has tag `pii` no longer",
            "+ group:analysts user:ana of sales.orders: +email hash > email clear",
        ],
        &[
            "~ sales.orders: column `email` has tag `pii`",
            "- group:analysts user:ana of sales.orders: -email clear > email hash",
        ],
    );
    let by_name = || weft_mesh::GuardrailTarget {
        domains: names(&["sales"]),
        columns: names(&["email"]),
        ..on()
    };
    let renamed = |parts: &mut Parts| {
        parts.orders().columns[2].name = "contact".to_owned();
        parts.grant().columns = narrow().only(&["id", "contact"]).columns;
    };
    check(
        "a name that a guardrail goes by",
        guarded(by_name()),
        move |parts| {
            guarded(by_name())(parts);
            renamed(parts);
        },
        &[
            "~ sales.orders: column `email` is called `contact`",
            "+ group:analysts user:ana of sales.orders: +email hash > contact clear",
        ],
        &[
            "~ sales.orders: column `contact` is called `email`",
            "- group:analysts user:ana of sales.orders: -contact clear > email hash",
        ],
    );
    check(
        "the same data by another name beside it",
        guarded(by_name()),
        move |parts| {
            guarded(by_name())(parts);
            let mut copy = parts.orders().columns[2].clone();
            copy.name = "contact".to_owned();
            parts.orders().columns.push(copy);
            parts.grant().columns = narrow().only(&["id", "email", "contact"]).columns;
        },
        &[
            "~ sales.orders: column `contact` is new, over `email`",
            "+ group:analysts user:ana of sales.orders: +nothing > contact clear",
        ],
        &[
            "~ sales.orders: column `contact` is gone, over `email`",
            "- group:analysts user:ana of sales.orders: -contact clear > nothing",
        ],
    );
}

#[test]
fn contracts() {
    check(
        "other data by the same name",
        as_it_is,
        |parts| parts.orders().columns[0].physical_name = "salary".to_owned(),
        &[
            "~ sales.orders: column `id` is new, over `salary`",
            "~ sales.orders: column `id` is gone",
            "± group:analysts user:ana of sales.orders: +nothing > id clear; -id clear > nothing",
        ],
        &[
            "~ sales.orders: column `id` is new",
            "~ sales.orders: column `id` is gone, over `salary`",
            "± group:analysts user:ana of sales.orders: +nothing > id clear; -id clear > nothing",
        ],
    );
    check(
        "another type",
        as_it_is,
        |parts| parts.orders().columns[0].data_type = DataType::Int32,
        &[
            "~ sales.orders: column `id` is Int32, no longer Int64",
            "± group:analysts user:ana of sales.orders: ±id clear > id clear",
        ],
        &[
            "~ sales.orders: column `id` is Int64, no longer Int32",
            "± group:analysts user:ana of sales.orders: ±id clear > id clear",
        ],
    );
    check(
        "whether it can be NULL",
        as_it_is,
        |parts| parts.orders().columns[0].required = false,
        &[
            "~ sales.orders: column `id` is optional",
            "~ group:analysts user:ana of sales.orders: ~id clear > id clear",
        ],
        &[
            "~ sales.orders: column `id` is required",
            "~ group:analysts user:ana of sales.orders: ~id clear > id clear",
        ],
    );
    check(
        "another order: nobody sees more",
        as_it_is,
        |parts| parts.orders().columns.swap(1, 3),
        &[],
        &[],
    );
    let elsewhere = |parts: &mut Parts| {
        parts.orders().source.location = weft_mesh::Location::parse("salaries").unwrap();
    };
    check(
        "other files",
        as_it_is,
        elsewhere,
        &[
            "~ sales.orders: reads salaries below lake as parquet, no longer orders below lake as parquet",
            "± group:analysts user:ana of sales.orders: other data",
        ],
        &[
            "~ sales.orders: reads orders below lake as parquet, no longer salaries below lake as parquet",
            "± group:analysts user:ana of sales.orders: other data",
        ],
    );
    check(
        "a table that goes",
        as_it_is,
        |parts| {
            parts.hr.tables.clear();
            parts.hr.grants.clear();
        },
        &[
            "~ hr.people: is gone, version 1",
            "- group:staff of hr.people: granted > hidden; -rows TRUE > none; -name clear > nothing",
        ],
        &[
            "~ hr.people: is new, version 1",
            "+ group:staff of hr.people: hidden > granted; +rows none > TRUE; +nothing > name clear",
        ],
    );
    check(
        "a column that comes, and can be found",
        |parts| parts.grant().columns = weft_mesh::ColumnSelection::All,
        |parts| {
            parts.grant().columns = weft_mesh::ColumnSelection::All;
            parts.orders().columns.push(column("iban", DataType::Utf8));
        },
        &[
            "~ sales.orders: column `iban` is new",
            "+ group:analysts user:ana of sales.orders: +nothing > iban clear",
        ],
        &[
            "~ sales.orders: column `iban` is gone",
            "- group:analysts user:ana of sales.orders: -iban clear > nothing",
        ],
    );
}

#[test]
fn entitlements() {
    let rows = "region IN (SELECT area FROM sales.members WHERE who = session.user)";
    let by_table = move |parts: &mut Parts| *parts.grant() = narrow().rows(rows);
    check("a lookup", by_table, by_table, &[], &[]);
    let change = |parts: &mut Parts| {
        parts.sales.tables[1].source.location = weft_mesh::Location::parse("others").unwrap();
    };
    let (mut one, mut other) = (parts(), parts());
    by_table(&mut one);
    by_table(&mut other);
    change(&mut other);
    let lines = told(&diff(&one.state(), &other.state()));
    assert!(
        lines[1].starts_with("± group:analysts of sales.orders: ±rows"),
        "{lines:#?}"
    );
    assert!(
        lines[2].starts_with("± user:ana of sales.orders: ±rows"),
        "{lines:#?}"
    );

    check(
        "a table that others may ask",
        as_it_is,
        |parts| parts.hr.entitlements = names(&["people"]),
        &["+ : predicates of other domains may ask `hr.people`"],
        &["- : predicates of other domains may no longer ask `hr.people`"],
    );
}

#[test]
fn identities() {
    let people = |ben: &[&str], region: &str, acts_for: &[&str]| {
        People::default()
            .user("ana", &["analysts"], &[("region", region)])
            .user("ben", ben, &[])
            .service("bi", &[], acts_for)
    };
    check(
        "a group",
        as_it_is,
        |parts| parts.people = people(&["analysts"], "EU", &["analysts"]),
        &[
            "~ user:ben: is in group:analysts",
            "+ service:bi: may act for user:ben",
            "+ user:ben of sales.orders: hidden > granted; +rows none > region = 'EU'; \
             +nothing > id clear; +nothing > email hash",
        ],
        &[
            "~ user:ben: is no longer in group:analysts",
            "- service:bi: may no longer act for user:ben",
            "- user:ben of sales.orders: granted > hidden; -rows region = 'EU' > none; \
             -id clear > nothing; -email hash > nothing",
        ],
    );
    let by_region = |parts: &mut Parts| {
        *parts.grant() = narrow().rows("region = session.attr('region')");
    };
    check(
        "an attribute",
        by_region,
        |parts| {
            by_region(parts);
            parts.people = people(&[], "US", &["analysts"]);
        },
        &[
            "~ user:ana: has attribute region: US",
            "± user:ana of sales.orders: ±rows region = 'EU' > region = 'US'",
        ],
        &[
            "~ user:ana: has attribute region: EU",
            "± user:ana of sales.orders: ±rows region = 'US' > region = 'EU'",
        ],
    );
    check(
        "who acts for whom",
        as_it_is,
        |parts| parts.people = people(&[], "EU", &["analysts", "staff"]),
        &["+ service:bi: may act for members of group:staff"],
        &["- service:bi: may no longer act for members of group:staff"],
    );
    check(
        "somebody who comes",
        as_it_is,
        |parts| parts.people = parts.people.clone().user("eve", &["staff"], &[]),
        &[
            "~ user:eve: is new",
            "+ user:eve of hr.people: hidden > granted; +rows none > TRUE; +nothing > name clear",
        ],
        &[
            "~ user:eve: is gone",
            "- user:eve of hr.people: granted > hidden; -rows TRUE > none; -name clear > nothing",
        ],
    );
}

#[test]
fn who_answers() {
    let steward = |parts: &mut Parts| {
        parts.sales.stewards = vec![Grantee::Group("analysts".to_owned())];
    };
    check(
        "a steward",
        as_it_is,
        steward,
        &["+ group:analysts, user:ana: answers for domain `sales`"],
        &["- group:analysts, user:ana: no longer answers for domain `sales`"],
    );
    check(
        "an auditor",
        as_it_is,
        |parts| parts.auditors = vec!["user:ben"],
        &["+ user:ben: is an auditor of the mesh"],
        &["- user:ben: is no longer an auditor of the mesh"],
    );
}
