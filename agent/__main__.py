"""The command line: `python -m agent enroll` and `python -m agent run`.

Only this module speaks to the operator and sets the exit status.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent import config, log
from agent.control_plane.enrol import EnrolmentFailed, Plan, enrol, read_code
from agent.drivers.base import Setup, SetupFailed
from agent.drivers.registry import SETUPS
from agent.files import FileDamaged
from agent.serving.run import CannotServe, serve
from agent.work import state as remembered
from fence import split_endpoint

LOG_DRAIN_S = 0.3
"""Seconds that the end of the program waits for the reader of its log."""


class _Mistake(Exception):
    """A mistake that the operator can correct."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 when it went well, 1 with one line on stderr when it did not."""
    chosen = _parse(arguments)
    lines = log.configure()
    try:
        if chosen.command == "enroll":
            _enroll(chosen)
        else:
            _run(chosen.state)
    except (_Mistake, EnrolmentFailed, SetupFailed, FileDamaged, CannotServe) as problem:
        lines.write(f"error: {problem}\n")
        return 1
    finally:
        lines.close(timeout_s=LOG_DRAIN_S)
    return 0


def _enroll(chosen: argparse.Namespace) -> None:
    state, setup = chosen.state, SETUPS[chosen.driver]
    if config.is_enrolled(state) and not chosen.force:
        raise _Mistake(
            f"An agent is enrolled in {state} already. "
            "Add --force to enrol it again; its gateway goes on serving."
        )
    _check_listen(chosen.listen)
    code, options = read_code(chosen.code), setup.options(chosen)
    _check_writable(state)
    advertise = f"http://{chosen.listen}" if chosen.advertise is None else chosen.advertise
    identity = enrol(
        code, Plan(driver=setup.name, options=options, listen=chosen.listen, advertise=advertise)
    )
    try:
        # The memory of another kind of gateway says nothing of this one.
        if not config.has_driver(state, setup.name):
            remembered.erase(state)
        setup.prepare(state, options, node=identity.settings.agent_id)
        config.save(state, identity)
    except OSError as problem:
        raise _Mistake(
            f"The code was accepted, but {state} cannot be written ({problem}). "
            "Make a new code and try again."
        ) from problem
    settings = identity.settings
    sys.stdout.write(f"Enrolled {settings.name} in cluster {settings.cluster} as {settings.agent_id}.\n")
    if next_step := setup.next_step(state):
        sys.stdout.write(f"Start its gateway: {next_step}\n")


def _run(state: Path) -> None:
    if not config.is_enrolled(state):
        raise _Mistake(f"No agent is enrolled in {state}. Run `python -m agent enroll` first.")
    identity = config.load(state)
    setup = SETUPS.get(identity.settings.driver)
    if setup is None:
        raise _Mistake(
            f"The settings name the driver {identity.settings.driver!r}, which this agent does not have. "
            f"It has: {', '.join(SETUPS)}."
        )
    serve(state, identity, setup.create(state, identity.settings.options, node=identity.settings.agent_id))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="agent", description="The imp-gateway agent: the program beside a gateway."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    enroll = commands.add_parser(
        "enroll",
        help="turn a one-time code into an agent",
        description="Options of a driver: add --driver NAME --help.",
    )
    enroll.add_argument(
        "--code", required=True, help="the one-time code that `manage.py enroll_agent` printed"
    )
    enroll.add_argument(
        "--state", required=True, type=Path, help="the folder of this agent's keys and memory"
    )
    enroll.add_argument(
        "--driver", required=True, choices=sorted(SETUPS), help="what kind of gateway this is"
    )
    enroll.add_argument("--listen", required=True, metavar="HOST:PORT", help="where the agent takes commands")
    enroll.add_argument(
        "--advertise",
        metavar="URL",
        help="how the control plane reaches it (default: http://<listen>; empty: it only pulls)",
    )
    enroll.add_argument("--force", action="store_true", help="replace the enrolment in this folder")
    if setup := _setup_named(arguments):
        setup.add_arguments(enroll)
    run = commands.add_parser("run", help="serve an enrolled agent")
    run.add_argument("--state", required=True, type=Path, help="the folder that `enroll` filled")
    return parser.parse_args(arguments)


def _setup_named(arguments: Sequence[str]) -> Setup | None:
    """The driver whose options the parser needs; two drivers may give one option different meanings."""
    first_look = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    first_look.add_argument("--driver", nargs="?", default="")
    return SETUPS.get(first_look.parse_known_args(arguments)[0].driver)


def _check_listen(listen: str) -> None:
    try:
        _, port = split_endpoint(listen)
    except ValueError as problem:
        raise _Mistake(f"--listen must be HOST:PORT, not {listen!r}.") from problem
    if not 0 < port < 65536:
        raise _Mistake(f"--listen must be HOST:PORT, not {listen!r}.")


def _check_writable(state: Path) -> None:
    """Before the code is spent."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=state):
            pass
    except OSError as problem:
        raise _Mistake(f"{state} cannot be written ({problem.strerror or problem}).") from problem


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with suppress(OSError):  # nobody reads it any more
        sys.stdout.flush()
    # Not sys.exit: that waits for threads that resolve a name or prove a publish. The disk is consistent at
    # any moment.
    os._exit(status)
