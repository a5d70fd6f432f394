use tollgate_model::Kind;
use tollgate_store::database::{
    ConflictOf, Database, Edit, Filter, Heartbeat, NewRow, Revision, Row, Since, StoreError,
};

use super::{Bench, delete, put, row, write};

/// Each case of both databases.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bench::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bench::postgres().await).await;
            })*
        }
    };
}

cases! {
    every_kind_comes_back_as_it_was_written,
    revisions_follow_on_each_other_whoever_writes,
    nothing_is_checked_against_what_is_not_there_any_more,
    followers_go_on_by_steps_or_anew,
    what_was_can_be_read_and_gone_back_to,
    pages_leave_nothing_out,
    what_is_taken_or_missing_is_refused_and_changes_nothing,
    keys_go_with_their_consumer,
    nodes_are_told_apart_by_their_last_word,
    several_may_open_an_empty_one_at_once,
    many_rows_are_written_and_read_in_one_go,
}

async fn all(database: &Database) -> (Revision, Vec<Row>) {
    let mut rows = Vec::new();
    let revision = database.load(&mut |row| rows.push(row)).await.expect("it loads");
    rows.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    (revision, rows)
}

async fn every_kind_comes_back_as_it_was_written(bench: Bench) {
    let database = bench.open().await;
    let written: Vec<NewRow> = Kind::ALL
        .into_iter()
        .map(|kind| NewRow {
            tags: vec!["a b".to_owned(), "50%_\\".to_owned()],
            ..row(kind, if kind == Kind::Key { "demo/Ä 1" } else { "Ä.example" }, r#"{"a": "ß\u0000"}"#)
        })
        .collect();
    let edits: Vec<Edit> = written.iter().cloned().map(Edit::Put).collect();
    let step = write(&database, &edits).await.expect("written");
    assert_eq!((step.revision.number, step.changes.len()), (1, Kind::ALL.len()));
    for expected in written {
        let found = database.row(expected.kind, &expected.name).await.expect("an answer").expect("it is there");
        assert_eq!(NewRow::from(found.clone()), expected);
        assert_eq!((found.revision, found.created_at), (1, found.updated_at));
        assert_eq!(database.row_by_id(expected.kind, &found.id).await.expect("an answer"), Some(found.clone()));
        let filter = Filter { tags: vec!["50%_\\".to_owned()], limit: 10, ..Filter::default() };
        assert_eq!(database.rows(expected.kind, &filter).await.expect("an answer"), [found]);
        let filter = Filter { tags: vec!["50".to_owned()], limit: 10, ..Filter::default() };
        assert_eq!(database.rows(expected.kind, &filter).await.expect("an answer"), [], "a part of a tag is none");
    }
}

async fn revisions_follow_on_each_other_whoever_writes(bench: Bench) {
    let database = bench.open().await;
    let writers = (0..8).map(|writer| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for n in 0..10 {
                let step = write(&database, &[put(Kind::Service, &format!("s{writer}-{n}"), "{}")]).await;
                mine.push(step.expect("written").revision);
            }
            mine
        })
    });
    let mut revisions = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        let mine = writer.await.expect("it does not panic");
        assert!(mine.is_sorted_by_key(|revision| revision.number));
        revisions.extend(mine);
    }
    revisions.sort_by_key(|revision| revision.number);
    let Since::Steps(steps) = database.since(&Revision::NONE).await.expect("an answer") else { panic!("all is kept") };
    let logged: Vec<Revision> = steps.iter().map(|step| step.revision.clone()).collect();
    assert_eq!(logged, revisions, "each once, in order");
    assert_eq!(logged.iter().map(|revision| revision.number).collect::<Vec<_>>(), (1..=80).collect::<Vec<_>>());
}

/// Each writer takes a service away only if another one is left; without the lock all would go.
async fn nothing_is_checked_against_what_is_not_there_any_more(bench: Bench) {
    let database = bench.open().await;
    let edits: Vec<Edit> = (0..8).map(|n| put(Kind::Service, &format!("s{n}"), "{}")).collect();
    write(&database, &edits).await.expect("written");
    let takers = (0..8).map(|n| {
        let database = database.clone();
        tokio::spawn(async move {
            loop {
                let taken = async {
                    let mut writing = database.begin().await?;
                    let filter = Filter { limit: 10, ..Filter::default() };
                    if writing.rows(Kind::Service, &filter).await?.len() > 1 {
                        writing.commit(&super::origin(), &[delete(Kind::Service, &format!("s{n}"))]).await?;
                    }
                    Ok(())
                };
                match taken.await {
                    Err(StoreError::Again) => {}
                    outcome => return outcome,
                }
            }
        })
    });
    for taker in takers.collect::<Vec<_>>() {
        taker.await.expect("it does not panic").expect("it is done");
    }
    assert_eq!(database.count(Kind::Service).await.expect("an answer"), 1);
}

async fn followers_go_on_by_steps_or_anew(bench: Bench) {
    let database = bench.open().await;
    let mut known = vec![Revision::NONE];
    for n in 0..6 {
        known.push(
            write(&database, &[put(Kind::Route, "r", &format!("{{\"n\":{n}}}"))]).await.expect("written").revision,
        );
    }
    let since = |revision: Revision| {
        let database = database.clone();
        async move { database.since(&revision).await.expect("an answer") }
    };
    let Since::Steps(steps) = since(known[4].clone()).await else { panic!("two are missing") };
    let bodies: Vec<_> = steps.iter().map(|step| step.changes[0].after.as_ref().expect("put").body.as_str()).collect();
    assert_eq!(bodies, ["{\"n\":4}", "{\"n\":5}"]);
    assert_eq!(since(known[6].clone()).await, Since::Steps(Vec::new()));
    let other = Revision { number: 3, id: "f".repeat(32) };
    assert_eq!(since(other).await, Since::Anew, "of another history");
    let later = Revision { number: 7, id: "f".repeat(32) };
    assert_eq!(since(later).await, Since::Anew, "the database was restored");
    assert_eq!(database.prune(2).await.expect("pruned"), 4);
    assert_eq!(database.head().await.expect("an answer").oldest, 4);
    assert_eq!(since(known[3].clone()).await, Since::Anew, "what came after is not kept");
    assert!(matches!(since(known[4].clone()).await, Since::Steps(steps) if steps.len() == 2));
}

async fn what_was_can_be_read_and_gone_back_to(bench: Bench) {
    let database = bench.open().await;
    write(&database, &[put(Kind::Route, "a", "1"), put(Kind::Route, "b", "1")]).await.expect("written");
    let (_, then) = all(&database).await;
    write(&database, &[put(Kind::Route, "a", "2"), delete(Kind::Route, "b"), put(Kind::Route, "c", "2")])
        .await
        .expect("written");
    write(&database, &[put(Kind::Route, "a", "3"), put(Kind::Route, "d", "3")]).await.expect("written");
    write(&database, &[delete(Kind::Route, "d")]).await.expect("written");
    let steps = database.steps(None, 2).await.expect("an answer");
    assert_eq!(steps.iter().map(|step| step.revision.number).collect::<Vec<_>>(), [4, 3]);
    let first = database.step(2).await.expect("an answer").expect("it is kept");
    let verbs: Vec<_> = first.changes.iter().map(|change| (change.verb(), change.name.as_str())).collect();
    assert_eq!(verbs, [("updated", "a"), ("deleted", "b"), ("created", "c")]);
    let back = database.images_at(1).await.expect("an answer").expect("it is kept");
    write(&database, &back).await.expect("written");
    let (_, now) = all(&database).await;
    let plain = |rows: Vec<Row>| rows.into_iter().map(NewRow::from).collect::<Vec<_>>();
    assert_eq!(plain(now), plain(then));
    let audit = database.audit(Some(3), 10).await.expect("an answer");
    assert_eq!((audit.len(), audit[0].revision.number, audit[0].count), (2, 2, 3));
    assert_eq!(audit[0].origin, super::origin());
    assert_eq!(database.images_at(99).await.expect("an answer"), None);
}

async fn pages_leave_nothing_out(bench: Bench) {
    let database = bench.open().await;
    // A collation for people would order these in another way.
    let names = ["a-b", "a.b", "a_b", "ab", "aB", "Ab", "a b", "ä", "a-a", "b"];
    let edits: Vec<Edit> = names.iter().map(|name| put(Kind::Route, name, "{}")).collect();
    write(&database, &edits).await.expect("written");
    let mut filter = Filter { limit: 3, ..Filter::default() };
    let mut seen = Vec::new();
    loop {
        let page = database.rows(Kind::Route, &filter).await.expect("an answer");
        let Some(last) = page.last() else { break };
        filter.after = Some(last.name.clone());
        seen.extend(page.into_iter().map(|row| row.name));
    }
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    assert_eq!(seen, sorted);
}

async fn what_is_taken_or_missing_is_refused_and_changes_nothing(bench: Bench) {
    let database = bench.open().await;
    write(&database, &[put(Kind::Consumer, "a", "{}"), put(Kind::Key, "a/1", "{}")]).await.expect("written");
    let taken = Edit::Put(NewRow { fingerprint: Some("hash of a/1".to_owned()), ..row(Kind::Key, "b/2", "{}") });
    let error = write(&database, &[put(Kind::Consumer, "b", "{}"), taken]).await.expect_err("it is taken");
    assert!(matches!(error, StoreError::Conflict { kind: Kind::Key, of: ConflictOf::Fingerprint, .. }), "{error:?}");
    let error =
        write(&database, &[put(Kind::Consumer, "b", "{}"), delete(Kind::Route, "x")]).await.expect_err("missing");
    assert!(matches!(&error, StoreError::Missing { kind: Kind::Route, name } if name == "x"), "{error:?}");
    let (revision, rows) = all(&database).await;
    assert_eq!((revision.number, rows.len()), (1, 2));
    // What was begun and not committed did not happen.
    drop(database.begin().await.expect("begun"));
    assert_eq!(write(&database, &[put(Kind::Consumer, "b", "{}")]).await.expect("written").revision.number, 2);
}

async fn keys_go_with_their_consumer(bench: Bench) {
    let database = bench.open().await;
    write(&database, &[put(Kind::Consumer, "a", "{}"), put(Kind::Key, "a/1", "{}"), put(Kind::Key, "a/2", "{}")])
        .await
        .expect("written");
    let owned = Filter { owner: Some("a".to_owned()), limit: 10, ..Filter::default() };
    assert_eq!(database.rows(Kind::Key, &owned).await.expect("an answer").len(), 2);
    let step = write(&database, &[delete(Kind::Key, "a/1"), delete(Kind::Consumer, "a")]).await.expect("written");
    let gone: Vec<&str> = step.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(gone, ["a/1", "a", "a/2"]);
    assert_eq!(database.count(Kind::Key).await.expect("an answer"), 0);
}

async fn nodes_are_told_apart_by_their_last_word(bench: Bench) {
    let database = bench.open().await;
    let node = |id: &str, revision| Heartbeat {
        id: id.to_owned(),
        name: "node".to_owned(),
        version: "1".to_owned(),
        revision,
    };
    database.heartbeat(&node("a", 1)).await.expect("told");
    database.heartbeat(&node("b", 1)).await.expect("told");
    database.heartbeat(&node("a", 2)).await.expect("told");
    let nodes = database.nodes().await.expect("an answer");
    let seen: Vec<_> = nodes.iter().map(|row| (row.heartbeat.id.as_str(), row.heartbeat.revision)).collect();
    assert_eq!(seen, [("a", 2), ("b", 1)]);
    assert!(nodes.iter().all(|row| (0..60_000).contains(&row.age)), "{nodes:?}");
    database.left("b").await.expect("told");
    assert_eq!(database.nodes().await.expect("an answer").len(), 1);
}

async fn several_may_open_an_empty_one_at_once(bench: Bench) {
    let opening = (0..4).map(|_| {
        let options = bench.options.clone();
        tokio::spawn(async move { Database::open(&options).await?.cluster().await })
    });
    let mut clusters = Vec::new();
    for opened in opening.collect::<Vec<_>>() {
        clusters.push(opened.await.expect("it does not panic").expect("it opens").id);
    }
    clusters.dedup();
    assert_eq!(clusters.len(), 1, "one of them made it");
    let database = bench.open().await;
    assert!(database.set_root(None, "sealed").await.expect("an answer"));
    assert!(!database.set_root(None, "other").await.expect("an answer"), "somebody was first");
    assert_eq!(database.cluster().await.expect("an answer").sealed_root.as_deref(), Some("sealed"));
}

async fn many_rows_are_written_and_read_in_one_go(bench: Bench) {
    let database = bench.open().await;
    let edits: Vec<Edit> = (0..20_000).map(|n| put(Kind::Route, &format!("r{n}"), "{}")).collect();
    assert_eq!(write(&database, &edits).await.expect("written").changes.len(), 20_000);
    let (_, rows) = all(&database).await;
    assert_eq!(rows.len(), 20_000);
    let bytes = vec![7; 300_000];
    let mut writing = database.begin().await.expect("begun");
    writing.put_blob("d1", &bytes).await.expect("kept");
    writing.commit(&super::origin(), &[put(Kind::Module, "m", "{}")]).await.expect("written");
    assert_eq!(database.blob("d1").await.expect("an answer"), Some(bytes));
    assert_eq!(database.blob("d2").await.expect("an answer"), None);
}

#[tokio::test]
async fn a_server_that_is_gone_is_away_and_comes_back() {
    let mut bench = Bench::postgres().await;
    let database = bench.open().await;
    write(&database, &[put(Kind::Route, "a", "{}")]).await.expect("written");
    let postgres = bench.postgres.as_mut().expect("it has one");
    postgres.kill().await;
    assert!(database.head().await.expect_err("it is gone").is_away());
    assert!(write(&database, &[put(Kind::Route, "b", "{}")]).await.expect_err("it is gone").is_away());
    postgres.restart().await;
    assert_eq!(database.head().await.expect("it is back").revision.number, 1);
    assert_eq!(write(&database, &[put(Kind::Route, "b", "{}")]).await.expect("written").revision.number, 2);
}

/// As over a network that was cut: nothing comes back, and nothing says so.
#[tokio::test]
async fn connections_that_are_silent_are_given_up() {
    let mut bench = Bench::postgres().await;
    bench.options.timeout = std::time::Duration::from_millis(300);
    bench.options.connections = 1;
    let database = bench.open().await;
    write(&database, &[put(Kind::Route, "a", "{}")]).await.expect("written");
    let postgres = bench.postgres.as_ref().expect("it has one");
    let servers = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tollgate'";
    let servers = postgres.sql("postgres", servers).await;
    assert!(!servers.trim().is_empty());
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").arg(name).args(servers.split_whitespace()).status();
        assert!(sent.expect("there is a kill").success());
    };
    signal("-STOP");
    let silent = database.head().await;
    let next = database.head().await;
    let written = write(&database, &[put(Kind::Route, "b", "{}")]).await;
    signal("-CONT");
    assert!(matches!(silent, Err(StoreError::Silent)), "{silent:?}");
    assert_eq!(next.expect("another connection").revision.number, 1);
    assert_eq!(written.expect("written").revision.number, 2);
}

#[tokio::test]
async fn a_file_is_one_process_s_to_write() {
    let bench = Bench::sqlite();
    let first = bench.open().await;
    let second = Database::open(&bench.options).await.expect("it can be read");
    let error = second.take_over(std::time::Duration::from_millis(50)).await.expect_err("it is the first one's");
    assert!(error.to_string().contains("in use by another gateway"), "{error}");
    assert!(second.begin().await.err().is_some_and(|error| error.is_away()));
    drop(first);
    second.take_over(std::time::Duration::from_secs(5)).await.expect("the first one let go");
    write(&second, &[put(Kind::Route, "a", "{}")]).await.expect("written");
}
