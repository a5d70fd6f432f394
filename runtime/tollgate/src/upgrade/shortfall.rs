//! What the running node can't serve itself, told to its successor: by a file, so that a binary that does not know of
//! it, on either side, takes over as it always did.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, bail};

/// The file, as long as a successor may read it.
pub struct Shortfall(PathBuf);

impl Shortfall {
    /// `places`: those that can't be served now.
    pub fn write(data: &Path, places: &[String]) -> io::Result<Shortfall> {
        let file = data.canonicalize()?.join(FILE);
        fs::write(&file, serde_json::to_vec(places)?)?;
        Ok(Shortfall(file))
    }

    /// The variable of the successor's environment that names the file.
    pub fn variable(&self) -> (&'static str, &Path) {
        (VARIABLE, &self.0)
    }
}

impl Drop for Shortfall {
    fn drop(&mut self) {
        // One that stays is written over by the next.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether this process, of which these places can't be served, each with the reason, may take over.
///
/// # Errors
/// The running node minds, and does not lack some of them itself.
#[allow(clippy::disallowed_methods, reason = "of the binary; a path need not be text")]
pub fn suffices(lacking: &[(String, String)]) -> anyhow::Result<()> {
    let Some(file) = env::var_os(VARIABLE) else { return Ok(()) };
    let known = fs::read(&file).map_err(anyhow::Error::from).and_then(|list| Ok(serde_json::from_slice(&list)?));
    let known = known.with_context(|| format!("{} does not tell what the node serves", Path::new(&file).display()))?;
    refuse_beyond(&known, lacking)
}

fn refuse_beyond(known: &HashSet<String>, lacking: &[(String, String)]) -> anyhow::Result<()> {
    let beyond: Vec<_> = lacking.iter().filter(|(place, _)| !known.contains(place)).collect();
    let Some((place, reason)) = beyond.first() else { return Ok(()) };
    let more = match beyond.len() {
        1 => String::new(),
        all => format!(", and {} more", all - 1),
    };
    bail!(
        "it could not serve everything, and the running node does not lack this: {place} ({reason}){more}; \
         `tollgate validate` tells all of it. Mend that, or do without it by --allow-degraded"
    );
}

/// Absent from the environment: the running node does not mind.
pub const VARIABLE: &str = "TOLLGATE_SHORTFALL";
const FILE: &str = "upgrade-shortfall.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_running_node_lacks_too_is_no_reason() {
        let known = HashSet::from(["route a".to_owned(), "certificate b".to_owned()]);
        let lacking = |places: &[&str]| -> Vec<_> {
            places.iter().map(|place| ((*place).to_owned(), "no module".to_owned())).collect()
        };
        for (places, told) in [
            (&["route a"][..], None),
            (&["certificate b", "route a"], None),
            (&["route a", "route b"], Some("this: route b (no module);")),
            (&["route c", "route b", "route d"], Some("route c (no module), and 2 more")),
        ] {
            let outcome = refuse_beyond(&known, &lacking(places)).map_err(|error| error.to_string());
            match told {
                None => assert_eq!(outcome, Ok(())),
                Some(told) => assert!(outcome.is_err_and(|error| error.contains(told)), "{places:?}"),
            }
        }
    }

    #[test]
    fn the_file_is_there_for_one_attempt() {
        let data = env::temp_dir();
        let shortfall = Shortfall::write(&data, &["route a".to_owned()]).expect("written");
        let file = shortfall.variable().1.to_owned();
        assert_eq!(fs::read_to_string(&file).expect("there"), r#"["route a"]"#);
        drop(shortfall);
        assert!(!file.exists());
    }
}
