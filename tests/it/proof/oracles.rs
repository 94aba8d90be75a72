//! The oracles: when is what was observed right?
//!
//! 1. The governed answer is that of the authorised copy.
//! 2. Other hidden data changes nothing that can be observed.
//! 3. Filters that enter the seal change nothing.
//! 4. The verifier accepts every plan: a refusal is an internal error.
//!
//! Whether an expression that fails is reached at all can depend on how rows
//! are cut into batches (`AND` skips its right side for a batch, a filter may
//! run before or after a projection), which is a residual that SECURITY.md
//! names. So where one run fails and the other does not, the copy is asked in
//! several cuts, and either is right if the copy itself does both. Where both have rows
//! and not the same, the copy is asked through weft as well.

use std::collections::BTreeSet;
use std::fmt;

use tempfile::TempDir;
use weft_catalog::UserPushdown;

use super::files::{self, Mesh};
use super::generate::{self, Disguise, MARKED};
use super::interpreter::{Copy, authorised};
use super::model::World;
use super::rng::Rng;
use super::run::{Governed, Outcome, Plain, Setting};
use super::sql::Visible;

/// How often the same is asked of the copy, where it may end in several ways.
const REPEATS: usize = 6;

/// Two meshes that look the same, and how they look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) one: Mesh,
    pub(super) other: Mesh,
    /// A third, in which nothing is hidden that its policy could hide.
    pub(super) bare: Option<Mesh>,
    pub(super) copies: Vec<(String, Copy)>,
    pub(super) setting: Setting,
}

impl Scene {
    pub(super) fn new(world: &World, other: &World) -> Self {
        Self {
            one: files::mesh(world),
            // What no contract declares is hidden from everybody.
            other: files::mesh(other).with_undeclared(1000),
            bare: Some(files::mesh(&generate::disguised(
                &mut Rng::new(0),
                world,
                Disguise::Bare,
            ))),
            copies: copies(world),
            setting: Setting {
                partitions: world.partitions,
                batch_size: world.batch_size,
                purpose: world.purpose.map(str::to_owned),
                user_pushdown: UserPushdown::Leakproof,
            },
        }
    }
}

/// A world, one that looks the same, and what is seen of both.
pub(super) struct Stage {
    one: Governed,
    other: Governed,
    held_back: Governed,
    plain: Plain,
    /// The copy, served with nothing hidden, with push-down and without.
    open: Vec<Governed>,
    /// Where nothing is there to be hidden, and the settings to serve it with.
    bare: Option<(TempDir, [Setting; 2])>,
    copies: Vec<(String, Copy)>,
    _folders: [TempDir; 3],
}

/// What the oracles have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) queries: usize,
    /// Of queries about names, compared with other hidden data.
    pub(super) names: usize,
    /// That return rows on the copy.
    pub(super) answered: usize,
    /// Decided by another cut of the copy.
    pub(super) lenient: usize,
    /// Of answers with the copy.
    pub(super) copy: usize,
    /// Of answers with those over other hidden data.
    pub(super) other: usize,
    /// Of plans.
    pub(super) plans: usize,
    /// Of answers with those without push-down.
    pub(super) held_back: usize,
    /// Plans that were verified.
    pub(super) verified: usize,
    /// Queries with an answer that were put to a view, too.
    pub(super) controls: usize,
    /// Of those the ones that failed there: on what the view hides.
    pub(super) leaks_of_views: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.queries += other.queries;
        self.names += other.names;
        self.answered += other.answered;
        self.lenient += other.lenient;
        self.copy += other.copy;
        self.other += other.other;
        self.plans += other.plans;
        self.held_back += other.held_back;
        self.verified += other.verified;
        self.controls += other.controls;
        self.leaks_of_views += other.leaks_of_views;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} queries of which {} have an answer; compared: {} with the copy, {} and {} of names with other hidden data, {} plans, {} without push-down, {} verified; {} decided by another cut; {} of {} fail on a view",
            self.queries,
            self.answered,
            self.copy,
            self.other,
            self.names,
            self.plans,
            self.held_back,
            self.verified,
            self.lenient,
            self.leaks_of_views,
            self.controls,
        )
    }
}

/// Which of the dearer looks are taken at a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub(super) explain: bool,
    pub(super) held_back: bool,
}

impl Looks {
    pub(super) const ALL: Self = Self {
        explain: true,
        held_back: true,
    };
}

pub(super) fn copies(world: &World) -> Vec<(String, Copy)> {
    let tables = world.tables.iter();
    tables
        .filter_map(|table| {
            Some((
                format!("{}.{}", table.domain, table.name),
                authorised(world, table)?,
            ))
        })
        .collect()
}

impl Stage {
    pub(super) async fn open(scene: &Scene) -> Self {
        let folders = [(); 3].map(|()| TempDir::new().unwrap());
        scene.one.write(folders[0].path());
        scene.other.write(folders[1].path());
        let setting = scene.setting.clone();
        let held_back = Setting {
            user_pushdown: UserPushdown::None,
            ..setting.clone()
        };
        let copies = scene.copies.clone();
        files::open_mesh(&copies, &scene.one).write(folders[2].path());
        let mut open = Vec::new();
        if !copies.is_empty() {
            for setting in [&setting, &held_back] {
                open.push(Governed::open(folders[2].path(), setting).await);
            }
        }
        let bare = scene.bare.as_ref().map(|mesh| {
            let folder = TempDir::new().unwrap();
            mesh.write(folder.path());
            (folder, [setting.clone(), held_back.clone()])
        });
        let stage = Self {
            one: Governed::open(folders[0].path(), &setting).await,
            other: Governed::open(folders[1].path(), &setting).await,
            held_back: Governed::open(folders[0].path(), &held_back).await,
            plain: Plain::open(&copies, setting.partitions, setting.batch_size),
            open,
            bare,
            copies,
            _folders: folders,
        };
        for mesh in stage.served() {
            stage.show_all(mesh).await;
        }
        stage
    }

    /// The planner learns how many rows are visible: all begin with that.
    async fn show_all(&self, mesh: &Governed) {
        for (name, _) in &self.copies {
            mesh.run(&format!("SELECT * FROM {name}")).await;
        }
    }

    fn served(&self) -> impl Iterator<Item = &Governed> {
        [&self.one, &self.other, &self.held_back]
            .into_iter()
            .chain(&self.open)
    }

    /// The tables that a query can see.
    pub(super) fn visible(&self) -> Vec<Visible> {
        let copies = self.copies.iter();
        copies
            .map(|(name, copy)| Visible {
                name: name.clone(),
                columns: copy.columns.clone(),
            })
            .collect()
    }

    /// All oracles on one query over what is visible.
    pub(super) async fn judge(&self, sql: &str, looks: Looks) -> Result<Tally, String> {
        let mut tally = Tally {
            queries: 1,
            ..Tally::default()
        };
        let copy = self.plain.run(sql).await;
        tally.answered += usize::from(!copy.is_error());
        let one = self.one.run(sql).await;
        let other = self.other.run(sql).await;
        let mut held_back = None;
        if looks.held_back {
            held_back = Some(self.held_back.run(sql).await);
        }
        let mut cuts = vec![copy.clone()];
        // The engine itself can be wrong where it knows more than we tell it: with exact
        // statistics DataFusion 55 finds nothing below an outer join and `IS NULL`.
        let agree = |outcome: &Outcome| {
            if is_rows(outcome) && is_rows(&copy) {
                same(outcome, &copy)
            } else {
                std::mem::discriminant(outcome) == std::mem::discriminant(&copy)
            }
        };
        if ![&one, &other].into_iter().chain(&held_back).all(agree) {
            tally.lenient += 1;
            cuts.extend(self.other_cuts(sql).await);
            if held_back.is_none() {
                held_back = Some(self.held_back.run(sql).await);
            }
        }
        // What a pushed filter removes is not evaluated any more.
        let spares = held_back.as_ref().is_some_and(Outcome::is_error);
        let named = [
            ("with one hidden data", Some(&one)),
            ("with other hidden data", Some(&other)),
            ("without push-down", held_back.as_ref()),
        ];
        for (name, outcome) in named {
            let Some(outcome) = outcome else { continue };
            let is_spared = spares && is_rows(outcome);
            if !cuts.iter().any(|cut| same(outcome, cut)) && !is_spared {
                return Err(format!(
                    "{name}:\n  {outcome:?}\non the copy:\n  {:?}",
                    cuts[0]
                ));
            }
            tally.copy += 1;
            tally.verified += usize::from(is_rows(outcome));
        }
        tally.held_back += usize::from(held_back.is_some());
        tally.other += 1;
        if is_rows(&one) && is_rows(&other) && one != other {
            return Err(format!(
                "two hidden data, two answers:\n  {one:?}\n  {other:?}"
            ));
        }
        self.tells_nothing(sql, &one)?;
        self.tells_nothing(sql, &other)?;
        if looks.explain {
            tally.plans += 1;
            self.explained_alike(sql).await?;
        }
        Ok(tally)
    }

    /// What the copy says where rows come in other batches, or where another
    /// side of a join comes first.
    async fn other_cuts(&self, sql: &str) -> Vec<Outcome> {
        let mut cuts = Vec::new();
        // The same engine, with the same estimates.
        for open in &self.open {
            // Which side of a join ends first can decide whether the other is
            // looked at.
            for _ in 0..REPEATS {
                cuts.push(open.run(sql).await);
            }
        }
        // The same again behind the same policy: with its estimates of sizes.
        if let Some((folder, settings)) = &self.bare {
            for setting in settings {
                let bare = Governed::open(folder.path(), setting).await;
                self.show_all(&bare).await;
                for _ in 0..REPEATS {
                    cuts.push(bare.run(sql).await);
                }
            }
        }
        for (partitions, batch_size) in [(1, 1), (1, 2), (2, 3), (1, 8192), (8, 1)] {
            cuts.push(
                Plain::open(&self.copies, partitions, batch_size)
                    .run(sql)
                    .await,
            );
        }
        cuts
    }

    /// Two hidden data, one observation: for queries that the copy cannot run.
    pub(super) async fn judge_alike(&self, sql: &str) -> Result<Tally, String> {
        let (one, other) = (self.one.run(sql).await, self.other.run(sql).await);
        // There are no values in these: their errors are of names, and exact.
        let is_fault = matches!(one, Outcome::Internal(_) | Outcome::Broken(_));
        if one != other || is_fault {
            return Err(format!(
                "two hidden data, two answers:\n  {one:?}\n  {other:?}"
            ));
        }
        self.tells_nothing(sql, &one)?;
        Ok(Tally {
            names: 1,
            ..Tally::default()
        })
    }

    /// `cell_hidden` of every cell is what the interpreter says.
    pub(super) async fn judge_hidden(&self) -> Result<(), String> {
        for (name, copy) in &self.copies {
            let flags: Vec<_> = copy
                .columns
                .iter()
                .map(|(column, _)| format!("cell_hidden({column})"))
                .collect();
            let found = self
                .one
                .run(&format!("SELECT {} FROM {name}", flags.join(", ")))
                .await;
            let mut expected: Vec<String> = copy
                .hidden
                .iter()
                .map(|row| {
                    row.iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("|")
                })
                .collect();
            expected.sort();
            match found {
                Outcome::Rows(_, rows) if rows == expected => {}
                found => {
                    return Err(format!(
                        "cell_hidden of {name}: {found:?}, not {expected:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    async fn explained_alike(&self, sql: &str) -> Result<(), String> {
        let sql = format!("EXPLAIN {sql}");
        // Of some plans the engine itself makes one or another.
        let mut plans = (Vec::new(), Vec::new());
        for _ in 0..8 {
            plans.0.push(normal(&self.one.run(&sql).await));
            plans.1.push(normal(&self.other.run(&sql).await));
            if plans.0.iter().any(|plan| plans.1.contains(plan)) {
                return Ok(());
            }
        }
        Err(format!(
            "two hidden data, two plans:\n  {:?}\n  {:?}",
            plans.0[0], plans.1[0]
        ))
    }

    /// No text of a hidden cell is in an error.
    fn tells_nothing(&self, sql: &str, outcome: &Outcome) -> Result<(), String> {
        let Outcome::Error(text) = outcome else {
            return Ok(());
        };
        let visible: BTreeSet<String> = self
            .copies
            .iter()
            .flat_map(|(_, copy)| &copy.rows)
            .flatten()
            .map(|value| value.text())
            .collect();
        let is_marked = |number: &&str| {
            let number: Option<i64> = number.parse().ok();
            number.is_some_and(|it| (MARKED..MARKED + 1000).contains(&it))
        };
        if let Some(number) = text.split(|c: char| !c.is_ascii_digit()).find(is_marked) {
            return Err(format!("an error tells `{number}`: {text}"));
        }
        for (at, _) in text.match_indices("secret-") {
            let word: String = text[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '-')
                .collect();
            let is_known = visible.iter().any(|value| {
                value.starts_with(&word) || word.starts_with(value.as_str()) && !value.is_empty()
            });
            if !is_known && !sql.contains(&word) {
                return Err(format!("an error tells `{word}`: {text}"));
            }
        }
        Ok(())
    }
}

fn is_rows(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rows(..))
}

/// The same rows, or an error on both sides.
fn same(outcome: &Outcome, copy: &Outcome) -> bool {
    match (outcome, copy) {
        (Outcome::Rows(_, one), Outcome::Rows(_, other)) => one == other,
        (Outcome::Error(_), Outcome::Error(_)) | (Outcome::Internal(_), Outcome::Internal(_)) => {
            true
        }
        _ => false,
    }
}

/// Without the text of an error: which of several rows and expressions fails
/// first follows the cut of batches.
fn normal(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Error(_) => Outcome::Error(String::new()),
        Outcome::Internal(_) => Outcome::Internal(String::new()),
        outcome @ (Outcome::Rows(..) | Outcome::Broken(_)) => outcome.clone(),
    }
}
