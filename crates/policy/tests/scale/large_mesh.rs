//! A large mesh as files: domains of equal size, whose grants spread over all
//! tables and groups.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How much there is.
pub(crate) struct Size {
    pub(crate) domains: usize,
    /// In each domain.
    pub(crate) tables: usize,
    /// In each domain.
    pub(crate) grants: usize,
    pub(crate) groups: usize,
    pub(crate) users: usize,
    pub(crate) guardrails: usize,
}

/// What a decision has to be quick over.
pub(crate) const LARGE: Size = Size {
    domains: 10,
    tables: 100,
    grants: 10_000,
    groups: 200,
    users: 2_000,
    guardrails: 20,
};

/// The groups of one principal: about 3 in 100 of all grants are to them.
pub(crate) const GROUPS: [&str; 6] = ["g0", "g1", "g42", "g77", "g120", "g199"];

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$6PkDtv45XS4S6vzzEc/gmQ$P2XlsGaCHgxG0dQwTnVXWH45jSbW+9jiTP7YJ0mDnaE";

const COLUMNS: &str = "      - {name: id, logicalType: integer, required: true, primaryKey: true}
      - {name: region, logicalType: string}
      - {name: email, logicalType: string, tags: [pii], classification: confidential}
      - {name: amount, logicalType: number, physicalType: \"DECIMAL(12,2)\", tags: [money]}
      - {name: ordered_at, logicalType: timestamp}
      - {name: open, logicalType: boolean}
      - {name: note, logicalType: string, tags: [free-text]}
      - {name: code, logicalType: string, classification: restricted}
";

/// Writes the mesh into `folder` and gives its `mesh.yaml`.
pub(crate) fn write(folder: &Path, size: &Size) -> PathBuf {
    let mut mesh =
        "apiVersion: weft/v1\nkind: Mesh\nname: acme\nguardrails: guardrails.yaml\ndomains:\n"
            .to_owned();
    for domain in 0..size.domains {
        writeln!(mesh, "  - d{domain}/domain.yaml").unwrap();
        write_domain(&folder.join(format!("d{domain}")), domain, size);
    }
    mesh.push_str("identity:\n  users:\n");
    for user in 0..size.users {
        let group = |step: usize| (user * 31 + step * 17) % size.groups;
        writeln!(
            mesh,
            "    - name: u{user}\n      password: \"{PHC}\"\n      groups: [g{}, g{}, g{}]\n      attributes: {{region: EU}}",
            group(0), group(1), group(2)
        )
        .unwrap();
    }
    fs::write(folder.join("guardrails.yaml"), guardrails(size)).unwrap();
    let file = folder.join("mesh.yaml");
    fs::write(&file, mesh).unwrap();
    file
}

fn write_domain(folder: &Path, domain: usize, size: &Size) {
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::create_dir_all(folder.join("products")).unwrap();
    fs::write(
        folder.join("domain.yaml"),
        format!(
            "apiVersion: weft/v1\nkind: Domain\nname: d{domain}\nstorage:\n  - {{name: files, url: ./data/}}\n\
             products: [products/*.odcs.yaml]\ngrants: grants.yaml\n"
        ),
    )
    .unwrap();
    for table in 0..size.tables {
        let contract = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t{table}\nname: t{table}\nversion: 1.0.0\nstatus: active\n\
             servers:\n  - {{server: here, type: local, path: ./data/t{table}.parquet, format: parquet}}\n\
             schema:\n  - name: t{table}\n    logicalType: object\n    properties:\n{COLUMNS}"
        );
        fs::write(
            folder.join(format!("products/t{table}.odcs.yaml")),
            contract,
        )
        .unwrap();
        fs::write(folder.join(format!("data/t{table}.parquet")), "").unwrap();
    }
    let mut grants = format!("apiVersion: weft/v1\nkind: Grants\ndomain: d{domain}\ngrants:\n");
    for grant in 0..size.grants {
        grants.push_str(&one_grant(grant, size));
    }
    fs::write(folder.join("grants.yaml"), grants).unwrap();
}

fn one_grant(grant: usize, size: &Size) -> String {
    let table = grant % size.tables;
    let group = (grant / size.tables * 2 + table) % size.groups;
    let columns = ["\"*\"", "[id, region, email, amount]", "{except: [note]}"][grant % 3];
    let mut text = format!(
        "  - name: grant-{grant}\n    to: [group:g{group}]\n    on: t{table}\n    columns: {columns}\n"
    );
    if grant.is_multiple_of(2) {
        text.push_str("    masks: {email: hash, amount: bucket(100)}\n");
    }
    match grant % 5 {
        0 => text.push_str("    rows: \"region = session.attr('region')\"\n"),
        1 => text.push_str("    rows: \"open AND session.in_group('g1') OR id < 100\"\n"),
        2 => writeln!(text, "    rows: \"region = 'R{grant}'\"").unwrap(),
        3 => text.push_str("    until: 2036-12-31\n    purposes: [audit, fulfilment]\n"),
        _ => {}
    }
    text
}

fn guardrails(size: &Size) -> String {
    let mut text = "apiVersion: weft/v1\nkind: Guardrails\nguardrails:\n".to_owned();
    for guardrail in 0..size.guardrails {
        let effect = match guardrail % 4 {
            0 => "on: {tags: [pii]}\n    mask: show_last(4)".to_owned(),
            1 => format!(
                "on: {{domains: [d{}], column: region}}\n    rows: \"region <> 'X{guardrail}'\"",
                guardrail % size.domains
            ),
            2 => "on: {classification: restricted}\n    requirePurpose: true".to_owned(),
            _ => format!("on: {{tables: [d0.t{guardrail}], column: note}}\n    deny: true"),
        };
        writeln!(
            text,
            "  - name: limit-{guardrail}\n    {effect}\n    except: [group:g3]"
        )
        .unwrap();
    }
    text
}
