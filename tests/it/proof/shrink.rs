//! A failing case made small, greedily: whatever can go, goes.

use super::interpreter::authorised;
use super::model::World;
use super::oracles::{Scene, Stage};
use super::sql::Query;

/// A case that fails.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) world: World,
    pub(super) other: World,
    pub(super) query: Query,
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
        stage.judge(&self.query.to_string()).await.is_err()
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
            it.world.guardrails.remove(at);
            it.other.guardrails.remove(at);
        });
    }
    for at in 0..case.world.grants.len() {
        add(&|it| {
            it.world.grants.remove(at);
            it.other.grants.remove(at);
        });
    }
    for (at, table) in case.world.tables.iter().enumerate() {
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
    if case.query.limit.is_some() {
        add(&|it| it.query.limit = None);
    }
    type Part = fn(&mut Query) -> &mut Vec<String>;
    let parts: [(Part, usize); 5] = [
        (|it| &mut it.tail, 0),
        (|it| &mut it.wheres, 0),
        (|it| &mut it.having, 0),
        (|it| &mut it.order, 0),
        (|it| &mut it.items, 1),
    ];
    for (part, least) in parts {
        let mut query = case.query.clone();
        for at in 0..part(&mut query).len() {
            if part(&mut query).len() > least {
                add(&|it| drop(part(&mut it.query).remove(at)));
            }
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
