//! The places that connections have among all: who makes room for whom, and how many one may
//! have.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tracing::debug;
use weft_policy::PrincipalId;

use crate::stream::ROOM_KIBIBYTES;

/// What is known of who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Stranger,
    Caller,
    Known,
}

/// Who is at the other end of a connection; in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) tcp: TcpConnectInfo,
    number: u64,
    pub(super) place: Arc<Place>,
    pub(super) all: Arc<All>,
}

impl Peer {
    /// Who is at the other end of the connection that a request with these extensions came by.
    pub(crate) fn of(extensions: &http::Extensions) -> Option<&Self> {
        let tls = extensions.get::<TlsConnectInfo<Self>>();
        extensions
            .get()
            .or_else(|| tls.map(TlsConnectInfo::get_ref))
    }

    /// It has sent a request.
    pub(crate) fn calls(&self) {
        self.place.rise(Standing::Caller);
    }

    /// It has proved that it is `principal`. The first counts: a gateway's connections are
    /// its own, whoever it calls for.
    ///
    /// # Errors
    /// When `principal` has as many connections as one may have.
    pub(crate) fn is_let_in(&self, principal: &PrincipalId) -> Result<(), Status> {
        if self.is_known() {
            return Ok(());
        }
        self.all.let_in(self.number, principal)?;
        self.place.rise(Standing::Known);
        Ok(())
    }

    /// For results, on this connection.
    pub(crate) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.place.room)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.place.standing() == Standing::Known
    }
}

/// A connection among all.
#[derive(Debug)]
pub(super) struct Place {
    since: Instant,
    standing: AtomicU8,
    /// Bytes of requests that are held before anybody is known to have sent them.
    pub(super) held: AtomicUsize,
    /// For results, as they are on their way.
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

/// The room for results on one connection.
pub(crate) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ROOM_KIBIBYTES as usize))
}

impl Place {
    fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Relaxed) {
            0 => Standing::Stranger,
            1 => Standing::Caller,
            _ => Standing::Known,
        }
    }

    fn rise(&self, standing: Standing) {
        self.standing.fetch_max(standing as u8, Ordering::Relaxed);
    }
}

/// All open connections.
#[derive(Debug)]
pub(super) struct All {
    most: usize,
    /// With those who have not logged in.
    patience: Duration,
    /// As in a place, of all places.
    pub(super) held: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The oldest first.
    places: BTreeMap<u64, Arc<Place>>,
    owners: HashMap<u64, PrincipalId>,
    owned: HashMap<PrincipalId, usize>,
}

impl All {
    pub(super) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            most,
            patience,
            held: AtomicUsize::new(0),
            open: Mutex::default(),
        })
    }

    /// Makes a place somebody's.
    fn let_in(&self, number: u64, principal: &PrincipalId) -> Result<(), Status> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut *open;
        if !open.places.contains_key(&number) || open.owners.contains_key(&number) {
            return Ok(());
        }
        let most = self.most.div_ceil(2);
        let count = open.owned.entry(principal.clone()).or_default();
        if *count >= most {
            return Err(Status::resource_exhausted(format!(
                "too many connections: {principal} has {most}, half of `--max-connections`; use fewer, or close some"
            )));
        }
        *count += 1;
        open.owners.insert(number, principal.clone());
        Ok(())
    }

    /// Makes a place for a new connection, if there is or can be room.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.places.len() >= self.most {
            // Those who had their moment, the strangers among them first; else whoever came
            // first of those who still have it.
            let unknown = open.places.iter().filter_map(|(number, place)| {
                let standing = place.standing();
                let young = place.since.elapsed() < self.patience;
                (standing < Standing::Known).then_some((young, standing, *number))
            });
            let (_, _, oldest) = unknown.min()?;
            let evicted = open.places.remove(&oldest)?;
            debug!("a connection that nobody is known to be behind makes room for another");
            evicted.closing.cancel();
        }
        let number = open.next;
        open.next += 1;
        let place = Arc::new(Place {
            since: Instant::now(),
            standing: AtomicU8::new(Standing::Stranger as u8),
            held: AtomicUsize::new(0),
            room: room(),
            closing: CancellationToken::new(),
        });
        open.places.insert(number, Arc::clone(&place));
        Some(Seat {
            number,
            place,
            all: Arc::clone(self),
        })
    }
}

/// A place that is held.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    place: Arc<Place>,
    all: Arc<All>,
}

impl Seat {
    pub(super) fn standing(&self) -> Standing {
        self.place.standing()
    }

    /// Cancelled when the place is taken for another.
    pub(super) fn closing(&self) -> CancellationToken {
        self.place.closing.clone()
    }

    /// Who is at the other end of the connection that has this seat.
    pub(super) fn peer(&self, tcp: TcpConnectInfo) -> Peer {
        Peer {
            tcp,
            number: self.number,
            place: Arc::clone(&self.place),
            all: Arc::clone(&self.all),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut *open;
        open.places.remove(&self.number);
        let Some(owner) = open.owners.remove(&self.number) else {
            return;
        };
        if let Some(count) = open.owned.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                open.owned.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_secs(60);

    #[test]
    fn strangers_make_room_first_then_callers_and_the_known_stay() {
        let all = All::new(3, MOMENT);
        let known = all.admit().unwrap();
        known.place.rise(Standing::Known);
        let caller = all.admit().unwrap();
        caller.place.rise(Standing::Caller);
        let stranger = all.admit().unwrap();
        let closed = |seat: &Seat| seat.place.closing.is_cancelled();

        let fourth = all.admit().unwrap();
        assert!(closed(&stranger) && !closed(&caller));
        // That its task ends later takes nobody's place.
        drop(stranger);
        fourth.place.rise(Standing::Known);
        let fifth = all.admit().unwrap();
        assert!(closed(&caller) && !closed(&known) && !closed(&fourth));
        fifth.place.rise(Standing::Known);
        assert!(all.admit().is_none());
        drop(known);
        assert!(all.admit().is_some());
    }

    #[test]
    fn standing_never_falls() {
        let seat = All::new(1, MOMENT).admit().unwrap();
        seat.place.rise(Standing::Known);
        seat.place.rise(Standing::Caller);
        assert_eq!(seat.place.standing(), Standing::Known);
    }

    #[test]
    fn none_of_the_known_has_more_than_half() {
        let all = All::new(5, MOMENT);
        let seats: Vec<_> = (0..5).map(|_| all.admit().unwrap()).collect();
        let [ana, bo] = ["ana", "bo"].map(PrincipalId::user);
        let let_in = |seat: &Seat, who| all.let_in(seat.number, who);
        for seat in &seats[..3] {
            let_in(seat, &ana).unwrap();
            // A second call takes no second place.
            let_in(seat, &ana).unwrap();
        }
        let refused = let_in(&seats[3], &ana).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        let_in(&seats[3], &bo).unwrap();
        drop(seats);
        let open = all.open.lock().unwrap();
        assert!(open.places.is_empty() && open.owners.is_empty() && open.owned.is_empty());
    }

    #[test]
    fn who_had_a_moment_makes_room_before_who_came_just_now() {
        let moment = Duration::from_millis(50);
        let all = All::new(3, moment);
        let caller = all.admit().unwrap();
        caller.place.rise(Standing::Caller);
        let known = all.admit().unwrap();
        known.place.rise(Standing::Known);
        std::thread::sleep(2 * moment);
        let new = all.admit().unwrap();
        let _newer = all.admit().unwrap();
        let closed = |seat: &Seat| seat.place.closing.is_cancelled();
        assert!(closed(&caller) && !closed(&new) && !closed(&known));
    }
}
