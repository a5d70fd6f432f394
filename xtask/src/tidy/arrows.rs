//! Who may depend on whom: the arrows that must never appear (ARCHITECTURE.md gives the reasons).

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{DependencyKind, Package};

/// A set of workspace packages.
enum Group {
    Any,
    /// Packages by name.
    Named(&'static [&'static str]),
    /// Packages whose folder starts with this.
    Under(&'static str),
}

use Group::{Any, Named, Under};

/// From, to, and what is allowed all the same.
const FORBIDDEN: &[(Group, Group, &[&str])] = &[
    (Named(&["tollgate-model"]), Any, &[]),
    (Named(&["tollgate-keys"]), Any, &["tollgate-model"]),
    (
        Named(&["tollgate-proxy", "tollgate-plugin-host", "tollgate-limits"]),
        Named(&["tollgate-store", "tollgate-control"]),
        &[],
    ),
    (Named(&["tollgate-control"]), Named(&["tollgate-proxy", "tollgate-plugin-host"]), &[]),
    (Under("runtime"), Under("plugin-sdk"), &[]),
    (Under("plugin-sdk"), Under("runtime"), &[]),
    (Under("plugins"), Under("runtime"), &[]),
    (Under("dashboard"), Under("runtime"), &[]),
];

/// Crates that one package alone may use, by the first part of their name.
const RESERVED: &[(&str, &str)] = &[("wasmtime", "tollgate-plugin-host"), ("sqlx", "tollgate-store")];

pub fn check(packages: &[Package]) -> Vec<String> {
    let by_name: BTreeMap<&str, &Package> = packages.iter().map(|package| (package.name.as_str(), package)).collect();
    let mut problems = Vec::new();
    for package in packages {
        let reached = reach(package, &by_name);
        for (_, to, exceptions) in FORBIDDEN.iter().filter(|(from, ..)| from.holds(package)) {
            let forbidden = reached.iter().filter(|name| to.holds(by_name[**name]) && !exceptions.contains(name));
            problems.extend(forbidden.map(|name| format!("{}: must not depend on {name}", package.name)));
        }
        for (library, owner) in RESERVED {
            let uses =
                |name: &str| name == *library || name.strip_prefix(library).is_some_and(|end| end.starts_with('-'));
            let found = package.dependencies.iter().find(|dependency| uses(&dependency.name));
            if let Some(dependency) = found.filter(|_| package.name != *owner) {
                problems.push(format!("{}: only {owner} may depend on {}", package.name, dependency.name));
            }
        }
    }
    problems
}

/// The workspace packages that a package is built from, and those that its own tests use.
fn reach<'a>(package: &'a Package, by_name: &BTreeMap<&'a str, &'a Package>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = package.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
    while let Some(name) = next.pop() {
        if let Some(found) = by_name.get(name).filter(|found| found.name != package.name)
            && reached.insert(found.name.as_str())
        {
            // What the tests of a dependency use is not built into us.
            let built = found.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Dev);
            next.extend(built.map(|dependency| dependency.name.as_str()));
        }
    }
    reached
}

impl Group {
    fn holds(&self, package: &Package) -> bool {
        match self {
            Any => true,
            Named(names) => names.contains(&package.name.as_str()),
            Under(folder) => package.folder.starts_with(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, DependencyKind)]) -> Package {
        let folder = format!("runtime/{}", name.trim_start_matches("tollgate-"));
        let dependency = |(name, kind): &(&str, DependencyKind)| Dependency { name: (*name).to_owned(), kind: *kind };
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            folder: folder.into(),
            cdylib: None,
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn a_forbidden_arrow_is_found_through_another_package() {
        let packages = [
            package("tollgate-proxy", &[("between", DependencyKind::Normal)]),
            package("between", &[("tollgate-store", DependencyKind::Normal)]),
            package("tollgate-store", &[("sqlx", DependencyKind::Normal)]),
        ];
        assert_eq!(check(&packages), ["tollgate-proxy: must not depend on tollgate-store"]);
    }

    #[test]
    fn the_tests_of_a_dependency_do_not_count() {
        let packages = [
            package("tollgate-proxy", &[("between", DependencyKind::Normal)]),
            package("between", &[("tollgate-store", DependencyKind::Dev)]),
            package("tollgate-store", &[]),
        ];
        assert_eq!(check(&packages), [""; 0]);
    }

    #[test]
    fn reserved_libraries_have_one_owner() {
        let wasmtime = [("wasmtime-environ", DependencyKind::Dev)];
        let packages = [package("tollgate-plugin-host", &wasmtime), package("tollgate-proxy", &wasmtime)];
        assert_eq!(check(&packages), ["tollgate-proxy: only tollgate-plugin-host may depend on wasmtime-environ"]);
    }

    #[test]
    fn keys_may_use_model_and_nothing_else_of_ours() {
        let packages = [
            package("tollgate-keys", &[("tollgate-model", DependencyKind::Normal), ("sha2", DependencyKind::Normal)]),
            package("tollgate-model", &[("tollgate-limits", DependencyKind::Dev)]),
            package("tollgate-limits", &[]),
        ];
        assert_eq!(check(&packages), ["tollgate-model: must not depend on tollgate-limits"]);
    }
}
