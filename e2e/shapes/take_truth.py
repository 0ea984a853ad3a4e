"""Takes the truth about how the servers stop with other tools than ours: kubectl, curl and bare sockets.

    python3 e2e/shapes/take_truth.py [NAME…] > e2e/shapes/truth.tsv

KUBECONFIG names a cluster whose pods this machine reaches and where `python3 e2e/shapes manifests shapes` is applied. Every
server's pod is deleted twice: once while it works, once while it has nothing to do. Standard library only, and nothing of
the operator is imported, so that one mistake cannot stand on both sides.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

SPACE = "shapes"
PORT = 8080
AT_ONCE = 3
SETTLE = 7  # a pod that is deleted just after it became Ready gets its signal late
SLOW = (4, 12)
LATE, LATE_EVERY = 6, 2
COLUMNS = (
    "server", "in_flight", "begun_after", "code", "exit_busy", "exit_idle", "first_5s", "from_2s", "keep_alive",
)  # fmt: skip
EXPLAINED = """\
# How servers stop, seen with curl, kubectl and bare sockets; taken by e2e/shapes/take_truth.py. T is SIGTERM: the deletion,
# or the end of a preStop sleep. in_flight: requests of 4 s and 12 s begun 1 s before T, and how they ended. begun_after: how
# those of 6 s ended that were begun every 2 s from T+1 on, when a first byte came. exit_*: seconds from T, with work and
# with nothing to do. first_5s: fresh connections in the 5 s from the deletion. from_2s: fresh connections from T+2 s (T+7 s
# for a declared lame duck of 5 s) to the exit. keep_alive: requests on idle connections at T+0.5 and T+2.5 s."""


def kubectl(*words: str) -> str:
    command = ["kubectl", "-n", SPACE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@dataclass
class Pod:
    """A pod that is about to be deleted, and everything seen of that."""

    name: str
    address: str
    container: str
    pre_stop: float
    deleted: float = 0.0  # steady clock
    epoch: float = 0.0  # wall clock
    ended: threading.Event = field(default_factory=threading.Event)
    code: int = -1
    finished: float = 0.0
    knocks: list[tuple[float, str]] = field(default_factory=list)
    slow: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: {"in_flight": [], "begun_after": []}
    )
    reused: dict[float, str] = field(default_factory=dict)

    @property
    def term(self) -> float:
        return self.deleted + self.pre_stop

    @property
    def exit(self) -> int:
        return max(0, round(self.finished + 0.5 - self.epoch - self.pre_stop))


def current(server: str) -> Pod:
    """The server's pod, once it is Ready and settled."""
    kubectl("rollout", "status", f"deployment/{server}", "--timeout=120s")
    while True:
        found = [
            each
            for each in json.loads(kubectl("get", "pods", "-l", f"app={server}", "-o", "json"))["items"]
            if "deletionTimestamp" not in each["metadata"]
        ]  # fmt: skip
        ready = [c for each in found for c in each["status"].get("conditions", []) if c["type"] == "Ready"]  # fmt: skip
        if len(found) == 1 and ready and ready[0]["status"] == "True":
            break
        time.sleep(0.5)
    time.sleep(max(0.0, datetime.fromisoformat(ready[0]["lastTransitionTime"]).timestamp() + SETTLE - time.time()))  # fmt: skip
    container = found[0]["spec"]["containers"][0]
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    return Pod(found[0]["metadata"]["name"], found[0]["status"]["podIP"], container["name"], sleep)


def watch(pod: Pod) -> None:
    """Notes how the container ended, which only lasts for a moment."""
    command = ["kubectl", "-n", SPACE, "get", "pod", pod.name, "--watch", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for seen in documents(child.stdout):
            states = {c["name"]: c["state"] for c in seen["status"].get("containerStatuses", [])}
            if state := states.get(pod.container, {}).get("terminated"):
                pod.code = state["exitCode"]
                pod.finished = datetime.fromisoformat(state["finishedAt"]).timestamp()
                break
        child.terminate()
    pod.ended.set()


def documents(lines: Iterator[str]) -> Iterator[dict]:
    """kubectl's JSON documents, each of which ends with a brace in the first column."""
    held = ""
    for line in lines:
        held += line
        if line.startswith("}"):
            yield json.loads(held)
            held = ""


def knock(pod: Pod) -> None:
    """One fast request on a fresh connection."""
    start = time.monotonic()
    try:
        with socket.create_connection((pod.address, PORT), timeout=2) as link:
            outcome = ask(link)
    except TimeoutError:
        outcome = "hung"
    except ConnectionRefusedError:
        outcome = "refused"
    except OSError:
        outcome = "reset"
    pod.knocks.append((start, "hung" if time.monotonic() - start > 1 and outcome == "reset" else outcome))  # fmt: skip


def ask(link: socket.socket) -> str:
    """One fast request on that connection: a status with or without the announcement of its end, or closed."""
    link.settimeout(2)
    try:
        link.sendall(b"GET /health HTTP/1.1\r\nHost: shape\r\n\r\n")
        seen = b""
        while b"\r\n\r\n" not in seen or seen.count(b"x") < 1022:
            more = link.recv(4096)
            if not more:
                return "closed" if not seen else "cut"
            seen += more
    except TimeoutError:
        return "hung"
    except OSError:
        return "closed"
    head = seen.partition(b"\r\n\r\n")[0].lower()
    return head.split()[1].decode() + ("+close" if b"connection: close" in head else "")


def slow(pod: Pod, kind: str, seconds: float) -> None:
    """One slow request by curl: whole, cut (a first byte came, the rest did not) or not taken."""
    start = time.monotonic()
    written = "%{http_code} %{size_download} %{time_starttransfer}"
    command = ["curl", "-s", "--http1.1", "--max-time", "60", "-o", "/dev/null", "-w", written]
    url = f"http://{pod.address}:{PORT}/slow?seconds={seconds:g}"
    status, size, _ = subprocess.run(
        [*command, url], capture_output=True, text=True, check=False
    ).stdout.split()
    whole = (status, size) == ("200", "1024")
    pod.slow[kind].append((start, "whole" if whole else "cut" if status == "200" else "not taken"))


def stop(pod: Pod, *, busy: bool) -> Pod:
    """Delete the pod, and see what becomes of requests and of the container."""
    threads: list[threading.Thread] = []

    def run(call: Callable[..., None], *given: object) -> None:
        threads.append(threading.Thread(target=call, args=given))
        threads[-1].start()

    def at(moment: float, call: Callable[..., None], *given: object) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))
        if not pod.ended.is_set():
            run(call, *given)

    def reuse(link: socket.socket, after: float) -> None:
        pod.reused[after] = ask(link)

    run(watch, pod)
    time.sleep(1)
    links = [socket.create_connection((pod.address, PORT), timeout=2) for _ in range(2 * busy)]
    kept = [not ask(link).endswith("+close") for link in links]
    if not all(kept):
        pod.reused = dict.fromkeys((0.5, 2.5), "not kept")
        for link in links:
            link.close()  # a server that waits for this would otherwise be kept from its work
    if busy and not pod.pre_stop:
        for seconds in SLOW:
            run(slow, pod, "in_flight", seconds)
        time.sleep(1)
    kubectl("delete", "pod", pod.name, "--wait=false")
    pod.deleted, pod.epoch = time.monotonic(), time.time()
    if busy:
        events = [(pod.term + after, reuse, link, after) for after, link in zip((0.5, 2.5), links, strict=True) if all(kept)]  # fmt: skip
        events += [(pod.term - 1, slow, pod, "in_flight", s) for s in SLOW if pod.pre_stop]
        events += [(pod.term + n, slow, pod, "begun_after", LATE) for n in range(1, 40, LATE_EVERY)]
        events += [(pod.deleted + n / 10, knock, pod) for n in range(400)]
        for moment, call, *given in sorted(events, key=lambda event: event[0]):
            at(moment, call, *given)
    pod.ended.wait(90)
    for thread in threads:
        thread.join(60)
    return pod


def counted(words: list[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common()) or "none"


def row(server: str) -> list[str]:
    """What was seen of one server."""
    busy = stop(current(server), busy=True)
    idle = stop(current(server), busy=False)
    duck = 5 if server == "node-lame-duck" else 0
    exited = busy.deleted + busy.finished + 1 - busy.epoch
    first = [what for at, what in busy.knocks if at < busy.deleted + 5]
    later = [what for at, what in busy.knocks if busy.term + 2 + duck <= at < exited]
    begun = [what for _, what in busy.slow["begun_after"] if what != "not taken"]
    flight = [what for _, what in sorted(busy.slow["in_flight"])]
    alive = [busy.reused.get(after, "gone") for after in (0.5, 2.5)]
    cells = [counted(flight), counted(begun), str(busy.code), str(busy.exit), str(idle.exit)]
    return [server, *cells, counted(first), counted(later), ", ".join(alive)]


def main() -> None:
    """Ask every server, some at a time, and print the table."""
    found = kubectl("get", "deployments", "-o", "jsonpath={.items[*].metadata.name}").split()
    print(EXPLAINED, "# " + "\t".join(COLUMNS), sep="\n", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for cells in pool.map(row, sys.argv[1:] or found):
            print(*cells, sep="\t", flush=True)


if __name__ == "__main__":
    main()
