//! A failing case made small, greedily: whatever can go, goes.

use super::interpreter::authorised;
use super::model::{Effect, MEMBERS, On, World};
use super::oracles::{Looks, Scene, Stage};
use super::sql::Node;

/// A case that fails.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) world: World,
    pub(super) other: World,
    pub(super) query: Node,
}

impl Case {
    /// Whether the worlds still look the same, and the oracles still object.
    async fn fails(&self) -> bool {
        let pairs = self.world.tables.iter().zip(&self.other.tables);
        let alike = self.world.tables.len() == self.other.tables.len()
            && pairs
                .into_iter()
                .all(|(one, other)| authorised(&self.world, one) == authorised(&self.other, other));
        if !alike {
            return false;
        }
        let stage = Stage::open(&Scene::new(&self.world, &self.other)).await;
        stage
            .judge(&self.query.to_string(), Looks::ALL)
            .await
            .is_err()
    }
}

/// The smallest case that is found within so many tries.
pub(super) async fn shrink(mut case: Case, mut tries: usize) -> Case {
    loop {
        let mut is_smaller = false;
        for smaller in smaller(&case) {
            if tries == 0 {
                return case;
            }
            tries -= 1;
            if smaller.fails().await {
                case = smaller;
                is_smaller = true;
                break;
            }
        }
        if !is_smaller {
            return case;
        }
    }
}

/// Each case with one thing less, the large ones first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        found.push(smaller);
    };
    add(&|it| it.other = it.world.clone());
    add(&|it| it.world = it.other.clone());
    for at in 0..case.world.guardrails.len() {
        add(&|it| {
            both(it, &|world| drop(world.guardrails.remove(at)));
        });
    }
    for at in 0..case.world.grants.len() {
        add(&|it| {
            both(it, &|world| drop(world.grants.remove(at)));
        });
    }
    let read = case.query.to_string();
    for (at, table) in case.world.tables.iter().enumerate() {
        let name = format!("{}.{}", table.domain, table.name);
        if !read.contains(&name) && table.name != MEMBERS && case.world.tables.len() > 2 {
            add(&|it| {
                both(it, &|world| {
                    world
                        .grants
                        .retain(|grant| (grant.domain, grant.table) != (table.domain, table.name));
                    world.guardrails.retain(|rail| !matches!(rail.on, On::Table(domain, of) if (domain, of) == (table.domain, table.name)));
                    world.tables.remove(at);
                });
            });
        }
        if table.files > 1 || case.other.tables[at].files > 1 {
            add(&|it| both(it, &|world| world.tables[at].files = 1));
        }
        for column in table.columns.iter().skip(1) {
            if !is_read(case, column.name) {
                add(&|it| both(it, &|world| drop_column(world, at, column.name)));
            }
        }
        // Half of the rows, then each.
        let rows = table.rows.len();
        if rows > 1 && rows == case.other.tables[at].rows.len() {
            for half in [0..rows / 2, rows / 2..rows] {
                add(&|it| {
                    it.world.tables[at].rows.drain(half.clone());
                    it.other.tables[at].rows.drain(half.clone());
                });
            }
        }
        if rows == case.other.tables[at].rows.len() && rows <= 12 {
            for row in 0..rows {
                add(&|it| {
                    it.world.tables[at].rows.remove(row);
                    it.other.tables[at].rows.remove(row);
                });
            }
        }
    }
    for query in case.query.smaller() {
        add(&|it| it.query = query.clone());
    }
    for at in 0..case.world.grants.len() {
        let grant = &case.world.grants[at];
        if grant.rows.is_some() {
            add(&|it| both(it, &|world| world.grants[at].rows = None));
        }
        if !grant.masks.is_empty() {
            add(&|it| both(it, &|world| world.grants[at].masks.clear()));
        }
    }
    for (partitions, batch_size) in [
        (1, 8192),
        (1, case.world.batch_size),
        (case.world.partitions, 8192),
    ] {
        if (partitions, batch_size) != (case.world.partitions, case.world.batch_size) {
            add(&|it| {
                for world in [&mut it.world, &mut it.other] {
                    (world.partitions, world.batch_size) = (partitions, batch_size);
                }
            });
        }
    }
    found
}

fn both(case: &mut Case, change: &dyn Fn(&mut World)) {
    change(&mut case.world);
    change(&mut case.other);
}

/// Whether the query or a predicate may read a column of this name.
fn is_read(case: &Case, column: &str) -> bool {
    let grants = case.world.grants.iter().filter_map(|it| it.rows.as_ref());
    let rails = case.world.guardrails.iter();
    let rails = rails.filter_map(|it| match &it.effect {
        Effect::Rows(rows) => Some(rows),
        Effect::Mask(_) | Effect::Deny | Effect::RequirePurpose => None,
    });
    case.query.to_string().contains(column)
        || grants
            .chain(rails)
            .any(|it| it.to_string().contains(column))
}

fn drop_column(world: &mut World, at: usize, column: &'static str) {
    let table = &mut world.tables[at];
    let position = table.position(column).unwrap();
    table.columns.remove(position);
    for row in &mut table.rows {
        row.remove(position);
    }
    let (domain, name) = (table.domain, table.name);
    for grant in world.grants.iter_mut() {
        if (grant.domain, grant.table) == (domain, name) {
            grant.columns.retain(|it| *it != column);
            grant.masks.retain(|(it, _)| *it != column);
        }
    }
    world.grants.retain(|grant| !grant.columns.is_empty());
    let is_left = |it: &str| {
        world
            .tables
            .iter()
            .any(|table| table.position(it).is_some())
    };
    world.guardrails.retain(|rail| match rail.on {
        On::Column(it) => is_left(it),
        On::Domain(domain, it) => world
            .tables
            .iter()
            .any(|table| table.domain == domain && table.position(it).is_some()),
        On::Tag(_) | On::Table(..) => true,
    });
}
