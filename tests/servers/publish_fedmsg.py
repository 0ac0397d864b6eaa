"""Publishes with fedmsg over ZeroMQ what comes on standard input, one JSON document a line.

{"topic", "msg"} is a message; with "forge" its content is changed after it was signed. A line is printed
for each. Arguments: the port to publish on, and, to sign, a folder of certificates and a name in it.
"""

import json
import os
import sys
import tempfile

os.chdir(tempfile.mkdtemp())
os.mkdir("fedmsg.d")
port, *signer = sys.argv[1:]
settings = {
    "endpoints": {"pub.test": [f"tcp://127.0.0.1:{port}"]},
    "topic_prefix": "org.fedoraproject",
    "environment": "prod",
    "sign_messages": bool(signer),
    "validate_signatures": False,
    "crypto_backend": "x509",
    "ssldir": signer[0] if signer else "/nowhere",
    "certnames": {"pub.test": signer[1]} if signer else {},
    "high_water_mark": 0,
    "io_threads": 1,
    "post_init_sleep": 0.1,
    "zmq_linger": 1000,
    "zmq_enabled": True,
}
with open("fedmsg.d/config.py", "w") as file:
    file.write(f"config = {settings!r}\n")

import fedmsg  # noqa: E402  (it reads its configuration from the current folder)

context = fedmsg.init(name="pub.test")
send = context.publisher.send_multipart


def forged(frames, **flags):
    topic, body = frames
    envelope = json.loads(body)
    envelope["msg"]["forged"] = True
    return send([topic, json.dumps(envelope).encode()], **flags)


print("ready", flush=True)
for line in sys.stdin:
    document = json.loads(line)
    context.publisher.send_multipart = forged if document.get("forge") else send
    modname, topic = document["topic"].split(".", 1)
    fedmsg.publish(modname=modname, topic=topic, msg=document["msg"])
    print("sent", flush=True)
