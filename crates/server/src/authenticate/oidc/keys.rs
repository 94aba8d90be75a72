//! The keys of a provider (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// A provider has a few.
const MOST: usize = 100;
/// Shorter RSA keys are not used any more (RFC 7518, section 3.3).
const RSA_BITS: usize = 2048;

/// The keys that tokens may be signed with.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// Where the provider says that it is for this algorithm alone.
    only_for: Option<String>,
    kind: Kind,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Keys {
    /// Those of a key set that can be used; the others, of kinds that we do not
    /// know or for encryption, are none of ours.
    pub(super) fn parse(set: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(set).map_err(|error| error.to_string())?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or("the key set has no `keys`")?;
        let keys: Vec<Key> = keys.iter().take(MOST).filter_map(Key::parse).collect();
        if keys.is_empty() {
            return Err("the key set has no key that a token could be signed with".to_owned());
        }
        Ok(Self(keys))
    }

    /// Those that may have made a signature: by its key id where it has one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let fits = |key: &&Key| {
            let is_meant = id.is_none_or(|id| key.id.as_deref() == Some(id));
            let is_for = key.only_for.as_deref();
            is_meant
                && is_for.is_none_or(|only| only == format!("{algorithm:?}"))
                && key.kind.fits(algorithm)
        };
        self.0
            .iter()
            .filter(fits)
            .map(|key| key.key.clone())
            .collect()
    }
}

impl Key {
    fn parse(key: &Value) -> Option<Self> {
        let only_for = key.get("alg").and_then(Value::as_str).map(str::to_owned);
        let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
        let is_for_signatures = matches!(
            jwk.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        let operations = jwk.common.key_operations.as_ref();
        let may_verify = operations.is_none_or(|it| it.contains(&KeyOperations::Verify));
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                // Base64 of so many bits.
                (rsa.n.trim_end_matches('=').len() * 6 >= RSA_BITS).then_some(Kind::Rsa)
            }
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => Some(Kind::P256),
                EllipticCurve::P384 => Some(Kind::P384),
                EllipticCurve::P521 | EllipticCurve::Ed25519 => None,
            },
            AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
                EllipticCurve::Ed25519 => Some(Kind::Ed25519),
                EllipticCurve::P256 | EllipticCurve::P384 | EllipticCurve::P521 => None,
            },
            // A secret in a public place is none.
            AlgorithmParameters::OctetKey(_) => None,
        };
        let kind = kind.filter(|_| is_for_signatures && may_verify)?;
        Some(Self {
            key: DecodingKey::from_jwk(&jwk).ok()?,
            id: jwk.common.key_id,
            only_for,
            kind,
        })
    }
}

impl Kind {
    fn fits(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => self == Self::Rsa,
            Algorithm::ES256 => self == Self::P256,
            Algorithm::ES384 => self == Self::P384,
            Algorithm::EdDSA => self == Self::Ed25519,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => false,
        }
    }
}
