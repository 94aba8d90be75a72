//! Numbers the parameters of a statement.
//!
//! The planner takes every `?` for one and the same parameter, so the n-th `?`
//! becomes `$n`, in the order of the text. Tokens know what is inside a
//! string, a quoted name or a comment.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Result};

/// Parameters of one statement.
const MOST: usize = 10_000;

/// Numbers every `?` and returns how many parameters there are.
pub(super) fn number(tokens: &mut [TokenWithSpan]) -> Result<usize> {
    let mut anonymous = 0_usize;
    let mut numbers = BTreeSet::new();
    for token in tokens {
        let start = (token.span.start.line, token.span.start.column);
        let Token::Placeholder(name) = &mut token.token else {
            continue;
        };
        if name == "?" {
            anonymous += 1;
            *name = format!("${anonymous}");
        } else {
            numbers.insert(numbered(name).ok_or_else(|| {
                Error::invalid_at(
                    format!("`{name}` is not a parameter: use `?` or `$1`, `$2`, …"),
                    Some(start),
                )
            })?);
        }
        if anonymous > 0 && !numbers.is_empty() {
            return Err(Error::invalid_at(
                "use either `?` or `$n`, not both",
                Some(start),
            ));
        }
        if anonymous > MOST || numbers.last().is_some_and(|last| *last > MOST) {
            return Err(Error::invalid_at(
                format!("at most {MOST} parameters are allowed"),
                Some(start),
            ));
        }
    }
    let highest = numbers.last().copied().unwrap_or_default();
    if let Some(unused) = (1..=highest).find(|n| !numbers.contains(n)) {
        return Err(Error::invalid(format!(
            "parameter `${unused}` is not used, but `${highest}` is"
        )));
    }
    Ok(anonymous.max(highest))
}

/// The number of `$12`, spelled without leading zeros.
fn numbered(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('$')?;
    let number: usize = digits.parse().ok()?;
    (number > 0 && digits == number.to_string()).then_some(number)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, tokenizer::Tokenizer};

    use super::*;

    fn numbered_text(sql: &str) -> Result<(usize, String)> {
        let dialect = GenericDialect {};
        let mut tokens = Tokenizer::new(&dialect, sql)
            .tokenize_with_location()
            .unwrap();
        let count = number(&mut tokens)?;
        Ok((
            count,
            tokens.iter().map(|token| token.token.to_string()).collect(),
        ))
    }

    #[test]
    fn question_marks_are_numbered_in_the_order_of_the_text() {
        let (count, text) =
            numbered_text("SELECT ? FROM t WHERE b > ? AND a IN (SELECT ?) LIMIT ?").unwrap();
        assert_eq!(count, 4);
        assert_eq!(
            text,
            "SELECT $1 FROM t WHERE b > $2 AND a IN (SELECT $3) LIMIT $4"
        );
    }

    #[test]
    fn strings_names_and_comments_are_left_alone() {
        let sql = "SELECT '?', \"?\", $$?$$, $a$?$a$, E'\\'?' /* ? */ -- ?\n, ?";
        let (count, text) = numbered_text(sql).unwrap();
        assert_eq!(count, 1);
        assert!(text.ends_with(", $1"), "{text}");
    }

    #[test]
    fn numbers_are_kept() {
        assert_eq!(
            numbered_text("SELECT $2, $1, $2").unwrap(),
            (2, "SELECT $2, $1, $2".to_owned())
        );
        assert_eq!(numbered_text("SELECT 1").unwrap().0, 0);
    }

    #[test]
    fn mixtures_gaps_and_names_are_errors() {
        let error = |sql| numbered_text(sql).unwrap_err().to_string();
        assert_eq!(
            error("SELECT ?, $1"),
            "use either `?` or `$n`, not both (line 1, column 11)"
        );
        assert_eq!(
            error("SELECT $1, ?"),
            "use either `?` or `$n`, not both (line 1, column 12)"
        );
        assert_eq!(
            error("SELECT $1, $3"),
            "parameter `$2` is not used, but `$3` is"
        );
        for sql in ["SELECT $foo", "SELECT $0", "SELECT $01", "SELECT ?1"] {
            assert!(error(sql).contains("is not a parameter"), "{sql}");
        }
        assert!(error("SELECT $99999999").contains("at most"));
    }
}
