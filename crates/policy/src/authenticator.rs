//! Who somebody is: passwords and tokens of the mesh's own identity file, and whose word counts
//! for everybody else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use weft_mesh::{
    AccessToken, Fault, Identity, IdentityCredential, IdentityUser, OidcIssuer, PasswordSource,
    TOKEN_PREFIX,
};

use crate::{
    Principal, PrincipalId, VouchedBy, Voucher,
    phc::{Cost, Phc},
};

/// The identity file with its secrets resolved.
#[derive(Default)]
pub struct Authenticator {
    principals: BTreeMap<PrincipalId, Known>,
    services: Vec<Service>,
    issuers: Vec<Issuer>,
    tokens: BTreeMap<String, AccessToken>,
    /// The names of the identity file, in lower case: nobody else may be called so, or
    /// almost so.
    taken: BTreeSet<String>,
    dummy: Cost,
}

struct Issuer {
    manifest: Arc<OidcIssuer>,
    tag: [u8; 16],
}

struct Known {
    principal: Arc<Principal>,
    /// The groups for whose members it may act.
    impersonates: BTreeSet<String>,
    /// `None` where the secret could not be resolved: nobody is let in.
    credential: Option<Credential>,
}

enum Credential {
    Password(Phc),
    Token([u8; 32]),
    Certificate(String),
}

struct Service {
    token: [u8; 32],
    principal: Arc<Principal>,
}

impl Authenticator {
    /// Reads the secrets that the identity file refers to. A principal whose
    /// secret is missing, malformed, too costly to verify, or shared with
    /// another service cannot log in; the warning says so.
    pub fn resolve(identity: &Identity) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut principals = BTreeMap::new();
        for user in &identity.users {
            let id = id(user);
            let credential = resolve(user).map_err(|reason| {
                let message = format!("{id} cannot log in: {reason}");
                faults.push(Fault::warning(
                    user.name.span.clone(),
                    "unusable-credential",
                    message,
                ));
            });
            principals.insert(id, Known::new(user, credential.ok()));
        }
        refuse_shared_tokens(identity, &mut principals, &mut faults);
        let services = principals
            .values()
            .filter_map(|known| match known.credential {
                Some(Credential::Token(token)) => Some(Service {
                    token,
                    principal: Arc::clone(&known.principal),
                }),
                Some(Credential::Password(_) | Credential::Certificate(_)) | None => None,
            })
            .collect();
        let dummy = usual_cost(&principals);
        (
            Self {
                principals,
                services,
                issuers: issuers(identity),
                tokens: tokens(identity),
                taken: taken(identity),
                dummy,
            },
            faults,
        )
    }

    /// Who there is, without a secret being read: nobody can log in.
    pub fn without_credentials(identity: &Identity) -> Self {
        let users = identity.users.iter().map(|user| {
            let known = Known::new(user, None);
            (known.principal.id().clone(), known)
        });
        Self {
            principals: users.collect(),
            issuers: issuers(identity),
            tokens: tokens(identity),
            taken: taken(identity),
            ..Self::default()
        }
    }

    /// Everybody in the identity file, by identity.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values().map(|known| &known.principal)
    }

    /// The user with this password. It takes tens of milliseconds and
    /// megabytes, for an unknown user as well: call it off the async threads.
    pub fn verify_password(&self, user: &str, password: &str) -> Option<Arc<Principal>> {
        match self.principals.get(&PrincipalId::user(user)) {
            Some(Known {
                principal,
                credential: Some(Credential::Password(phc)),
                ..
            }) => phc.verify(password).then(|| Arc::clone(principal)),
            Some(_) | None => {
                self.dummy.spend(password);
                None
            }
        }
    }

    /// The service with this bearer token. Takes the same time whichever it
    /// is.
    pub fn verify_token(&self, token: &str) -> Option<Arc<Principal>> {
        let digest = token_digest(token);
        let mut found = u64::MAX;
        for (position, service) in (0u64..).zip(&self.services) {
            found.conditional_assign(&position, digest.ct_eq(&service.token));
        }
        let service = self.services.get(usize::try_from(found).ok()?)?;
        Some(Arc::clone(&service.principal))
    }

    /// The service that a verified certificate with these subject alternative names
    /// is of; nobody's where they are of several.
    pub fn service_with_certificate(&self, names: &[String]) -> Option<Arc<Principal>> {
        let mut found = self.principals.values().filter(|known| {
            matches!(&known.credential, Some(Credential::Certificate(name)) if names.contains(name))
        });
        let service = found.next()?;
        found
            .next()
            .is_none()
            .then(|| Arc::clone(&service.principal))
    }

    /// The provider whose tokens say `issuer`, and the tag of what the mesh says
    /// of it.
    pub fn issuer(&self, issuer: &str) -> Option<(&Arc<OidcIssuer>, [u8; 16])> {
        let mut issuers = self.issuers.iter();
        let found = issuers.find(|it| it.manifest.issuer.value == issuer)?;
        Some((&found.manifest, found.tag))
    }

    /// All providers.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<OidcIssuer>> {
        self.issuers.iter().map(|issuer| &issuer.manifest)
    }

    /// The user whose personal access token this is.
    pub fn verify_access_token(&self, token: &str, now: DateTime<Utc>) -> Option<Arc<Principal>> {
        let (id, _) = token.strip_prefix(TOKEN_PREFIX)?.split_once('_')?;
        let known = self.tokens.get(id)?;
        let is_it = token_digest(token).ct_eq(&known.digest);
        if !bool::from(is_it) {
            return None;
        }
        let user = self.principals.get(&PrincipalId::user(&known.user))?;
        let voucher = Voucher {
            by: VouchedBy::Token(id.to_owned()),
            tag: access_token_tag(known),
            until: known.expires,
        };
        let principal = Principal::clone(&user.principal).with_voucher(voucher);
        self.stands(&Arc::new(principal), now)
    }

    /// Where that token is kept. Whoever reads no manifest again for whatever fault can
    /// still see that it is gone.
    pub fn access_token_file(&self, id: &str) -> Option<&Path> {
        self.tokens.get(id).map(|token| token.file.as_path())
    }

    /// A principal that somebody vouched for, as it is `now`, if that word still
    /// counts. A provider's never does for a name that the identity file has: that
    /// is somebody else.
    pub fn stands(&self, principal: &Arc<Principal>, now: DateTime<Utc>) -> Option<Arc<Principal>> {
        let voucher = principal.voucher().filter(|voucher| now < voucher.until)?;
        match &voucher.by {
            VouchedBy::Issuer(issuer) => {
                let (_, tag) = self.issuer(issuer)?;
                let is_taken = self.taken.contains(&principal.name().to_lowercase());
                (tag == voucher.tag && !is_taken).then(|| Arc::clone(principal))
            }
            VouchedBy::Token(id) => {
                let known = self.tokens.get(id)?;
                let holder = PrincipalId::user(&known.user);
                let is_other = access_token_tag(known) != voucher.tag || holder != *principal.id();
                if is_other || now >= known.expires {
                    return None;
                }
                let user = &self.principals.get(&holder)?.principal;
                let user = Principal::clone(user).with_voucher(voucher.clone());
                Some(Arc::new(user))
            }
        }
    }

    /// The principal as the identity file has it, without its credential: for
    /// sessions minted from an earlier login.
    pub fn principal(&self, id: &PrincipalId) -> Option<Arc<Principal>> {
        self.principals
            .get(id)
            .map(|known| Arc::clone(&known.principal))
    }

    /// The user called `name`, if `service` may act for it: the user is a
    /// member of a group that the service impersonates. Unknown and not
    /// allowed are one `None`.
    pub fn impersonated(&self, service: &PrincipalId, name: &str) -> Option<Arc<Principal>> {
        let groups = &self.principals.get(service)?.impersonates;
        let user = self.principal(&PrincipalId::user(name))?;
        (!user.groups().is_disjoint(groups)).then_some(user)
    }

    /// A digest of the credential, so that what was minted from it ends when
    /// it changes. `None` where the principal cannot log in.
    pub fn credential_tag(&self, id: &PrincipalId) -> Option<[u8; 16]> {
        let mut hasher = Sha256::new();
        match self.principals.get(id)?.credential.as_ref()? {
            Credential::Password(phc) => {
                hasher.update(b"weft credential tag: password:");
                hasher.update(phc.as_str());
            }
            Credential::Token(token) => {
                hasher.update(b"weft credential tag: token:");
                hasher.update(token);
            }
            Credential::Certificate(name) => {
                hasher.update(b"weft credential tag: certificate:");
                hasher.update(name);
            }
        }
        hasher.finalize().first_chunk().copied()
    }
}

/// Names the principals and nothing of their credentials.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("principals", &self.principals.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Known {
    fn new(user: &IdentityUser, credential: Option<Credential>) -> Self {
        let (groups, attributes) = (user.groups.clone(), user.attributes.clone());
        Self {
            principal: Arc::new(Principal::new(id(user), groups, attributes)),
            impersonates: user.impersonates.clone(),
            credential,
        }
    }
}

fn issuers(identity: &Identity) -> Vec<Issuer> {
    let issuers = identity.issuers.iter().map(|manifest| Issuer {
        tag: issuer_tag(manifest),
        manifest: Arc::new(manifest.clone()),
    });
    issuers.collect()
}

fn taken(identity: &Identity) -> BTreeSet<String> {
    let users = identity.users.iter();
    users.map(|user| user.name.value.to_lowercase()).collect()
}

/// By id: the names of files, so that there is one of each.
fn tokens(identity: &Identity) -> BTreeMap<String, AccessToken> {
    let tokens = identity.tokens.iter();
    tokens
        .map(|token| (token.id.value.clone(), token.clone()))
        .collect()
}

/// A digest of what the mesh knows of a personal access token.
fn access_token_tag(token: &AccessToken) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(b"weft access token tag:");
    hasher.update(token.digest);
    hasher.update(&token.user);
    shortened(&hasher.finalize())
}

fn shortened(digest: &[u8]) -> [u8; 16] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// A digest of all that the mesh says of a provider, wherever it says it.
fn issuer_tag(issuer: &OidcIssuer) -> [u8; 16] {
    let OidcIssuer {
        issuer,
        url: _,
        audiences,
        name_claim,
        groups_claim,
        attributes,
        prefix,
        algorithms,
        clock_skew,
        sessions,
    } = issuer;
    let said = (&issuer.value, audiences, name_claim, groups_claim);
    let said =
        format!("{said:?} {attributes:?} {prefix:?} {algorithms:?} {clock_skew:?} {sessions:?}");
    shortened(&Sha256::digest(format!("weft issuer tag: {said}")))
}

fn id(user: &IdentityUser) -> PrincipalId {
    match &user.credential {
        IdentityCredential::Password(_) => PrincipalId::user(&user.name.value),
        IdentityCredential::Token(_) | IdentityCredential::Certificate(_) => {
            PrincipalId::service(&user.name.value)
        }
    }
}

fn resolve(user: &IdentityUser) -> Result<Credential, String> {
    match &user.credential {
        IdentityCredential::Password(PasswordSource::Phc(text)) => {
            let phc = Phc::parse(text).map_err(|reason| format!("its password: {reason}"))?;
            Ok(Credential::Password(phc))
        }
        IdentityCredential::Password(PasswordSource::Ref(reference)) => {
            let secret = reference.resolve().map_err(|error| error.to_string())?;
            let phc = Phc::parse(secret.expose().trim())
                .map_err(|reason| format!("the password at `{reference}`: {reason}"))?;
            Ok(Credential::Password(phc))
        }
        IdentityCredential::Token(reference) => {
            let secret = reference.resolve().map_err(|error| error.to_string())?;
            if secret.expose().trim().is_empty() {
                return Err(format!("the token at `{reference}` is empty"));
            }
            Ok(Credential::Token(token_digest(secret.expose())))
        }
        IdentityCredential::Certificate(name) => Ok(Credential::Certificate(name.clone())),
    }
}

/// Two services with one token are nobody: which of them would depend on the
/// order of the file.
fn refuse_shared_tokens(
    identity: &Identity,
    principals: &mut BTreeMap<PrincipalId, Known>,
    faults: &mut Vec<Fault>,
) {
    let mut holders: HashMap<[u8; 32], Vec<PrincipalId>> = HashMap::new();
    for (id, known) in principals.iter() {
        if let Some(Credential::Token(token)) = known.credential {
            holders.entry(token).or_default().push(id.clone());
        }
    }
    for user in &identity.users {
        let id = PrincipalId::service(&user.name.value);
        let Some(sharing) = holders
            .values()
            .find(|ids| ids.len() > 1 && ids.contains(&id))
        else {
            continue;
        };
        let others: Vec<_> = sharing
            .iter()
            .filter(|other| **other != id)
            .map(ToString::to_string)
            .collect();
        if let Some(known) = principals.get_mut(&id) {
            known.credential = None;
            let message = format!(
                "{id} cannot log in: its token is that of {}",
                others.join(", ")
            );
            faults.push(Fault::warning(
                user.name.span.clone(),
                "unusable-credential",
                message,
            ));
        }
    }
}

/// The commonest cost, the dearest among equals.
fn usual_cost(principals: &BTreeMap<PrincipalId, Known>) -> Cost {
    let mut counts: BTreeMap<&Cost, usize> = BTreeMap::new();
    for known in principals.values() {
        if let Some(Credential::Password(phc)) = &known.credential {
            *counts.entry(phc.cost()).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|(cost, count)| (*count, *cost))
        .map(|(cost, _)| cost.clone())
        .unwrap_or_default()
}

fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
