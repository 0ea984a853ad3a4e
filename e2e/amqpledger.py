"""A publisher that keeps a ledger of what was confirmed, and a reader that says what is there.

`publish` sends one numbered message after the other to a quorum queue, each until it is confirmed, going from host to
host, until its input ends; `read` takes every message out. Both print one JSON object. The password comes from the
environment (AMQP_PASSWORD), never from the command line. Stands alone: it also runs inside a pod.
"""

import argparse
import itertools
import json
import os
import select
import ssl
import sys
import time
from collections.abc import Iterator

import pika
import pika.exceptions

BROKEN = (pika.exceptions.AMQPError, OSError)


def connect(
    args: argparse.Namespace, host: str
) -> "pika.adapters.blocking_connection.BlockingChannel":
    login = pika.PlainCredentials(args.user, os.environ["AMQP_PASSWORD"])
    given = pika.ConnectionParameters(
        host, args.port, credentials=login, heartbeat=2, socket_timeout=1, stack_timeout=2,
        blocked_connection_timeout=2, connection_attempts=1, ssl_options=encrypted(args.authority),
    )  # fmt: skip
    channel = pika.BlockingConnection(given).channel()
    channel.confirm_delivery()
    channel.queue_declare(args.queue, durable=True, arguments={"x-queue-type": "quorum"})
    return channel


def encrypted(authority: str) -> pika.SSLOptions | None:
    """By who vouches for the brokers; their names are not compared, because they are reached by address."""
    if not authority:
        return None
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    return pika.SSLOptions(context)


def hosts(args: argparse.Namespace) -> Iterator[str]:
    """Round and round, with a breath in between."""
    names = args.hosts.split(",")
    while True:
        for name in names:
            yield name
            time.sleep(0.02)


def ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def publish(args: argparse.Namespace) -> dict[str, object]:
    ring, channel, number = hosts(args), None, 0
    confirmed: list[tuple[int, float]] = []
    errors: dict[str, int] = {}
    while not ended():
        try:
            channel = channel or connect(args, next(ring))
            channel.basic_publish("", args.queue, str(number).encode(), pika.BasicProperties(delivery_mode=2), mandatory=True)  # fmt: skip
            confirmed.append((number, time.time()))
            time.sleep(args.pause)
        except BROKEN as error:
            errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
            channel = None
        number += 1
        if len(confirmed) == 1:
            print("begun", file=sys.stderr, flush=True)
    times = [at for _, at in confirmed] + [time.time()]
    gaps = [(after - before, before) for before, after in itertools.pairwise(times)]
    gap, at = max(gaps, default=(0.0, 0.0))
    return {
        "confirmed": [n for n, _ in confirmed],
        "gap": round(gap, 3),
        "at": at,
        "errors": errors,
    }


def read(args: argparse.Namespace) -> dict[str, object]:
    found, deadline = [], time.monotonic() + 60
    for host in hosts(args):
        try:
            channel = connect(args, host)
            for method, _, body in channel.consume(args.queue, inactivity_timeout=3):
                if method is None:
                    return {"found": found}
                found.append(int(body))
                channel.basic_ack(method.delivery_tag)
        except BROKEN:
            if time.monotonic() > deadline:
                raise
    return {"found": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("publish", "read"))
    parser.add_argument("--hosts", required=True)
    parser.add_argument("--port", type=int, default=5672)
    parser.add_argument("--user", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument(
        "--authority", default="", help="certificate of who vouches for the brokers"
    )
    parser.add_argument("--pause", type=float, default=0.002)
    args = parser.parse_args()
    print(json.dumps({"publish": publish, "read": read}[args.verb](args)))


if __name__ == "__main__":
    main()
