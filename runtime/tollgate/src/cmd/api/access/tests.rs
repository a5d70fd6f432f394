use std::path::PathBuf;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    api: ApiArgs,
}

/// A folder with a node's file, whose data folder has a token.
struct Node(PathBuf);

impl Node {
    fn new(test: &str, text: &str) -> Node {
        let folder = std::env::temp_dir().join(format!("tollgate-cli-{test}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("data")).expect("a folder");
        std::fs::write(folder.join("tollgate.toml"), text).expect("a file");
        std::fs::write(folder.join("data/admin.token"), "tgt_of_the_file\n").expect("a file");
        Node(folder)
    }

    fn file(&self) -> String {
        self.0.join("tollgate.toml").display().to_string()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn find(arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<(String, Option<String>)> {
    let arguments = Arguments::try_parse_from([&["tollgate"], arguments].concat())?;
    let variable = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
    let access = Access::find(&arguments.api, variable)?;
    Ok((access.base.to_string(), access.token.map(|token| token.text)))
}

#[test]
fn arguments_come_before_the_file_and_the_file_before_the_environment() {
    let node = Node::new(
        "order",
        "[admin]\nlisten = \"127.0.0.1:18001\"\n[store]\nurl = \"postgres://${env:NOT_SET}@db/a\"\n",
    );
    let variables = [("TOLLGATE_ADMIN", "https://of.environment/api/"), ("TOLLGATE_TOKEN", "tgt_of_environment")];
    let found = |arguments: &[&str], variables: &[(&str, &str)]| find(arguments, variables).expect("an answer");
    let token = |text: &str| Some(text.to_owned());
    let file = node.file();
    assert_eq!(found(&[], &[]), ("http://127.0.0.1:8001".to_owned(), None));
    assert_eq!(found(&[], &variables), ("https://of.environment/api".to_owned(), token("tgt_of_environment")));
    assert_eq!(found(&["-c", &file], &[]), ("http://127.0.0.1:18001".to_owned(), token("tgt_of_the_file")));
    assert_eq!(found(&["-c", &file], &variables), ("http://127.0.0.1:18001".to_owned(), token("tgt_of_environment")));
    let stated = ["-c", &file, "--admin", "http://[::1]:9", "--token", "tgt_stated"];
    assert_eq!(found(&stated, &variables), ("http://[::1]:9".to_owned(), token("tgt_stated")));
    let of_file = format!("@{}", node.0.join("data/admin.token").display());
    assert_eq!(found(&["--token", &of_file], &[]).1, token("tgt_of_the_file"));
}

#[test]
fn what_can_t_be_meant_is_wrong_usage() {
    let node = Node::new("port", "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let file = node.file();
    for arguments in [
        &["--admin", "127.0.0.1:8001"][..],
        &["--admin", "ftp://a"],
        &["--admin", "http://user:canary@a"],
        &["--admin", "http://a?b"],
        &["--token", "@/nowhere/at/all"],
        &["-c", &file],
    ] {
        let error = find(arguments, &[]).expect_err("refused");
        let failure = error.downcast_ref::<Failure>().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(failure.exit_code(), 2, "{arguments:?}");
    }
}
