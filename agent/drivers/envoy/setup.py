"""The Envoy driver's setup: its command line options, its files at enrolment, the driver at each start."""

import argparse
import shlex
from pathlib import Path

from agent.drivers.base import SetupFailed
from agent.drivers.envoy import bootstrap
from agent.drivers.envoy.bootstrap import Folder, Site
from agent.drivers.envoy.driver import EnvoyDriver
from agent.protocol.bounds import checked_url
from fence import split_endpoint

MAX_CONNECTIONS, CONNECTIONS_TOP = 20_000, 1_000_000


class EnvoySetup:
    """An Envoy that asks this agent for its configuration; the operator starts it with `arguments_of`."""

    name = "envoy"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where Envoy will listen."""
        parser.add_argument("--proxy", required=True, metavar="HOST:PORT", help="where Envoy takes callers")
        parser.add_argument(
            "--admin",
            required=True,
            metavar="HOST:PORT",
            help="where Envoy's admin interface listens; keep it on loopback",
        )
        parser.add_argument(
            "--proxy-url",
            default="",
            metavar="URL",
            help="how callers reach the proxy (default: http://<proxy>)",
        )
        help_text = (
            "callers' connections at most; more are closed. Envoy needs two file descriptors for each "
            "(default: %(default)s)"
        )
        parser.add_argument(
            "--max-connections", type=int, default=MAX_CONNECTIONS, metavar="N", help=help_text
        )

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:
        """Check the options before the enrolment, so that a mistake costs no code."""
        for option in ("proxy", "admin"):
            _check_endpoint(option, getattr(arguments, option))
        if not 0 < arguments.max_connections <= CONNECTIONS_TOP:
            raise SetupFailed(
                f"--max-connections must be from 1 to {CONNECTIONS_TOP}, not {arguments.max_connections}."
            )
        try:
            checked_url(arguments.proxy_url)
        except ValueError as problem:
            raise SetupFailed(f"--proxy-url {problem}.") from problem
        if not bootstrap.has_room_for_sockets(Folder(root=_root(arguments.state))):
            raise SetupFailed(
                f"The path {arguments.state.resolve()} is too long for the sockets in it: "
                "choose a shorter --state."
            )
        return {
            "proxy": arguments.proxy,
            "admin": arguments.admin,
            "proxy_url": arguments.proxy_url or f"http://{arguments.proxy}",
            "max_connections": str(arguments.max_connections),
        }

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Write the file that Envoy is started with."""
        bootstrap.write(Folder(root=_root(state)), _site(options, node))

    def next_step(self, state: Path) -> str:
        """Envoy itself."""
        return shlex.join(("envoy", *arguments_of(state)))

    def create(self, state: Path, options: dict[str, str], *, node: str) -> EnvoyDriver:
        """The driver of this Envoy."""
        try:
            site, proxy_url = _site(options, node), options["proxy_url"]
        except KeyError as problem:
            raise SetupFailed(
                f"The settings lack Envoy's option {problem}: enrol again with --force."
            ) from problem
        return EnvoyDriver(folder=Folder(root=_root(state)), site=site, proxy_url=proxy_url)


def arguments_of(state: Path) -> tuple[str, ...]:
    """The arguments with which Envoy is started."""
    # Envoy warns of its api_key_auth filter ("work in progress") with half a kilobyte for each key at each
    # change.
    return (
        "-c",
        str(Folder(root=_root(state)).bootstrap),
        "--use-dynamic-base-id",
        "--component-log-level",
        "misc:error,config:critical",
    )


def _root(state: Path) -> Path:
    # Absolute, because Envoy is started from another folder.
    return state.resolve() / "envoy"


def _site(options: dict[str, str], node: str) -> Site:
    # An enrolment of an older version says nothing of connections.
    max_connections = int(options.get("max_connections", MAX_CONNECTIONS))
    return Site(node=node, proxy=options["proxy"], admin=options["admin"], max_connections=max_connections)


def _check_endpoint(option: str, text: str) -> None:
    try:
        host, port = split_endpoint(text)
    except ValueError as problem:
        raise SetupFailed(f"--{option} must be HOST:PORT, not {text!r}.") from problem
    if not host or not 0 < port < 65536:
        raise SetupFailed(f"--{option} must be HOST:PORT, not {text!r}.")
