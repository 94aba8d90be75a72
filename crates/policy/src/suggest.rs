//! "Did you mean": the nearest of the names that exist.

/// A help text that names the nearest candidate, or lists them all where there
/// are few, or nothing.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const MOST_LISTED: usize = 12;
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let wanted = name.to_lowercase();
    let nearest = candidates
        .iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), *candidate))
        .min();
    match nearest {
        Some((changes, nearest)) if changes <= (name.chars().count() / 3).clamp(1, 3) => {
            Some(format!("did you mean `{nearest}`?"))
        }
        Some(_) if candidates.len() <= MOST_LISTED => {
            let listed: Vec<_> = candidates.iter().map(|name| format!("`{name}`")).collect();
            Some(format!("there are {}", listed.join(", ")))
        }
        Some(_) | None => None,
    }
}

/// The changes between two names: a character added, dropped or replaced, or
/// two neighbours swapped (optimal string alignment). Names too long to be a
/// slip of the pen are far from everything.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 128;
    let b: Vec<char> = b.chars().collect();
    if a.chars().count().max(b.len()) > LONGEST {
        return usize::MAX;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (line, from) in a.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, to) in b.iter().enumerate() {
            let replaced = at(&row, column) + usize::from(from != *to);
            let mut cost = replaced
                .min(at(&row, column + 1) + 1)
                .min(at(&next, column) + 1);
            let swapped = column
                .checked_sub(1)
                .filter(|left| last == Some(*to) && b.get(*left) == Some(&from));
            if let Some(left) = swapped {
                cost = cost.min(at(&before, left) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(from);
    }
    at(&row, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_names_the_nearest() {
        let names = ["region", "amount", "ordered_at"];
        assert_eq!(
            did_you_mean("regoin", names).unwrap(),
            "did you mean `region`?"
        );
        assert_eq!(
            did_you_mean("REGION", names).unwrap(),
            "did you mean `region`?"
        );
        assert_eq!(
            did_you_mean("zebra", names).unwrap(),
            "there are `region`, `amount`, `ordered_at`"
        );
        assert_eq!(did_you_mean("zebra", []), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("größe", "grösse"), 2);
        assert_eq!(distance("emial", "email"), 1);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
