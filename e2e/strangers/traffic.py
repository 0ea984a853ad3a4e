"""Clients of one application until standard input ends: then one line of JSON per request. Runs in a pod of its own."""

import http.client
import json
import sys
import threading
import time

DURATIONS, FAST_EVERY, SLOW_EVERY = (4, 10), 0.1, 3
given = json.loads(sys.argv[1])  # service and pod: address and port; fast and slow: paths
stopped, lines = threading.Event(), []


def ask(kind, address, path, limit):
    start = time.time()
    try:
        link = http.client.HTTPConnection(*address, timeout=limit)
        link.request("GET", path)
        answer = link.getresponse()
        answer.read()
        outcome = str(answer.status)
    except ConnectionRefusedError:
        outcome = "refused"
    except TimeoutError:
        outcome = "hung"
    except (OSError, http.client.HTTPException):
        outcome = "cut"
    finally:
        link.close()
    lines.append({"kind": kind, "start": start, "end": time.time(), "outcome": outcome})


def keep(address, path):
    """One connection after the other, each used until it ends."""
    link = http.client.HTTPConnection(*address, timeout=2)
    while not stopped.wait(0.5):
        start = time.time()
        try:
            link.request("GET", path)
            answer = link.getresponse()
            answer.read()
            outcome = f"{answer.status}{'+close' if answer.will_close else ''}"
        except (OSError, http.client.HTTPException):
            outcome = "ended"
            link.close()
        lines.append({"kind": "kept", "start": start, "end": time.time(), "outcome": outcome})


def repeat(every, *requests):
    turn = 0
    while not stopped.wait(every):
        threading.Thread(target=ask, args=requests[turn % len(requests)], daemon=True).start()
        turn += 1


streams = [
    (FAST_EVERY, ("fast", given["service"], given["fast"], 5)),
    (FAST_EVERY, ("knock", given["pod"], given["fast"], 2)),
]
if given["slow"]:
    paths = [given["slow"].replace("{seconds}", str(seconds)) for seconds in DURATIONS]
    streams.append((SLOW_EVERY, *(("slow", given["service"], path, 45) for path in paths)))
threads = [threading.Thread(target=repeat, args=stream) for stream in streams]
threads.append(threading.Thread(target=keep, args=(given["pod"], given["fast"])))
for thread in threads:
    thread.start()
sys.stdin.read()
stopped.set()
time.sleep(max(DURATIONS) + 3 if given["slow"] else 3)
for line in lines:
    print(json.dumps(line))
