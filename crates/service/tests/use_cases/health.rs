//! Health checks reach public addresses only, whatever a registered address resolves or redirects
//! to.
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::App;
use sentinel_core::tool::HealthStatus;
use sentinel_service::health::{HealthChecker, Networks};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[test]
fn only_public_addresses_are_dialled_by_default() {
    let refused = [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136::1",
        "2001:db8::1",
    ];
    for address in refused {
        let address: IpAddr = address.parse().unwrap();
        assert!(!Networks::Public.allow(address), "{address}");
    }
    for address in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
        assert!(Networks::Public.allow(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn metadata_addresses_are_refused_even_where_private_ones_are_allowed() {
    let networks = Networks::PublicAndPrivate;
    assert!(networks.allow("127.0.0.1".parse().unwrap()));
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "fd00:ec2::254",
    ] {
        assert!(!networks.allow(address.parse().unwrap()), "{address}");
    }
}

async fn checker(networks: Networks) -> HealthChecker {
    let app = App::start().await;
    HealthChecker::new(app.store, app.clock, networks).unwrap()
}

/// A server that sends `answer` to every request, and counts the requests.
async fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, requests)
}

#[tokio::test]
async fn a_private_tool_is_refused_by_literal_and_by_name_without_being_dialled() {
    let (port, requests) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let checker = checker(Networks::Public).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001", "127.1"] {
        let url = format!("http://{host}:{port}/health").parse().unwrap();
        assert_eq!(checker.check(url).await.status, HealthStatus::Refused, "{host}");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_to_a_metadata_address_is_refused() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n\r\n";
    let (port, _) = server(redirect.to_owned()).await;
    let health = checker(Networks::PublicAndPrivate)
        .await
        .check(format!("http://127.0.0.1:{port}/").parse().unwrap())
        .await;
    assert_eq!(health.status, HealthStatus::Refused, "{health:?}");
}

#[tokio::test]
async fn endless_redirects_end() {
    let (port, requests) = server(
        "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned(),
    )
    .await;
    let health = checker(Networks::PublicAndPrivate)
        .await
        .check(format!("http://127.0.0.1:{port}/").parse().unwrap())
        .await;
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert!(requests.load(Ordering::SeqCst) < 10);
}

#[tokio::test]
async fn what_went_wrong_is_told_in_general_terms() {
    let health = checker(Networks::PublicAndPrivate)
        .await
        .check("http://127.0.0.1:1/".parse().unwrap())
        .await;
    assert_eq!(health.detail.as_deref(), Some("could not be reached"));
}
