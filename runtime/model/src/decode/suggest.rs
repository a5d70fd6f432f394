//! "Did you mean".

/// The candidate that was most likely meant, if one is near: at most a third of its letters off (one
/// at least), where a swap of two neighbours counts once.
///
/// The optimal string alignment distance, in rows of a dynamic programme; candidates whose length
/// alone rules them out are skipped.
pub fn closest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().take(LONGEST).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().take(LONGEST).collect();
        let allowed = (wanted.len().max(letters.len()) / 3).clamp(1, 4);
        let allowed = best.map_or(allowed, |(distance, _)| allowed.min(distance.saturating_sub(1)));
        if wanted.len().abs_diff(letters.len()) > allowed {
            continue;
        }
        let distance = distance(&wanted, &letters);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

const LONGEST: usize = 64;

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_taken_and_far_ones_are_not() {
        let names = ["orders", "order-items", "users", "path", "paths"];
        assert_eq!(closest("ordres", names), Some("orders"));
        assert_eq!(closest("pahts", names), Some("paths"));
        assert_eq!(closest("Paths", names), Some("paths"));
        assert_eq!(closest("user", names), Some("users"));
        assert_eq!(closest("certificates", names), None);
        assert_eq!(closest("", names), None);
    }
}
