//! No gain and no loss is missed, by the row interpreter; and what means the
//! same is mostly known to.

use std::{cell::Cell, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion_common::ScalarValue;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use weft_mesh::{ColumnSelection, Domain, GrantManifest, GuardrailManifest};

use super::{
    super::{
        laws::{any_grant, any_grants, any_guardrail, any_guardrails, any_row, sales},
        meaning::{Seen, amount_shown, expected},
        orders_id, purpose, spanned, time, user,
    },
    People, State, diff, told,
};
use crate::{
    PrincipalId, Viewer,
    diff::{Direction, MeshDiff, Stated, Subject},
};

/// What a mesh is made of.
#[derive(Debug, Clone)]
struct Parts {
    domain: Domain,
    guardrails: Vec<GuardrailManifest>,
    /// The groups of ana and of ben.
    groups: [Vec<&'static str>; 2],
    region: Option<&'static str>,
}

impl Parts {
    fn state(&self) -> State {
        let people = People::default()
            .user("ana", &self.groups[0], &self.attributes())
            .user("ben", &self.groups[1], &[])
            // Who is in no group that anybody names is everyone.
            .user("cyd", &["analysts", "others"], &[]);
        State::new(vec![self.domain.clone()], &self.guardrails, &people, &[])
    }

    fn attributes(&self) -> Vec<(&'static str, &'static str)> {
        self.region.iter().map(|it| ("region", *it)).collect()
    }

    fn seen(&self, viewer: &Viewer, row: &[ScalarValue]) -> Seen {
        expected(&self.domain, &self.guardrails, viewer, row)
    }
}

/// One thing that somebody does to a mesh.
#[derive(Debug, Clone)]
enum Edit {
    AddGrant(GrantManifest),
    RemoveGrant(usize),
    /// The rows of another grant.
    ChangeRows(usize, GrantManifest),
    /// The columns and masks of another.
    ChangeColumns(usize, GrantManifest),
    ChangeWhom(usize, GrantManifest),
    Delay(usize, Option<&'static str>, Option<&'static str>),
    AddGuardrail(GuardrailManifest),
    RemoveGuardrail(usize),
    ExceptMore(usize, GuardrailManifest),
    Untag(usize),
    /// Of the e-mail, over the same data.
    Rename,
    Regroup([Vec<&'static str>; 2]),
    Region(Option<&'static str>),
}

fn any_groups() -> impl Strategy<Value = [Vec<&'static str>; 2]> {
    let groups = || proptest::sample::subsequence(vec!["analysts", "others"], 0..=2);
    [groups(), groups()]
}

fn any_region() -> impl Strategy<Value = Option<&'static str>> {
    proptest::sample::select(vec![None, Some("EU"), Some("US"), Some("")])
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let moment = || {
        proptest::sample::select(vec![
            None,
            Some("2026-01-01T00:00:00Z"),
            Some("2027-01-01T00:00:00Z"),
            Some("2028-01-01T00:00:00Z"),
        ])
    };
    prop_oneof![
        any_grant().prop_map(Edit::AddGrant),
        any::<usize>().prop_map(Edit::RemoveGrant),
        (any::<usize>(), any_grant()).prop_map(|(at, it)| Edit::ChangeRows(at, it)),
        (any::<usize>(), any_grant()).prop_map(|(at, it)| Edit::ChangeColumns(at, it)),
        (any::<usize>(), any_grant()).prop_map(|(at, it)| Edit::ChangeWhom(at, it)),
        (any::<usize>(), moment(), moment()).prop_map(|(at, from, to)| Edit::Delay(at, from, to)),
        any_guardrail().prop_map(Edit::AddGuardrail),
        any::<usize>().prop_map(Edit::RemoveGuardrail),
        (any::<usize>(), any_guardrail()).prop_map(|(at, it)| Edit::ExceptMore(at, it)),
        (0..7usize).prop_map(Edit::Untag),
        Just(Edit::Rename),
        any_groups().prop_map(Edit::Regroup),
        any_region().prop_map(Edit::Region),
    ]
}

fn edited(mut parts: Parts, edits: &[Edit]) -> Parts {
    for edit in edits {
        let grants = &mut parts.domain.grants;
        let count = grants.len();
        let limits = parts.guardrails.len();
        match edit {
            Edit::AddGrant(grant) => grants.push(grant.clone()),
            Edit::RemoveGrant(at) if count > 0 => {
                grants.remove(at % count);
            }
            Edit::ChangeRows(at, other) if count > 0 => {
                grants[at % count].rows.clone_from(&other.rows);
            }
            Edit::ChangeColumns(at, other) if count > 0 => {
                let grant = &mut grants[at % count];
                grant.columns = other.columns.clone();
                grant.masks.clone_from(&other.masks);
            }
            Edit::ChangeWhom(at, other) if count > 0 => {
                let grant = &mut grants[at % count];
                grant.to.clone_from(&other.to);
                grant.purposes.clone_from(&other.purposes);
            }
            Edit::Delay(at, from, until) if count > 0 => {
                let grant = &mut grants[at % count];
                (grant.from, grant.until) = (from.map(time), until.map(time));
            }
            Edit::AddGuardrail(guardrail) => parts.guardrails.push(guardrail.clone()),
            Edit::RemoveGuardrail(at) if limits > 0 => {
                parts.guardrails.remove(at % limits);
            }
            Edit::ExceptMore(at, other) if limits > 0 => {
                let guardrail = &mut parts.guardrails[at % limits];
                guardrail.except.clone_from(&other.except);
            }
            Edit::Untag(at) => {
                let table = &mut parts.domain.tables[0];
                let column = &mut table.columns[*at];
                column.tags.clear();
                column.classification = None;
                column.inside = Default::default();
            }
            Edit::Rename => renamed(&mut parts.domain),
            Edit::Regroup(groups) => parts.groups.clone_from(groups),
            Edit::Region(region) => parts.region = *region,
            _ => {}
        }
    }
    // An edit may have brought the old name back.
    if parts.domain.tables[0].column("email").is_none() {
        renamed(&mut parts.domain);
    }
    parts
}

/// `email` is called `contact`, also by the grants.
fn renamed(domain: &mut Domain) {
    for column in &mut domain.tables[0].columns {
        if column.name == "email" {
            column.name = "contact".to_owned();
        }
    }
    let rename = |name: &mut String| *name = name.replace("email", "contact");
    for grant in &mut domain.grants {
        if let ColumnSelection::Only(names) = &mut grant.columns {
            names.iter_mut().for_each(|it| rename(&mut it.value));
        }
        grant
            .masks
            .iter_mut()
            .for_each(|(it, _)| rename(&mut it.value));
        if let Some(rows) = &mut grant.rows {
            rename(&mut rows.value);
        }
    }
}

fn any_parts() -> impl Strategy<Value = Parts> {
    (any_grants(), any_guardrails(), any_groups(), any_region()).prop_map(
        |(grants, guardrails, groups, region)| Parts {
            domain: sales(grants),
            guardrails,
            groups,
            region,
        },
    )
}

fn any_pair() -> impl Strategy<Value = (Parts, Parts)> {
    let edits = proptest::collection::vec(any_edit(), 1..4);
    let edited = (any_parts(), edits).prop_map(|(parts, edits)| {
        let new = edited(parts.clone(), &edits);
        (parts, new)
    });
    let unrelated = (any_parts(), any_parts());
    prop_oneof![4 => edited, 1 => unrelated]
}

/// Whether the row, as it is seen on the second side, shows more than on the first.
fn shows_more(old: &Seen, new: &Seen) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => old.iter().zip(new).any(|cells| match cells {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => amount_shown(new, old).is_gt(),
        }),
    }
}

/// What is told of a table for somebody at a moment.
fn told_of(diff: &MeshDiff, subject: &Subject, stated: &Stated, at: DateTime<Utc>) -> Direction {
    let table = orders_id();
    diff.changes_for(subject, stated, &table)
        .filter(|it| {
            it.from.is_none_or(|from| from <= at) && it.until.is_none_or(|until| at < until)
        })
        .map(|it| it.change.direction())
        .fold(Direction::default(), |all, it| all | it)
}

/// Somebody on both sides.
type Somebody = (Subject, crate::Principal, crate::Principal);

fn everybody(old: &Parts, new: &Parts) -> Vec<Somebody> {
    let known = |at: usize, name: &str, parts: &Parts| {
        let attributes = if at == 0 {
            parts.attributes()
        } else {
            Vec::new()
        };
        user(name, &parts.groups[at], &attributes)
    };
    let mut all: Vec<Somebody> = ["ana", "ben"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let subject = Subject::Principal(PrincipalId::user(name));
            (subject, known(at, name, old), known(at, name, new))
        })
        .collect();
    // Members of one group, of whom only that is known.
    for group in ["analysts", "others"] {
        for (name, region) in [("zoe", None), ("ana@x", Some("EU"))] {
            let attributes: Vec<_> = region.iter().map(|it| ("region", *it)).collect();
            let member = user(name, &[group], &attributes);
            all.push((Subject::Group(group.to_owned()), member.clone(), member));
        }
    }
    let anybody = user("zoe", &[], &[("region", "EU")]);
    all.push((Subject::Everyone, anybody.clone(), anybody));
    all
}

fn judge((old, new): &(Parts, Parts), rows: &[Vec<ScalarValue>], found: &Cell<u64>) {
    let diff = diff(&old.state(), &new.state());
    let mut grants = old.domain.grants.iter().chain(&new.domain.grants);
    let mut moments = &[
        "2026-06-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
        "2028-01-01T00:00:00Z",
    ][..];
    if !grants.any(|grant| grant.from.is_some() || grant.until.is_some()) {
        moments = &moments[..1];
    }
    for (subject, before, after) in everybody(old, new) {
        for stated in [None, Some("audit"), Some("fraud"), Some("unheard-of")] {
            for at in moments {
                let look = |principal: &crate::Principal| {
                    Viewer::new(Arc::new(principal.clone()), time(at))
                        .with_purpose(stated.map(purpose))
                };
                let (one, other) = (look(&before), look(&after));
                let named = match stated {
                    None => Stated::Nothing,
                    Some(text) => Stated::Named(purpose(text)),
                };
                let direction = told_of(&diff, &subject, &named, time(at));
                for row in rows {
                    let (was, is) = (old.seen(&one, row), new.seen(&other, row));
                    for (more, told_so) in [
                        (shows_more(&was, &is), direction.gain),
                        (shows_more(&is, &was), direction.loss),
                    ] {
                        if more {
                            found.set(found.get() + 1);
                            assert!(
                                told_so,
                                "{subject} {stated:?} at {at}: {row:?}\nwas {was:?}\nis {is:?}\n{:#?}",
                                told(&diff)
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn no_gain_and_no_loss_is_missed() {
    const PAIRS: u32 = 600;
    let found = Cell::new(0);
    let rows = proptest::collection::vec(any_row(), 6);
    let mut runner = TestRunner::new(Config::with_cases(PAIRS));
    runner
        .run(&(any_pair(), rows), |(pair, rows)| {
            judge(&pair, &rows, &found);
            Ok(())
        })
        .unwrap();
    eprintln!(
        "{} rows show more or less in {PAIRS} pairs of meshes",
        found.get()
    );
    assert!(found.get() > 10_000, "{}", found.get());
}

/// Another way to write the same mesh.
#[derive(Debug, Clone)]
enum Rewrite {
    Reorder,
    /// One grant for each grantee.
    SplitWhom(usize),
    /// The same again, by another name.
    Repeat(usize),
    /// `a OR b` as two grants.
    SplitRows(usize),
    Reword(usize),
    /// A grant that adds nothing: a part of what another gives.
    AddPart(usize),
}

fn any_rewrite() -> impl Strategy<Value = Rewrite> {
    let at = any::<usize>;
    prop_oneof![
        Just(Rewrite::Reorder),
        at().prop_map(Rewrite::SplitWhom),
        at().prop_map(Rewrite::Repeat),
        at().prop_map(Rewrite::SplitRows),
        at().prop_map(Rewrite::Reword),
        at().prop_map(Rewrite::AddPart),
    ]
}

/// Predicates that mean the same.
const SAME: [(&str, &str); 9] = [
    ("region = 'EU'", "region IN ('EU')"),
    (
        "region = session.attr('region')",
        "session.attr('region') = region",
    ),
    ("NOT open", "open = false"),
    ("open IS NOT TRUE", "NOT open OR open IS NULL"),
    (
        "region = 'EU' AND open OR id < 3",
        "id <= 2 OR open AND region LIKE 'EU'",
    ),
    (
        "session.in_group('analysts') AND region IN ('EU', 'US')",
        "(region = 'US' OR region = 'EU') AND session.in_group('analysts')",
    ),
    (
        "session.in_group('nobody') OR id BETWEEN 2 AND 4",
        "NOT (id < 2 OR id > 4) OR session.in_group('nobody')",
    ),
    ("region NOT IN ('EU')", "region <> 'EU'"),
    (
        "session.purpose = 'audit' OR id < 2",
        "id < 2 OR session.purpose IN ('audit')",
    ),
];

fn rewritten(mut parts: Parts, rewrites: &[Rewrite]) -> Parts {
    let grants = &mut parts.domain.grants;
    for (number, rewrite) in rewrites.iter().enumerate() {
        let count = grants.len();
        let copy = |grant: &GrantManifest| {
            let mut copy = grant.clone();
            copy.name = spanned(format!("{}-{number}", grant.name.value));
            copy
        };
        match rewrite {
            Rewrite::Reorder => {
                grants.reverse();
                parts.guardrails.reverse();
            }
            Rewrite::SplitWhom(at) => {
                let mut other = copy(&grants[at % count]);
                let whom = &mut grants[at % count].to;
                other.to = whom.split_off(whom.len() / 2);
                if whom.is_empty() {
                    whom.clone_from(&other.to);
                }
                grants.push(other);
            }
            Rewrite::Repeat(at) => grants.push(copy(&grants[at % count])),
            Rewrite::SplitRows(at) => {
                let mut other = copy(&grants[at % count]);
                let grant = &mut grants[at % count];
                let split = [
                    (
                        "region = 'EU' AND open OR id < 3",
                        "region = 'EU' AND open",
                        "id < 3",
                    ),
                    (
                        "session.in_group('nobody') OR id BETWEEN 2 AND 4",
                        "id >= 2 AND id <= 4",
                        "session.in_group('nobody')",
                    ),
                    (
                        "session.purpose = 'audit' OR id < 2",
                        "session.purpose = 'audit'",
                        "id < 2",
                    ),
                ];
                let rows = grant.rows.as_ref().map(|it| it.value.as_str());
                if let Some((_, one, two)) = split.iter().find(|(whole, _, _)| Some(*whole) == rows)
                {
                    grant.rows = Some(spanned((*one).to_owned()));
                    other.rows = Some(spanned((*two).to_owned()));
                    grants.push(other);
                }
            }
            Rewrite::Reword(at) => {
                let grant = &mut grants[at % count];
                let rows = grant.rows.as_ref().map(|it| it.value.as_str());
                if let Some((_, same)) = SAME.iter().find(|(one, _)| Some(*one) == rows) {
                    grant.rows = Some(spanned((*same).to_owned()));
                }
            }
            Rewrite::AddPart(at) => {
                let mut part = copy(&grants[at % count]);
                part.rows = Some(spanned(match &part.rows {
                    Some(rows) => format!("({}) AND id < 4", rows.value),
                    None => "id < 4".to_owned(),
                }));
                grants.push(part);
            }
        }
    }
    parts
}

#[test]
fn what_means_the_same_is_mostly_known_to() {
    const PAIRS: u32 = 300;
    let known = Cell::new(0);
    let rewrites = proptest::collection::vec(any_rewrite(), 1..5);
    let mut runner = TestRunner::new(Config::with_cases(PAIRS));
    runner
        .run(&(any_parts(), rewrites), |(parts, rewrites)| {
            let new = rewritten(parts.clone(), &rewrites);
            let diff = diff(&parts.state(), &new.state());
            if diff.direction() == Direction::NEITHER {
                known.set(known.get() + 1);
            } else {
                eprintln!("{rewrites:?} {:#?}", told(&diff));
            }
            Ok(())
        })
        .unwrap();
    eprintln!(
        "{} of {PAIRS} rewritten meshes are known to be the same",
        known.get()
    );
    assert!(
        known.get() * 100 >= PAIRS * 97,
        "{} of {PAIRS}",
        known.get()
    );
}

proptest! {
    #![proptest_config(Config::with_cases(256))]

    #[test]
    fn a_mesh_does_not_differ_from_itself(parts in any_parts()) {
        let diff = diff(&parts.state(), &parts.state());
        prop_assert!(diff.is_empty(), "{:#?}", told(&diff));
    }
}
