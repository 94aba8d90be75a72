//! `EXPLAIN ACCESS [AS 'user:ben'] [FOR 'purpose'] query`: which grants and
//! guardrails decide what a query shows.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use weft_mesh::{Grantee, Purpose};
use weft_policy::PrincipalId;

use crate::error::{Error, Result};

/// Whose access a statement explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExplainAccess {
    /// That of the session.
    Own,
    /// That of somebody else.
    Of {
        principal: PrincipalId,
        purpose: Option<Purpose>,
    },
}

/// Takes the words off the front of a statement that has them.
pub(super) fn take(tokens: &mut Vec<TokenWithSpan>) -> Result<Option<ExplainAccess>> {
    let mut rest = Words { tokens, at: 0 };
    if !(rest.word("EXPLAIN") && rest.word("ACCESS")) {
        return Ok(None);
    }
    // A table of this name, which the statement describes.
    if matches!(
        rest.next(),
        None | Some(Token::EOF | Token::SemiColon | Token::Period)
    ) {
        return Ok(None);
    }
    let whom = rest.word("AS").then(|| rest.text("AS 'user:NAME'"));
    let purpose = rest.word("FOR").then(|| rest.text("FOR 'PURPOSE'"));
    let found = match (whom.transpose()?, purpose.transpose()?) {
        (None, None) => ExplainAccess::Own,
        (None, Some(_)) => {
            return Err(Error::invalid(
                "for yourself the purpose is the session's: state it as the session option `purpose`",
            ));
        }
        (Some(whom), purpose) => ExplainAccess::Of {
            principal: principal(&whom)?,
            purpose: purpose
                .map(|text| Purpose::parse(&text))
                .transpose()
                .map_err(|error| Error::invalid(error.to_string()))?,
        },
    };
    let taken = rest.at;
    tokens.drain(..taken);
    Ok(Some(found))
}

fn principal(text: &str) -> Result<PrincipalId> {
    match Grantee::parse(text) {
        Ok(Grantee::User(name)) => Ok(PrincipalId::user(&name)),
        Ok(Grantee::Service(name)) => Ok(PrincipalId::service(&name)),
        Ok(Grantee::Group(_) | Grantee::Everyone) | Err(_) => Err(Error::invalid(
            "`EXPLAIN ACCESS AS` takes 'user:NAME' or 'service:NAME'",
        )),
    }
}

/// The words at the front of a statement.
struct Words<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl Words<'_> {
    /// The next token that is no space, without taking it.
    fn next(&mut self) -> Option<&Token> {
        while let Some(token) = self.tokens.get(self.at)
            && matches!(token.token, Token::Whitespace(_))
        {
            self.at += 1;
        }
        self.tokens.get(self.at).map(|it| &it.token)
    }

    /// Takes a word, if it is the next.
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.next(), Some(Token::Word(it))
            if it.quote_style.is_none() && it.value.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn text(&mut self, form: &str) -> Result<String> {
        let found = match self.next() {
            Some(Token::SingleQuotedString(text)) => Ok(text.clone()),
            _ => Err(Error::invalid(format!(
                "`EXPLAIN ACCESS` takes a text in quotes here: {form}"
            ))),
        };
        self.at += 1;
        found
    }
}
