//! The micro benches of the benches crate, as one table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::rig::{Cores, MEASURED, Rig, pinned};
use crate::process;

/// Of the benches crate.
const BENCHES: [&str; 5] = ["router", "fields", "limiter", "plugins", "snapshot"];
/// Of each bench, in seconds.
const WARM_UP: &str = "1";

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let cargo = |arguments: &[&str]| {
        let mut cargo = rig.workspace.cargo();
        cargo.args(["bench", "--profile", "dist"]).args(MEASURED);
        for bench in BENCHES {
            cargo.args(["--bench", bench]);
        }
        cargo.args(arguments);
        cargo
    };
    process::run(&mut cargo(&["--no-run"]))?;
    let folder = rig.fresh_folder("criterion")?;
    let seconds = options.seconds.to_string();
    let benches = cargo(&["--", "--warm-up-time", WARM_UP, "--measurement-time", &seconds, "--noplot"]);
    let mut benches = pinned(&Cores::for_workers(1).gateway, &benches);
    benches.current_dir(&rig.workspace.root).env("CRITERION_HOME", &folder).env("TOLLGATE_PLUGINS", &rig.plugins);
    benches.env("TOLLGATE_GUESTS", rig.workspace.target.join("guests"));
    process::run(&mut benches)?;
    let mut figures = Vec::new();
    collect(&folder, &mut figures)?;
    figures.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = "| | ns |\n|---|---|\n".to_owned();
    for (name, nanoseconds) in figures {
        let _ = writeln!(text, "| `{name}` | {nanoseconds:.1} |");
    }
    let _ = writeln!(text, "\nMedians by criterion, {seconds} s each, on one core, compiled as the gateway is.");
    Ok(Section { text, goals: Vec::new() })
}

#[derive(Deserialize)]
struct Bench {
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// In nanoseconds.
    point_estimate: f64,
}

/// What criterion left in a folder and those below: `<bench>/new/benchmark.json` and `estimates.json`.
fn collect(folder: &Path, figures: &mut Vec<(String, f64)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") {
            let bench: Bench = read(&path.join("benchmark.json"))?;
            let estimates: Estimates = read(&path.join("estimates.json"))?;
            figures.push((bench.full_id, estimates.median.point_estimate));
        } else if path.is_dir() {
            collect(&path, figures)?;
        }
    }
    Ok(())
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("criterion left no {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_criterion_left() {
        let folder = std::env::temp_dir().join(format!("tollgate-criterion-{}", std::process::id()));
        let new = folder.join("router/exact/1/new");
        fs::create_dir_all(&new).unwrap();
        fs::write(new.join("benchmark.json"), r#"{"group_id":"router/exact","full_id":"router/exact/1"}"#).unwrap();
        fs::write(new.join("estimates.json"), r#"{"median":{"point_estimate":31.5}}"#).unwrap();
        let mut figures = Vec::new();
        collect(&folder, &mut figures).unwrap();
        assert_eq!(figures, [("router/exact/1".to_owned(), 31.5)]);
        fs::remove_dir_all(folder).unwrap();
    }
}
