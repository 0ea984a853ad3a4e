"""Takes the truth about the third-party servers with other tools than ours: kubectl, curl and a person's reading.

    python3 e2e/thirdparty/take_truth.py CA.crt > e2e/thirdparty/truth.tsv

KUBECONFIG names a cluster on which e2e/test_thirdparty.py has brought the servers up (READINESS_CLUSTER_KEEP=1 keeps it).
Each line is server, control, whether the requirement holds (yes, no, n/a), and what curl saw. Standard library and PyYAML
only: nothing of the operator is imported, so that one mistake cannot stand on both sides.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

SPACE = "thirdparty"
HERE = Path(__file__).resolve().parent
ORIGIN = "https://shop.example.com"
STRANGERS = (
    "https://evil.example", "null", f"{ORIGIN}.evil.example", "https://evilshop.example.com", "http://shop.example.com",
)  # fmt: skip
DEBUG = ("/.env", "/.git/HEAD", "/actuator/env", "/debug/pprof/", "/server-status", "/phpinfo.php")
NOWHERE = ("/no-such-page-4711", "/another-4712")
HTML = "Accept: text/html"
Truth = tuple[str, str]


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: str

    def all(self, name: str) -> str:
        return ", ".join(v for k, v in self.headers if k == name)

    @property
    def html(self) -> bool:
        return self.all("content-type").startswith("text/html")


class Server:
    """One server, asked through `kubectl port-forward` with curl."""

    def __init__(self, name: str, target: dict, authority: str, edge: bool) -> None:
        self.name, self.target, self.authority, self.edge = name, target, authority, edge
        self.http = target["http"]

    def curl(self, path: str, *headers: str, tls: bool = False, method: str = "GET") -> Answer:
        host = f"{self.name}.{SPACE}.svc.cluster.local"
        port = 18443 if tls else 18080
        command = ["curl", "-sS", "-i", "--http1.1", "--max-time", "10", "-X", method, "--cacert", self.authority,
                   "--resolve", f"{host}:{port}:127.0.0.1"]  # fmt: skip
        command += [word for each in headers for word in ("-H", each)]
        url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
        text = subprocess.run([*command, url], capture_output=True, check=True).stdout.decode(
            "utf-8", "replace"
        )
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return Answer(int(first.split()[1]), [(k.lower(), v.strip()) for k, v in pairs], body)

    def ways(self) -> tuple[bool, ...]:
        return (False, True) if self.edge else (False,)

    def pages(self) -> Iterator[tuple[str, Answer]]:
        """What browsers are shown: public pages and one that does not exist, everywhere."""
        for tls in self.ways():
            for path in (*self.http["public"], NOWHERE[0]):
                yield f"{path}{' (edge)' if tls else ''}", self.curl(path, HTML, tls=tls)


def holds(*problems: str, ok: str = "") -> Truth:
    found = [p for p in problems if p]
    return ("no", found[0]) if found else ("yes", ok)


def health(server: Server) -> Truth:
    path = server.target["health"]["path"]
    first = server.curl(path)
    time.sleep(2)
    second = server.curl(path)
    if first.status != 200 or "json" not in first.all("content-type"):
        return "no", f"{first.status} {first.all('content-type')}"
    one, two = json.loads(first.body), json.loads(second.body)
    age = time.time() - started(server.name)
    return holds(
        ""
        if one.get("status") in ("ok", "up", "UP", "pass", "healthy")
        else f"status {one.get('status')}",
        "" if abs(epoch(one.get("timestamp")) - time.time()) < 60 else "timestamp is not now",
        "" if one.get("timestamp") != two.get("timestamp") else "timestamp stands still",
        "" if isinstance(one.get("uptime"), int | float) else "no uptime",
        "" if one.get("uptime") != two.get("uptime") else "uptime stands still",
        ""
        if -1 <= two.get("uptime", 0) <= age + 60
        else "uptime is not that of a process in this pod",
        ok="status, a moving timestamp of now, and an uptime",
    )


def epoch(value: object) -> float:
    if isinstance(value, int | float):
        return value / 1000 if value > 1e11 else float(value)
    return datetime.fromisoformat(str(value)).timestamp() if value else 0.0


def started(name: str) -> float:
    command = [
        "kubectl",
        "-n",
        SPACE,
        "get",
        "pods",
        "-l",
        f"app={name}",
        "-o",
        "jsonpath={.items[0].status.startTime}",
    ]
    return datetime.fromisoformat(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ).timestamp()


def anonymous(server: Server) -> Truth:
    path = server.target["health"]["path"]
    asked = (
        server.curl(path),
        server.curl(path, "Authorization: Bearer nobody", "Cookie: session=nobody"),
    )
    return holds(
        *(
            f"{a.status} {a.all('set-cookie')}".strip()
            for a in asked
            if a.status != 200 or a.all("set-cookie")
        ),
        ok="200 and 200",
    )


def deep(server: Server) -> Truth:
    answer = server.curl(server.target["health"]["deepPath"])
    try:
        said = json.dumps(json.loads(answer.body))
    except ValueError:
        return "no", f"{answer.status}, no JSON"
    absent = [c for c in server.target["health"]["components"] if f'"{c}"' not in said]
    return holds(
        "a connection URI" if re.search(r'"(?!https?:)[a-z+]+://', said) else "",
        f"nothing about {absent}" if absent else "",
        ok="lists every component",
    )


def caching(server: Server) -> Truth:
    for tls in server.ways():
        for path in server.http["sensitive"]:
            answer = server.curl(path, HTML, tls=tls)
            if answer.status == 404:
                return "unknown", "404: there is no such route"
            words = [w.strip() for w in answer.all("cache-control").lower().split(",")]
            age = [
                w
                for w in words
                if w.startswith(("max-age=", "s-maxage=")) and w.partition("=")[2] != "0"
            ]
            if "no-store" not in words or "public" in words or age:
                return (
                    "no",
                    f"{answer.status}, Cache-Control: {answer.all('cache-control') or 'absent'}",
                )
    return "yes", "no-store"


def scripts(server: Server) -> Truth:
    if not any(a.html for where, a in server.pages() if NOWHERE[0] not in where):
        return "n/a", "no HTML"
    for where, answer in server.pages():
        value = answer.all("content-security-policy")
        words = re.search(r"script-src([^;]*)", value) or re.search(r"default-src([^;]*)", value)
        if answer.html and (
            words is None
            or re.search(r"\*|unsafe-eval|unsafe-inline|https?:(\s|$)|data:", words[1])
        ):
            return "no", f"{where}: {value or 'no Content-Security-Policy'}"
    return "yes", "on every page"


def transport(server: Server) -> Truth:
    for where, answer in server.pages():
        value = answer.all("strict-transport-security")
        age = re.search(r"max-age=(\d+)", value)
        if "(edge)" in where and (age is None or int(age[1]) < 180 * 86400):
            return "no", f"{where}: {value or 'no Strict-Transport-Security'}"
    return "yes", "on every page"


def framing(server: Server) -> Truth:
    if not any(a.html for where, a in server.pages() if NOWHERE[0] not in where):
        return "n/a", "no HTML"
    for where, answer in server.pages():
        ancestors = re.search(r"frame-ancestors([^;]*)", answer.all("content-security-policy"))
        safe = (
            "*" not in ancestors[1]
            if ancestors
            else answer.all("x-frame-options").upper() in ("DENY", "SAMEORIGIN")
        )
        if answer.html and not safe:
            return "no", f"{where}: neither X-Frame-Options nor frame-ancestors"
    return "yes", "on every page"


def hygiene(server: Server) -> Truth:
    for where, answer in server.pages():
        if answer.all("x-content-type-options") != "nosniff":
            return "no", f"{where}: no nosniff"
        if answer.html and answer.all("referrer-policy") in ("", "unsafe-url"):
            return "no", f"{where}: no Referrer-Policy"
        if answer.all("x-powered-by") or re.search(r"\d", answer.all("server")):
            return "no", f"{where}: {answer.all('x-powered-by') or answer.all('server')}"
    return "yes", "on every page"


def origins(server: Server) -> Truth:
    path = server.target["cors"]["path"]
    for tls in server.ways():
        for stranger in STRANGERS:
            grant = server.curl(path, f"Origin: {stranger}", tls=tls).all(
                "access-control-allow-origin"
            )
            if grant in ("*", stranger):
                return "no", f"{stranger} gets {grant}"
        friend = server.curl(path, f"Origin: {ORIGIN}", tls=tls)
        preflight = server.curl(
            path,
            f"Origin: {ORIGIN}",
            "Access-Control-Request-Method: GET",
            tls=tls,
            method="OPTIONS",
        )
        if friend.all("access-control-allow-origin") != ORIGIN:
            return "no", "the listed origin is not allowed"
        if "origin" not in friend.all("vary").lower():
            return "no", "no Vary: Origin"
        if preflight.status >= 300 or preflight.all("access-control-allow-origin") != ORIGIN:
            return "no", f"preflight of the listed origin: {preflight.status}"
    return "yes", "the listed origin only"


def credentials(server: Server) -> Truth:
    path = server.target["cors"]["path"]
    for tls in server.ways():
        for stranger in STRANGERS:
            answer = server.curl(path, f"Origin: {stranger}", tls=tls)
            if answer.all("access-control-allow-credentials") == "true" and answer.all(
                "access-control-allow-origin"
            ) in ("*", stranger):
                return "no", f"{stranger} may send credentials"
    return "yes", "for nobody else"


def refusal(server: Server) -> Truth:
    nowhere = server.curl(NOWHERE[0], HTML)
    for tls in server.ways():
        for path in server.http["protected"]:
            for header in (
                "X-Nothing: 1",
                "Authorization: Bearer nobody",
                "Authorization: Basic bm9ib2R5Om5vYm9keQ==",
            ):
                answer = server.curl(path, HTML, header, tls=tls)
                login = answer.status in (302, 303) and "login" in answer.all("location")
                if (answer.status, answer.body) == (nowhere.status, nowhere.body):
                    return "unknown", f"{answer.status}: there is no such route"
                if answer.status not in (401, 403) and not login:
                    return "no", f"{answer.status} with {header.partition(':')[0]}"
    return "yes", "refused"


def closed(server: Server) -> Truth:
    for tls in server.ways():
        shell = server.curl(NOWHERE[1], tls=tls)
        for path in DEBUG:
            answer = server.curl(path, tls=tls)
            if answer.status < 300 and answer.body != shell.body:
                return "no", f"{path} is served"
    return "yes", "closed"


def exposition(server: Server) -> Truth:
    answer = server.curl(server.target["metrics"]["path"], "Accept: text/plain;version=0.0.4")
    kind, lines = (
        answer.all("content-type"),
        [x for x in answer.body.splitlines() if x and not x.startswith("#")],
    )
    good = re.compile(r"[a-zA-Z_:][\w:]*(\{.*\})? [0-9.eE+-]+( \d+)?")
    own = [x for x in lines if not x.startswith(("process_", "go_", "python_", "nodejs_"))]
    return holds(
        ""
        if answer.status == 200 and ("text/plain" in kind or "openmetrics" in kind)
        else f"{answer.status} {kind}",
        "" if all(good.fullmatch(x) for x in lines) else "lines that Prometheus does not parse",
        "no # EOF at its end"
        if "openmetrics" in kind and not answer.body.endswith("# EOF\n")
        else "",
        "" if own else "nothing of its own",
        ok="parses",
    )


def internal(server: Server) -> Truth:
    answer = server.curl(server.target["metrics"]["path"], tls=True)
    return ("no", str(answer.status)) if answer.status < 300 else ("yes", str(answer.status))


RULES = {
    "HLT-001": health, "HLT-002": anonymous, "HLT-003": deep, "HDR-001": caching, "HDR-002": scripts, "HDR-003": transport,
    "HDR-004": framing, "HDR-005": hygiene, "COR-001": origins, "COR-003": credentials, "AUT-001": refusal,
    "CFG-009": closed, "OBS-001": exposition, "OBS-012": internal,
}  # fmt: skip
EDGE = ("HDR-003", "OBS-012")


@contextmanager
def forwarded(name: str, edge: bool) -> Iterator[None]:
    ports = ["18080:8080", *(["18443:8443"] if edge else [])]
    command = ["kubectl", "-n", SPACE, "port-forward", f"deployment/{name}", *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            child.stdout.readline()
            time.sleep(0.5)
            yield
        finally:
            child.terminate()


def main() -> None:
    """Ask every server and print the table."""
    print("# server\tcontrol\tholds\tseen with curl; taken by e2e/thirdparty/take_truth.py")
    for name, row in yaml.safe_load((HERE / "servers.yaml").read_text()).items():
        edge = bool(row.get("edge"))
        server = Server(name, row["target"], sys.argv[1], edge)
        with forwarded(name, edge):
            for id_, rule in RULES.items():
                needed = not (id_ in EDGE and not edge) and not (
                    id_ == "HLT-003" and "deepPath" not in row["target"]["health"]
                )
                if needed:
                    print(name, id_, *rule(server), sep="\t", flush=True)


if __name__ == "__main__":
    main()
