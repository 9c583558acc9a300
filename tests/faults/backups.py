"""Backups as operators make them: copies of an agent's disk and of the database, put back later.

Also an agent that starts with an empty disk.
"""

import json
import shutil
import subprocess
from pathlib import Path

from demo.embedded import POSTGRES_BIN
from demo.folder import write_private
from tests.faults.stack import Stack


def copy_disk(stack: Stack, agent: str, to: Path) -> Path:
    """A copy of the agent's state folder as it is now, its gateway's files among it."""
    return Path(shutil.copytree(stack.state_of(agent), to, ignore=shutil.ignore_patterns("*.sock")))


def put_disk_back(stack: Stack, agent: str, copy: Path) -> None:
    """Write the copy over what is there, file by file; what was not there then is gone."""
    state = stack.state_of(agent)
    for path in state.rglob("*"):
        if path.is_file() and not (copy / path.relative_to(state)).exists():
            path.unlink()
    shutil.copytree(copy, state, dirs_exist_ok=True)


def enrol_anew(stack: Stack, agent: str) -> None:
    """Empty the disk and enrol under the same name and addresses, as an operator would on a new machine."""
    state = stack.state_of(agent)
    settings = json.loads((state / "agent.json").read_text())
    shutil.rmtree(state)
    code = stack.operator(
        "manage.py", "enroll_agent", "--cluster", stack.cluster_name, "--name", agent
    ).splitlines()[-1]
    admin = stack.agent(agent)["admin_url"].removeprefix("http://")
    place = (
        "--listen",
        settings["listen"],
        "--advertise",
        settings["advertise"],
        "--proxy",
        settings["options"]["proxy"],
        "--admin",
        admin,
    )
    stack.operator(
        "-m", "agent", "enroll", "--code", code, "--state", str(state), "--driver", settings["driver"], *place
    )
    again = json.loads((state / "agent.json").read_text())
    assert again["agent_id"] == settings["agent_id"]
    write_private(
        state / "agent.json", text=json.dumps(again | {"options": settings["options"]})
    )  # its admin side through the hole again


def dump(stack: Stack, to: Path) -> Path:
    """A dump of the control plane's database."""
    _run("pg_dump", "--format=custom", f"--file={to}", stack.facts["database_url"])
    return to


def restore(stack: Stack, dumped: Path) -> None:
    """Put a dump in the database's place while the control plane is stopped; agents and gateways go on."""
    url = stack.facts["database_url"]
    with stack.stopped("web", "worker", "beat"):
        _run(
            "pg_restore",
            "--clean",
            "--if-exists",
            "--single-transaction",
            "--exit-on-error",
            f"--dbname={url}",
            str(dumped),
        )


def _run(program: str, *arguments: str) -> None:
    completed = subprocess.run(
        [str(POSTGRES_BIN / program), *arguments], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
