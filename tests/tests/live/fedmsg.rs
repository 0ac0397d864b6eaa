//! fedmsg's publishers over ZeroMQ, with and without signatures.

use serde_json::json;
use statmill_tests::wait_until;

use super::servers::{Publisher, authority, free_port};
use super::{Counts, Scene, metrics, source, wait_connected, wait_counted};

/// Publishes so many messages and notes them.
fn publish(publisher: &mut Publisher, messages: u64, published: &mut Counts) {
    for _ in 0..messages {
        let number = published.values().sum::<u64>();
        let topic = format!("app{}.event", number % 5);
        publisher.send(&json!({"topic": topic, "msg": {"number": number, "é": 1.5}}));
        *published.entry(format!("org.fedoraproject.prod.{topic}")).or_default() += 1;
    }
}

#[test]
fn a_publisher_that_is_started_again_is_heard_again() {
    let port = free_port();
    let scene = Scene::new(format!("zmq+tcp://127.0.0.1:{port}?topic=org.fedoraproject."));
    let running = scene.start();
    let mut published = Counts::new();
    for _ in 0..2 {
        let mut publisher = Publisher::fedmsg(port, None);
        wait_connected(&running);
        publish(&mut publisher, 100, &mut published);
        wait_counted(&running, &published);
        drop(publisher);
        wait_until(|| {
            let source = source(&running);
            let is_lost = source["connections"][0]["state"] == "retrying";
            is_lost.then_some(()).ok_or_else(|| source.to_string())
        });
    }
    let source = source(&running);
    assert_eq!(source["connections"][0]["connects"], 2);
    assert_eq!(source["gaps"].as_array().unwrap().len(), 2, "before each connection: {source}");
    assert!(running.stop());
}

#[test]
fn messages_that_nobody_vouches_for_are_refused_and_counted() {
    let keys = authority(&["trusted", "revoked", "other"], &["revoked"]);
    let strangers = authority(&["trusted"], &[]);
    let rules = json!({"org.fedoraproject.prod.ruled.event": ["other"]});
    std::fs::write(keys.path().join("rules.json"), rules.to_string()).unwrap();

    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
    let endpoints: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let file = |name: &str| keys.path().join(name).display().to_string();
    let scene = Scene::new(format!(
        "zmq+tcp://{}?validate=x509&ca={}&crl={}&policy={}",
        endpoints.join(","),
        file("ca.crt"),
        file("crl.pem"),
        file("rules.json"),
    ));
    let signers = [
        Some((keys.path(), "trusted")),
        Some((keys.path(), "revoked")),
        Some((keys.path(), "other")),
        Some((strangers.path(), "trusted")),
        None,
    ];
    let publishers = ports.iter().zip(signers).map(|(port, it)| Publisher::fedmsg(*port, it));
    let mut publishers: Vec<_> = publishers.collect();
    let running = scene.start();
    wait_connected(&running);

    let mut published = Counts::new();
    publish(&mut publishers[0], 20, &mut published);
    let mut bad = Counts::new();
    publish(&mut publishers[1], 3, &mut bad);
    publish(&mut publishers[3], 2, &mut bad);
    publish(&mut publishers[4], 1, &mut bad);
    let ruled = json!({"topic": "ruled.event", "msg": {"n": 1}});
    publishers[0].send(&ruled);
    publishers[2].send(&ruled);
    publishers[0].send(&json!({"topic": "app0.event", "msg": {"n": 1}, "forge": true}));
    publish(&mut publishers[0], 20, &mut published);
    published.insert("org.fedoraproject.prod.ruled.event".to_owned(), 1);
    wait_counted(&running, &published);

    let refused =
        json!({"certificate": 2, "policy": 1, "revoked": 3, "signature": 1, "unsigned": 1});
    let source = wait_until(|| {
        let source = source(&running);
        if source["refused"] == refused { Ok(source) } else { Err(source.to_string()) }
    });
    assert_eq!((&source["received"], &source["accepted"]), (&json!(49), &json!(41)));
    assert!(metrics(&running).contains("reason=\"revoked\"} 3\n"));
    assert!(running.stop());
}
