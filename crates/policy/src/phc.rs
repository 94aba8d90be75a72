//! Password hashes in the PHC string format, with a limit on what verifying
//! one may cost.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHashString},
};
use subtle::ConstantTimeEq;

/// 256 MiB, in argon2's KiB.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_ITERATIONS: u32 = 10;
const MAX_LANES: u32 = 8;
/// The longest password, in bytes: nobody remembers more, and hashing is work.
const MAX_PASSWORD: usize = 4096;

/// An argon2 hash of acceptable cost.
#[derive(Clone)]
pub(crate) struct Phc {
    text: PasswordHashString,
    cost: Cost,
}

/// What one verification costs, as far as time and memory go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    algorithm: Algorithm,
    version: u32,
    memory: u32,
    iterations: u32,
    lanes: u32,
    output: usize,
}

impl Phc {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. The error holds nothing
    /// of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let malformed =
            || "it is not an argon2 hash in PHC form; `weft hash-password` makes one".to_owned();
        let hash = PasswordHash::new(text).map_err(|_| malformed())?;
        let algorithm = Algorithm::try_from(hash.algorithm).map_err(|_| malformed())?;
        let version = Version::try_from(hash.version.unwrap_or(0x13)).map_err(|_| malformed())?;
        let params = Params::try_from(&hash).map_err(|_| malformed())?;
        let output = hash.hash.map(|output| output.len()).ok_or_else(malformed)?;
        if hash.salt.is_none() {
            return Err(malformed());
        }
        let cost = Cost {
            algorithm,
            version: version.into(),
            memory: params.m_cost(),
            iterations: params.t_cost(),
            lanes: params.p_cost(),
            output,
        };
        if cost.memory > MAX_MEMORY || cost.iterations > MAX_ITERATIONS || cost.lanes > MAX_LANES {
            return Err(format!(
                "its cost m={},t={},p={} is above the limit m={MAX_MEMORY},t={MAX_ITERATIONS},p={MAX_LANES}",
                cost.memory, cost.iterations, cost.lanes
            ));
        }
        Ok(Self {
            text: hash.serialize(),
            cost,
        })
    }

    /// Whether the password has this hash. Slow on purpose.
    pub(crate) fn verify(&self, password: &str) -> bool {
        let hash = self.text.password_hash();
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
            return false;
        };
        let mut buffer = [0u8; 64];
        let Ok(salt) = salt.decode_b64(&mut buffer) else {
            return false;
        };
        match self.cost.run(password, salt) {
            Some(actual) => actual.ct_eq(expected.as_bytes()).into(),
            None => false,
        }
    }

    pub(crate) fn cost(&self) -> &Cost {
        &self.cost
    }

    pub(crate) fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// Hides the hash: whoever reads it can guess at the password offline.
impl std::fmt::Debug for Phc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phc")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl Cost {
    /// Does the work of a verification and throws it away: what an unknown
    /// user gets, so that it takes as long as a known one.
    pub(crate) fn spend(&self, password: &str) {
        std::hint::black_box(self.run(password, b"no such principal"));
    }

    fn run(&self, password: &str, salt: &[u8]) -> Option<Vec<u8>> {
        // A password beyond the limit is never right, but costs the same.
        let (password, acceptable) = match password.len() {
            0..=MAX_PASSWORD => (password, true),
            _ => ("", false),
        };
        let params =
            Params::new(self.memory, self.iterations, self.lanes, Some(self.output)).ok()?;
        let version = Version::try_from(self.version).ok()?;
        let mut output = vec![0; self.output];
        Argon2::new(self.algorithm, version, params)
            .hash_password_into(password.as_bytes(), salt, &mut output)
            .ok()?;
        acceptable.then_some(output)
    }
}

/// argon2's recommendation, where no user sets another.
impl Default for Cost {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13.into(),
            memory: Params::DEFAULT_M_COST,
            iterations: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
            output: Params::DEFAULT_OUTPUT_LEN,
        }
    }
}
