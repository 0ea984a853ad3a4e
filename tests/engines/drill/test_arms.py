"""The engine on processes: what it stamps, how it ends, what it leaves behind.

What is asserted is what came before what, and how often: on a crowded machine every moment is a late one.
"""

from __future__ import annotations

import asyncio

import pytest
from drill_processes import Processes, clone, free_port
from drill_servers import ABRUPT, CRASHING, DEAF, FRAME, GRACEFUL, LAME, PATIENT

from readiness.drills.codec import dump_timeline
from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Drill, Props, Reports
from readiness.model import Manifest, Outcome
from readiness.script import Arm, DrillSubject, Script
from readiness.step import Boot, Exit, Flow, Hold, Knock, Linger, Logs, Pause, Send, Stop
from readiness.timeline import NEVER, Problem, Timeline

FAST = Send("fast", "/", times=2)
BOOTED = Boot(60.0)
WAVES = Arm("waves", (
    BOOTED, FAST, Send("parallel", "/slow?s=1", parallel=8, seconds=1.0, measure=True),
    Hold("idle", "/", (0.2, 0.5)), Knock("knock", "/", every=0.05),
    Flow("wave", ((2.0, "/slow?s=2"), (1.5, "/slow?s=1.5")), 4, 0.25), Pause(0.8), Stop(), Exit(30.0),
))  # fmt: skip
BOOT = Arm("boot", (Boot(60.0, succeed=False),))


def drilled(code: str, *arms: Arm, grace: float = 5.0, refusal: Problem | None = None) -> tuple[list[Timeline], Processes]:  # fmt: skip
    """The timelines of arms on clones of one server."""

    async def run() -> tuple[list[Timeline], Processes]:
        port = free_port()
        subject = DrillSubject("test", "t", "apps/v1", "Deployment", "x", port=port)
        stage = Processes(port, {arms[0].name: refusal} if refusal else None)
        dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)
        seen: list[Timeline] = []

        def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest:
            return clone(arm.name, code, grace)

        script = Script("run", subject, arms, clones=1, deadline=120.0)
        reports = Reports(lambda arm, moment: None, seen.append)
        await Drill(script, stage, dialer, (build, Props()), reports).run()
        return seen, stage

    return asyncio.run(run())


def test_a_graceful_server_loses_nothing_and_every_time_is_in_order():
    (seen,), stage = drilled(GRACEFUL, WAVES)

    assert seen.problem is None
    assert stage.cleared
    assert seen.parallel > 2
    assert seen.ending is not None
    assert seen.ending.code == 0
    straddling = [x for x in seen.labelled("wave") if NEVER < x.first < seen.stopped < x.end]
    assert len(straddling) >= 2
    assert all(x.answered and x.size == 9 for x in straddling)
    assert len({x.digest for x in straddling} - {""}) == 1
    assert {x.digest for x in seen.labelled("knock")} == {""}
    for x in seen.exchanges:
        assert x.start <= x.connected <= x.end or x.connected == NEVER
    knocks = seen.labelled("knock")
    first = next(x for x in knocks if x.outcome is Outcome.REFUSED)
    assert seen.stopped < first.end < max(x.end for x in straddling)
    assert {x.outcome for x in knocks if x.start >= first.start} == {Outcome.REFUSED}
    assert [m.name for m in seen.moments if m.name in ("created", "ready", "stopped")] == ["created", "ready", "stopped"]  # fmt: skip


def test_an_abrupt_server_loses_what_was_in_flight():
    (seen,), _ = drilled(ABRUPT, WAVES)

    cut = [
        x
        for x in seen.labelled("wave")
        if NEVER < x.first < seen.stopped <= x.end + 0.05 and not x.whole
    ]
    assert len(cut) >= 2
    assert all(x.outcome is Outcome.RESET and x.status == 200 for x in cut)
    assert [m.detail for m in seen.moments if m.name == "closed"]


def test_a_deaf_server_is_killed_at_its_grace():
    (seen,), _ = drilled(DEAF, WAVES, grace=2.0)

    assert seen.ending is not None
    assert seen.ending.code == 137
    assert seen.ending.at - seen.stopped >= 2.0
    late = [x for x in seen.labelled("knock") if x.start > seen.stopped]
    last = max(x.end for x in late if x.answered)
    assert all(x.answered for x in late if x.end <= last)


def test_held_connections_are_used_again_after_the_signal():
    (seen,), _ = drilled(LAME.replace("sleep(1.0)", "sleep(4.0)"), WAVES)

    assert [(x.held, x.answered) for x in seen.labelled("idle")] == [(False, True)] * 2 + [(True, True)] * 2  # fmt: skip


def test_a_connection_that_is_to_be_closed_is_closed_and_holds_no_worker():
    arm = Arm("held", (BOOTED, Hold("idle", "/"), Pause(2.0), FAST, Stop(), Exit(30.0)))
    (seen,), _ = drilled(PATIENT, arm)

    assert [x.answered for x in (*seen.labelled("idle"), *seen.labelled("fast"))] == [True] * 4
    assert [m.detail for m in seen.moments if m.name == "closed"] == ["idle 0", "idle 1"]
    assert seen.moment("closed") < seen.stopped


def test_a_clone_that_ends_by_itself_is_an_answer_or_a_problem_as_the_arm_says():
    (boot,), _ = drilled(CRASHING, BOOT)
    (waves,), _ = drilled(CRASHING, WAVES)

    assert boot.problem is None
    assert boot.ending is not None
    assert boot.ending.code == 3
    assert waves.problem is not None
    assert waves.problem.reason == "Ended"


def test_what_the_cluster_refuses_is_told_in_its_words_and_ends_only_that_arm():
    refused = Problem("Quota", 'pods "waves" is forbidden: exceeded quota: compute')

    (first, second), stage = drilled(GRACEFUL, WAVES, BOOT, refusal=refused)

    assert first.problem == Problem("Quota", 'pods "clone" is forbidden: exceeded quota: compute')
    assert second.problem is None
    assert stage.cleared


NAMED = "(?<![A-Z])DATA_DIR(?![A-Z])"
STARTING = (Boot(60.0, succeed=False), Linger(0.3), Logs("log", (NAMED,), within=1.0))
CANARY = "hunter2-canary"


@pytest.mark.parametrize(
    ("code", "exit_code", "found"),
    [
        (f"import sys; print('DATA_DIR is missing, token {CANARY}'); sys.exit(2)", 2, True),
        (f"import sys; sys.stderr.write('no DATA_DIR\\n' + {CANARY!r}); sys.exit(2)", 2, True),
        (f"import sys; sys.exit('wrong settings: {CANARY}')", 1, False),
        (GRACEFUL, None, False),
    ],
)
def test_a_log_is_searched_and_stays_where_it_is(code, exit_code, found):
    (seen,), _ = drilled(code, Arm("start", STARTING))

    assert seen.problem is None
    assert (seen.ending.code if seen.ending else None) == exit_code
    assert [said.found for said in seen.said] == [(NAMED,) if found else ()]
    assert CANARY not in dump_timeline("run", seen)


def test_lingering_ends_with_the_clone():
    code = "import time, sys; time.sleep(0.5); sys.exit(4)"
    (seen,), _ = drilled(code, Arm("start", (Boot(0.1, succeed=False), Linger(90.0))))

    assert seen.ending is not None
    assert seen.ending.code == 4
    assert seen.problem is None
    assert seen.ending.at < 90


def test_a_log_that_comes_late_is_waited_for():
    late = FRAME % "await asyncio.sleep(0.8); print('DATA_DIR', flush=True); await stopping.wait()"
    (seen,), _ = drilled(late, Arm("start", (BOOTED, Logs("log", (NAMED,), within=60.0))))

    assert [said.found for said in seen.said] == [(NAMED,)]
