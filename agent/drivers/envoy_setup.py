"""How the Envoy driver is chosen and prepared: its command line options, its files at enrolment, the driver at each start."""

import argparse
from pathlib import Path

from agent.drivers import envoy_check, envoy_files
from agent.drivers.base import SetupFailed
from agent.drivers.envoy import EnvoyDriver
from agent.drivers.envoy_files import Folder
from agent.protocol.bounds import checked_url
from agent.protocol.fence import split_endpoint


class EnvoySetup:
    """Envoy by files, in `<state>/envoy`; somebody else starts it with `envoy -c <state>/envoy/bootstrap.json --use-dynamic-base-id`."""

    name = "envoy"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where Envoy will listen."""
        parser.add_argument("--proxy", required=True, metavar="HOST:PORT", help="where Envoy takes callers")
        parser.add_argument("--admin", required=True, metavar="HOST:PORT", help="where Envoy's admin interface listens; keep it on loopback")
        parser.add_argument("--proxy-url", default="", metavar="URL", help="how callers reach the proxy (default: http://<proxy>)")

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:
        """Checked here, so that a mistake costs no enrolment code."""
        for option in ("proxy", "admin"):
            _check_endpoint(option, getattr(arguments, option))
        try:
            checked_url(arguments.proxy_url)
        except ValueError as problem:
            raise SetupFailed(f"--proxy-url {problem}.") from problem
        _find_program()
        return {"proxy": arguments.proxy, "admin": arguments.admin, "proxy_url": arguments.proxy_url or f"http://{arguments.proxy}"}

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Write Envoy's files."""
        envoy_files.prepare(Folder(root=_root(state)), node=node, proxy=options["proxy"], admin=options["admin"])

    def create(self, state: Path, options: dict[str, str]) -> EnvoyDriver:
        """The driver over these files."""
        try:
            proxy, admin, proxy_url = options["proxy"], options["admin"], options["proxy_url"]
        except KeyError as problem:
            raise SetupFailed(f"The settings lack Envoy's option {problem}: enrol again with --force.") from problem
        folder, program = Folder(root=_root(state)), _find_program()
        envoy_files.refresh_listener(folder, proxy)
        return EnvoyDriver(folder=folder, proxy=proxy, admin=admin, proxy_url=proxy_url, program=program)


def _root(state: Path) -> Path:
    # Absolute, because Envoy is started from another folder.
    return state.resolve() / "envoy"


def _check_endpoint(option: str, text: str) -> None:
    try:
        host, port = split_endpoint(text)
    except ValueError as problem:
        raise SetupFailed(f"--{option} must be HOST:PORT, not {text!r}.") from problem
    if not host or not 0 < port < 65536:
        raise SetupFailed(f"--{option} must be HOST:PORT, not {text!r}.")


def _find_program() -> Path:
    try:
        return envoy_check.find_program()
    except envoy_check.NoEnvoyProgram as problem:
        raise SetupFailed(str(problem)) from problem
