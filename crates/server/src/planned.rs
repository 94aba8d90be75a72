//! Statements that are planned and wait for the call that goes on with them.
//!
//! Handles say all that is needed to plan a statement again, on any server. Where the next call
//! comes to the same server soon, what is planned already is run: once, for the same principal,
//! with the same options, on the same snapshot of the mesh, and while no grant begins or ends
//! ([`PlannedQuery::continued`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use uuid::Uuid;
use weft_engine::{GovernedSession, PlannedQuery};

/// How long a plan waits for its ticket to be redeemed.
pub(crate) const TICKET: Duration = Duration::from_secs(10);
/// How long for the statement to be run that was prepared.
pub(crate) const PREPARED: Duration = Duration::from_secs(1);
/// Plans that wait; the oldest go first.
const MOST: usize = 64;
/// Plans of one principal, or of a service that acts for it.
const MOST_OF_ONE: usize = 16;

/// By the query ids in sealed handles: nobody can name what is another's.
#[derive(Clone, Default)]
pub(crate) struct Planned(Arc<Plans>);

type Plans = Mutex<VecDeque<Plan>>;

struct Plan {
    query: PlannedQuery,
    /// Drops it when it has waited in vain; aborted with it.
    _end: JoinSet<()>,
}

impl Planned {
    /// Keeps `planned` under its query id, for so long.
    pub(crate) fn keep(&self, planned: PlannedQuery, time: Duration) {
        let Some(planned) = planned.waiting() else {
            return;
        };
        let query_id = planned.query_id();
        let plans = Arc::downgrade(&self.0);
        let mut end = JoinSet::new();
        end.spawn(async move {
            tokio::time::sleep(time).await;
            drop(Weak::upgrade(&plans).and_then(|plans| remove(&plans, query_id)));
        });
        let plan = Plan {
            query: planned,
            _end: end,
        };
        let oldest = {
            let mut plans = lock(&self.0);
            let is_own = |it: &Plan| it.query.owner() == plan.query.owner();
            let oldest = if plans.iter().filter(|it| is_own(it)).count() >= MOST_OF_ONE {
                plans.iter().position(is_own)
            } else if plans.len() >= MOST {
                Some(0)
            } else {
                None
            };
            let oldest = oldest.and_then(|at| plans.remove(at));
            plans.push_back(plan);
            oldest
        };
        drop(oldest);
    }

    /// What was planned under `query_id`, if it is what `session` would plan now.
    pub(crate) fn take(&self, query_id: Uuid, session: &GovernedSession) -> Option<PlannedQuery> {
        remove(&self.0, query_id)?.query.continued(session)
    }
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Planned")
    }
}

fn lock(plans: &Plans) -> MutexGuard<'_, VecDeque<Plan>> {
    plans.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(plans: &Plans, query_id: Uuid) -> Option<Plan> {
    let mut plans = lock(plans);
    let is_it = |plan: &Plan| plan.query.query_id() == query_id;
    let at = plans.iter().position(is_it)?;
    plans.remove(at)
}
