//! Small rooms: half of the files have at most 200 lines, nine of ten at most 450, and none more than 800
//! unless it says why.

use super::Source;

const MEDIAN: usize = 200;
const NINTH_DECILE: usize = 450;
const LONGEST: usize = 800;
/// What a longer file says within its first lines.
const REASON: &str = "// tidy: long because ";
const TOP: usize = 10;

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut problems: Vec<String> = sources.iter().filter_map(too_long).collect();
    let mut lengths: Vec<usize> = sources.iter().map(|source| source.text.lines().count()).collect();
    lengths.sort_unstable();
    let at =
        |percent: usize| lengths.get((lengths.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    for (percent, most) in [(50, MEDIAN), (90, NINTH_DECILE)] {
        if at(percent) > most {
            problems
                .push(format!("{percent} % of the files should have at most {most} lines, they have {}", at(percent)));
        }
    }
    problems
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let excused = source.text.lines().take(TOP).any(|line| line.starts_with(REASON));
    let path = source.path.display();
    (lines > LONGEST && !excused)
        .then(|| format!("{path}: {lines} lines; split it, or say `{REASON}…` at its top (limit {LONGEST})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason() {
        let sources = |top: &str| {
            let long = format!("{top}\n{}", "x\n".repeat(800));
            vec![Source::fixture("a.rs", "x\n"), Source::fixture("b.rs", "x\n"), Source::fixture("c.rs", long)]
        };
        let problems = check(&sources("//! A table."));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("c.rs: 801 lines"));
        assert!(problems[1].starts_with("90 %"));
        assert_eq!(check(&sources("// tidy: long because it is one table")).len(), 1);
    }

    #[test]
    fn the_median_counts_half_of_the_files() {
        let file = |lines: usize| Source::fixture("a.rs", "x\n".repeat(lines));
        assert!(check(&[file(200), file(450)]).is_empty());
        assert_eq!(check(&[file(201), file(450)]).len(), 1);
    }
}
