//! RabbitMQ and fedora-messaging.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use statmill_tests::wait_until;

use super::servers::{Publisher, Rabbit, authority};
use super::{Counts, Scene, metrics, source, wait_connected, wait_counted};

fn scene(rabbit: &Rabbit) -> Scene {
    Scene::new(format!("{}?queue=statmill&bind=org.%23&prefetch=20", rabbit.url()))
}

/// Publishes so many messages and notes them.
fn publish(publisher: &mut Publisher, messages: u64, published: &mut Counts) {
    for _ in 0..messages {
        let number = published.values().sum::<u64>();
        let topic = format!("org.fedoraproject.prod.app{}.event", number % 5);
        publisher.send(&json!({"topic": topic, "body": {"number": number}}));
        *published.entry(topic).or_default() += 1;
    }
}

#[test]
fn what_is_published_before_between_and_after_stops_is_counted_once() {
    let rabbit = Rabbit::start();
    let (scene, mut publisher) = (scene(&rabbit), Publisher::amqp(&rabbit));
    let mut published = Counts::new();

    let running = scene.start();
    wait_connected(&running);
    publish(&mut publisher, 100, &mut published);
    wait_counted(&running, &published);
    assert!(running.stop());

    publish(&mut publisher, 50, &mut published);
    let running = scene.start();
    publish(&mut publisher, 50, &mut published);
    wait_counted(&running, &published);
    running.kill();

    publish(&mut publisher, 50, &mut published);
    let running = scene.start();
    publish(&mut publisher, 50, &mut published);
    // Killed while messages are on their way: what the journal had is delivered again.
    running.kill();
    let running = scene.start();
    publish(&mut publisher, 20, &mut published);
    wait_counted(&running, &published);
    let source = source(&running);
    assert_eq!(source["connections"][0]["connects"], 1);
    assert!(source.get("gaps").is_none(), "the queue has kept everything: {source}");
    assert!(!running.status().to_string().contains("guest"), "passwords are not shown");
    assert!(running.stop());
}

#[test]
fn a_host_killed_again_and_again_while_messages_come_counts_each_once() {
    let rabbit = Rabbit::start();
    let (scene, mut publisher) = (scene(&rabbit), Publisher::amqp(&rabbit));
    let mut published = Counts::new();
    let goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            while goes_on.load(Ordering::Acquire) {
                publish(&mut publisher, 1, &mut published);
            }
        });
        for life in 0..6 {
            let running = scene.start();
            wait_until(|| {
                let source = source(&running);
                let has_come = source["received"].as_u64() > Some(life * 3);
                has_come.then_some(()).ok_or_else(|| source.to_string())
            });
            running.kill();
        }
        goes_on.store(false, Ordering::Release);
        publishing.join().unwrap();
    });
    let running = scene.start();
    wait_counted(&running, &published);
    assert!(running.stop());
}

#[test]
fn a_broker_killed_in_the_middle_of_publishing_loses_and_doubles_nothing() {
    let mut rabbit = Rabbit::start();
    let (scene, mut publisher) = (scene(&rabbit), Publisher::amqp(&rabbit));
    let mut published = Counts::new();
    let running = scene.start();
    wait_connected(&running);
    publish(&mut publisher, 100, &mut published);

    let (goes_on, under_way) = (AtomicBool::new(true), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            while goes_on.load(Ordering::Acquire) {
                publish(&mut publisher, 1, &mut published);
                under_way.store(true, Ordering::Release);
            }
        });
        wait_until(|| under_way.load(Ordering::Acquire).then_some(()).ok_or_else(String::new));
        rabbit.kill();
        let lost = wait_until(|| {
            let source = source(&running);
            let is_lost = source["connections"][0]["state"] == "retrying";
            if is_lost { Ok(source) } else { Err(source.to_string()) }
        });
        assert!(lost["connections"][0]["last_error"]["text"].is_string(), "{lost}");
        assert!(lost["lacks_from"].is_string(), "{lost}");
        assert!(metrics(&running).contains("statmill_source_connected_info{"));
        rabbit.start_again();
        wait_connected(&running);
        goes_on.store(false, Ordering::Release);
        publishing.join().unwrap();
    });
    publish(&mut publisher, 20, &mut published);
    wait_counted(&running, &published);
    wait_until(|| {
        let source = source(&running);
        source["lacks_from"].is_null().then_some(()).ok_or_else(|| source.to_string())
    });
    assert!(running.stop());
}

#[test]
fn a_poison_body_is_visible_and_does_not_stop_the_queue() {
    let rabbit = Rabbit::start();
    let (scene, mut publisher) = (scene(&rabbit), Publisher::amqp(&rabbit));
    let mut published = Counts::new();
    let running = scene.start();
    wait_connected(&running);
    publish(&mut publisher, 10, &mut published);
    let topic = "org.fedoraproject.prod.bad.event";
    publisher.send(&json!({"topic": topic, "raw": "this is no JSON"}));
    publisher.send(&json!({"topic": topic, "raw": "[1, 2]"}));
    publisher.send(&json!({"topic": topic, "raw": "{\"a\": 1"}));
    publisher.send(&json!({"topic": topic, "raw": "{}", "headers": {"sent-at": 5}}));
    publisher.send(&json!({"topic": topic, "raw": "{}"}));
    publish(&mut publisher, 10, &mut published);
    wait_counted(&running, &published);
    let source = source(&running);
    let refused = json!({"headers": 1, "no_time": 1, "not_an_object": 2, "not_json": 1});
    assert_eq!(source["refused"], refused);
    assert_eq!((&source["received"], &source["accepted"]), (&json!(25), &json!(20)));
    let newest = source["last_refused"].as_array().unwrap().last().unwrap();
    assert!(newest["text"].as_str().unwrap().contains(topic), "{newest}");
    let lines = metrics(&running);
    let line = "statmill_source_refused_messages_total{log=";
    let line = lines.lines().find(|it| it.starts_with(line) && it.contains("\"not_json\""));
    assert!(line.is_some_and(|line| line.ends_with(" 1")), "{lines}");
    // They do not come again, not even to the next host.
    assert!(running.stop());
    let running = scene.start();
    publish(&mut publisher, 5, &mut published);
    wait_counted(&running, &published);
    assert_eq!(super::source(&running)["refused"], json!({}));
}

#[test]
fn a_certificate_opens_the_door_to_a_broker_that_demands_one() {
    let keys = authority(&["broker", "statmill"], &[]);
    let strangers = authority(&["statmill"], &[]);
    let (rabbit, port) = Rabbit::start_with_tls(keys.path());
    let scene = |authorities: &std::path::Path, identity: &std::path::Path| {
        let file = |folder: &std::path::Path, name: &str| folder.join(name).display().to_string();
        Scene::new(format!(
            "amqps://guest:guest@127.0.0.1:{port}/%2F?queue=statmill&auth=plain&ca={}&cert={}&key={}",
            file(authorities, "ca.crt"),
            file(identity, "statmill.crt"),
            file(identity, "statmill.key"),
        ))
    };
    let trusted = scene(keys.path(), keys.path());
    let running = trusted.start();
    wait_connected(&running);
    let (mut publisher, mut published) = (Publisher::amqp(&rabbit), Counts::new());
    publish(&mut publisher, 10, &mut published);
    wait_counted(&running, &published);
    assert!(running.stop());

    for (authorities, identity, reason) in
        [(strangers.path(), keys.path(), "certificate"), (keys.path(), strangers.path(), "alert")]
    {
        let running = scene(authorities, identity).start();
        wait_until(|| {
            let source = source(&running);
            let error = source["connections"][0]["last_error"]["text"].as_str().unwrap_or_default();
            let is_told = error.to_lowercase().contains(reason);
            is_told.then_some(()).ok_or_else(|| source.to_string())
        });
        assert!(running.stop());
    }
}
