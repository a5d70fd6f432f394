use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// So long that only inotify can be what noticed a change.
const NEVER: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(20);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(path: &Path) -> Vec<Watched> {
    vec![Watched::File(path.to_owned())]
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

/// Writes beside the file, then renames, as careful editors do.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    write(&beside, text);
    fs::rename(beside, path).expect("renamed");
}

fn start(watched: Vec<Watched>) -> Watch {
    Watch::start(watched, NEVER, true).expect("a thread")
}

async fn noticed(watch: &mut Watch, what: &str) {
    tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap_or_else(|_| panic!("not noticed: {what}"));
}

#[tokio::test]
async fn a_file_is_followed_through_every_kind_of_change() {
    let folder = folder();
    let path = folder.path().join("gateway.toml");
    let mut watch = start(file(&path));
    write(&path, "1");
    noticed(&mut watch, "created").await;
    write(&path, "2");
    noticed(&mut watch, "written").await;
    replace(&path, "3");
    noticed(&mut watch, "replaced").await;
    write(&path, "4");
    noticed(&mut watch, "written after it was replaced").await;
    fs::remove_file(&path).expect("removed");
    noticed(&mut watch, "removed").await;
    replace(&path, "4");
    noticed(&mut watch, "made again").await;
}

#[tokio::test]
async fn what_is_followed_can_change() {
    let folder = folder();
    let (first, second) = (folder.path().join("gateway.toml"), folder.path().join("below").join("main.pem"));
    let mut watch = start(file(&first));
    fs::create_dir(folder.path().join("below")).expect("a folder");
    write(&second, "1");
    watch.follow([file(&first), file(&second)].concat());
    noticed(&mut watch, "one that is new").await;
    replace(&second, "2");
    noticed(&mut watch, "a change of it").await;
    replace(&first, "3");
    noticed(&mut watch, "a change of what was followed before").await;
}

#[tokio::test]
async fn a_change_is_noticed_fast() {
    let folder = folder();
    let path = folder.path().join("gateway.toml");
    let mut watch = start(file(&path));
    let mut fastest = NEVER;
    for round in 0..10 {
        let written = std::time::Instant::now();
        write(&path, &round.to_string());
        noticed(&mut watch, "written").await;
        fastest = fastest.min(written.elapsed());
    }
    // The fastest, because a busy machine may be late at any time.
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

#[tokio::test]
async fn folders_may_be_missing_and_go_away() {
    let folder = folder();
    let parent = folder.path().join("a/b");
    let path = parent.join("gateway.toml");
    let mut watch = start(file(&path));
    for round in 0..3 {
        fs::create_dir_all(&parent).expect("made");
        write(&path, &round.to_string());
        noticed(&mut watch, "made").await;
        if round == 1 {
            fs::rename(&parent, folder.path().join("a/old")).expect("moved");
        } else {
            fs::remove_dir_all(folder.path().join("a")).expect("removed");
        }
        noticed(&mut watch, "gone").await;
    }
}

/// As Kubernetes mounts a ConfigMap: `gateway.toml → ..data/gateway.toml`, `..data → ..1`, and for an
/// update `..data` is swapped for a link to `..2`.
#[tokio::test]
async fn a_swapped_link_is_noticed() {
    let folder = folder();
    let mount = folder.path().join("mount");
    let publish = |version: &str, text: &str| {
        fs::create_dir_all(mount.join(version)).expect("made");
        write(&mount.join(version).join("gateway.toml"), text);
        symlink(version, mount.join("..next")).expect("linked");
        fs::rename(mount.join("..next"), mount.join("..data")).expect("swapped");
    };
    publish("..1", "1");
    symlink("..data/gateway.toml", mount.join("gateway.toml")).expect("linked");
    // Reached through one more link, from another folder.
    let path = folder.path().join("elsewhere").join("gateway.toml");
    fs::create_dir(folder.path().join("elsewhere")).expect("made");
    symlink(mount.join("gateway.toml"), &path).expect("linked");

    let mut watch = start(file(&path));
    for version in 2..6 {
        publish(&format!("..{version}"), &version.to_string());
        noticed(&mut watch, "swapped").await;
        fs::remove_dir_all(mount.join(format!("..{}", version - 1))).expect("removed");
    }
    write(&mount.join("..5/gateway.toml"), "written in place");
    noticed(&mut watch, "written behind the links").await;
}

/// A file that is mounted by itself changes without an event in its folder; so does one that is
/// written through another hard link.
#[tokio::test]
async fn a_file_that_is_written_elsewhere_is_noticed() {
    let (inside, outside) = (folder(), folder());
    let path = inside.path().join("gateway.toml");
    let other = outside.path().join("gateway.toml");
    write(&other, "1");
    fs::hard_link(&other, &path).expect("linked");
    let mut watch = start(file(&path));
    write(&other, "2");
    noticed(&mut watch, "written through the other name").await;
}

#[tokio::test]
async fn the_files_of_a_folder_are_followed() {
    let folder = folder();
    let plugins = folder.path().join("plugins");
    let mut watch = start(vec![Watched::Folder { path: plugins.clone(), extension: "wasm".into() }]);
    fs::create_dir(&plugins).expect("made");
    write(&plugins.join("a.wasm"), "1");
    noticed(&mut watch, "the first plugin").await;
    replace(&plugins.join("a.wasm"), &"2".repeat(200_000));
    noticed(&mut watch, "a new build").await;
    symlink(folder.path().join("outside.wasm"), plugins.join("b.wasm")).expect("linked");
    noticed(&mut watch, "a link to nothing").await;
    write(&folder.path().join("outside.wasm"), "3");
    noticed(&mut watch, "what the link leads to").await;
    fs::remove_file(plugins.join("a.wasm")).expect("removed");
    noticed(&mut watch, "removed").await;
}

#[tokio::test]
async fn other_files_wake_nobody() {
    let folder = folder();
    let path = folder.path().join("gateway.toml");
    write(&path, "1");
    let mut watch = start(file(&path));
    for round in 0..200 {
        write(&folder.path().join("access.log"), &round.to_string());
    }
    write(&path, "2");
    noticed(&mut watch, "written").await;
    assert_eq!(*watch.looks.borrow(), 1, "the log's writes counted as changes");
}

#[tokio::test]
async fn polling_alone_notices_everything() {
    let folder = folder();
    let path = folder.path().join("gateway.toml");
    write(&path, "1");
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    let mut watch = Watch::start(file(&path), Duration::from_millis(5), false).expect("a thread");
    write(&path, "2");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("set back");
    noticed(&mut watch, "same length, same time").await;
    fs::remove_file(&path).expect("removed");
    noticed(&mut watch, "removed").await;
}

#[tokio::test]
async fn changes_before_the_wait_are_kept_and_become_one() {
    let folder = folder();
    let path = folder.path().join("gateway.toml");
    let mut watch = start(file(&path));
    write(&path, "1");
    noticed(&mut watch, "the first").await;
    let before = *watch.looks.borrow();
    write(&path, "2");
    tokio::time::timeout(PATIENCE, async {
        while *watch.looks.borrow() == before {
            // tidy: sleep because this is the poll
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("seen by the thread");
    noticed(&mut watch, "kept").await;
}
