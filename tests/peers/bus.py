"""The sending side of the peers: a fedmsg publisher over ZeroMQ and datanommer's archive.

Runs in the environment of the original statscache (Python 2.7) and takes one message, JSON, a line from
standard input; answers each with a line once it is sent or stored.

    bus.py publish PORT     binds a PUB socket on 127.0.0.1
    bus.py archive URI      adds to the archive, which is made where there is none
"""
import datetime
import json
import sys


def publisher(port):
    import zmq

    socket = zmq.Context().socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.bind("tcp://127.0.0.1:" + port)

    def send(message):
        body = json.dumps(message, sort_keys=True, separators=(",", ":"))
        socket.send_multipart([message["topic"].encode("utf-8"), body.encode("utf-8")])

    return send


def archive(uri):
    import datanommer.models
    import fedmsg.meta

    datanommer.models.init(uri, create=True)
    fedmsg.meta.make_processors(topic_prefix_re="org\\.fedoraproject\\.(dev|stg|prod)")

    def add(message):
        row = datanommer.models.Message(
            i=message.get("i", 0),
            msg_id=message["msg_id"],
            topic=message["topic"],
            timestamp=datetime.datetime.utcfromtimestamp(message["timestamp"]),
            source_name="datanommer",
        )
        row.msg = message["msg"]
        datanommer.models.session.add(row)
        datanommer.models.session.commit()

    return add


def main():
    action, place = sys.argv[1:]
    take = {"publish": publisher, "archive": archive}[action](place)
    for line in iter(sys.stdin.readline, ""):
        take(json.loads(line))
        sys.stdout.write("\n")
        sys.stdout.flush()


main()
