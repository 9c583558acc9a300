"""The program as an operator runs it, for tests: enrolment, and an agent process beside a real Envoy."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from uuid import UUID

import httpx2

from agent.__main__ import main
from agent.protocol import messages
from agent.protocol.messages import Result
from agent.protocol.spec import Spec
from tests.agent.doubles import ControlPlaneDouble, Enrolled, free_port, quieten, until
from tests.agent.gateway import Gateway

ROOT = Path(__file__).parents[2]
Children = list[subprocess.Popen[bytes]]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process: most of a start is spent on imports."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as usage:
            status = int(str(usage.code))
    quieten()
    return subprocess.CompletedProcess(
        args=arguments, returncode=status, stdout=out.getvalue(), stderr=err.getvalue()
    )


def enrol(double: ControlPlaneDouble, state: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    options = {"code": double.code(), "driver": "memory", "listen": f"127.0.0.1:{free_port()}", **changed}
    return run(
        "enroll",
        "--state",
        str(state),
        *[part for name, value in options.items() for part in (f"--{name}", value)],
    )


class Site:
    """An enrolled agent beside a running Envoy."""

    def __init__(self, folder: Path, double: ControlPlaneDouble, children: Children) -> None:
        self.folder, self.double, self.children = folder, double, children
        self.gateway = Gateway(folder)
        completed = enrol(double, folder, driver="envoy", proxy=self.gateway.proxy, admin=self.gateway.admin)
        assert completed.returncode == 0, completed.stderr
        self.gateway.launch()
        self.me: Enrolled = next(iter(double.agents.values()))

    def start(
        self, *, program: Sequence[str] = ("-m", "agent"), output: int | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Run it, with its log in `agent.log` or, with all it says, where `output` leads."""
        beats = len(self.double.heartbeats)
        command = [sys.executable, *program, "run", "--state", str(self.folder)]
        with (self.folder / "agent.log").open("ab") as log:
            err = log if output is None else output
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                start_new_session=True,
                stdout=output,
                stderr=err,
            )
        self.children.append(self.process)
        until(lambda: len(self.double.heartbeats) > beats, description="the agent runs")
        return self.process

    def push(self, *specs: Spec) -> tuple[Result, ...]:
        sealed = self.double.seal(str(self.me.agent_id), *specs)
        response = httpx2.post(
            self.me.url + messages.PATH_COMMANDS, content=sealed.token, trust_env=False, timeout=10
        )
        assert response.status_code == 200, response.text
        return self.double.open_answer(self.me, response.text, answers=sealed.id)

    def verified(self) -> set[tuple[UUID, int]]:
        carried = self.double.reports[-1].carried if self.double.reports else ()
        return {(entry.publish_id, entry.generation) for entry in carried if entry.verified}
