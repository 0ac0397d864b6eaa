"""Publishes with fedora-messaging what comes on standard input, one JSON document a line.

{"topic", "body", "severity"} is a message; its id is printed once the broker has confirmed it. It is sent
again, as the same message, for as long as the broker cannot be reached. {"topic", "raw"} is a body as it
stands. The first argument is the broker's address.
"""

import json
import sys
import time

import pika
from fedora_messaging import api, config, exceptions, message

url = sys.argv[1]
config.conf.load_config()
config.conf["amqp_url"] = url
config.conf["publish_exchange"] = "amq.topic"


def publish(document):
    one = message.Message(
        topic=document["topic"], body=document["body"], severity=document.get("severity", 20)
    )
    while True:
        try:
            api.publish(one, timeout=5)
            return one.id
        except (exceptions.PublishException, exceptions.ConnectionException, TimeoutError):
            time.sleep(0.1)


def publish_raw(document):
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        properties = pika.BasicProperties(delivery_mode=2, headers=document.get("headers"))
        body = document["raw"].encode()
        connection.channel().basic_publish("amq.topic", document["topic"], body, properties)
    return "raw"


for line in sys.stdin:
    document = json.loads(line)
    print(publish_raw(document) if "raw" in document else publish(document), flush=True)
