"""The Kong driver's setup: its command line options, and the driver at each start.

Kong itself belongs to the operator: nothing is prepared for it.
"""

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

from agent.drivers.base import SetupFailed
from agent.drivers.kong.admin_api import HASTY_S, Admin
from agent.drivers.kong.driver import KongDriver
from agent.drivers.kong.routing import Options
from fence import split_endpoint

PORTS = {"http": 80, "https": 443}


class KongSetup:
    """A running Kong 3, with a database or without one."""

    name = "kong"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where Kong is, and how its Admin API lets us in."""
        parser.add_argument(
            "--admin-url",
            required=True,
            metavar="URL",
            help="Kong's Admin API, say http://127.0.0.1:8001; fence it from everybody else",
        )
        parser.add_argument(
            "--proxy-url",
            required=True,
            metavar="URL",
            help="this node's plain HTTP proxy listener, say http://127.0.0.1:8000",
        )
        parser.add_argument(
            "--public-url",
            default="",
            metavar="URL",
            help="how callers reach the proxy (default: the proxy URL)",
        )
        _add_token_arguments(parser)
        parser.add_argument(
            "--reserve",
            action="append",
            default=[],
            metavar="HOST:PORT",
            help="a port that no upstream may be, say the status listener's",
        )
        parser.add_argument(
            "--alone",
            action="store_true",
            help="no other Kong node uses this one's database: nothing waits until others see a change",
        )
        parser.add_argument(
            "--verify-upstream-tls",
            action="store_true",
            help="have Kong check https upstreams' certificates (it needs trusted CAs)",
        )

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:
        """Check the options before the enrolment, so that a mistake costs no code."""
        admin = _check_url("--admin-url", arguments.admin_url)
        proxy = _check_url("--proxy-url", arguments.proxy_url)
        if urlsplit(proxy).scheme != "http":
            raise SetupFailed(
                "--proxy-url must be the plain HTTP listener of this node. "
                "Give the address for callers with --public-url."
            )
        for endpoint in arguments.reserve:
            _check_endpoint(endpoint)
        token_file = str(Path(arguments.admin_token_file).resolve()) if arguments.admin_token_file else ""
        _headers(token_file, arguments.admin_token_header)
        return {
            "admin_url": admin,
            "proxy_url": proxy,
            "public_url": arguments.public_url or proxy,
            "admin_token_file": token_file,
            "admin_token_header": arguments.admin_token_header,
            "reserve": ",".join(arguments.reserve),
            "alone": "1" if arguments.alone else "",
            "verify_upstream_tls": "1" if arguments.verify_upstream_tls else "",
        }

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Nothing: Kong runs already, and nothing on it changes before the first publish."""

    def next_step(self, state: Path) -> str:  # noqa: ARG002 (the protocol's shape)
        """Kong runs already."""
        return ""

    def create(self, state: Path, options: dict[str, str], *, node: str) -> KongDriver:  # noqa: ARG002 (the protocol's shape)
        """The driver for a run. Kong may be away at that moment."""
        try:
            admin, proxy = options["admin_url"], options["proxy_url"]
        except KeyError as problem:
            raise SetupFailed(
                f"The settings lack Kong's option {problem}: enrol again with --force."
            ) from problem
        headers = _headers(options.get("admin_token_file", ""), options.get("admin_token_header", ""))
        endpoints = (_endpoint(admin), _endpoint(proxy))
        extra = tuple(endpoint for endpoint in options.get("reserve", "").split(",") if endpoint)
        return KongDriver(
            admin=Admin(admin, headers=headers),
            hasty=Admin(admin, headers=headers, patience_s=HASTY_S),
            proxy=endpoints[1],
            proxy_url=options.get("public_url") or proxy,
            reserved=(*(f"{_bracketed(host)}:{port}" for host, port in endpoints), *extra),
            options=Options(verify_tls=bool(options.get("verify_upstream_tls"))),
            is_alone=bool(options.get("alone")),
        )


def _add_token_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin-token-file",
        default="",
        metavar="FILE",
        help="a file with the token of the Admin API, where it asks for one",
    )
    parser.add_argument(
        "--admin-token-header",
        default="Kong-Admin-Token",
        metavar="NAME",
        help="the header that carries it",
    )


def _check_url(option: str, text: str) -> str:
    parts = urlsplit(text)
    try:
        is_fine = (
            parts.scheme in PORTS
            and parts.hostname
            and parts.port != 0
            and not parts.query
            and not parts.username
        )
    except ValueError:
        is_fine = False
    if not is_fine:
        raise SetupFailed(f"{option} must be an http or https URL without credentials, not {text!r}.")
    return text.rstrip("/")


def _check_endpoint(text: str) -> None:
    try:
        host, port = split_endpoint(text)
    except ValueError as problem:
        raise SetupFailed(f"--reserve must be HOST:PORT, not {text!r}.") from problem
    if not host or not 0 < port < 65536:
        raise SetupFailed(f"--reserve must be HOST:PORT, not {text!r}.")


def _headers(token_file: str, header: str) -> dict[str, str]:
    if not token_file:
        return {}
    if not re.fullmatch(r"[A-Za-z0-9-]+", header):
        raise SetupFailed(f"--admin-token-header must be the name of a header, not {header!r}.")
    try:
        return {header: Path(token_file).read_text(encoding="utf-8").strip()}
    except OSError as problem:
        raise SetupFailed(f"The token file {token_file} cannot be read ({problem.strerror}).") from problem


def _endpoint(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
