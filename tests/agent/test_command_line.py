"""The command line: enrolment, and one clear line for every mistake."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from agent.work.state import Store
from tests.agent.doubles import ControlPlaneDouble, free_port, until
from tests.agent.program import ROOT, Children, enrol, run


def only_line(completed: subprocess.CompletedProcess[str]) -> str:
    assert completed.returncode == 1, completed.stderr
    (line,) = completed.stderr.splitlines()
    assert "Traceback" not in completed.stderr
    return line


def test_the_program_itself_ends_with_the_same_status_and_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "run", "--state", str(tmp_path)]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (completed.returncode, completed.stdout) == (1, "")
    assert (
        completed.stderr
        == f"error: No agent is enrolled in {tmp_path}. Run `python -m agent enroll` first.\n"
    )


def test_enrolling_writes_the_state_and_prints_who_it_is(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    completed = enrol(control_plane, state)
    (agent,) = control_plane.agents.values()
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout == f"Enrolled one in cluster kr-test as {agent.agent_id}.\n"
    assert {path.name for path in state.iterdir()} == {"agent.json", "key.json", "control-plane.json"}
    assert json.loads((state / "agent.json").read_text())["agent_id"] == str(agent.agent_id)
    assert agent.driver == "memory"
    assert agent.url.startswith("http://127.0.0.1:")


def test_the_advertised_url_may_be_another_one_or_none(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    enrol(control_plane, tmp_path / "a", advertise="https://agent.example")
    enrol(control_plane, tmp_path / "b", advertise="")
    assert [agent.url for agent in control_plane.agents.values()] == ["https://agent.example", ""]


@pytest.mark.parametrize(
    "code", ["nonsense", "", "e30", "eyJ1cmwiOiJmdHA6Ly9hIiwiZmluZ2VycHJpbnQiOiJhIiwic2VjcmV0IjoiYiJ9"]
)
def test_a_bad_code_is_one_line(control_plane: ControlPlaneDouble, tmp_path: Path, code: str) -> None:
    line = only_line(enrol(control_plane, tmp_path / "state", code=code))
    assert line.startswith("error: ")
    assert "code" in line
    assert not (tmp_path / "state" / "agent.json").exists()


def test_a_used_code_shows_the_control_plane_s_words(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    code = control_plane.code()
    enrol(control_plane, tmp_path / "first", code=code)
    line = only_line(enrol(control_plane, tmp_path / "second", code=code))
    assert line == "error: This code was used before or is older than an hour; make a new one."
    assert list((tmp_path / "second").iterdir()) == []


def test_an_unreachable_control_plane_is_named(tmp_path: Path) -> None:
    content = {"url": f"http://127.0.0.1:{free_port()}", "fingerprint": "x", "secret": "y"}
    code = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    line = only_line(
        run(
            "enroll",
            "--code",
            code,
            "--state",
            str(tmp_path),
            "--driver",
            "memory",
            "--listen",
            "127.0.0.1:1",
        )
    )
    assert line.startswith(f"error: The control plane at {content['url']}/agent/v1/enroll cannot be reached")


def test_a_control_plane_with_another_key_than_the_code_s_is_not_believed(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    line = only_line(enrol(control_plane, tmp_path / "state", code=control_plane.code(fingerprint="another")))
    assert line.startswith("error: The answer does not come from the control plane that made this code")
    assert list((tmp_path / "state").iterdir()) == []


def test_an_enrolled_state_is_replaced_only_by_force(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    enrol(control_plane, state)
    first = (state / "key.json").read_text()
    code = control_plane.code()
    assert "--force" in only_line(enrol(control_plane, state, code=code))
    assert (state / "key.json").read_text() == first
    forced = run(
        "enroll",
        "--code",
        code,
        "--state",
        str(state),
        "--driver",
        "memory",
        "--listen",
        "127.0.0.1:1",
        "--force",
    )
    assert forced.returncode == 0
    assert (state / "key.json").read_text() != first


@pytest.mark.parametrize(("former", "survives"), [("memory", True), ("envoy", False)])
def test_enrolled_anew_with_another_driver_it_forgets_what_its_former_gateway_carried(
    control_plane: ControlPlaneDouble, tmp_path: Path, former: str, survives: bool
) -> None:
    state = tmp_path / "state"
    assert enrol(control_plane, state).returncode == 0
    settings = json.loads((state / "agent.json").read_text()) | {"driver": former}
    (state / "agent.json").write_text(json.dumps(settings))
    Store(state).accept([], refused_generations={uuid4(): 7}, networks=())
    again = run(
        "enroll",
        "--code",
        control_plane.code(),
        "--state",
        str(state),
        "--driver",
        "memory",
        "--listen",
        "127.0.0.1:1",
        "--force",
    )
    assert again.returncode == 0
    assert bool(Store(state).records) is survives


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:port", "127.0.0.1:0", "127.0.0.1:70000"])
def test_a_wrong_endpoint_costs_no_code(
    control_plane: ControlPlaneDouble, tmp_path: Path, listen: str
) -> None:
    assert "HOST:PORT" in only_line(enrol(control_plane, tmp_path / "state", listen=listen))
    assert list(control_plane.secrets.values()) == ["good"]


def test_a_driver_s_own_options_are_asked_for(control_plane: ControlPlaneDouble, tmp_path: Path) -> None:
    completed = enrol(control_plane, tmp_path / "state", driver="envoy")
    assert completed.returncode == 2
    assert "--proxy, --admin" in completed.stderr
    assert list(control_plane.secrets.values()) == ["good"]


def test_running_without_enrolment_or_with_damage_is_one_line(
    control_plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    assert "No agent is enrolled in" in only_line(run("run", "--state", str(tmp_path / "none")))
    state = tmp_path / "state"
    enrol(control_plane, state)
    (state / "state.sqlite3").write_text("{" * 1000)
    assert "state.sqlite3 is damaged" in only_line(run("run", "--state", str(state)))
    (state / "state.sqlite3").unlink()
    (state / "key.json").write_text("{")
    assert "key.json" in only_line(run("run", "--state", str(state)))


def test_a_taken_port_and_a_second_agent_are_one_line(
    control_plane: ControlPlaneDouble, tmp_path: Path, children: Children
) -> None:
    enrol(control_plane, tmp_path / "a", listen=control_plane.url.removeprefix("http://"))
    assert "cannot listen on 127.0.0.1:" in only_line(run("run", "--state", str(tmp_path / "a")))
    enrol(control_plane, tmp_path / "b")
    children.append(
        subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--state", str(tmp_path / "b")],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
    )
    until(lambda: control_plane.heartbeats, description="the first one runs")
    assert "Another agent runs on" in only_line(run("run", "--state", str(tmp_path / "b")))
