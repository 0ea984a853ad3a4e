"""docs/matrix.md, docs/thirdparty.md and docs/strangers.md, made from the tables that the tests run.

`python3 e2e/pages.py` writes them; tests/apps/test_pages.py fails when they differ from the tables.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)] if str(HERE) not in sys.path else []

import jobs  # noqa: E402 (the path must be set first)
import manifest_defects  # noqa: E402
import matrix  # noqa: E402
import strangers  # noqa: E402
import thirdparty  # noqa: E402

DOCS: Final = HERE.parent / "docs"
MADE: Final = "<!-- Made by e2e/pages.py from the tables that the tests run. Do not edit. -->\n"
FAILS, OPEN, OTHER = "●", "○", "·"
MATRIX: Final = """\
# Control × defect

A control that cannot fail is a defect, and one that fails a healthy service is a worse one. So every control that looks at
a running application is proved on a *specimen*: one small application ([e2e/apps](../e2e/apps)) that does everything right,
and that breaks exactly one clause of one criterion when `DEFECTS` says so. With a defect planted, exactly the controls that
name it must fail; with none, all must pass, also on the same application built differently (Python's asyncio, and Node).

{fails} the control fails · {open} it can prove nothing then and says so · {other} it passes, as it does without the defect

`make unit` runs every cell on loopback with the reason of each failure; `make e2e` runs them on pods, judged by the operator
as its chart installs it ([e2e/test_matrix.py](../e2e/test_matrix.py)). There, HDR-003 and OBS-012 are looked at for defects
of the edge and of caches only, because every request takes its turn. `readiness explain <id>` prints a control's criterion.

## What applications answer: {http} defects

{http_table}

## How applications start and what they log: {starts} defects

Seen on clones only: a process that runs has started. `make test-slow` drills them
([e2e/test_drill_matrix.py](../e2e/test_drill_matrix.py)).

{start_table}

## How applications bear that others fail: {faults} defects

Seen on clones only, whose upstreams and store the drill plays and makes fail. `make test-slow` drills them, on processes
([tests/apps/test_fault_matrix.py](../tests/apps/test_fault_matrix.py)) and on pods.

{fault_table}

## What becomes of jobs, and of what is set up once: {jobs} defects

Seen on clones only, of a worker over a throw-away Redis that is built in two ways ([e2e/apps/worker](../e2e/apps/worker)).
`make test-slow` drills all of them on processes ([tests/apps/test_job_matrix.py](../tests/apps/test_job_matrix.py)), and both
workers with some of them on pods ([e2e/test_drill_jobs.py](../e2e/test_drill_jobs.py)).

{job_table}

## How applications end: {stops} defects

Seen on clones that are stopped. `make test-slow` runs every arm on processes
([tests/apps/test_stop_matrix.py](../tests/apps/test_stop_matrix.py)) and on pods ([e2e/test_drill_matrix.py](../e2e/test_drill_matrix.py)).

{stop_table}

## How real pods end: {twins} defects

No drill is needed: rollouts that happen anyway show it. `make test-slow` rolls processes
([tests/apps/test_twin_matrix.py](../tests/apps/test_twin_matrix.py)) and pods ([e2e/test_passive.py](../e2e/test_passive.py)).

{twin_table}

## What manifests say: {manifests} defects

The sample [shop.yaml](../manifests/samples/shop.yaml) with one thing changed
([e2e/manifest_defects.yaml](../e2e/manifest_defects.yaml)). Where nothing but the manifest matters, no pod runs, and the
controls that look at pods are left out (blank).

{manifest_table}
"""
THIRDPARTY: Final = """\
# Third-party servers

What the operator says about servers that others wrote ([e2e/apps/thirdparty](../e2e/apps/thirdparty) configures them),
against a truth that was taken with kubectl and curl by a script that shares no code with the operator
([take_truth.py](../e2e/thirdparty/take_truth.py) → [truth.tsv](../e2e/thirdparty/truth.tsv)). `make e2e` compares both on
pods: no wrong Pass, no wrong Fail, in {count} places.

yes: the requirement holds, and the operator says Pass · no: it does not, and the operator says Fail · open: the operator
says Unknown, because what was declared is not there to be judged · n/a: it does not apply

{table}

## What curl saw where a requirement does not hold

{seen}
"""
STRANGERS: Final = """\
# Applications that others wrote

Says a drill something true about an application whose owner has told it nothing? {count} applications from Debian, PyPI, npm
and Go ([apps.yaml](../e2e/strangers/apps.yaml)) stand in a namespace that denies all traffic and has a quota. Each was
drilled with `readiness drill shutdown`; declared was nothing but a slow or streaming request, where they have one. The truth
is a real rollout under traffic ([take_truth.py](../e2e/strangers/take_truth.py) → [truth.tsv](../e2e/strangers/truth.tsv)),
seen with other tools. `make test-slow` runs it all again ([e2e/test_strangers.py](../e2e/test_strangers.py)).

| | {heads} |
| --- | {rules} |
| decided | {shares} |
| wrong | {wrong} |

Pass · Fail · open: Unknown, and why stands below · —: it has no slow request · blank: not drilled in that run, and not counted as decided · a decided cell with a question mark: the real
rollout alone does not tell (a code that changes from run to run, an end within a second of the limit)

{table}

## What was left open

{open}

## What fails

{fails}
"""


class Row(Protocol):
    """What a defect of either table has."""

    @property
    def id(self) -> str: ...
    @property
    def clause(self) -> str: ...
    @property
    def fails(self) -> Mapping[str, str]: ...
    @property
    def unproven(self) -> Mapping[str, str]: ...


def matrix_page() -> str:
    """The page of the matrix."""
    manifests = manifest_defects.table().values()
    columns = (*manifest_defects.STATIC_CONTROLS, *manifest_defects.LIVE_CONTROLS)
    unseen = {row.id: () if row.pods else manifest_defects.POD_CONTROLS for row in manifests}
    return MADE + MATRIX.format(
        fails=FAILS, open=OPEN, other=OTHER, http=len(matrix.DEFECTS), manifests=len(manifests),
        starts=len(matrix.START_DEFECTS), stops=len(matrix.STOP_DEFECTS),
        stop_table=grid(matrix.STOP_DEFECTS.values(), matrix.STOP_CONTROLS, {}),
        twins=len(matrix.TWIN_DEFECTS), twin_table=grid(matrix.TWIN_DEFECTS.values(), matrix.TWIN_CONTROLS, {}),
        start_table=grid(matrix.START_DEFECTS.values(), matrix.DRILL_CONTROLS, {}),
        faults=len(matrix.FAULT_DEFECTS),
        fault_table=grid(matrix.FAULT_DEFECTS.values(), matrix.FAULT_CONTROLS, {}),
        http_table=grid(matrix.DEFECTS.values(), matrix.HTTP_CONTROLS, {}),
        jobs=len(jobs.DEFECTS), job_table=grid(jobs.DEFECTS.values(), jobs.CONTROLS, {}),
        manifest_table=grid(manifests, columns, unseen),
    )  # fmt: skip


def grid(rows: Iterable[Row], columns: Sequence[str], unseen: Mapping[str, Sequence[str]]) -> str:
    """One line per defect, one column per control."""

    def cell(row: Row, id_: str) -> str:
        blank = " " if id_ in unseen.get(row.id, ()) else OTHER
        return FAILS if id_ in row.fails else OPEN if id_ in row.unproven else blank

    lines = [["defect", "what no longer holds", *columns], ["---", "---", *[":-:"] * len(columns)]]
    lines += [
        [f"`{row.id}`", row.clause.replace("|", "\\|"), *(cell(row, id_) for id_ in columns)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def thirdparty_page() -> str:
    """The page of the third-party servers."""
    truth = thirdparty.truth()
    servers = list(dict.fromkeys(server for server, _ in truth))

    def cell(server: str, id_: str) -> str:
        row = truth.get((server, id_))
        left_open = row and (row.holds == "unknown" or (server, id_) in thirdparty.LEFT_OPEN)
        return "open" if left_open else row.holds if row else ""

    lines = [["server", *thirdparty.CONTROLS], ["---", *[":-:"] * len(thirdparty.CONTROLS)]]
    lines += [[server, *(cell(server, id_) for id_ in thirdparty.CONTROLS)] for server in servers]
    seen = [
        f"| {s} | {c} | {row.seen.replace('|', '')} |"
        for (s, c), row in truth.items()
        if row.holds == "no"
    ]
    return MADE + THIRDPARTY.format(
        count=len(truth),
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        seen="\n".join(["| server | control | seen |", "| --- | --- | --- |", *seen]),
    )


def strangers_page() -> str:
    """The page of the applications that others wrote."""
    found, truth = strangers.drilled(), strangers.truth()
    shares, wrong = strangers.decided(found), Counter(p[1] for p in strangers.wrong(found))

    def cell(name: str, id_: str) -> str:
        row = found.get((name, id_))
        if row is None:
            return ""
        if row.reason == "NotDeclared":
            return "—"
        unsure = row.decides and truth[name, id_].holds == "unknown"
        return (row.result if row.decides else "open") + ("?" if unsure else "")

    def rows(*results: str) -> Iterable[str]:
        return (
            f"| {name} | {id_} | {row.reason} | {row.seen.replace('|', '')} |"
            for (name, id_), row in found.items()
            if row.reason != "NotDeclared" and row.result in results
        )

    def table(head: Sequence[str], lines: Iterable[str]) -> str:
        rule = ["---"] * len(head)
        return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join(rule)} |", *lines])

    ids = strangers.CONTROLS
    apps = [f"| {name} | {app.package} | {' | '.join(cell(name, id_) for id_ in ids)} |" for name, app in strangers.APPS.items()]  # fmt: skip
    why = ("application", "control", "reason", "seen")
    return MADE + STRANGERS.format(
        count=len(strangers.APPS), heads=" | ".join(ids), rules=" | ".join([":-:"] * len(ids)),
        shares=" | ".join(f"{shares[id_]:.0%}" for id_ in ids),
        wrong=" | ".join(str(wrong[id_]) for id_ in ids),
        table=table(("application", "package", *ids), apps),
        open=table(why, rows("Unknown", "Blocked", "OptInRequired")), fails=table(why, rows("Fail")),
    )  # fmt: skip


PAGES: Final = {
    "matrix.md": matrix_page,
    "thirdparty.md": thirdparty_page,
    "strangers.md": strangers_page,
}


def main() -> None:
    """Write all of them."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
