//! `LIKE` patterns of metadata filters: `%` any text, `_` one character, `\`
//! makes the next character literal.

/// A parsed filter pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    AnyText,
    AnyCharacter,
    Literal(char),
}

impl Pattern {
    /// Every text is a pattern; a trailing `\` stands for itself.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '%' => Piece::AnyText,
                '_' => Piece::AnyCharacter,
                '\\' => Piece::Literal(characters.next().unwrap_or('\\')),
                other => Piece::Literal(other),
            });
        }
        Self(pieces)
    }

    /// Whether all of `text` fits, in time proportional to the product of the
    /// two lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        // The pieces reachable after the characters read so far, as positions.
        let mut reachable = vec![false; self.0.len() + 1];
        if let Some(first) = reachable.first_mut() {
            *first = true;
        }
        self.skip_any_text(&mut reachable);
        for character in text.chars() {
            let mut next = vec![false; reachable.len()];
            for (position, piece) in self.0.iter().enumerate() {
                if !reachable.get(position).copied().unwrap_or(false) {
                    continue;
                }
                let target = match piece {
                    Piece::AnyText => position,
                    Piece::AnyCharacter => position + 1,
                    Piece::Literal(literal) if *literal == character => position + 1,
                    Piece::Literal(_) => continue,
                };
                if let Some(slot) = next.get_mut(target) {
                    *slot = true;
                }
            }
            self.skip_any_text(&mut next);
            reachable = next;
        }
        reachable.last().copied().unwrap_or(false)
    }

    fn skip_any_text(&self, reachable: &mut [bool]) {
        for (position, piece) in self.0.iter().enumerate() {
            if *piece == Piece::AnyText
                && reachable.get(position).copied().unwrap_or(false)
                && let Some(slot) = reachable.get_mut(position + 1)
            {
                *slot = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::parse(pattern);
        for text in yes {
            assert!(pattern.matches(text), "{pattern:?} should match `{text}`");
        }
        for text in no {
            assert!(
                !pattern.matches(text),
                "{pattern:?} should not match `{text}`"
            );
        }
    }

    #[test]
    fn wildcards_and_escapes() {
        check("%", &["", "a", "orders"], &[]);
        check("", &[""], &["a"]);
        check("ord%", &["ord", "orders"], &["border"]);
        check("o_d%s", &["ords", "order_lines"], &["os", "orders@2"]);
        check(r"order\_lines", &["order_lines"], &["orderXlines"]);
        check(r"100\%", &["100%"], &["1000", r"100\"]);
        check(r"a\", &[r"a\"], &["a"]);
        check("%%a%%", &["a", "bab"], &["b"]);
        check("Ä_", &["Äö"], &["Ä"]);
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = Pattern::parse(&"%a".repeat(2_000));
        assert!(!pattern.matches(&"a".repeat(1_000)));
    }
}
