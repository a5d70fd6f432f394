//! What `callgrind_annotate` prints, and the difference of two of its reports.

use std::collections::HashMap;

/// Instructions of each function itself, without those that it called.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    pub total: f64,
    functions: HashMap<String, f64>,
}

/// What was compiled from plugins.
const PLUGINS: &str = "(code of plugins)";

impl Profile {
    /// Of a report without percentages.
    pub fn read(report: &str) -> Option<Self> {
        let mut profile = Profile::default();
        for line in report.lines() {
            let Some((cost, name)) = line.trim_start().split_once(' ') else { continue };
            let Ok(cost) = cost.replace(',', "").parse::<f64>() else { continue };
            match name.trim() {
                "PROGRAM TOTALS" => profile.total = cost,
                name => *profile.functions.entry(function(name)).or_default() += cost,
            }
        }
        (profile.total > 0.0).then_some(profile)
    }

    /// What is more here than there, for each of `count`.
    pub fn minus(&self, other: &Profile, count: u64) -> Profile {
        let each = |more: f64| more / count as f64;
        let more = |(name, cost): (&String, &f64)| {
            (name.clone(), each(cost - other.functions.get(name).copied().unwrap_or(0.0)))
        };
        Profile { total: each(self.total - other.total), functions: self.functions.iter().map(more).collect() }
    }

    /// The functions that cost most, with the costliest first.
    pub fn costliest(&self, count: usize) -> Vec<(&str, f64)> {
        let mut sorted: Vec<(&str, f64)> = self.functions.iter().map(|(name, cost)| (name.as_str(), *cost)).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        sorted.truncate(count);
        sorted
    }
}

/// `file:function [object]` without the file and the object. Code that has no name is told by its object; what no object
/// holds was compiled at run time.
fn function(place: &str) -> String {
    let (place, object) = place.rsplit_once(" [").unwrap_or((place, ""));
    let name = place.split_once(':').map_or(place, |(_, name)| name);
    if !name.starts_with("0x") {
        return name.to_owned();
    }
    match object.trim_end_matches(']').rsplit('/').next() {
        None | Some("" | "???") => PLUGINS.to_owned(),
        Some(object) => format!("(without a name, in {object})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
--------------------------------------------------------------------------------
Profile data file 'callgrind.2000' (creator: callgrind-3.19.0)
--------------------------------------------------------------------------------
Ir
--------------------------------------------------------------------------------
1,000,000  PROGRAM TOTALS

--------------------------------------------------------------------------------
Ir       file:function
--------------------------------------------------------------------------------
600,000  ???:hyper::proto::h1::role::parse_headers [/target/dist/tollgate]
300,000  ./string/../sysdeps/memmove-vec.S:__memcpy_avx_unaligned_erms [/usr/lib/libc.so.6]
 60,000  ???:0x00000000040a1000 [???]
 30,000  ???:0x00000000040a2000 [???]
 10,000  ???:0x0000000001baea80 [/target/dist/tollgate]
";

    #[test]
    fn reads_a_report_and_takes_the_difference() {
        let few = Profile::read(REPORT).unwrap();
        assert_eq!(few.total, 1e6);
        let names: Vec<&str> = few.costliest(9).iter().map(|(name, _)| *name).collect();
        let nameless = "(without a name, in tollgate)";
        assert_eq!(names, ["hyper::proto::h1::role::parse_headers", "__memcpy_avx_unaligned_erms", PLUGINS, nameless]);
        let many = Profile::read(&REPORT.replace("600,000", "1,600,000").replace("1,000,000", "2,000,000")).unwrap();
        let each = many.minus(&few, 1000);
        assert_eq!((each.total, each.costliest(1)), (1000.0, vec![("hyper::proto::h1::role::parse_headers", 1000.0)]));
        assert_eq!(Profile::read("nothing"), None);
    }
}
