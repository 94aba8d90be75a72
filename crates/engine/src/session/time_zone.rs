//! The time zone of a session.

use std::str::FromStr;

use datafusion::arrow::array::timezone::Tz;

use crate::error::{Error, Result};

/// A valid zone name or offset; UTC without one.
pub(crate) fn time_zone(asked: Option<&str>) -> Result<String> {
    const DEFAULT: &str = "UTC";
    let name = asked.unwrap_or(DEFAULT).trim();
    match Tz::from_str(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(Error::invalid(format!("`{name}` is not a time zone"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_are_zones() {
        assert_eq!(time_zone(None).unwrap(), "UTC");
        assert_eq!(time_zone(Some("Europe/Vienna")).unwrap(), "Europe/Vienna");
        assert_eq!(time_zone(Some("+02:00")).unwrap(), "+02:00");
        assert_eq!(
            time_zone(Some("Mars")).unwrap_err().to_string(),
            "`Mars` is not a time zone"
        );
    }
}
