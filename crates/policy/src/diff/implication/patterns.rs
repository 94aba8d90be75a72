//! LIKE on a known text.

/// What a pattern says that need not be matched a text at a time.
pub(super) enum Simple {
    /// No wildcard: this very text.
    Text(String),
    /// `text%`.
    Prefix(String),
}

/// The pattern, if it is as simple as that.
pub(super) fn simple(pattern: &str) -> Option<Simple> {
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '%' => return chars.peek().is_none().then_some(Simple::Prefix(text)),
            '_' => return None,
            '\\' => text.push(chars.next()?),
            plain => text.push(plain),
        }
    }
    Some(Simple::Text(text))
}

/// Whether all of `text` is what the pattern says. `\` escapes.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    #[derive(PartialEq)]
    enum Step {
        Any,
        One,
        Char(char),
    }
    let mut steps = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        steps.push(match char {
            '%' => Step::Any,
            '_' => Step::One,
            '\\' => Step::Char(chars.next().unwrap_or('\\')),
            plain => Step::Char(plain),
        });
    }
    // Which steps can be done with when the text has been read so far.
    let mut reached = vec![false; steps.len() + 1];
    let skip = |reached: &mut Vec<bool>| {
        for (at, step) in steps.iter().enumerate() {
            if reached.get(at) == Some(&true)
                && *step == Step::Any
                && let Some(next) = reached.get_mut(at + 1)
            {
                *next = true;
            }
        }
    };
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    skip(&mut reached);
    for char in text.chars() {
        let mut next = vec![false; steps.len() + 1];
        for (at, step) in steps.iter().enumerate() {
            if reached.get(at) != Some(&true) {
                continue;
            }
            let to = match step {
                Step::Any => at,
                Step::One => at + 1,
                Step::Char(wanted) if *wanted == char => at + 1,
                Step::Char(_) => continue,
            };
            if let Some(to) = next.get_mut(to) {
                *to = true;
            }
        }
        reached = next;
        skip(&mut reached);
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "_b_", true),
            ("abc", "__", false),
            ("", "%", true),
            ("", "", true),
            ("a%", "a\\%", true),
            ("ab", "a\\%", false),
            ("aéc", "a_c", true),
            ("aXbXc", "a%X%c", true),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_simple_is_known_as_such() {
        assert!(matches!(simple("a\\%b"), Some(Simple::Text(text)) if text == "a%b"));
        assert!(matches!(simple("ab%"), Some(Simple::Prefix(text)) if text == "ab"));
        assert!(simple("a%b").is_none());
        assert!(simple("a_").is_none());
    }
}
