"""One clone as its drill sees it: what the watch told about the pod, and waiting for that.

Turns the kubelet's and scheduler's reports into moments, endings and problems. It asks nothing of
the cluster itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from readiness.drills.isolation import NOT_ISOLATED, OPEN, WAITER
from readiness.model import Manifest
from readiness.timeline import Ending, Moment, Problem
from readiness.workload import STUCK, image_digest, is_ready, stamp_of

PULL: Final = STUCK | {"RunContainerError"}
PATIENT: Final = {"ErrImagePull", "CreateContainerConfigError"}
"""May pass: a registry hiccup, a Secret that is about to come. They count when they last."""


def _nobody(moment: Moment) -> None:
    """Told, and silent."""


class Clone:
    """The newest state of one pod. `nth` says which of an arm's clones it is; `told`: it was asked to end; `image` is the digest
    of what it runs, once the kubelet has told it."""

    def __init__(
        self, container: str, now: Callable[[], float], tell: Callable[[Moment], None] = _nobody, nth: int = 0,
    ) -> None:  # fmt: skip
        self.container = container
        self.nth = nth
        self.told = False
        self.pod: Manifest = {}
        self.moments: list[Moment] = []
        self.endings: list[Ending] = []
        self.gone = False
        self.image = ""
        self._now = now
        self._tell = tell
        self._changed = asyncio.Event()

    def saw(self, event: str, pod: Manifest) -> None:
        """Take one event in; stamps what is new in it."""
        self.pod = pod
        self.image = image_digest([pod], self.container) or self.image
        spec = pod.get("spec") or {}
        if spec.get("nodeName"):
            self._once("scheduled", spec["nodeName"])
        if is_ready(pod):
            self._once("ready")
        elif self.moment("ready") and _is_cut_off(pod):
            self._once("flapped")
        for each in _statuses(pod):
            self._container(each)
        if event == "DELETED":
            self.gone = True
            self._once("gone")
        self._changed.set()

    def _container(self, status: Manifest) -> None:
        state = status.get("state") or {}
        if state.get("running") and status["name"] == self.container:
            self._once("running")
        told = state.get("terminated")
        if told and status["name"] == WAITER:
            if told.get("message") == OPEN:
                self._once("exposed", "no network policy has isolated it")
        elif told and not any(e.container == status["name"] for e in self.endings):
            self.endings.append(
                Ending(
                    self._now(), status["name"], int(told.get("exitCode", 0)),
                    int(told.get("signal", 0)), told.get("reason", ""),
                    stamp_of(told.get("startedAt")), stamp_of(told.get("finishedAt")), self.nth,
                )
            )  # fmt: skip
            if status["name"] == self.container:
                self._note("ended", f"exit code {self.endings[-1].code}")

    def _once(self, name: str, detail: str = "") -> None:
        if not any(m.name == name for m in self.moments):
            self._note(name, detail)

    def _note(self, name: str, detail: str = "") -> None:
        moment = Moment(self._now(), name, detail, self.nth)
        self.moments.append(moment)
        self._tell(moment)

    def moment(self, name: str) -> bool:
        """Whether something has happened."""
        return any(m.name == name for m in self.moments)

    @property
    def node(self) -> str:
        """Where it was scheduled."""
        return str((self.pod.get("spec") or {}).get("nodeName", ""))

    @property
    def ending(self) -> Ending | None:
        """How the application's container ended; None while it runs."""
        return next((e for e in self.endings if e.container == self.container), None)

    @property
    def over(self) -> bool:
        """Whether the application's container has ended, seen or not."""
        return self.ending is not None or self.gone

    @property
    def waits_for(self) -> str:
        """The init container that has not ended, in words."""
        states = (self.pod.get("status") or {}).get("initContainerStatuses") or ()
        names = [
            s["name"]
            for s in states
            if not (s.get("state") or {}).get("terminated") and not s.get("started")
        ]
        return f": init container {names[0]} has not ended" if names else ""

    async def until(self, holds: Callable[[Clone], bool], within: float) -> bool:
        """Wait until something holds; whether it did within these seconds."""
        try:
            async with asyncio.timeout(within):
                while not holds(self):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def obstacle(self, *, patient: bool) -> Problem | None:
        """What keeps the clone from starting, in the scheduler's or kubelet's own words.

        While `patient`, only what will not pass by itself.
        """
        status = self.pod.get("status") or {}
        for each in status.get("conditions") or ():
            if each.get("reason") == "Unschedulable" and not patient:
                return Problem("Unschedulable", each.get("message", ""))
        for each in _statuses(self.pod):
            waiting = (each.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason in PULL and not (patient and reason in PATIENT):
                words = f"container {each['name']}: {reason}: {waiting.get('message', '')}"
                return Problem("ImagePull" if "Image" in reason else "NotReady", words)
        for each in status.get("initContainerStatuses") or ():
            if problem := _init_failed(each):
                return problem
        if status.get("phase") == "Failed" and status.get("reason"):
            return Problem("Aborted", f"{status['reason']}: {status.get('message', '')}")
        return None


def _statuses(pod: Manifest) -> Iterable[Manifest]:
    status = pod.get("status") or {}
    return (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ()))


def _init_failed(status: Manifest) -> Problem | None:
    name, ended = status["name"], (status.get("state") or {}).get("terminated") or {}
    if not ended.get("exitCode"):
        return None
    if (name, ended.get("message")) == (WAITER, OPEN):
        return NOT_ISOLATED
    return Problem("InitFailed", f"init container {name} ended with exit code {ended['exitCode']}")


def _is_cut_off(pod: Manifest) -> bool:
    """Whether the control plane took Ready away because the node is not: the kubelet would take ContainersReady, too."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    told = {each.get("type"): each.get("status") for each in conditions}
    leaving = pod["metadata"].get("deletionTimestamp")
    return not leaving and told.get("Ready") == "False" and told.get("ContainersReady") == "True"
