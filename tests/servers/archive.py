"""Makes datanommer's tables, then stores each message that comes in as a line of JSON, and says so.

usage: archive.py postgresql://USER@HOST:PORT/DATABASE
"""

import datetime
import json
import sys

import datanommer.models as dm
from fedora_messaging.message import Message
from sqlalchemy import create_engine, text

engine = create_engine(sys.argv[1])
with engine.begin() as connection:
    # What Timescale gives a real installation.
    connection.execute(text(
        "create or replace function create_hypertable(text, text) returns text"
        " language sql as 'select $1'"))
dm.init(engine=engine)
dm.DeclarativeBase.metadata.create_all(engine)
print("ready", flush=True)

for line in sys.stdin:
    sent = json.loads(line)
    if "body" in sent:
        message = Message(topic=sent["topic"], body=sent["body"])
        message._properties.headers.update(sent["headers"])
        message._properties.message_id = sent["id"]
        dm.add(message)
    else:
        time = datetime.datetime.fromtimestamp(sent["timestamp"], datetime.UTC)
        dm.Message.create(
            i=sent.get("i", 0),
            msg_id=sent.get("msg_id"),
            topic=sent["topic"],
            timestamp=time.replace(tzinfo=None),
            msg=sent["msg"],
            headers=sent.get("headers"),
            agent_name=sent.get("username"),
            crypto=None,
            certificate=None,
            signature=None,
            users=sent.get("users", []),
            packages=sent.get("packages", []),
        )
        dm.session.commit()
    print("stored", flush=True)
