//! Tests poll for what they wait for. A sleep is either too short on a slow machine or too long on every other.

use super::Source;

/// What a justified sleep says on its line or on the one above, for instance in the loop that polls.
const REASON: &str = "tidy: sleep because ";

pub fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(in_tests).collect()
}

fn in_tests(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let first =
        if is_test_file(source) { Some(0) } else { lines.iter().position(|line| line.starts_with("mod tests {")) };
    let mut problems = Vec::new();
    for index in first.unwrap_or(lines.len())..lines.len() {
        let excused = lines[index].contains(REASON) || index > 0 && lines[index - 1].contains(REASON);
        if calls_sleep(lines[index]) && !excused {
            let place = format!("{}:{}", source.path.display(), index + 1);
            problems.push(format!("{place}: a test polls instead of sleeping; or say `// {REASON}…`"));
        }
    }
    problems
}

/// The e2e tests, the unit tests that lie in files of their own, but not the guests, which are plugins.
fn is_test_file(source: &Source) -> bool {
    let path = &source.path;
    !path.starts_with("tests/guests")
        && (path.iter().any(|part| part == "tests") || path.file_name().is_some_and(|name| name == "tests.rs"))
}

/// Whether code of this line calls something named `sleep`; comments and longer names do not count.
fn calls_sleep(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("sleep(").any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_in_tests_are_found_unless_marked() {
        let call = ["thread::sle", "ep(TICK);"].concat();
        let found = |path: &str, text: String| check(&[Source::fixture(path, text)]);
        assert_eq!(found("tests/e2e/main.rs", format!("a\n{call}")).len(), 1);
        assert_eq!(found("runtime/x/src/y/tests.rs", call.clone()).len(), 1);
        assert_eq!(
            found("src/lib.rs", format!("{call}\nmod tests {{\n{call}")),
            ["src/lib.rs:3: a test polls instead of sleeping; or say `// tidy: sleep because …`"]
        );
        assert!(found("src/lib.rs", call.clone()).is_empty());
        assert!(found("tests/guests/a/src/lib.rs", call.clone()).is_empty());
        assert!(found("tests/a.rs", format!("// {call}\n{}", call.replace("::", "_beauty_"))).is_empty());
        assert!(found("tests/a.rs", format!("// tidy: sleep because this is the poll\n{call}")).is_empty());
    }
}
