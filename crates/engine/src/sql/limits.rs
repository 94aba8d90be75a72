//! How much SQL is too much, before it is parsed.
//!
//! The parser's own recursion limit does not see chains that it builds in a
//! loop: `1+1+1…`, `x::int::int…`, `SELECT 1 UNION SELECT 1…`, `a JOIN b JOIN c…`
//! all become trees as deep as they are long.

use datafusion::sql::sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

use crate::error::{Error, Result};

/// Bytes.
const LONGEST: usize = 1 << 20;
/// Words, literals, operators and punctuation.
const MOST_TOKENS: usize = 100_000;
/// Open parentheses, brackets and braces at one place.
const DEEPEST: usize = 100;
/// Operators that may end up above one another in a tree.
const LONGEST_CHAIN: usize = 4_000;
/// `UNION`, `EXCEPT`, `INTERSECT`.
const MOST_SET_OPERATIONS: usize = 500;
/// `JOIN`, and commas of a `FROM`.
const MOST_JOINS: usize = 100;
/// `|>`, each a step of the plan above the one before.
const MOST_PIPES: usize = 200;
/// Brackets one behind another: `a[1][1]…`, and `INT[][]…`, a type so deep.
const MOST_BRACKETS: usize = 32;
/// Parentheses in the text of a type, as `arrow_cast` takes it.
const DEEPEST_TYPE: usize = 32;

/// What the parser may call itself. One parenthesis costs it up to three.
pub(super) const PARSER_RECURSION: usize = 4 * DEEPEST;

/// Before the text is split into tokens.
pub(super) fn check_length(sql: &str) -> Result<()> {
    if sql.len() > LONGEST {
        return Err(Error::invalid(format!(
            "the statement is {} bytes long; at most {LONGEST} are allowed",
            sql.len()
        )));
    }
    Ok(())
}

/// Before the tokens are parsed.
pub(super) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut shape = Shape::default();
    for token in tokens {
        if let Err(refused) = shape.add(&token.token) {
            let start = token.span.start;
            return Err(Error::invalid_at(refused, Some((start.line, start.column))));
        }
    }
    check_types(tokens)
}

/// `arrow_cast(x, 'List(List(…))')`: the engine's parser of such a text calls
/// itself for each parenthesis.
fn check_types(tokens: &[TokenWithSpan]) -> Result<()> {
    let casts = tokens.iter().any(|token| {
        matches!(&token.token, Token::Word(word)
            if ["arrow_cast", "arrow_try_cast"].contains(&word.value.to_lowercase().as_str()))
    });
    if !casts {
        return Ok(());
    }
    let deep = tokens
        .iter()
        .find(|token| token.token.to_string().matches(['(', '<']).count() > DEEPEST_TYPE);
    match deep {
        None => Ok(()),
        Some(token) => {
            let start = token.span.start;
            Err(Error::invalid_at(
                format!("the text beside `arrow_cast` has more than {DEEPEST_TYPE} parentheses"),
                Some((start.line, start.column)),
            ))
        }
    }
}

/// An upper bound of the depth of a tree, kept while its tokens go by.
#[derive(Debug, Default)]
struct Shape {
    tokens: usize,
    set_operations: usize,
    joins: usize,
    /// Enclosing levels, outermost first.
    outer: Vec<Level>,
    level: Level,
    /// Operators of the current pieces of all enclosing levels.
    chain: usize,
    /// The last word was `INTERVAL`.
    after_interval: bool,
    pipes: usize,
    /// Brackets one behind another, up to here.
    brackets: usize,
    after_bracket: bool,
}

/// One pair of parentheses.
#[derive(Debug, Default)]
struct Level {
    /// Operators since the last comma, those of closed parentheses included.
    piece: usize,
    longest_piece: usize,
    in_from: bool,
}

impl Shape {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is unknown counts as an operator"
    )]
    fn add(&mut self, token: &Token) -> Result<(), String> {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            return Ok(());
        }
        self.tokens += 1;
        if self.tokens > MOST_TOKENS {
            return Err(format!(
                "the statement has more than {MOST_TOKENS} words and symbols"
            ));
        }
        let interval = matches!(token, Token::Word(word) if word.keyword == Keyword::INTERVAL);
        // The parser calls itself for each and does not count it.
        if interval && self.after_interval {
            return Err("`INTERVAL` takes a value, not another `INTERVAL`".to_owned());
        }
        self.after_interval = interval;
        if *token == Token::LBracket {
            self.brackets = if self.after_bracket {
                self.brackets + 1
            } else {
                1
            };
        }
        self.after_bracket = *token == Token::RBracket;
        match token {
            Token::VerticalBarRightAngleBracket => {
                self.pipes += 1;
                self.operator();
            }
            Token::LParen | Token::LBracket | Token::LBrace => self.open()?,
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma => self.comma(),
            Token::Word(word) => self.keyword(word.keyword),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::SemiColon => {}
            _ => self.operator(),
        }
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        if self.chain > LONGEST_CHAIN {
            return Err(format!(
                "the statement chains more than {LONGEST_CHAIN} operators"
            ));
        }
        if self.set_operations > MOST_SET_OPERATIONS {
            return Err(format!(
                "the statement has more than {MOST_SET_OPERATIONS} set operations"
            ));
        }
        if self.joins > MOST_JOINS {
            return Err(format!("the statement has more than {MOST_JOINS} joins"));
        }
        if self.pipes > MOST_PIPES {
            return Err(format!("the statement has more than {MOST_PIPES} pipes"));
        }
        if self.brackets > MOST_BRACKETS {
            return Err(format!(
                "the statement has more than {MOST_BRACKETS} brackets one behind another"
            ));
        }
        Ok(())
    }

    fn operator(&mut self) {
        self.level.piece += 1;
        self.chain += 1;
    }

    fn open(&mut self) -> Result<(), String> {
        if self.outer.len() >= DEEPEST {
            return Err(format!(
                "the statement nests more than {DEEPEST} parentheses"
            ));
        }
        // `a[1][1]…` and `f(x)(y)…` are chains too.
        self.operator();
        self.outer.push(std::mem::take(&mut self.level));
        Ok(())
    }

    fn close(&mut self) {
        // A parenthesis too many is the parser's to report.
        let Some(outer) = self.outer.pop() else {
            return;
        };
        let closed = std::mem::replace(&mut self.level, outer);
        let deepest = closed.longest_piece.max(closed.piece);
        self.chain += deepest - closed.piece;
        self.level.piece += deepest;
    }

    /// A comma ends an expression; between tables it is a join.
    fn comma(&mut self) {
        if self.level.in_from {
            self.joins += 1;
        }
        self.level.longest_piece = self.level.longest_piece.max(self.level.piece);
        self.chain -= self.level.piece;
        self.level.piece = 0;
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most of a thousand keywords make no tree deeper"
    )]
    fn keyword(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                self.level.in_from = false;
                self.set_operations += 1;
            }
            Keyword::JOIN | Keyword::APPLY => self.joins += 1,
            Keyword::FROM => self.level.in_from = true,
            Keyword::SELECT
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::QUALIFY
            | Keyword::WINDOW => self.level.in_from = false,
            Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::DIV
            | Keyword::OVERLAPS
            | Keyword::OPERATOR
            | Keyword::NOTNULL
            | Keyword::MEMBER
            | Keyword::CASE
            | Keyword::INTERVAL => self.operator(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, tokenizer::Tokenizer};

    use super::*;

    fn check(sql: &str) -> Result<()> {
        check_length(sql)?;
        let dialect = GenericDialect {};
        check_tokens(
            &Tokenizer::new(&dialect, sql)
                .tokenize_with_location()
                .unwrap(),
        )
    }

    #[test]
    fn too_much_is_refused_with_a_reason() {
        let repeated = |part: &str, times: usize| part.repeat(times);
        let cases = [
            ("x".repeat(10 << 20), "bytes long"),
            (
                format!("SELECT {}", repeated("1,", 60_000)),
                "words and symbols",
            ),
            (
                format!("SELECT {}1{}", repeated("(", 5000), repeated(")", 5000)),
                "nests more than 100 parentheses",
            ),
            (
                format!("SELECT {}1", repeated("[", 5000)),
                "nests more than 100 parentheses",
            ),
            (
                format!("SELECT {}'1'", repeated("INTERVAL ", 3000)),
                "not another `INTERVAL`",
            ),
            (
                format!("SELECT 1{}", repeated("+1", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT x{}", repeated("::int", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT x{}", repeated("[1]", 10_000)),
                "brackets one behind another",
            ),
            (
                format!("SELECT x{}", repeated(".y", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT {}x", repeated("NOT ", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT x{}", repeated(" IS NULL", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT x{}", repeated(" OR y", 10_000)),
                "chains more than",
            ),
            (
                format!("SELECT 1{}", repeated(" UNION ALL SELECT 1", 10_000)),
                "set operations",
            ),
            (
                format!("SELECT 1 FROM a{}", repeated(" JOIN b ON 1", 10_000)),
                "joins",
            ),
            (
                format!("SELECT 1 FROM a{}", repeated(", b", 10_000)),
                "joins",
            ),
            // Long chains behind and inside parentheses add up.
            (
                format!("SELECT (1{}){}", repeated("+1", 3000), repeated("+1", 3000)),
                "chains more than",
            ),
            (
                format!(
                    "SELECT f(1{}, 1){}",
                    repeated("+1", 3000),
                    repeated("+1", 3000)
                ),
                "chains more than",
            ),
        ];
        for (sql, reason) in cases {
            let error = check(&sql).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}: {}", &sql[..40]);
        }
    }

    #[test]
    fn long_but_flat_statements_pass() {
        let list = "'a value', ".repeat(20_000);
        check(&format!("SELECT * FROM t WHERE x IN ({list}'z')")).unwrap();
        let rows = "(-1, 2.5, 'x'), ".repeat(8_000);
        check(&format!("VALUES {rows} (-1, 2.5, 'x')")).unwrap();
        let columns = "t.a + t.b * 2 AS c, ".repeat(2_000);
        check(&format!("SELECT {columns} 1 FROM t")).unwrap();
        let conditions = "(a = 1 AND b = 'x') OR ".repeat(700);
        check(&format!("SELECT 1 FROM t WHERE {conditions} false")).unwrap();
        // Strings, names and comments are not looked into.
        check(&format!(
            "SELECT '{0}', \"{0}\" /* {0} */ -- {0}",
            "(".repeat(5000)
        ))
        .unwrap();
    }
}
