//! The OpenAPI document of the admin API, and whether the API keeps to it.

use std::path::PathBuf;

use serde_json::json;
use tollgate_tests::{Origin, Setup, get, modules, proof, run};

/// Everything that the document allows, and much that it does not, asked by Schemathesis: no 5xx, no answer that
/// the document does not have.
#[tokio::test]
#[ignore = "needs Schemathesis, which `cargo xtask prove` installs"]
async fn schemathesis_finds_nothing() {
    let origin = Origin::start();
    let gateway = Setup::database("sqlite:gateway.db").plugins(&["key-auth", "rate-limiting"]).start().await;
    let admin = gateway.admin().await;
    admin.puts("/services/orders", json!({ "url": origin.url() })).await;
    admin.puts("/routes/orders", json!({ "service": "orders", "paths": ["/orders"] })).await;
    admin.puts("/consumers/demo", json!({})).await;
    let program: PathBuf = modules::peer("schemathesis/bin/schemathesis");
    let program = program.to_string_lossy();
    let hooks = format!("SCHEMATHESIS_HOOKS={HOOKS}");
    let token = format!("Authorization: Bearer {}", admin.token);
    let document = format!("http://{}/openapi.json", admin.address);
    let seconds = "240";
    let arguments = [
        &hooks,
        &*program,
        "run",
        &document,
        "--header",
        &token,
        "--max-time",
        seconds,
        "--checks",
        CHECKS,
        "--no-color",
        "--continue-on-failure",
        "--request-timeout",
        "30",
        "--suppress-health-check",
        "all",
    ];
    let ran = run("env", &arguments).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let told = ran.stdout.lines().rev().find(|line| line.contains("generated")).unwrap_or("no failure").to_owned();
    proof!(4, 5, "Schemathesis against the OpenAPI document", "{}", told.trim());
}

/// Of every path and method in the document.
#[tokio::test]
async fn nothing_is_answered_without_a_token() {
    let gateway = Setup::database("sqlite:gateway.db").start().await;
    let document = gateway.admin().await.get("/openapi.json").await.json();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let Ok(method) = method.to_uppercase().parse::<http::Method>() else { continue };
            let path = path.replace(['{', '}'], "");
            let reply = tollgate_tests::Call::new(method.clone(), &path).send(gateway.admin).await;
            assert_eq!(reply.status, 401, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
    assert_eq!(get("/openapi.json").send(gateway.admin).await.status, 401);
    proof!(4, 5, "answers without a token", "{asked} of {asked} operations 401");
}

const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/schemathesis_hooks.py");
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      unsupported_method,use_after_free,ignored_auth";
