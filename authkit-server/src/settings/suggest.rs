//! "Did you mean …?"

/// The known name that is nearest to a misspelt one, when one is near.
pub(super) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let near = known.map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate));
    near.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= 3).map(|(_, candidate)| candidate)
}

/// How many characters have to be put in, taken out or replaced (Levenshtein). Names longer than any of ours are far.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour_and_a_strange_one_none() {
        let known = ["AUTHKIT_LISTEN", "AUTHKIT_LOG", "AUTHKIT_LOG_FORMAT"];
        assert_eq!(suggestion("AUTHKIT_LISTN", known.into_iter()), Some("AUTHKIT_LISTEN"));
        assert_eq!(suggestion("authkit_log", known.into_iter()), Some("AUTHKIT_LOG"));
        assert_eq!(suggestion("AUTHKIT_SMTP_URL", known.into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
