//! The `authorization` header, and the cookie of a session.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The header of clients that log in with a payload of their own.
const TOKEN_HEADER: &str = "auth-token-bin";

/// Go leaves the padding away, Java and C++ write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a caller presents.
pub(crate) enum Credentials {
    Basic { user: String, password: String },
    Bearer(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { user, .. } => f
                .debug_struct("Basic")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Bearer(_) => f.debug_struct("Bearer").finish_non_exhaustive(),
        }
    }
}

impl Credentials {
    /// The credentials of a call; `None` when it sends none.
    pub(crate) fn of_headers(headers: &MetadataMap) -> Result<Option<Self>, Status> {
        let malformed = || Status::unauthenticated("the authorization header is malformed");
        let all = headers.get_all("authorization").iter().count();
        if all + headers.get_all_bin(TOKEN_HEADER).iter().count() > 1 {
            // Which of them counts a proxy may decide otherwise than we.
            return Err(Status::unauthenticated(
                "the call has more than one credential",
            ));
        }
        if let Some(value) = headers.get("authorization") {
            let text = value.to_str().map_err(|_| malformed())?;
            return Self::parse(text).map(Some).ok_or_else(malformed);
        }
        if let Some(value) = headers.get_bin(TOKEN_HEADER) {
            let bytes = value.to_bytes().map_err(|_| malformed())?;
            let token = String::from_utf8(bytes.to_vec()).map_err(|_| malformed())?;
            return Ok(Some(Self::Bearer(token)));
        }
        Ok(None)
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, value) = text.trim().split_once(' ')?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return (!value.is_empty()).then(|| Self::Bearer(value.to_owned()));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
            let (user, password) = decoded.split_once(':')?;
            return Some(Self::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            });
        }
        None
    }
}

/// The value of a cookie that the caller sent back.
pub(crate) fn cookie<'a>(headers: &'a MetadataMap, name: &str) -> Option<&'a str> {
    headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> Option<(String, String)> {
        match Credentials::parse(text)? {
            Credentials::Basic { user, password } => Some((user, password)),
            Credentials::Bearer(_) => None,
        }
    }

    #[test]
    fn basic_with_and_without_padding() {
        let ana = Some(("ana".to_owned(), "p:w".to_owned()));
        assert_eq!(basic("Basic YW5hOnA6dw=="), ana);
        assert_eq!(basic("Basic YW5hOnA6dw"), ana);
        assert_eq!(basic("basic  YW5hOnA6dw== "), ana);
        assert_eq!(basic("Basic !!!"), None);
        assert_eq!(basic("Basic YW5h"), None, "no colon");
        assert_eq!(basic("Basic"), None);
        assert_eq!(basic("Digest YW5hOnA6dw=="), None);
    }

    #[test]
    fn bearer() {
        assert!(matches!(
            Credentials::parse("Bearer abc"),
            Some(Credentials::Bearer(token)) if token == "abc"
        ));
        assert!(Credentials::parse("Bearer ").is_none());
    }

    #[test]
    fn a_binary_token_header_is_a_bearer() {
        let mut headers = MetadataMap::new();
        headers.insert_bin(
            TOKEN_HEADER,
            tonic::metadata::MetadataValue::from_bytes(b"abc"),
        );
        assert!(matches!(
            Credentials::of_headers(&headers).unwrap(),
            Some(Credentials::Bearer(token)) if token == "abc"
        ));
    }

    #[test]
    fn cookies() {
        let mut headers = MetadataMap::new();
        headers.append("cookie", "a=1; weft_session=xyz".parse().unwrap());
        headers.append("cookie", "b=\"2\"".parse().unwrap());
        assert_eq!(cookie(&headers, "weft_session"), Some("xyz"));
        assert_eq!(cookie(&headers, "b"), Some("2"));
        assert_eq!(cookie(&headers, "c"), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials::parse("Basic YW5hOnA6dw==").unwrap();
        assert_eq!(format!("{credentials:?}"), r#"Basic { user: "ana", .. }"#);
    }
}
