//! The proof: random meshes, data, policies and SQL, and four oracles.
//!
//! `model.rs` is a world in plain values; `interpreter.rs` says, a row at a
//! time and apart from the product, what is visible of it; `generate.rs` makes
//! worlds and others that look the same; `sql` asks; `oracles.rs` judges.
//! `view.rs` is the control: the same policy as a view, which leaks.
//! What fails is made small (`shrink.rs`) and kept (`record.rs`).
//!
//! `make test` runs it for a minute with a fresh seed, `make prove SECONDS=n
//! SEED=s` for as long as one likes.

mod below;
mod faults;
mod files;
mod generate;
mod interpreter;
mod model;
mod oracles;
mod peek;
mod record;
mod rng;
mod run;
mod shrink;
mod sql;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::generate::Disguise;
use self::oracles::{Looks, Scene, Stage, Tally};
use self::rng::Rng;
use self::shrink::{Case, shrink};

/// Queries of one world.
const QUERIES: usize = 30;
/// Worlds at a time.
const WORKERS: usize = 2;
/// How often a failing case is tried smaller.
const TRIES: usize = 200;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is `{text}`, not a number")),
        Err(_) => default,
    }
}

/// Asked for, or a fresh one.
fn seed() -> u64 {
    let fresh = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let fresh = u64::try_from(fresh.as_nanos() % 1_000_000_000).unwrap();
    setting("WEFT_PROVE_SEED", fresh)
}

#[test]
fn hidden_data_influences_nothing() {
    let seconds = setting("WEFT_PROVE_SECONDS", 60);
    let seed = seed();
    eprintln!("proof: {seconds} s with WEFT_PROVE_SEED={seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let number = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let number = Arc::clone(&number);
            std::thread::Builder::new()
                .stack_size(32 << 20)
                .spawn(move || work(seed, &number, end))
                .unwrap()
        })
        .collect();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for worker in workers {
        let (part, failed) = worker.join().unwrap();
        tally.add(part);
        failures.extend(failed);
    }
    eprintln!(
        "proof: seed {seed}, {} worlds, {tally}, {} failures",
        number.load(Ordering::Relaxed),
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // A proof whose queries all fail proves nothing.
    assert!(
        tally.queries < 200 || tally.answered * 2 > tally.queries,
        "{tally}"
    );
    // Nor does one that a view would pass.
    assert!(
        tally.controls < 100 || tally.leaks_of_views * 50 > tally.controls,
        "{tally}"
    );
}

/// Worlds until the end of time, or the first failure.
fn work(seed: u64, number: &AtomicU64, end: Instant) -> (Tally, Option<String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_stack_size(16 << 20)
        .build()
        .unwrap();
    let mut tally = Tally::default();
    while Instant::now() < end {
        let world = number.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = runtime.block_on(one_world(seed, world, &mut tally)) {
            return (tally, Some(failure));
        }
    }
    (tally, None)
}

async fn one_world(seed: u64, number: u64, tally: &mut Tally) -> Result<(), String> {
    let mut rng = Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9));
    let world = generate::world(&mut rng);
    let disguise = *rng.pick(&[Disguise::Bare, Disguise::Traps]);
    let other = generate::disguised(&mut rng, &world, disguise);
    let scene = Scene::new(&world, &other);
    let stage = Stage::open(&scene).await;
    let control = view::open(&world).await;
    let visible = stage.visible();
    let at = |sql: &str, failure: &str| {
        format!("WEFT_PROVE_SEED={seed}, world {number}: {sql}\n{failure}")
    };
    stage.judge_hidden().await.map_err(|failure| {
        let path = record::write(&format!("hidden-{seed}-{number}"), &scene, "");
        at(
            &format!("cell_hidden, kept in {}", path.display()),
            &failure,
        )
    })?;
    for sql in sql::name_queries(&mut rng, &visible) {
        if rng.percent(60) {
            continue;
        }
        tally.add(
            stage
                .judge_alike(&sql)
                .await
                .map_err(|failure| at(&sql, &failure))?,
        );
    }
    if visible.is_empty() {
        return Ok(());
    }
    for _ in 0..QUERIES {
        let query = sql::query(&mut rng, &visible);
        let looks = Looks {
            explain: rng.percent(35),
            held_back: rng.percent(50),
        };
        match stage.judge(&query.to_string(), looks).await {
            Ok(more) => {
                tally.add(more);
                if more.answered > 0 && rng.percent(30) {
                    tally.controls += 1;
                    let seen = control.run(&query.to_string()).await;
                    tally.leaks_of_views += usize::from(seen.is_error());
                }
            }
            Err(failure) => {
                // Making it small takes minutes.
                eprintln!(
                    "proof: to be made small: {}",
                    at(&query.to_string(), &failure)
                );
                let case = Case {
                    world: world.clone(),
                    other: other.clone(),
                    query,
                };
                let small = shrink(case.clone(), TRIES).await;
                let (scene, sql) = (
                    Scene::new(&small.world, &small.other),
                    small.query.to_string(),
                );
                let path = record::write(&format!("seed-{seed}-{number}"), &scene, &sql);
                let small = Stage::open(&scene)
                    .await
                    .judge(&sql, Looks::ALL)
                    .await
                    .err()
                    .unwrap_or_default();
                return Err(format!(
                    "{}\nsmallest, kept in {}:\n{sql}\n{small}",
                    at(&case.query.to_string(), &failure),
                    path.display()
                ));
            }
        }
    }
    Ok(())
}

/// What was found once is looked at for ever.
#[tokio::test(flavor = "multi_thread")]
async fn regressions_stay_mended() {
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(record::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let (scene, sql) = record::read(&path);
        let stage = Stage::open(&scene).await;
        let judged = if sql.is_empty() {
            stage.judge_hidden().await
        } else {
            stage.judge(&sql, Looks::ALL).await.map(|_| ())
        };
        if let Err(failure) = judged {
            failures.push(format!("{}: {sql}\n{failure}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A case survives being written and read.
#[test]
fn a_case_is_kept_whole() {
    let mut rng = Rng::new(7);
    let world = generate::world(&mut rng);
    let scene = Scene::new(
        &world,
        &generate::disguised(&mut rng, &world, Disguise::Traps),
    );
    let path = record::write("being-tested", &scene, "SELECT 1");
    let read = record::read(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, (scene, "SELECT 1".to_owned()));
}
