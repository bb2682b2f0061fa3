//! Texts as people search for them: without case, accents and typographic variants.

use unicode_normalization::UnicodeNormalization;

/// The text in the form in which it is searched: compatibility forms folded (NFKC), lower case, without the marks of Latin, Greek
/// and Cyrillic letters, and with the few letters that no mark makes (ß, æ, ø, ł, …) written out.
///
/// Marks of other scripts stay: there they tell words apart. German umlauts lose their dots, so that `Müller` is found as `muller`,
/// and not as `mueller`.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().flat_map(char::to_lowercase).nfkd() {
        match c {
            // Combining diacritical marks.
            '\u{300}'..='\u{36f}' => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            c => folded.push(c),
        }
    }
    folded.nfc().collect()
}

/// The words of a folded text: runs of letters, digits and their marks.
pub fn words(folded: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c);
    folded.split(move |c| !inside(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_take_for_the_same_is_the_same() {
        for (text, folded) in [
            ("Zoë", "zoe"),
            ("ZOE\u{308}", "zoe"),
            ("Müller-Łukaszewicz", "muller-lukaszewicz"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("Æsir Þór", "aesir thor"),
            ("İstanbul", "istanbul"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("Сергей", "сергеи"),
            ("ｆｕｌｌ", "full"),
            ("李明", "李明"),
            ("が", "が"),
            ("김", "김"),
            ("100%_", "100%_"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn words_end_where_letters_and_digits_do() {
        assert_eq!(words("o'hara-muller, 2nd 李").collect::<Vec<_>>(), ["o", "hara", "muller", "2nd", "李"]);
        assert_eq!(words("%_' --").count(), 0);
    }

    proptest! {
        #[test]
        fn folding_is_a_fixed_point(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
