//! What is on a table, so that equal things have equal numbers: most of two
//! states is the same, and no decision is needed to see that.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use weft_mesh::{Grantee, TableId};

use super::{implication::Side, mentions::Mentions};
use crate::{
    PolicySnapshot, Principal, RowPredicate,
    canonical::Canonical,
    domain_policy::{TableGrant, TablePolicy},
};

/// Equal texts have equal numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: HashMap<Vec<u8>, u32>,
    /// By where a predicate is: grants share them.
    predicates: HashMap<usize, (u32, Arc<Mentions>)>,
}

/// A grant or guardrail on a table.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) name: String,
    /// Equal where it gives or takes the same of the table, from and to
    /// whomever.
    pub(super) number: u32,
    pub(super) mentions: Arc<Mentions>,
    /// Whether it depends on a purpose being stated, or on which.
    pub(super) asks_purpose: bool,
}

/// What one side has on a table.
pub(super) struct OnTable<'a> {
    policy: Option<&'a TablePolicy>,
    grants: Vec<Signed>,
    guardrails: Vec<(Signed, &'a [Grantee])>,
    /// All of it, with whom it is for.
    pub(super) whole: BTreeSet<(Option<Grantee>, u32)>,
}

/// What is for one principal.
#[derive(Default)]
pub(super) struct Effective<'a> {
    pub(super) grants: Vec<(&'a Signed, &'a TableGrant)>,
    pub(super) guardrails: Vec<&'a Signed>,
}

/// What a decision for a principal depends on, time and purpose aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ingredients {
    grants: BTreeSet<u32>,
    guardrails: BTreeSet<u32>,
    session: Vec<(String, Option<String>)>,
    open: bool,
}

impl Ingredients {
    /// Whether there is no grant, so that nothing is seen or found.
    pub(super) fn is_nothing(&self) -> bool {
        self.grants.is_empty()
    }
}

impl Numbers {
    fn of(&mut self, bytes: Vec<u8>) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(bytes).or_insert(next)
    }

    fn predicate(&mut self, predicate: &RowPredicate) -> (u32, Arc<Mentions>) {
        let place = std::ptr::from_ref(predicate).addr();
        if let Some((number, mentions)) = self.predicates.get(&place) {
            return (*number, Arc::clone(mentions));
        }
        let mut out = Canonical::new("predicate");
        predicate.encode(&mut out);
        let number = self.of(out.into_bytes());
        let mentions = Arc::new(Mentions::of(predicate));
        self.predicates
            .insert(place, (number, Arc::clone(&mentions)));
        (number, mentions)
    }
}

/// A side of the comparison, as far as signatures depend on it.
#[derive(Clone, Copy)]
pub(super) struct Policies<'a> {
    pub(super) side: Side,
    pub(super) policy: &'a PolicySnapshot,
    /// The tables that are not the same on both sides.
    pub(super) others: &'a BTreeSet<TableId>,
}

impl<'a> OnTable<'a> {
    pub(super) fn of(policies: Policies<'a>, table: &TableId, numbers: &mut Numbers) -> Self {
        let policy = policies.policy.table(table);
        let mut grants: Vec<Signed> = Vec::new();
        let mut whole = BTreeSet::new();
        if let Some(policy) = policy {
            let on_it = policy.grants.iter();
            grants.extend(on_it.map(|grant| signed_grant(policies, table, grant, numbers)));
            for (grantee, positions) in policy.grantees() {
                let numbers = positions.iter().filter_map(|at| grants.get(*at));
                whole.extend(numbers.map(|it| (Some(grantee.clone()), it.number)));
            }
        }
        let mut guardrails = Vec::new();
        for guardrail in policies.policy.guardrails().on(table) {
            let mut out = guardrail.takes;
            let mut mentions = Arc::default();
            if let Some(rows) = guardrail.rows {
                mentions = sign_rows(policies, &mut out, rows, numbers, &|_| true);
            }
            let signed = Signed {
                name: guardrail.name.to_owned(),
                number: numbers.of(out.into_bytes()),
                asks_purpose: guardrail.asks_purpose || mentions.purpose,
                mentions,
            };
            // Whom it excepts is part of it here.
            let mut whom = Canonical::new("guardrail with exceptions");
            whom.number(u64::from(signed.number));
            let except: BTreeSet<String> =
                guardrail.except.iter().map(ToString::to_string).collect();
            for grantee in except {
                whom.text(&grantee);
            }
            whole.insert((None, numbers.of(whom.into_bytes())));
            guardrails.push((signed, guardrail.except));
        }
        Self {
            policy,
            grants,
            guardrails,
            whole,
        }
    }

    /// What there is for a principal.
    pub(super) fn effective<'s>(&'s self, principal: &Principal) -> Effective<'s> {
        let Some(policy) = self.policy else {
            return Effective::default();
        };
        let positions = policy.positions_to(principal);
        let grants: Vec<_> = positions
            .into_iter()
            .filter_map(|at| Some((self.grants.get(at)?, policy.grants.get(at)?)))
            .collect();
        if grants.is_empty() {
            return Effective::default();
        }
        let binds = |except: &[Grantee]| !except.iter().any(|it| principal.is(it));
        let guardrails = self.guardrails.iter();
        Effective {
            grants,
            guardrails: guardrails
                .filter(|(_, except)| binds(except))
                .map(|(signed, _)| signed)
                .collect(),
        }
    }
}

impl Effective<'_> {
    pub(super) fn ingredients(&self, principal: &Principal) -> Ingredients {
        let mentions = self.mentions();
        let open = principal.open().identity;
        let mut session = Vec::new();
        if mentions.user && !open {
            session.push(("user".to_owned(), Some(principal.name().to_owned())));
        }
        if !open {
            for name in &mentions.attributes {
                let value = principal.attribute(name).map(str::to_owned);
                session.push((format!("attribute {name}"), value));
            }
        }
        for group in &mentions.groups {
            let member = principal.is_in(group).then(String::new);
            session.push((format!("group {group}"), member));
        }
        Ingredients {
            grants: self.grants.iter().map(|(it, _)| it.number).collect(),
            guardrails: self.guardrails.iter().map(|it| it.number).collect(),
            open: open && (mentions.user || !mentions.attributes.is_empty()),
            session,
        }
    }

    /// What of a session all of it reads.
    pub(super) fn mentions(&self) -> Mentions {
        let mut mentions = Mentions::default();
        let grants = self.grants.iter().map(|(it, _)| *it);
        for signed in grants.chain(self.guardrails.iter().copied()) {
            mentions.add_all(&signed.mentions);
        }
        mentions
    }

    pub(super) fn asks_purpose(&self) -> bool {
        let grants = self.grants.iter().map(|(it, _)| *it);
        let mut all = grants.chain(self.guardrails.iter().copied());
        all.any(|it| it.asks_purpose)
    }
}

fn signed_grant(
    policies: Policies<'_>,
    table: &TableId,
    grant: &TableGrant,
    numbers: &mut Numbers,
) -> Signed {
    let mut out = Canonical::new("grant on a table");
    out.optional(grant.from, |out, it| out.text(&it.to_rfc3339()));
    out.optional(grant.until, |out, it| out.text(&it.to_rfc3339()));
    out.list(&grant.columns, |out, at| out.number(*at as u64));
    out.list(&grant.masks, |out, (at, mask)| {
        out.number(*at as u64);
        mask.encode(out);
    });
    let purposes: BTreeSet<&str> = grant.purposes.iter().map(|it| it.as_str()).collect();
    out.number(purposes.len() as u64);
    for purpose in purposes {
        out.text(purpose);
    }
    let mut mentions = Arc::default();
    if let Some(rows) = &grant.rows {
        let may_ask = |asked: &TableId| policies.policy.may_ask(&table.domain, asked);
        mentions = sign_rows(policies, &mut out, rows, numbers, &may_ask);
    }
    Signed {
        name: format!("{}.{}", table.domain, grant.name),
        number: numbers.of(out.into_bytes()),
        asks_purpose: !grant.purposes.is_empty() || mentions.purpose,
        mentions,
    }
}

/// Writes a predicate with what it means here: which tables it may ask, and
/// which of them are not the other side's.
fn sign_rows(
    policies: Policies<'_>,
    out: &mut Canonical,
    rows: &RowPredicate,
    numbers: &mut Numbers,
    may_ask: &dyn Fn(&TableId) -> bool,
) -> Arc<Mentions> {
    let (number, mentions) = numbers.predicate(rows);
    out.number(u64::from(number));
    rows.for_each_entitlement(&mut |_, it| {
        out.boolean(may_ask(&it.table));
        if policies.others.contains(&it.table) {
            out.boolean(policies.side == Side::New);
        }
    });
    mentions
}
