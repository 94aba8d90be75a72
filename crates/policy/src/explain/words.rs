//! An explanation in words, the same wherever it is read.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};

use crate::{
    Access, ColumnFinding, Explanation, GrantFinding, GuardrailFinding, Outcome, Reveal, Standing,
    Stands, Taken,
};

impl Explanation {
    /// `granted`, `found` or `denied`.
    pub fn access_name(&self) -> &'static str {
        match &self.access {
            Access::Granted(_) => "granted",
            Access::Denied(denial) if !denial.discovered_by.is_empty() => "found",
            Access::Denied(_) => "denied",
        }
    }

    /// How many of the columns and which rows are seen, or that none are.
    pub fn access_words(&self) -> String {
        match &self.access {
            Access::Granted(access) => {
                let all = self.columns.len();
                let rows = match &access.rows {
                    None => "every row".to_owned(),
                    Some(rows) if rows.to_string() == "FALSE" => "no row".to_owned(),
                    Some(rows) => format!("rows where {rows}"),
                };
                format!("sees {} of {all} columns, {rows}", access.columns.len())
            }
            Access::Denied(denial) if !denial.discovered_by.is_empty() => {
                "can be found and asked for, not read".to_owned()
            }
            Access::Denied(_) => "does not exist for them".to_owned(),
        }
    }

    /// Whom to ask for more.
    pub fn whom_to_ask(&self) -> String {
        let owner = self.owner.as_deref().unwrap_or("the owner of the domain");
        if self.stewards.is_empty() {
            return owner.to_owned();
        }
        format!("{owner}; stewards: {}", listed(&self.stewards))
    }
}

impl Outcome {
    /// `clear`, `masked`, `conditional`, `hidden`, `found`, `denied` or
    /// `not_granted`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Masked(_) => "masked",
            Self::Conditional(_) => "conditional",
            Self::Hidden => "hidden",
            Self::Found => "found",
            Self::Denied => "denied",
            Self::NotGranted => "not_granted",
        }
    }

    /// What is shown of which rows.
    pub fn words(&self) -> String {
        match self {
            Self::Clear => "clear".to_owned(),
            Self::Masked(mask) => mask.to_string(),
            Self::Hidden => "NULL on every row".to_owned(),
            Self::Found => "can be found, not read".to_owned(),
            Self::Denied => "does not exist: taken".to_owned(),
            Self::NotGranted => "does not exist: not granted".to_owned(),
            Self::Conditional(rules) => {
                let mut arms: Vec<String> = rules
                    .iter()
                    .map(|rule| {
                        let shown = reveal(&rule.reveal);
                        match &rule.when {
                            Some(when) => format!("{shown} where {when}"),
                            None => format!("else {shown}"),
                        }
                    })
                    .collect();
                if rules.last().is_some_and(|rule| rule.when.is_some()) {
                    arms.push("else NULL".to_owned());
                }
                arms.join(", ")
            }
        }
    }

    /// The same without the conditions: `clear or bucket(10) or NULL`.
    pub fn words_without_conditions(&self) -> String {
        let Self::Conditional(rules) = self else {
            return self.words();
        };
        let mut shown: Vec<String> = Vec::new();
        for rule in rules {
            let one = reveal(&rule.reveal);
            if !shown.contains(&one) {
                shown.push(one);
            }
        }
        if rules.last().is_some_and(|rule| rule.when.is_some()) {
            shown.push("NULL".to_owned());
        }
        shown.join(" or ")
    }
}

impl ColumnFinding {
    /// The grants that give the column, and the guardrails that take of it.
    pub fn because(&self) -> String {
        let mut parts = Vec::new();
        if !self.given_by.is_empty() {
            parts.push(self.given_by.join(", "));
        }
        if !self.taken_by.is_empty() {
            parts.push(format!("guardrail {}", self.taken_by.join(", ")));
        }
        parts.join("; ")
    }
}

impl GrantFinding {
    /// Whether it counts, and as whom or why not.
    pub fn standing_words(&self) -> String {
        let to = if self.matched.is_empty() {
            listed(&self.to)
        } else {
            listed(&self.matched)
        };
        match &self.standing {
            Standing::Active => match self.until {
                Some(until) => format!("yes, as {to}, until {}", until.to_rfc3339()),
                None => format!("yes, as {to}"),
            },
            Standing::OtherGrantee => format!("no: it is for {to}"),
            Standing::Expired => format!("no: it ended{}", moment(" at ", self.until)),
            Standing::NotYet => format!("no: it begins{}", moment(" at ", self.from)),
            Standing::OtherPurpose => {
                format!("no: it is for the purpose {}", listed(&self.purposes))
            }
        }
    }

    /// The columns with their masks, and the rows.
    pub fn gives_words(&self) -> String {
        if self.only_discovers() {
            return "that it can be found".to_owned();
        }
        let mut text = self.columns_words(|_| true);
        if let Some(rows) = &self.rows {
            let _ = write!(text, "; rows where {rows}");
        }
        text
    }

    /// Of the columns those that `is_told`, with their masks.
    pub fn columns_words(&self, is_told: impl Fn(&str) -> bool) -> String {
        let columns = self.gives.iter().filter(|(column, _)| is_told(column));
        let columns: Vec<String> = columns
            .map(|(column, mask)| match mask {
                Some(mask) => format!("{column} as {mask}"),
                None => column.clone(),
            })
            .collect();
        columns.join(", ")
    }
}

impl GuardrailFinding {
    /// Whether it binds, or why not.
    pub fn binds_words(&self) -> String {
        match &self.stands {
            Stands::Binding => "yes".to_owned(),
            Stands::Excepted(as_whom) => format!("no: excepted as {}", listed(as_whom)),
            Stands::PurposeStated => "no: a purpose is stated".to_owned(),
        }
    }

    /// What it takes where it binds.
    pub fn takes_words(&self) -> String {
        match &self.takes {
            Taken::Rows => match &self.rows {
                Some(rows) => format!("rows except where {rows}"),
                None => "rows".to_owned(),
            },
            Taken::Masked(columns) => format!("{} beyond {}", columns.join(", "), self.mask()),
            Taken::Denied(columns) => columns.join(", "),
            Taken::WithoutPurpose(columns) => {
                format!("{} where no purpose is stated", columns.join(", "))
            }
        }
    }

    /// What it takes of what is still there, without conditions: rows, or what
    /// its mask does not show of the columns that `is_told`. `None` where that
    /// is nothing.
    pub fn takes_words_of(&self, is_told: impl Fn(&str) -> bool) -> Option<String> {
        match &self.takes {
            Taken::Rows => Some("rows".to_owned()),
            Taken::Masked(columns) => {
                let told = columns.iter().filter(|column| is_told(column));
                let told: Vec<&str> = told.map(String::as_str).collect();
                (!told.is_empty()).then(|| format!("{} beyond {}", told.join(", "), self.mask()))
            }
            Taken::Denied(_) | Taken::WithoutPurpose(_) => None,
        }
    }

    fn mask(&self) -> String {
        let mask = self.mask.as_ref();
        mask.map_or_else(|| "a mask".to_owned(), ToString::to_string)
    }
}

fn reveal(reveal: &Reveal) -> String {
    match reveal {
        Reveal::Clear => "clear".to_owned(),
        Reveal::Masked(mask) => mask.to_string(),
    }
}

fn moment(before: &str, at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(String::new, |at| format!("{before}{}", at.to_rfc3339()))
}

fn listed(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
