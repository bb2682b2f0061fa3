//! How the text of a setting becomes its value: the small, shared parts.

use std::time::Duration;

use authkit_core::model::Quota;

use super::problem::Refusal;

/// One of a few words. `true` and `false`, as TOML has them, stand for `on` and `off`.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Refusal> {
    let word = match text {
        "true" => "on",
        "false" => "off",
        other => other,
    };
    let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| Refusal::new("is none of the values it can have", format!("use {}", list(choices.iter().map(|c| c.0)))))
}

/// A whole number within bounds.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    parsed
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| Refusal::new("is not a number it can have", format!("use a whole number from {least} to {most}")))
}

/// A duration with its unit, within bounds: `500ms`, `90s`, `15m`, `12h`, `7d`.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, Refusal> {
    let bounds = || format!("use {} to {}", show_duration(least), show_duration(most));
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let parsed = digits.parse::<u64>().ok();
    let Some(count) = parsed else {
        return Err(Refusal::new("is not a duration", "write a number and its unit, as in 500ms, 90s, 15m, 12h or 7d"));
    };
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(Refusal::new("is a duration without a unit", "write it as in 500ms, 90s, 15m, 12h or 7d")),
        _ => return Err(Refusal::new("has an unknown unit", "use ms, s, m, h or d")),
    };
    let value = Duration::from_millis(count.saturating_mul(millis));
    if (least..=most).contains(&value) { Ok(value) } else { Err(Refusal::new("is out of bounds", bounds())) }
}

/// Writes a duration as [`duration`] reads it, in the largest unit that divides it.
pub(super) fn show_duration(value: Duration) -> String {
    let millis = value.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.iter().find(|(size, _)| millis >= *size && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(size, name)| format!("{}{name}", millis / size))
}

/// So many at once, and one more per interval: `10/30s`.
pub(super) fn quota(text: &str) -> Result<Quota, Refusal> {
    let form = || Refusal::new("is not a quota", "write how many are allowed at once and how soon one more is, as in 10/30s");
    let (burst, interval) = text.split_once('/').ok_or_else(form)?;
    let burst = number(burst, 1, Quota::MAX_BURST)?;
    let interval = duration(interval, Duration::from_millis(1), Duration::from_hours(24))?;
    Quota::new(burst, interval).map_err(|error| Refusal::new("takes too long to be full again", error.to_string()))
}

/// A text without surrounding white space or control characters, and not empty.
pub(super) fn line(text: &str) -> Result<&str, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("is set but empty", "give it a value or remove it"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(Refusal::new("has white space around it or control characters in it", "remove them"));
    }
    Ok(text)
}

/// Refuses what documentation puts where a secret belongs.
///
/// # Security
/// Such values are public: whoever read the same README knows them, however long they are.
pub(super) fn not_a_placeholder(text: &str) -> Result<&str, Refusal> {
    const MARKS: [&str; 9] =
        ["your_", "your-", "changeme", "change_me", "change-me", "replace_me", "replace-me", "placeholder", "example"];
    let lower = text.to_ascii_lowercase();
    let bracketed = text.starts_with('<') && text.ends_with('>');
    if bracketed || MARKS.iter().any(|mark| lower.contains(mark)) {
        return Err(Refusal::new("is the placeholder of an example, which everybody knows", "set a secret of your own"));
    }
    Ok(text)
}

/// `a, b or c`.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.collect();
    match items.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_shown() {
        for (text, millis) in [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000), ("7d", 604_800_000)] {
            let value = duration(text, Duration::ZERO, Duration::MAX).unwrap();
            assert_eq!((value, show_duration(value).as_str()), (Duration::from_millis(millis), text));
        }
        assert_eq!(show_duration(Duration::ZERO), "0ms");
        for text in ["", "s", "5", "5 s", "-5s", "+5s", "1.5h", "5w", "99999999999999999999d", "5S"] {
            assert!(duration(text, Duration::ZERO, Duration::MAX).is_err(), "{text:?}");
        }
        // The largest count saturates instead of wrapping into bounds.
        assert!(duration(&format!("{}d", u64::MAX), Duration::ZERO, Duration::from_hours(1)).is_err());
    }

    #[test]
    fn a_quota_is_a_number_and_an_interval() {
        let read = quota("10/30s").map(|quota| (quota.burst(), quota.interval()));
        assert_eq!(read, Ok((10, Duration::from_secs(30))));
        for text in [
            "",
            "10",
            "/",
            "10/",
            "/30s",
            "10/30",
            "0/1s",
            "10/0s",
            "-1/1s",
            "1/2d",
            "10/30s/1",
            "31/24h",
            " 1/1s",
            "1000001/1ms",
        ] {
            assert!(quota(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_plain_digits_within_bounds() {
        assert_eq!(number("10", 1, 10), Ok(10));
        for text in ["", "0", "11", "+5", "-5", " 5", "5.0", "0x5", "99999999999"] {
            assert!(number(text, 1, 10).is_err(), "{text:?}");
        }
    }

    #[test]
    fn placeholders_are_known_at_any_length() {
        for text in ["your_secret_key", "YOUR_REDIS_PASSWORD", "<secret>", "please-changeme-please-changeme-please"] {
            assert!(not_a_placeholder(text).is_err(), "{text}");
        }
        assert!(not_a_placeholder("q8Zr+0c5Qm1xZ0T9yq2nVwKc7B4dS6fG").is_ok());
    }
}
