//! What runs for a ticket: the query ids that clients hold, against those that
//! the engine gave to the runs.
//!
//! A client cancels by the id it was told with its ticket; each `DoGet` of that
//! ticket plans anew, and a prepared statement with several rows of parameters
//! runs once a row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;
use weft_policy::PrincipalId;

/// Runs by ticket.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningTickets {
    runs: Arc<Mutex<HashMap<Uuid, Vec<Run>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    owner: PrincipalId,
    query_id: Uuid,
}

impl RunningTickets {
    /// Notes that the engine runs `query_id` for `ticket` until the guard drops.
    pub(crate) fn enter(&self, ticket: Uuid, owner: &PrincipalId, query_id: Uuid) -> RunGuard {
        let run = Run {
            owner: owner.clone(),
            query_id,
        };
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(ticket).or_default().push(run.clone());
        RunGuard {
            tickets: self.clone(),
            ticket,
            run,
        }
    }

    /// What runs for `ticket` of `owner`.
    pub(crate) fn of(&self, ticket: Uuid, owner: &PrincipalId) -> Vec<Uuid> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(&ticket)
            .into_iter()
            .flatten()
            .filter(|run| run.owner == *owner)
            .map(|run| run.query_id)
            .collect()
    }
}

/// Forgets a run when dropped.
#[derive(Debug)]
pub(crate) struct RunGuard {
    tickets: RunningTickets,
    ticket: Uuid,
    run: Run,
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        let mut runs = self
            .tickets
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(of_ticket) = runs.get_mut(&self.ticket) {
            of_ticket.retain(|run| *run != self.run);
            if of_ticket.is_empty() {
                runs.remove(&self.ticket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_ticket_and_owner_while_they_run() {
        let tickets = RunningTickets::default();
        let (ana, bo) = (PrincipalId::user("ana"), PrincipalId::user("bo"));
        let (ticket, one, two) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let first = tickets.enter(ticket, &ana, one);
        let second = tickets.enter(ticket, &ana, two);
        assert_eq!(tickets.of(ticket, &ana), vec![one, two]);
        assert!(tickets.of(ticket, &bo).is_empty());
        drop(first);
        assert_eq!(tickets.of(ticket, &ana), vec![two]);
        drop(second);
        assert!(tickets.runs.lock().unwrap().is_empty());
    }
}
