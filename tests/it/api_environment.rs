//! The client under an environment of its own: proxies, and a system without authorities.
//!
//! The environment of a process cannot be changed safely while it runs, so each test runs itself
//! once more in a process that has it from the start.

use std::env;
use std::process::Command;

use importwatch::api::client::Client;
use importwatch::api::error::{BuildError, Error};
use importwatch::api::transport::Obstacle;
use importwatch::simulator::world::Plan;

use crate::api_tls::secured;
use crate::support::{id, pair, params};

const INSIDE: &str = "IMPORTWATCH_TEST_INSIDE";

const PROXIES: [&str; 8] = [
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs the test `name` again, inside, with `variables`; asserts that it ran there and passed.
async fn run_inside(name: &str, variables: Vec<(&'static str, String)>) {
    let mut command = Command::new(env::current_exe().unwrap());
    for proxy in PROXIES {
        command.env_remove(proxy);
    }
    command
        .args(["--exact", &format!("api_environment::{name}")])
        .envs(variables)
        .env(INSIDE, "1");
    // The servers of this side run while that one is waited for.
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
async fn proxies_are_used_but_not_for_this_machine() {
    if is_inside() {
        let client = Client::new(&params("http://far.invalid".parse().unwrap())).unwrap();
        assert_eq!(
            client.import_results(&[id("a")]).await.unwrap().found.len(),
            1
        );
        let (_near, client) = pair(|_| ()).await;
        assert_eq!(
            client.import_results(&[id("a")]).await.unwrap().found.len(),
            0
        );
        return;
    }
    let (proxy, _) = pair(|world| world.add(id("a"), Plan::never(1))).await;
    let url = proxy.base_url().to_string();
    run_inside(
        "proxies_are_used_but_not_for_this_machine",
        vec![("HTTP_PROXY", url)],
    )
    .await;
    let requests = proxy.control().requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].path.starts_with("http://far.invalid/v1/"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_system_without_authorities_needs_none_for_http_and_one_for_https() {
    if is_inside() {
        let (_server, plain) = pair(|world| world.add(id("a"), Plan::never(1))).await;
        assert_eq!(
            plain.import_results(&[id("a")]).await.unwrap().found.len(),
            1
        );

        let server = secured("localhost", 2999).await;
        let error = Client::new(&server.params(None)).unwrap_err();
        assert!(
            matches!(error, BuildError::NoAuthorities { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("ca-certificates"), "{error}");

        let client = Client::new(&server.params(Some(server.ca_pem.clone()))).unwrap();
        assert_eq!(
            client.import_results(&[id("a")]).await.unwrap().found.len(),
            1
        );
        return;
    }
    let nowhere = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, "/nowhere".to_owned()));
    let name = "a_system_without_authorities_needs_none_for_http_and_one_for_https";
    run_inside(name, nowhere.to_vec()).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_so() {
    if is_inside() {
        // A label of more than 63 letters is refused by the resolver itself, on any network.
        let host = "x".repeat(64);
        let base_url = format!("http://{host}.invalid").parse().unwrap();
        let client = Client::new(&params(base_url)).unwrap();
        let error = client.import_results(&[id("a")]).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error::NoAnswer {
                    obstacle: Obstacle::Lookup,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(
            text.starts_with("the name of xxx") && text.contains("DNS"),
            "{text}"
        );
        return;
    }
    run_inside("a_name_that_does_not_resolve_says_so", Vec::new()).await;
}
