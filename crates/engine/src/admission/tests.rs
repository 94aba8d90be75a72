//! Who runs, who waits, in which order, and what those are told who wait in vain.

use std::future::Future;

use futures::{FutureExt, future::BoxFuture};
use weft_policy::PrincipalId;

use super::*;

fn owner(name: &str) -> Owner {
    Owner {
        principal: PrincipalId::user(name),
        acting: None,
    }
}

fn admission(running: usize, of_one: usize, waiting: usize) -> Admission {
    Admission::new(Turns {
        running,
        of_one,
        quick: Duration::from_secs(60),
        cores: 2,
        waiting,
        patience: Duration::from_millis(50),
    })
}

fn has(future: &mut BoxFuture<'_, Result<Place>>) -> Option<Place> {
    future.now_or_never().map(Result::unwrap)
}

fn entering<'a>(admission: &'a Admission, owner: &'a Owner) -> BoxFuture<'a, Result<Place>> {
    admission.enter(owner, None, None).boxed()
}

async fn long(admission: &Admission, owner: &Owner) -> Place {
    let mut place = admission.enter(owner, None, None).await.unwrap();
    assert!(place.lengthened());
    place
}

async fn error(entering: impl Future<Output = Result<Place>>) -> String {
    entering.await.unwrap_err().to_string()
}

#[tokio::test]
async fn nobody_has_more_than_a_share_of_the_long_turns() {
    let admission = admission(4, 2, 10);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let first = long(&admission, &ana).await;
    let _second = long(&admission, &ana).await;
    let mut third = entering(&admission, &ana).await.unwrap();
    assert!(!third.lengthened());
    let mut third = third.lengthen().boxed();
    assert!(has(&mut third).is_none());
    let _others = long(&admission, &bo).await;
    drop(first);
    assert!(has(&mut third).is_some());
}

#[tokio::test]
async fn who_begins_does_not_wait_for_the_long_ones() {
    let admission = admission(2, 1, 10);
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(owner);
    let _long = [long(&admission, &ana).await, long(&admission, &bo).await];
    assert!(_long.iter().all(|it| it.quick_until().is_none()));
    let quick = admission.enter(&cy, None, None).await.unwrap();
    let quick = [quick, admission.enter(&cy, None, None).await.unwrap()];
    assert!(quick.iter().all(|it| it.quick_until().is_some()));
    let mut more = entering(&admission, &cy);
    assert!(has(&mut more).is_none());
    assert_eq!(admission.counts(), (4, 1));
    // Who waits for a long turn leaves the quick one to others.
    let [mut first, _second] = quick;
    assert!(!first.lengthened());
    let mut first = first.lengthen().boxed();
    assert!(has(&mut first).is_none());
    assert!(has(&mut more).is_some());
    let [of_ana, _] = _long;
    drop(of_ana);
    assert!(has(&mut first).is_some_and(|it| it.quick_until().is_none()));
}

#[tokio::test]
async fn who_shares_the_cores_has_more_time() {
    let admission = admission(4, 4, 10);
    let ana = owner("ana");
    let mut running = Vec::new();
    for minutes in [1, 1, 2, 2] {
        let place = entering(&admission, &ana).await.unwrap();
        let left = place.quick_until().unwrap() - Instant::now();
        assert_eq!(left.as_secs().div_ceil(60), minutes);
        running.push(place);
    }
}

#[tokio::test]
async fn who_ran_long_the_last_time_begins_among_the_long_ones() {
    let admission = admission(1, 1, 10);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let statement = Some(admission.statement(&ana, &"SELECT 1", false));
    let enter = |who, it| admission.enter(who, None, it);
    let mut place = enter(&ana, statement).await.unwrap();
    assert!(place.quick_until().is_some());
    assert!(place.lengthened());
    place.finished();
    // Neither another statement, nor another's.
    for (who, other) in [
        (&ana, admission.statement(&ana, &"SELECT 2", false)),
        (&bo, admission.statement(&bo, &"SELECT 1", false)),
    ] {
        let place = enter(who, Some(other)).await.unwrap();
        assert!(place.quick_until().is_some());
    }
    let place = enter(&ana, statement).await.unwrap();
    assert!(place.quick_until().is_none());
    assert!(error(enter(&ana, statement)).await.contains("waited"));
    // It was not this time.
    place.finished();
    let place = enter(&ana, statement).await.unwrap();
    assert!(place.quick_until().is_some());
}

#[tokio::test]
async fn who_is_expected_to_run_long_does_so_unless_it_did_not_the_last_time() {
    let admission = admission(1, 1, 10);
    let ana = owner("ana");
    let statement = Some(admission.statement(&ana, &"SELECT 1", true));
    let place = admission.enter(&ana, None, statement).await.unwrap();
    assert!(place.quick_until().is_none());
    assert_eq!(admission.slow_statements(), 0);
    place.finished();
    // Whatever the planner expects now.
    let mut place = admission.enter(&ana, None, statement).await.unwrap();
    assert!(place.quick_until().is_some());
    assert!(place.lengthened());
    drop(place);
    let place = admission.enter(&ana, None, statement).await.unwrap();
    assert!(place.quick_until().is_none());
}

#[tokio::test]
async fn those_who_begin_leave_half_of_the_long_line_to_those_who_have_begun() {
    let admission = admission(1, 1, 2);
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(owner);
    let slow = [&ana, &bo].map(|who| Some(admission.statement(who, &"SELECT 1", false)));
    for (who, statement) in [&ana, &bo].into_iter().zip(slow) {
        let mut place = admission.enter(who, None, statement).await.unwrap();
        assert!(place.lengthened());
    }
    let _long = long(&admission, &cy).await;
    let mut first = admission.enter(&ana, None, slow[0]).boxed();
    assert!(has(&mut first).is_none());
    let full = error(admission.enter(&bo, None, slow[1])).await;
    assert!(full.contains("and 1 wait"), "{full}");
    let mut begun = long_wait(&admission, &bo).await;
    assert!(has(&mut begun).is_none());
    assert_eq!(admission.counts(), (1, 2));
}

#[test]
fn who_was_slow_has_its_chance_again_after_a_while() {
    let statement = Statement::of(&RandomState::new(), &owner("ana"), &"SELECT 1", false);
    let (mut remembered, began) = (Remembered::default(), Instant::now());
    remembered.note_slow(statement, began);
    for (minutes, is_slow) in [(0, true), (9, true), (11, false), (9, false)] {
        let now = began + Duration::from_secs(minutes * 60);
        assert_eq!(remembered.is_slow(statement, now), is_slow, "{minutes}");
    }
}

#[tokio::test]
async fn so_many_statements_are_remembered_and_no_more() {
    let admission = admission(1, 1, 10);
    let ana = owner("ana");
    for number in 0..2000 {
        let statement = Some(admission.statement(&ana, &number, false));
        let mut place = admission.enter(&ana, None, statement).await.unwrap();
        assert!(place.quick_until().is_some());
        assert!(place.lengthened());
    }
    let first = Some(admission.statement(&ana, &0, false));
    let place = admission.enter(&ana, None, first).await.unwrap();
    assert!(place.quick_until().is_some());
    drop(place);
    let last = Some(admission.statement(&ana, &1999, false));
    let place = admission.enter(&ana, None, last).await.unwrap();
    assert!(place.quick_until().is_none());
}

#[tokio::test]
async fn lines_are_served_in_rotation() {
    let admission = admission(1, 1, 10);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let running = admission.enter(&ana, None, None).await.unwrap();
    let mut anas: Vec<_> = (0..3).map(|_| entering(&admission, &ana)).collect();
    for waiting in &mut anas {
        assert!(has(waiting).is_none());
    }
    let mut bos = entering(&admission, &bo);
    assert!(has(&mut bos).is_none());
    assert_eq!(admission.counts(), (1, 4));
    drop(running);
    let running = has(&mut anas[0]).unwrap();
    drop(running);
    let running = has(&mut bos).unwrap();
    drop(running);
    assert!(has(&mut anas[1]).is_some());
}

#[tokio::test]
async fn who_goes_away_keeps_nobody_waiting() {
    let admission = admission(1, 1, 2);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let running = admission.enter(&ana, None, None).await.unwrap();
    let mut gone = entering(&admission, &bo);
    assert!(has(&mut gone).is_none());
    let mut waiting = entering(&admission, &ana);
    assert!(has(&mut waiting).is_none());
    drop(gone);
    drop(running);
    // Given, and never taken.
    drop(waiting);
    assert_eq!(admission.counts(), (0, 0));
    assert!(has(&mut entering(&admission, &bo)).is_some());
}

#[tokio::test]
async fn a_full_line_and_a_long_wait_are_told() {
    let admission = admission(1, 1, 1);
    let ana = owner("ana");
    let _running = admission.enter(&ana, None, None).await.unwrap();
    let mut waiting = entering(&admission, &ana);
    assert!(has(&mut waiting).is_none());
    let full = error(admission.enter(&ana, None, None)).await;
    assert!(full.contains("and 1 wait"), "{full}");
    assert!(error(waiting).await.contains("waited"));
    assert_eq!(admission.counts(), (1, 0));
}

#[tokio::test]
async fn who_runs_long_waits_as_those_who_begin() {
    let admission = admission(1, 1, 1);
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(owner);
    let _long = long(&admission, &ana).await;
    let mut waiting = long_wait(&admission, &bo).await;
    assert!(has(&mut waiting).is_none());
    let full = error(long_wait(&admission, &cy).await).await;
    assert!(full.contains("and 1 wait"), "{full}");
    assert!(error(waiting).await.contains("waited"));
    assert_eq!(admission.counts(), (1, 0));
}

async fn long_wait(admission: &Admission, owner: &Owner) -> BoxFuture<'static, Result<Place>> {
    let mut place = admission.enter(owner, None, None).await.unwrap();
    assert!(!place.lengthened());
    place.lengthen().boxed()
}

#[tokio::test]
async fn who_had_a_turn_comes_first() {
    let admission = admission(1, 1, 1);
    let ana = owner("ana");
    let running = admission.enter(&ana, None, None).await.unwrap();
    let rested = running.rest();
    let other = admission.enter(&ana, None, None).await.unwrap();
    let mut later = entering(&admission, &ana);
    assert!(has(&mut later).is_none());
    let mut again = rested.again().boxed();
    assert!(has(&mut again).is_none());
    drop(other);
    assert!(has(&mut again).is_some_and(|it| it.quick_until().is_some()));
    assert!(has(&mut later).is_some());
}

#[tokio::test]
async fn one_owner_leaves_places_to_wait_to_others() {
    let admission = admission(1, 1, 4);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let _running = admission.enter(&ana, None, None).await.unwrap();
    let mut waiting = [(); 2].map(|()| entering(&admission, &ana));
    for waiting in &mut waiting {
        assert!(has(waiting).is_none());
    }
    assert_eq!(
        error(admission.enter(&ana, None, None)).await,
        "the server is busy, and 2 of your statements wait; try again when one of them has ended"
    );
    let mut other = entering(&admission, &bo);
    assert!(has(&mut other).is_none());
    assert_eq!(admission.counts(), (1, 3));
}

fn limit(most: usize) -> Limit<usize> {
    Limit {
        name: "interns".into(),
        most,
    }
}

#[tokio::test]
async fn a_limit_of_the_mesh_is_of_the_principal_whoever_acts_for_it() {
    let admission = admission(8, 4, 10);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let by_bi = Owner {
        acting: Some(PrincipalId::service("bi")),
        ..ana.clone()
    };
    let two = limit(2);
    let first = admission.enter(&ana, Some(&two), None).await.unwrap();
    let mut second = admission.enter(&by_bi, Some(&two), None).await.unwrap();
    // Quick or long, it is one of the two.
    assert!(second.lengthened());
    let mut third = admission.enter(&ana, Some(&two), None).boxed();
    assert!(has(&mut third).is_none());
    let _others = admission.enter(&bo, None, None).await.unwrap();
    drop(first);
    let _third = has(&mut third).unwrap();
    assert_eq!(
        error(admission.enter(&by_bi, Some(&two), None)).await,
        "limit `interns` (concurrency 2): so many of your statements run, \
         and this one waited 0 s for one of them to end; try again"
    );
    assert_eq!(admission.counts(), (3, 0));
}

#[tokio::test]
async fn who_is_held_by_a_limit_holds_nobody_else() {
    let admission = admission(2, 2, 1);
    let [ana, bo] = ["ana", "bo"].map(owner);
    let one = limit(1);
    let running = admission.enter(&ana, Some(&one), None).await.unwrap();
    let mut waiting = admission.enter(&ana, Some(&one), None).boxed();
    assert!(has(&mut waiting).is_none());
    let full = error(admission.enter(&ana, Some(&one), None)).await;
    let expected = "limit `interns` (concurrency 1): so many of your statements run, and 1 wait;";
    assert!(full.starts_with(expected), "{full}");
    let others = admission.enter(&bo, None, None).await.unwrap();
    drop(others);
    assert!(has(&mut waiting).is_none());
    drop(running);
    assert!(has(&mut waiting).is_some());
}
