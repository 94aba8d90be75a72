//! Sessions: options that a client sets once for the calls that follow.
//!
//! A session is named by the bearer that Handshake minted, or by a cookie for
//! clients that send their credentials with every call. Options live in this
//! process, bounded in number and in time; a client that keeps cookies carries them
//! as well, sealed, to whichever server it calls next. What a statement needs of them
//! travels inside its handle. One call may override them by header.

mod carried;
mod options;
mod registry;

use std::collections::BTreeMap;

use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};
use uuid::Uuid;
use weft_engine::SessionOptions;
use weft_mesh::Purpose;

pub(crate) use self::carried::{Carried, OptionsMessage};
pub(crate) use self::options::Options;
pub(crate) use self::registry::Sessions;
use crate::authenticate::cookie;
use crate::messages::{OptionError, OptionErrorValue, SessionOptionValue};

const COOKIE: &str = "weft_session";
const PURPOSE_HEADER: &str = "x-weft-purpose";

/// Names a session; random, and worth nothing without its principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(Uuid);

impl SessionId {
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The session of the caller's cookie.
    pub(crate) fn of_cookie(headers: &MetadataMap) -> Option<Self> {
        Uuid::parse_str(cookie(headers, COOKIE)?).ok().map(Self)
    }

    /// Tells a client that keeps cookies to send this session back.
    pub(crate) fn set_cookie(self, headers: &mut MetadataMap) {
        let cookie = format!("{COOKIE}={}; HttpOnly", self.0.simple());
        if let Ok(value) = MetadataValue::try_from(cookie) {
            headers.insert("set-cookie", value);
        }
    }
}

/// The options of one call: those of its session, overridden by its headers.
///
/// # Errors
/// A header that is not text, or whose value is none of that option's.
pub(crate) fn options_of_call(
    mut options: Options,
    headers: &MetadataMap,
) -> Result<Options, Status> {
    for (header, name) in [
        ("catalog", "catalog"),
        ("schema", "schema"),
        ("x-weft-timezone", "timezone"),
        ("x-weft-statement-timeout", "statement_timeout"),
        ("x-weft-ipc-compression", "ipc_compression"),
        ("x-weft-wire-types", "wire_types"),
    ] {
        let Some(value) = headers.get(header) else {
            continue;
        };
        let invalid =
            || Status::invalid_argument(format!("the header `{header}` has no valid value"));
        let text = value.to_str().map_err(|_| invalid())?;
        if text.is_empty() {
            continue;
        }
        options::set(&mut options, name, &SessionOptionValue::text(text)).map_err(|_| invalid())?;
    }
    Ok(options)
}

/// What a call says that its data is for; an empty header says nothing.
///
/// # Errors
/// A header that is no purpose, or more than one.
pub(crate) fn purpose_of_call(headers: &MetadataMap) -> Result<Option<Purpose>, Status> {
    let mut values = headers.get_all(PURPOSE_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let invalid = |why: &str| {
        Status::invalid_argument(format!(
            "the header `{PURPOSE_HEADER}` has no valid value: {why}"
        ))
    };
    if values.next().is_some() {
        return Err(invalid("it is there more than once"));
    }
    let text = value.to_str().map_err(|_| invalid("it is not text"))?;
    if text.is_empty() {
        return Ok(None);
    }
    Purpose::parse(text)
        .map(Some)
        .map_err(|error| invalid(&error.to_string()))
}

/// What became of a request to set options.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) options: Options,
    pub(crate) errors: BTreeMap<String, OptionError>,
}

/// Applies `changes` to `options`; what is refused is left as it was.
///
/// `check` knows the catalog, the schemas that the caller sees and the time
/// zones.
///
/// # Errors
/// A catalog or schema that the caller does not see.
pub(crate) fn change(
    mut options: Options,
    changes: &BTreeMap<String, SessionOptionValue>,
    check: impl Fn(SessionOptions) -> Result<(), Status>,
) -> Result<Changed, Status> {
    let mut errors = BTreeMap::new();
    for (name, value) in changes {
        let mut candidate = options.clone();
        let outcome = options::set(&mut candidate, name, value).and_then(|()| {
            let mut checked = candidate.query.clone();
            if name == options::PURPOSE {
                // A schema may come and go with the purpose; that must not hold it back.
                checked.schema = None;
            }
            match check(checked) {
                Ok(()) => Ok(()),
                Err(status) if status.code() == tonic::Code::NotFound => {
                    Err(options::Refused::NotFound(status))
                }
                Err(_) => Err(options::Refused::Option(OptionErrorValue::InvalidValue)),
            }
        });
        match outcome {
            Ok(()) => options = candidate,
            Err(options::Refused::NotFound(status)) => return Err(status),
            Err(options::Refused::Option(value)) => {
                errors.insert(
                    name.clone(),
                    OptionError {
                        value: value.into(),
                    },
                );
            }
        }
    }
    Ok(Changed { options, errors })
}

/// The options in force, as `GetSessionOptions` answers.
pub(crate) fn describe(options: &Options, catalog: &str) -> BTreeMap<String, SessionOptionValue> {
    options::describe(options, catalog)
}
