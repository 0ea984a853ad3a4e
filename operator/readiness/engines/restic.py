"""restic, the program: run with an environment of its own, its end turned into a reason.

What it says goes to our standard error, for the pod's log; only reasons and answers come back. It knows no store and no cluster.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from readiness.backups.destination import CredentialsError
from readiness.backups.outcome import Reason
from readiness.backups.trouble import reason_of, sentence_of

CONTACT_SECONDS: Final = 60.0
"""How long the first contact may take: restic itself would try for a quarter of an hour."""
STOP_SECONDS: Final = 20.0
LAST_WORDS: Final = 65536
PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class ResticError(Exception):
    """restic did not do it."""

    def __init__(self, reason: Reason, command: str, words: str = "") -> None:
        super().__init__(f"restic {command}: {words or sentence_of(reason)}")
        self.reason = reason


class StoppedError(ResticError):
    """Somebody asked this process to stop."""

    def __init__(self) -> None:
        super().__init__(Reason.INTERRUPTED, "backup")


class Restic:
    """One repository. `environment` is all that its processes are given; asked each time, it may raise CredentialsError.

    `options` stand on every command line, which anybody may read: no secret is in them. `aside` is a file in which a program
    that restic starts leaves its last words: restic ends before it has repeated them.
    """

    def __init__(
        self, environment: Callable[[], Mapping[str, str]], cache: Path, options: Sequence[str] = (),
        aside: Path | None = None,
    ) -> None:  # fmt: skip
        self._program = (shutil.which("restic") or "restic", *options)
        self._environment, self._aside = environment, aside
        self._ours = {
            "PATH": PATH,
            "TZ": "UTC",
            "RESTIC_CACHE_DIR": str(cache),
            "RESTIC_PROGRESS_FPS": "0.2",
        }

    def exists(self) -> bool:
        """Whether there is a repository. Raises ResticError when that cannot be told, and soon."""
        return self.contact("cat", "config") is not None

    def contact(self, *arguments: str) -> bytes | None:
        """What a command answers soon; None where there is no repository. Raises ResticError when it cannot be told.

        Every process of restic derives the repository's key anew, for half a second: who wants to know more than that it
        is there asks for that at once.
        """
        try:
            return self.call(*arguments, "--no-lock", seconds=CONTACT_SECONDS)
        except ResticError as error:
            if error.reason is not Reason.NO_REPOSITORY:
                raise
            return None

    def call(self, *arguments: str, seconds: float | None = None) -> bytes:
        """What a command wrote. Raises ResticError."""
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
            process = self._start(arguments, answer, errors)
            late = False
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                _stop(process)
            self._judge(arguments[0], None if late else process.returncode, errors)
            answer.seek(0)
            return answer.read()

    def lines(self, *arguments: str, at: Path | None = None) -> Iterator[dict[str, Any]]:
        """The JSON lines of a command, as they come. Raises ResticError at their end."""
        with tempfile.TemporaryFile() as errors:
            process = self._start(arguments, subprocess.PIPE, errors, at)
            try:
                for line in process.stdout or ():
                    if line.startswith(b"{"):
                        yield json.loads(line)
                process.wait()
            finally:
                _stop(process)
            self._judge(arguments[0], process.returncode, errors)

    def _start(
        self, arguments: tuple[str, ...], answer: int | IO[bytes], errors: IO[bytes],
        at: Path | None = None,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        try:
            environment = {**self._environment(), **self._ours}
        except CredentialsError as error:
            raise ResticError(Reason.CREDENTIALS, arguments[0], str(error)) from None
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)
        return subprocess.Popen(
            [*self._program, *arguments], stdout=answer, stderr=errors, stdin=subprocess.DEVNULL,
            env=environment, cwd=at,
        )  # fmt: skip

    def _judge(self, command: str, code: int | None, errors: IO[bytes]) -> None:
        """Raises for a code that is not 0; None: it did not end in time."""
        errors.seek(max(0, errors.tell() - LAST_WORDS))
        words = errors.read().decode(errors="replace")
        if code != 0 and self._aside is not None and self._aside.exists():
            words += self._aside.read_text(errors="replace")[-LAST_WORDS:]
        sys.stderr.write(words)
        if code != 0:
            reason = reason_of(code if code is not None else 1, words)
            late = code is None and reason is Reason.RESTIC
            raise ResticError(Reason.UNREACHABLE if late else reason, command)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asked to stop, restic takes its lock away."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
