#![allow(clippy::unwrap_used)]

use tokio::net::TcpListener;

use super::*;

/// A publisher's side of a connection: it sends what it is told, and what it got is kept.
async fn serve(said: Vec<u8>, keep_open: bool) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&said).await.unwrap();
        if !keep_open {
            stream.shutdown().await.unwrap();
        }
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        heard
    });
    (endpoint, heard)
}

fn greeting(version: u8, mechanism: &[u8]) -> Vec<u8> {
    let mut greeting = vec![0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, version);
    greeting[12..12 + mechanism.len()].copy_from_slice(mechanism);
    greeting
}

fn ready(kind: &str) -> Vec<u8> {
    let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
    ready.extend((kind.len() as u32).to_be_bytes());
    ready.extend(kind.as_bytes());
    frame(COMMAND, &ready)
}

fn publisher(rest: &[&[u8]]) -> Vec<u8> {
    [&greeting(3, b"NULL")[..], &ready("PUB"), &rest.concat()].concat()
}

fn message(frames: &[&[u8]]) -> Vec<u8> {
    let last = frames.len() - 1;
    let flag = |at| if at == last { 0 } else { MORE };
    frames.iter().enumerate().flat_map(|(at, it)| frame(flag(at), it)).collect()
}

async fn open(said: Vec<u8>) -> Result<Subscription, String> {
    let (endpoint, _) = serve(said, true).await;
    let all = [String::new()];
    Subscription::open(&endpoint, &all, 1000).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn messages_come_as_their_frames() {
    let long = vec![b'x'; 600];
    let said = [message(&[b"topic", b"{}"]), message(&[b"t", &long]), message(&[b""])].concat();
    let (endpoint, heard) = serve(publisher(&[&said]), false).await;
    let topics = ["org.a".to_owned(), "org.b".to_owned()];
    let mut subscription = Subscription::open(&endpoint, &topics, 1000).await.unwrap();
    let frames = |frames: &[&[u8]]| Message::Frames(frames.iter().map(|it| it.to_vec()).collect());
    assert_eq!(subscription.next().await.unwrap(), frames(&[b"topic", b"{}"]));
    assert_eq!(subscription.next().await.unwrap(), frames(&[b"t", &long]));
    assert_eq!(subscription.next().await.unwrap(), frames(&[b""]));
    let end = subscription.next().await.unwrap_err();
    assert!(matches!(end, WireError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof));
    drop(subscription);
    let heard = heard.await.unwrap();
    assert_eq!(heard[..64], greeting(3, b"NULL"));
    assert!(heard.ends_with(b"\0\x06\x01org.a\0\x06\x01org.b"), "{heard:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_read_past() {
    let large = vec![b'x'; 100_000];
    let said = [
        message(&[b"t", &large]),
        message(&[b"t", &[b'y'; 600], &[b'y'; 600]]),
        message(&[b"t", b"small"]),
        message(&[b"1", b"2", b"3", b"4", b"5"]),
    ];
    let mut subscription = open(publisher(&[&said.concat()])).await.unwrap();
    assert_eq!(subscription.next().await.unwrap(), Message::TooLarge);
    assert_eq!(subscription.next().await.unwrap(), Message::TooLarge);
    let small = Message::Frames(vec![b"t".to_vec(), b"small".to_vec()]);
    assert_eq!(subscription.next().await.unwrap(), small);
    let Message::Frames(frames) = subscription.next().await.unwrap() else { panic!() };
    assert_eq!(frames.len(), MAX_FRAMES, "more than a message may have, and no more than that");
}

#[tokio::test]
async fn a_promise_of_bytes_that_never_come_takes_no_memory() {
    let mut huge = vec![LONG];
    huge.extend((u64::MAX >> 1).to_be_bytes());
    let (endpoint, _) = serve(publisher(&[&huge, b"a few"]), false).await;
    let mut subscription =
        Subscription::open(&endpoint, &[String::new()], usize::MAX).await.unwrap();
    let end = subscription.next().await.unwrap_err();
    assert!(matches!(end, WireError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof));
}

#[tokio::test]
async fn a_sign_of_life_is_given_when_it_is_asked_for() {
    let ping = frame(COMMAND, b"\x04PING\x00\x0acontext");
    let said = publisher(&[&ping, &message(&[b"t", b"{}"])]);
    let (endpoint, heard) = serve(said, false).await;
    let mut subscription = Subscription::open(&endpoint, &[String::new()], 1000).await.unwrap();
    assert!(matches!(subscription.next().await.unwrap(), Message::Frames(_)));
    drop(subscription);
    assert!(heard.await.unwrap().ends_with(&frame(COMMAND, b"\x04PONGcontext")));
}

#[tokio::test]
async fn who_is_no_publisher_of_zmtp_3_is_told_apart() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    let error = ready_error("Wrong mechanism");
    for (said, expected) in [
        (http, "no such greeting"),
        (greeting(1, b"")[..11].to_vec(), "older"),
        (greeting(3, b"CURVE"), "password or a key"),
        ([greeting(3, b"NULL"), ready("PULL")].concat(), "no publisher"),
        ([greeting(3, b"NULL"), message(&[b"t"])].concat(), "begins with a message"),
        ([greeting(3, b"NULL"), frame(COMMAND, b"\x04PONG")].concat(), "not ready"),
        ([greeting(3, b"NULL"), frame(COMMAND, &[0; 5000])].concat(), "too long"),
        ([greeting(3, b"NULL"), vec![0x80, 0]].concat(), "flags"),
        ([greeting(3, b"NULL"), error].concat(), "Wrong mechanism"),
    ] {
        let refused = open(said).await.unwrap_err();
        assert!(refused.contains(expected), "{refused} instead of {expected}");
    }
}

fn ready_error(reason: &str) -> Vec<u8> {
    frame(COMMAND, &[b"\x05ERROR", &[reason.len() as u8][..], reason.as_bytes()].concat())
}
