//! A world in plain values: tables, rows, grants, guardrails, and who looks.

use std::fmt;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Hundredths.
    Decimal(i128),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Timestamp(i64),
    /// Quarters, which floats hold exactly.
    Float(i64),
    Text(String),
    /// A struct of a text `a` and an integer `b`.
    Doc(Option<String>, Option<i64>),
    Tags(Vec<i64>),
    /// What a text file says where it does not parse.
    Broken(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int32,
    Int64,
    Decimal,
    Date,
    Timestamp,
    Float,
    Text,
    Doc,
    Tags,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) of: Type,
    pub(super) tags: &'static [&'static str],
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) domain: &'static str,
    pub(super) name: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) format: Format,
    pub(super) files: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    NotEq,
    Lt,
    GtEq,
}

/// A row predicate.
#[derive(Clone, Debug)]
pub(super) enum Pred {
    Compare(&'static str, Op, Value),
    In(&'static str, Vec<Value>),
    IsNull(&'static str, bool),
    /// LIKE 'prefix%'
    Like(&'static str, String),
    /// column = session.attr('…')
    Attr(&'static str, &'static str),
    InGroup(&'static str),
    /// session.purpose = '…'
    Purpose(&'static str),
    /// column IN (SELECT k FROM domain.ent WHERE u = session.user)
    Member(&'static str, &'static str),
    Not(Box<Pred>),
    And(Vec<Pred>),
    Or(Vec<Pred>),
}

/// In the order of the list, most revealing first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mask {
    Bucket(i64),
    TruncateMonth,
    TruncateYear,
    /// Fewer characters come later.
    ShowLast(std::cmp::Reverse<usize>),
    ShowFirst(std::cmp::Reverse<usize>),
    Token(&'static str),
    Hash,
    Alphanum,
    Fixed(Value),
    Nullify,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) name: String,
    pub(super) to: &'static str,
    pub(super) domain: &'static str,
    pub(super) table: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) masks: Vec<(&'static str, Mask)>,
    pub(super) rows: Option<Pred>,
    pub(super) purpose: Option<&'static str>,
    pub(super) expired: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Guardrail {
    pub(super) name: String,
    pub(super) on: On,
    pub(super) except: Option<&'static str>,
    pub(super) effect: Effect,
}

/// What a guardrail is on.
#[derive(Clone, Debug)]
pub(super) enum On {
    Tag(&'static str),
    Column(&'static str),
    Table(&'static str, &'static str),
    /// A column of a domain.
    Domain(&'static str, &'static str),
}

#[derive(Clone, Debug)]
pub(super) enum Effect {
    Rows(Pred),
    Mask(Mask),
    Deny,
    RequirePurpose,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) tables: Vec<Table>,
    pub(super) grants: Vec<Grant>,
    pub(super) guardrails: Vec<Guardrail>,
    /// What the session of the one who looks states.
    pub(super) purpose: Option<&'static str>,
    pub(super) partitions: usize,
    pub(super) batch_size: usize,
}

/// Who looks: `user:eve` of `group:eu`, with `region: EU`.
pub(super) const USER: &str = "eve";
pub(super) const GROUP: &str = "eu";
pub(super) const REGION: &str = "EU";

/// The table of a domain that entitlements are looked up in.
pub(super) const MEMBERS: &str = "ent";

impl Type {
    /// The SQL type, where the logical one does not say enough.
    pub(super) fn physical(self) -> Option<&'static str> {
        match self {
            Self::Int32 => Some("INTEGER"),
            Self::Decimal => Some("DECIMAL(12,2)"),
            Self::Float => Some("DOUBLE"),
            Self::Bool | Self::Int64 | Self::Date | Self::Timestamp => None,
            Self::Text | Self::Doc | Self::Tags => None,
        }
    }

    pub(super) fn logical(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int32 | Self::Int64 => "integer",
            Self::Decimal | Self::Float => "number",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text => "string",
            Self::Doc => "object",
            Self::Tags => "array",
        }
    }

    /// Whether row predicates may read it.
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::Doc | Self::Tags)
    }
}

impl Format {
    /// Whether a cell may be one that does not parse.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }

    pub(super) fn holds(self, of: Type) -> bool {
        self != Self::Csv || of.is_scalar()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

impl Table {
    pub(super) fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|it| it.name == column)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::GtEq => ">=",
        })
    }
}

/// As SQL writes it; dates and times are in text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Self::Decimal(_) | Self::Float(_) => f.write_str(&self.text()),
            Self::Doc(..) | Self::Tags(_) | Self::Broken(_) => {
                panic!("no literal of a predicate: {self:?}")
            }
            Self::Date(_) | Self::Timestamp(_) => write!(f, "'{}'", self.text()),
        }
    }
}

impl Value {
    /// As a file writes it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Decimal(value) => {
                let sign = if *value < 0 { "-" } else { "" };
                let value = value.unsigned_abs();
                format!("{sign}{}.{:02}", value / 100, value % 100)
            }
            Self::Date(days) => date(*days).to_string(),
            Self::Timestamp(micros) => chrono::DateTime::from_timestamp_micros(*micros)
                .unwrap()
                .format("%Y-%m-%dT%H:%M:%S%.6fZ")
                .to_string(),
            Self::Float(quarters) => (*quarters as f64 / 4.0).to_string(),
            Self::Text(text) | Self::Broken(text) => text.clone(),
            Self::Doc(a, b) => format!("{}|{b:?}", a.clone().unwrap_or_default()),
            Self::Tags(tags) => format!("{tags:?}"),
        }
    }

    /// As a JSON file writes it.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(quarters) => (*quarters as f64 / 4.0).into(),
            Self::Doc(a, b) => serde_json::json!({"a": a, "b": b}),
            Self::Tags(tags) => tags.clone().into(),
            Self::Decimal(_)
            | Self::Date(_)
            | Self::Timestamp(_)
            | Self::Text(_)
            | Self::Broken(_) => self.text().into(),
        }
    }
}

pub(super) fn date(days: i32) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::TimeDelta::days(days.into())
}

impl fmt::Display for Pred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: &[Pred], word: &str| {
            let parts: Vec<_> = parts.iter().map(|part| format!("({part})")).collect();
            parts.join(word)
        };
        match self {
            Self::Compare(column, op, value) => write!(f, "{column} {op} {value}"),
            Self::In(column, values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "{column} IN ({})", values.join(", "))
            }
            Self::IsNull(column, negated) => {
                write!(f, "{column} IS {}NULL", if *negated { "NOT " } else { "" })
            }
            Self::Like(column, prefix) => write!(f, "{column} LIKE '{prefix}%'"),
            Self::Attr(column, name) => write!(f, "{column} = session.attr('{name}')"),
            Self::InGroup(group) => write!(f, "session.in_group('{group}')"),
            Self::Purpose(purpose) => write!(f, "session.purpose = '{purpose}'"),
            Self::Member(column, domain) => write!(
                f,
                "{column} IN (SELECT k FROM {domain}.{MEMBERS} WHERE u = session.user)"
            ),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::And(parts) => f.write_str(&joined(parts, " AND ")),
            Self::Or(parts) => f.write_str(&joined(parts, " OR ")),
        }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(width) => write!(f, "bucket({width})"),
            Self::TruncateMonth => f.write_str("truncate_month"),
            Self::TruncateYear => f.write_str("truncate_year"),
            Self::ShowLast(count) => write!(f, "show_last({})", count.0),
            Self::ShowFirst(count) => write!(f, "show_first({})", count.0),
            Self::Token(scope) => write!(f, "token({scope})"),
            Self::Hash => f.write_str("hash"),
            Self::Alphanum => f.write_str("alphanum"),
            Self::Fixed(value) => write!(f, "fixed({value})"),
            Self::Nullify => f.write_str("nullify"),
        }
    }
}
