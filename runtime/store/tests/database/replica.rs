use std::fs;

use tollgate_model::Kind;
use tollgate_store::database::{Database, Opened, Replica, Revision, Row, Since};

use super::{Bench, delete, put, replica_file, write};

/// A database with some history, and a replica that is at its end.
async fn followed(bench: &Bench, folder: &tempfile::TempDir) -> (Database, Replica) {
    let database = bench.open().await;
    for n in 0..5 {
        let edits = [put(Kind::Route, &format!("r{n}"), &"x".repeat(500)), put(Kind::Service, "s", &format!("{n}"))];
        write(&database, &edits).await.expect("written");
    }
    let (replica, opened) = Replica::open(&replica_file(folder)).await.expect("it opens");
    assert_eq!(opened, Opened::New);
    follow(&database, &replica).await;
    (database, replica)
}

async fn follow(database: &Database, replica: &Replica) {
    let known = replica.database().head().await.expect("an answer").revision;
    match database.since(&known).await.expect("an answer") {
        Since::Steps(steps) if known != Revision::NONE => replica.apply(&steps).await.expect("applied"),
        _ => {
            let (revision, rows) = all(database).await;
            let cluster = database.cluster().await.expect("an answer");
            replica.replace(&cluster, &revision, &rows).await.expect("replaced");
        }
    }
}

async fn all(database: &Database) -> (Revision, Vec<Row>) {
    let mut rows = Vec::new();
    let revision = database.load(&mut |row| rows.push(row)).await.expect("it loads");
    rows.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    (revision, rows)
}

#[tokio::test]
async fn it_is_the_same_as_the_database_step_by_step() {
    let (bench, folder) = (Bench::postgres().await, tempfile::tempdir().expect("a folder"));
    let (database, replica) = followed(&bench, &folder).await;
    for n in 0..5 {
        write(&database, &[delete(Kind::Route, &format!("r{n}")), put(Kind::Consumer, "c", &format!("{n}"))])
            .await
            .expect("written");
        follow(&database, &replica).await;
        assert_eq!(replica.database().digest().await.expect("one"), database.digest().await.expect("one"));
        assert_eq!(all(replica.database()).await, all(&database).await);
    }
    drop(replica);
    let (again, opened) = Replica::open(&replica_file(&folder)).await.expect("it opens");
    assert_eq!(opened, Opened::Good);
    assert_eq!(all(again.database()).await, all(&database).await);
    assert_eq!(again.database().cluster().await.expect("one"), database.cluster().await.expect("one"));
}

/// As while a node is being replaced: predecessor and successor follow into one file.
#[tokio::test]
async fn what_another_process_applied_already_is_passed_over() {
    let (bench, folder) = (Bench::sqlite(), tempfile::tempdir().expect("a folder"));
    let (database, first) = followed(&bench, &folder).await;
    let (second, opened) = Replica::open(&replica_file(&folder)).await.expect("it opens");
    assert_eq!(opened, Opened::Good);
    let one = write(&database, &[put(Kind::Route, "a", "{}")]).await.expect("written");
    first.apply(std::slice::from_ref(&one)).await.expect("applied");
    second.apply(std::slice::from_ref(&one)).await.expect("it is there already");
    let two = write(&database, &[put(Kind::Route, "b", "{}")]).await.expect("written");
    second.apply(&[one.clone(), two]).await.expect("one is there, one is new");
    assert_eq!(all(first.database()).await, all(&database).await);
    let mut other = one;
    other.revision.id = "f".repeat(32);
    assert!(first.apply(&[other]).await.is_err(), "of another history");
}

#[tokio::test]
async fn steps_that_do_not_follow_are_refused() {
    let (bench, folder) = (Bench::sqlite(), tempfile::tempdir().expect("a folder"));
    let (database, replica) = followed(&bench, &folder).await;
    write(&database, &[put(Kind::Route, "a", "{}")]).await.expect("written");
    let second = write(&database, &[put(Kind::Route, "b", "{}")]).await.expect("written");
    assert!(replica.apply(&[second]).await.is_err(), "one is missing in between");
    follow(&database, &replica).await;
    assert_eq!(all(replica.database()).await, all(&database).await);
}

/// Whatever byte of it is changed: it is as it was, or it is set aside.
#[tokio::test]
async fn a_damaged_file_is_set_aside_and_never_half_believed() {
    let (bench, folder) = (Bench::sqlite(), tempfile::tempdir().expect("a folder"));
    let (database, replica) = followed(&bench, &folder).await;
    let expected = all(&database).await;
    drop(replica);
    let path = replica_file(&folder);
    // Opened and closed once more, the journal is in the file.
    let (replica, _) = Replica::open(&path).await.expect("it opens");
    replica.close().await;
    let whole = fs::read(&path).expect("it is there");
    let mut set_aside = 0;
    for n in 0..tollgate_tests::scaled(80, 400) {
        let place = n * 7919 % whole.len();
        let mut damaged = whole.clone();
        damaged[place] ^= 0x5a;
        fs::write(&path, &damaged).expect("ours");
        let (replica, opened) = Replica::open(&path).await.expect("it opens, damaged or not");
        match opened {
            Opened::Good => assert_eq!(all(replica.database()).await, expected, "byte {place}"),
            Opened::SetAside { .. } => set_aside += 1,
            Opened::New => panic!("byte {place}: there was a file"),
        }
        replica.close().await;
    }
    assert!(set_aside > 4, "{set_aside}");
    for broken in [&whole[..whole.len() / 2], &b"no database"[..]] {
        fs::write(&path, broken).expect("ours");
        let (replica, opened) = Replica::open(&path).await.expect("it opens");
        assert!(matches!(opened, Opened::SetAside { .. }), "{opened:?}");
        replica.close().await;
    }
    let aside = fs::read_dir(folder.path()).expect("ours").flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains("broken")).count();
    assert!((1..=2).contains(&aside), "the newest are kept: {aside}");
}
