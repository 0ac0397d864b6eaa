//! Feeds a journal from an AMQP queue; a message is acknowledged once the journal has made it durable.
//!
//! What was not acknowledged when a connection ends comes again, and the journal drops by identity what
//! it has. What is no message is refused without coming again: counted, shown, and sent to the queue's
//! dead letters where it has some.

mod connect;
mod envelope;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use tokio::time::timeout;

use self::connect::{ConnectError, connect};
use super::network::{Intake, PATIENCE, Stop};
use crate::backoff::Backoff;
use crate::log::connections::Failure;
use crate::log::ingest::IngestError;
use crate::log::source::AmqpParams;
use crate::query::status::reject_name;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A queue that gives nothing for so long has given all that was in it.
const QUIET: Duration = Duration::from_secs(2);
/// Bytes of bodies after which a group takes no further delivery.
const GROUP_BYTES: usize = 8 << 20;
/// Longest time for a farewell.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why a session ended though nobody asked for it.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the broker has not answered in time")]
    Silent,
    #[error("the broker has ended the subscription; is the queue gone?")]
    Cancelled,
    /// Kept from acknowledging, the messages come again.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] IngestError),
}

/// Feeds until a stop is asked for.
pub(super) async fn run(params: &AmqpParams, intake: &Intake, mut stop: Stop) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match session(params, intake, &mut stop, &mut backoff).await {
            Ok(()) => break,
            Err(error) => {
                intake.connections.failed(0, &error.to_string(), Failure::Unknown);
            }
        }
        if stop.asked_within(backoff.pause()).await {
            break;
        }
    }
    intake.connections.stopped();
}

/// One connection, from its making to its end.
async fn session(
    params: &AmqpParams,
    intake: &Intake,
    stop: &mut Stop,
    backoff: &mut Backoff,
) -> Result<(), SessionError> {
    let connected = tokio::select! {
        () = stop.asked() => return Ok(()),
        connected = timeout(PATIENCE, connect(params)) => connected,
    };
    let connection = connected.map_err(|_| SessionError::Silent)??;
    let outcome = tokio::select! {
        // A subscription that is not there yet has nothing to finish.
        () = stop.asked() => None,
        subscribed = timeout(PATIENCE, subscribe(params, &connection)) => Some(subscribed),
    };
    let outcome = match outcome {
        None => Ok(()),
        Some(Err(_)) => Err(SessionError::Silent),
        Some(Ok(Err(error))) => Err(error),
        Some(Ok(Ok(subscription))) => {
            backoff.reset();
            consume(params, intake, subscription, stop).await
        }
    };
    // However it ends, what is not acknowledged by then comes again.
    let _ = timeout(FAREWELL, connection.close(200, "done".into())).await;
    outcome
}

/// A queue that is being consumed.
struct Subscription {
    channel: Channel,
    consumer: Consumer,
    /// Messages that were waiting in the queue.
    waiting: u64,
    /// The queue was not there before.
    is_new: bool,
}

/// Declares and binds the queue as wanted, and begins to consume it.
async fn subscribe(
    params: &AmqpParams,
    connection: &Connection,
) -> Result<Subscription, SessionError> {
    let name = ShortString::from(params.queue.clone().unwrap_or_default());
    let is_new = !params.passive && !is_there(params, connection).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(params.prefetch, BasicQosOptions::default()).await?;
    let options = QueueDeclareOptions {
        passive: params.passive,
        durable: params.durable,
        exclusive: params.exclusive,
        auto_delete: params.auto_delete,
        nowait: false,
    };
    let mut arguments = FieldTable::default();
    if let Some(exchange) = &params.dead_letter {
        arguments.insert(
            "x-dead-letter-exchange".into(),
            AMQPValue::LongString(exchange.as_str().into()),
        );
    }
    let queue = channel.queue_declare(name, options, arguments).await?;
    for pattern in &params.bind {
        let (exchange, pattern) = (params.exchange.as_str().into(), pattern.as_str().into());
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.name().clone(), exchange, pattern, options, none).await?;
    }
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.name().clone(), "".into(), options, none).await?;
    Ok(Subscription { channel, consumer, waiting: u64::from(queue.message_count()), is_new })
}

/// Whether the queue is there; asked on a channel of its own, which the answer "no" closes.
async fn is_there(params: &AmqpParams, connection: &Connection) -> Result<bool, SessionError> {
    let Some(queue) = &params.queue else { return Ok(false) };
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await {
        Ok(_) => {
            let _ = channel.close(200, "asked".into()).await;
            Ok(true)
        }
        Err(error) if error.is_amqp_soft_error() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Journals and acknowledges until a stop is asked for or the connection fails.
async fn consume(
    params: &AmqpParams,
    intake: &Intake,
    mut subscription: Subscription,
    stop: &mut Stop,
) -> Result<(), SessionError> {
    let connections = &intake.connections;
    connections.connected(0);
    if subscription.is_new {
        connections.missed(0, "there was no queue to keep what was sent");
    }
    let mut waiting = Some(subscription.waiting);
    loop {
        if waiting == Some(0) {
            connections.level(0);
            waiting = None;
        }
        let first = tokio::select! {
            biased;
            () = stop.asked() => break,
            first = subscription.consumer.next() => first,
            () = tokio::time::sleep(QUIET), if waiting.is_some() => {
                waiting = Some(0);
                continue;
            }
        };
        let first = first.ok_or(SessionError::Cancelled)??;
        let group = gather(first, &mut subscription.consumer, params.prefetch)?;
        let came = group.len() as u64;
        settle(intake, group).await?;
        waiting = waiting.map(|waiting| waiting.saturating_sub(came));
    }
    farewell(intake, subscription, params.prefetch).await
}

/// Consumes no more; what has been delivered is journaled and acknowledged.
async fn farewell(
    intake: &Intake,
    mut subscription: Subscription,
    prefetch: u16,
) -> Result<(), SessionError> {
    let tag = subscription.consumer.tag();
    let cancel = subscription.channel.basic_cancel(tag, BasicCancelOptions::default());
    timeout(FAREWELL, cancel).await.map_err(|_| SessionError::Silent)??;
    while let Some(Some(Ok(first))) = subscription.consumer.next().now_or_never() {
        let group = gather(first, &mut subscription.consumer, prefetch)?;
        settle(intake, group).await?;
    }
    Ok(())
}

/// The first delivery and those that have come since, so that they share one fsync.
fn gather(
    first: Delivery,
    consumer: &mut Consumer,
    prefetch: u16,
) -> Result<Vec<Delivery>, SessionError> {
    let mut bytes = first.data.len();
    let mut group = vec![first];
    while group.len() < usize::from(prefetch) && bytes < GROUP_BYTES {
        match consumer.next().now_or_never() {
            Some(Some(Ok(next))) => {
                bytes += next.data.len();
                group.push(next);
            }
            // The end comes again to whoever asks next.
            None | Some(None) => break,
            Some(Some(Err(error))) => return Err(error.into()),
        }
    }
    Ok(group)
}

/// Journals a group, then acknowledges what is durable and refuses the rest for good.
async fn settle(intake: &Intake, group: Vec<Delivery>) -> Result<(), SessionError> {
    intake.connections.received(group.len() as u64);
    let mut records = Vec::with_capacity(group.len());
    let (mut good, mut refused) = (Vec::with_capacity(group.len()), Vec::new());
    for delivery in group {
        let topic = delivery.routing_key.as_str();
        match envelope::record(topic, &delivery.properties, &delivery.data) {
            Ok(record) => {
                records.push(record);
                good.push(delivery);
            }
            Err(refusal) => {
                intake.refuse(&refusal);
                refused.push(delivery);
            }
        }
    }
    let accepted = intake.journal(Arc::new(records)).await?;
    for line in accepted.rejected.iter().rev() {
        let delivery = good.remove(line.line as usize - 1);
        let what = format!("topic {:?}: {}", delivery.routing_key.as_str(), line.remedy);
        intake.connections.refused(&reject_name(line.reason), &what);
        refused.push(delivery);
    }
    for delivery in &refused {
        delivery.nack(BasicNackOptions { multiple: false, requeue: false }).await?;
    }
    // All before it are settled, so one acknowledgement stands for all of them.
    if let Some(last) = good.last() {
        last.ack(BasicAckOptions { multiple: true }).await?;
    }
    Ok(())
}
