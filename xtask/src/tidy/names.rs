//! A name predicts what a file holds; these words predict nothing.

use std::path::Path;

use super::Source;

const EMPTY_WORDS: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "manager"];

pub fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(|source| [file(&source.path)].into_iter().chain(modules(source))).flatten().collect()
}

fn file(path: &Path) -> Option<String> {
    let word = path.iter().find_map(|part| empty_word(part.to_str()?.trim_end_matches(".rs")))?;
    Some(format!("{}: `{word}` in a file name says nothing about what is in it", path.display()))
}

fn modules(source: &Source) -> impl Iterator<Item = Option<String>> {
    source.text.lines().enumerate().map(|(index, line)| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
        let word = empty_word(line.strip_prefix("mod ")?.trim_end_matches([';', '{', ' ']))?;
        Some(format!("{}:{}: `{word}` in a module name says nothing", source.path.display(), index + 1))
    })
}

fn empty_word(name: &str) -> Option<&'static str> {
    EMPTY_WORDS.into_iter().find(|word| name.split(['_', '-']).any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_are_found_in_files_folders_and_modules() {
        let sources = [
            Source::fixture("runtime/common/src/lib.rs", ""),
            Source::fixture("src/string_utils.rs", ""),
            Source::fixture("src/lib.rs", "mod a;\npub(crate) mod helper {\n"),
            Source::fixture("src/commonplace.rs", "mod utility;"),
        ];
        let problems = check(&sources);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[2].starts_with("src/lib.rs:2: `helper`"));
    }
}
