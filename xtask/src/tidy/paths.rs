//! ARCHITECTURE.md is a map: every path it names in backticks is there.

use std::fs;
use std::path::Path;

const MAP: &str = "ARCHITECTURE.md";
/// Words with a slash that are media types, and folders that only a build creates.
const NOT_PATHS: [&str; 5] = ["application/", "text/", "image/", "target/", "http/"];

pub fn check(root: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root.join(MAP)) else {
        return vec![format!("{MAP}: is missing")];
    };
    let lines = text.lines().enumerate();
    let named = lines.flat_map(|(index, line)| in_backticks(line).map(move |path| (index + 1, path)));
    named
        .filter(|(_, path)| looks_like_path(path) && !exists(root, path))
        .map(|(line, path)| format!("{MAP}:{line}: `{path}` does not exist"))
        .collect()
}

fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Relative, with a slash, and of nothing but characters that our files' names have.
fn looks_like_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-*".contains(c);
    text.contains('/')
        && !text.starts_with('/')
        && text.chars().all(plain)
        && !NOT_PATHS.iter().any(|start| text.starts_with(start))
}

/// Whether the path leads to a file or a folder; a `*` stands for any one name.
fn exists(root: &Path, path: &str) -> bool {
    let Some((folder, rest)) = path.split_once('*') else {
        return root.join(path).exists();
    };
    let (folder, start) = folder.rsplit_once('/').unwrap_or(("", folder));
    let (end, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(end) && (rest.is_empty() || exists(&entry.path(), rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_found() {
        let root = std::env::temp_dir().join(format!("tollgate-paths-{}", std::process::id()));
        fs::create_dir_all(root.join("runtime/model/src")).unwrap();
        fs::write(root.join("runtime/model/src/lib.rs"), "").unwrap();
        assert_eq!(check(&root), ["ARCHITECTURE.md: is missing"]);

        let good = "`runtime/model/`, `runtime/*/src`, `runtime/*/src/*.rs`, `/status/ready`, `text/plain`, `a b/c`\n";
        fs::write(root.join(MAP), format!("{good}see `runtime/gone/lib.rs`\nand `plugins/*`")).unwrap();
        assert_eq!(
            check(&root),
            [
                "ARCHITECTURE.md:2: `runtime/gone/lib.rs` does not exist",
                "ARCHITECTURE.md:3: `plugins/*` does not exist",
            ]
        );
        fs::remove_dir_all(root).unwrap();
    }
}
