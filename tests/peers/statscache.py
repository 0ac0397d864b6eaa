#!/usr/bin/env python3
"""statmill beside the original statscache: one bus, one archive, six experiments.

Both listen to the same ZeroMQ publisher and fill their gaps from the same datagrepper. Each experiment says
how many messages there were, and what each side counted. By hand, not part of the gate:

    tests/peers/statscache.py --python27 python2.7 [EXPERIMENT …]

Needs Python 2.7 for the original and its datagrepper (0.9.5 on SQLite); both are installed by pip below
`target/peers`. Ends with 1 where statmill's numbers are not exact; the original's are only shown.
"""
import argparse
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUS = Path(__file__).with_name("bus.py")
# What both have.
IDENTS = [f"volume{by}-{window}" for by in ("", "-by-category") for window in ("1s", "5s", "1m")]
WAIT_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ask, wait_s=WAIT_S):
    """Asks until there is an answer."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"waited {wait_s} s for {what}")


def get(url):
    """Text and headers; none where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode(), answer.headers
    except OSError:
        return None


class Process:
    """A program whose output goes to a file; ended with the experiment."""

    def __init__(self, log, args, **options):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(arg) for arg in args], stdout=out, stderr=subprocess.STDOUT, **options
            )

    def said(self, pattern):
        return re.search(pattern, self.log.read_text(errors="replace"))

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Lines:
    """The bus or the archive: takes a message a line, and answers each."""

    def __init__(self, scene, action, place):
        self.process = subprocess.Popen(
            [scene.python, BUS, action, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scene.hub,
            env=scene.environment,
        )

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise RuntimeError("the sender has ended")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


class Faulty(http.server.BaseHTTPRequestHandler):
    """Hands questions on to the archive; answers one page of many with a 502 of HTML, once to each side."""

    def do_GET(self):
        server = self.server
        asker = self.headers.get("User-Agent")
        if "page=2" in self.path and asker not in server.failed:
            server.failed.add(asker)
            self.answer(502, b"<html>Bad Gateway</html>", "text/html")
            return
        request = urllib.request.Request(server.archive + self.path)
        request.add_header("Accept", self.headers.get("Accept", "application/json"))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.answer(answer.status, answer.read(), "application/json")
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.read(), "text/html")

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Scene:
    """Fresh folders, the bus, the archive and both sides for one experiment."""

    def __init__(self, args, name):
        self.args = args
        self.folder = args.work / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.hub = self.folder / "hub"
        (self.hub / "fedmsg.d").mkdir(parents=True)
        self.python = args.work / "original" / "bin" / "python"
        self.environment = dict(os.environ, TZ="UTC", DATAGREPPER_CONFIG=str(self.folder / "grepper.cfg"))
        self.bus_port, self.archive_port = free_port(), free_port()
        self.archive_url = f"http://127.0.0.1:{self.archive_port}"
        self.number = 0
        self.running = []
        # A little before now, so that nobody has to wait for the clock.
        self.epoch = int(time.time()) - 7200

    def open(self):
        """Starts the bus and the archive."""
        self.configure()
        self.archive = self.keep(Lines(self, "archive", f"sqlite:///{self.hub}/archive.db"))
        self.bus = self.keep(Lines(self, "publish", str(self.bus_port)))
        (self.folder / "grepper.cfg").write_text(
            f"DATANOMMER_SQLALCHEMY_URL = 'sqlite:///{self.hub}/archive.db'\nDEFAULT_QUERY_DELTA = 0\n"
        )
        serve = f"import datagrepper.app as a; a.app.run(host='127.0.0.1', port={self.archive_port})"
        self.start("grepper", [self.python, "-c", serve])
        until("datagrepper", lambda: get(f"{self.archive_url}/raw?start=1&end=2"))

    def configure(self):
        (self.hub / "fedmsg.d" / "peer.py").write_text(
            f"""import datetime
config = {{
    "endpoints": {{"pub.test": ["tcp://127.0.0.1:{self.bus_port}"]}},
    "topic_prefix": "org.fedoraproject", "environment": "dev",
    "topic_prefix_re": r"org\\.fedoraproject\\.(dev|stg|prod)",
    "validate_signatures": False, "sign_messages": False, "zmq_enabled": True, "zmq_strict": False,
    "high_water_mark": 0, "io_threads": 1, "post_init_sleep": 0.5, "zmq_linger": 1000,
    "statscache.consumer.enabled": True,
    "statscache.producer.frequency": datetime.timedelta(seconds=1),
    "statscache.consumer.epoch": datetime.datetime.utcfromtimestamp({self.epoch}),
    "statscache.sqlalchemy.uri": "sqlite:///{self.hub}/stats.db",
    "statscache.datagrepper.endpoint": "{self.archive_url}/raw",
    "statscache.datagrepper.profile": False,
    "datanommer.sqlalchemy.url": "sqlite:///{self.hub}/archive.db",
    "statscache.app.default_rows_per_page": 100, "statscache.app.maximum_rows_per_page": 100,
    "logging": {{"version": 1, "handlers": {{"console": {{"class": "logging.StreamHandler"}}}},
                "loggers": {{"fedmsg": {{"level": "INFO", "handlers": ["console"]}}}}}},
}}
"""
        )

    def keep(self, process):
        self.running.append(process)
        return process

    def start(self, name, args, **options):
        options.setdefault("cwd", self.hub)
        return self.keep(Process(self.folder / f"{name}.log", args, env=self.environment, **options))

    def message(self, age_s=0, topic="org.fedoraproject.dev.bodhi.update.comment"):
        self.number += 1
        return {
            "topic": topic,
            "msg_id": f"2015-{self.number:08d}",
            "timestamp": int(time.time()) - age_s,
            "i": self.number,
            "msg": {"number": self.number},
        }

    def history(self, count, **of):
        for number in range(count):
            self.archive.send(self.message(age_s=3600 - number, **of))

    def start_both(self):
        self.original = self.start("original", [self.python.with_name("fedmsg-hub")])
        self.statmill = self.start(
            "statmill",
            [self.args.statmill, "run", "--data", self.folder / "data", "--plugins", self.plugins()]
            + ["--listen", "127.0.0.1:0", "--source", f"zmq+tcp://127.0.0.1:{self.bus_port}"]
            + ["--history", f"datagrepper+{self.archive_url}/raw?settle=5s"],
        )
        flushes = self.flushes()
        # Its producer flushes once its history has been read: some seconds later, or never.
        try:
            until("the original", lambda: self.original.ended() or self.flushes() > flushes, 30)
        except TimeoutError as never:
            print(f"\nthe original does not start: {never}")
        said = until("statmill", lambda: list(re.finditer(r"serving (http://\S+)", self.statmill.log.read_text())))
        self.api = said[-1][1]
        until("statmill's subscription", self.is_connected)
        # Neither says when the publisher has heard of its subscription.
        time.sleep(2)

    def flushes(self):
        log = self.folder / "original.log"
        return log.read_text(errors="replace").count("Updating model") if log.exists() else 0

    def is_connected(self):
        answer = get(f"{self.api}/api/_status")
        return answer and '"connected"' in answer[0]

    def plugins(self):
        folder = self.folder / "plugins"
        folder.mkdir(exist_ok=True)
        shutil.copy(self.args.volume, folder)
        return folder

    def stop_both(self):
        self.original.stop()
        self.statmill.stop()

    def counts(self):
        """Once nothing changes any more: counted messages by ident, of both."""
        before, since = None, time.monotonic()
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            now = (self.original_counts(), self.statmill_counts())
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > 5 and self.is_complete():
                break
            time.sleep(0.5)
        return before

    def is_complete(self):
        status = json.loads(get(f"{self.api}/api/_status")[0])
        return not any(stat["state"] == "backfilling" for stat in status["stats"])

    def original_counts(self):
        stats = sqlite3.connect(self.hub / "stats.db")
        try:
            return {ident: self.original_count(stats, ident) for ident in IDENTS}
        finally:
            stats.close()

    def original_count(self, stats, ident):
        table = "data_" + ident.replace("-", "_")
        try:
            return stats.execute(f"select coalesce(sum(volume), 0) from {table}").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    def statmill_counts(self):
        return {ident: sum(row["volume"] for row in self.rows(ident)) for ident in IDENTS}

    def rows(self, ident):
        rows, url = [], f"{self.api}/api/{ident}?order=asc&rows_per_page=100"
        while url:
            text, headers = get(url)
            rows += json.loads(text)
            following = re.search(r'<([^>]*)>; *rel="next"', headers.get("Link", ""))
            url = following and following[1]
        return rows

    def close(self):
        for process in reversed(self.running):
            process.stop()


def live(scene):
    """500 live messages at 100 a second."""
    scene.start_both()
    for _ in range(500):
        scene.bus.send(scene.message())
        time.sleep(0.01)
    return 500, scene.counts()


def restart(scene):
    """250 of history and 520 live, stopped, the 520 put into history, started."""
    scene.history(250)
    scene.start_both()
    sent = [scene.message() for _ in range(520)]
    for message in sent:
        scene.bus.send(message)
        time.sleep(0.002)
    scene.counts()
    scene.stop_both()
    for message in sent:
        scene.archive.send(message)
    scene.start_both()
    return 770, scene.counts()


def start_in_the_middle(scene):
    """276 messages at 10 a second, into history and on the bus at once; started in the middle."""

    def send():
        for _ in range(276):
            message = scene.message()
            scene.archive.send(message)
            scene.bus.send(message)
            time.sleep(0.1)

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(12)
    scene.start_both()
    sending.join()
    return 276, scene.counts()


def pages(scene):
    """The pages of a model of 250 rows, 100 a page, one after the other: distinct rows."""
    scene.history(250)
    scene.start_both()
    scene.counts()
    port = free_port()
    serve = f"import statscache.app as a; a.app.run(host='127.0.0.1', port={port})"
    scene.start("web", [scene.python, "-c", serve])
    base = f"http://127.0.0.1:{port}/api/volume-1s"

    def page(number):
        request = urllib.request.Request(f"{base}?page={number}")
        request.add_header("Accept", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except OSError:
            return None

    until("the original's pages", lambda: page(1) is not None)
    original = {row["timestamp"] for number in (1, 2, 3) for row in page(number) or []}
    ours = {row["timestamp"] for row in scene.rows("volume-1s")}
    return 250, ({"volume-1s": len(original)}, {"volume-1s": len(ours)})


def poison(scene):
    """A message that makes the original's plugins raise, among 100 of history and 100 live."""
    scene.history(50)
    # Of two words where the category is the fourth.
    scene.archive.send(scene.message(age_s=3000, topic="short.topic"))
    scene.history(50)
    scene.start_both()
    for number in range(100):
        scene.bus.send(scene.message())
        time.sleep(0.01)
    # The short one has no category.
    return {ident: 200 if "category" in ident else 201 for ident in IDENTS}, scene.counts()


def bad_gateway(scene):
    """350 of history, one page of which is answered with a 502 first."""
    scene.history(350)
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    proxy.archive, proxy.failed = scene.archive_url, set()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    scene.archive_url = f"http://127.0.0.1:{proxy.server_address[1]}"
    scene.configure()
    scene.start_both()
    counted = scene.counts()
    proxy.shutdown()
    return 350, counted


EXPERIMENTS = {
    "live": live,
    "restart": restart,
    "start-in-the-middle": start_in_the_middle,
    "pages": pages,
    "poison": poison,
    "bad-gateway": bad_gateway,
}


def install(args):
    """The original, its plugins and its datagrepper."""
    home = args.work / "original"
    if (home / "done").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    boot = args.work / "boot"

    def run(*command, **options):
        subprocess.run([str(part) for part in command], check=True, **options)

    run(args.python27, "-m", "pip", "install", "-q", "--target", boot, "virtualenv==20.15.1")
    paths = dict(os.environ, PYTHONPATH=str(boot))
    run(args.python27, "-m", "virtualenv", "-q", home, env=paths)
    pip = [home / "bin" / "pip", "install", "-q"]
    run(*pip, "fedmsg[consumers]<1.2", "moksha.hub>=1.4.6", "fedmsg_meta_fedora_infrastructure<0.30")
    run(*pip, "sqlalchemy<1.4", "futures", "psutil", "pygments", "flask<2", "werkzeug<1")
    run(*pip, "docutils<0.18", "pygal<3", "python-dateutil", "alembic<1.7", "Mako", "arrow<1")
    run(*pip, "--no-deps", "statscache==0.0.4", "datagrepper==0.9.5", "datanommer.models==0.9.1")
    # An installed form of the plugins lacks its sub-packages.
    archive = ["--no-deps", "--no-binary", ":all:", "-d", home, "statscache_plugins==0.0.2"]
    run(home / "bin" / "pip", "download", "-q", *archive)
    run("tar", "-xzf", home / "statscache_plugins-0.0.2.tar.gz", "-C", home)
    run(*pip, "--no-deps", "-e", home / "statscache_plugins-0.0.2")
    (home / "done").touch()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--python27", default="python2.7")
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "peers")
    parser.add_argument(
        "--built", type=Path, help="folder with `statmill` and its plugin `libstatmill_volume.so`; else they are built"
    )
    args = parser.parse_args()
    unknown = set(args.experiments) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}, only {', '.join(EXPERIMENTS)}")
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.built is None:
        build = ["cargo", "build", "--locked", "--release", "-p", "statmill", "-p", "statmill-volume"]
        subprocess.run(build, cwd=ROOT, check=True)
    built = (args.built or ROOT / "target" / "release").resolve()
    args.statmill, args.volume = built / "statmill", built / "libstatmill_volume.so"
    install(args)

    failed = False
    for name in args.experiments or EXPERIMENTS:
        scene = Scene(args, name)
        try:
            scene.open()
            expected, (original, ours) = EXPERIMENTS[name](scene)
        finally:
            scene.close()
        print(f"\n{name}: {EXPERIMENTS[name].__doc__}")
        print(f"  {'':24} {'right':>8} {'statscache':>12} {'statmill':>10}")
        for ident in ours:
            right = expected[ident] if isinstance(expected, dict) else expected
            failed |= ours[ident] != right
            print(f"  {ident:24} {right:8} {original.get(ident, 0):12} {ours[ident]:10}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
