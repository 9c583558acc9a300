"""`make manage`: manage.py with the settings that a running demo wrote down."""

import json
import socket
from pathlib import Path

import pytest

from demo.folder import Folder
from demo.manage import environment
from demo.plan import Plan
from demo.process import DemoRefused


def test_the_settings_are_those_of_the_running_demo_and_for_us_alone(tmp_path: Path) -> None:
    assert environment(tmp_path) == {}
    plan = Plan(Folder(tmp_path), port=8000)
    plan.write_settings(())
    written = tmp_path / "environment.json"
    assert written.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DemoRefused, match=r"is not running\. Start it in another terminal: make demo"):
        environment(tmp_path)
    with socket.create_server(("127.0.0.1", plan.postgres.port)):
        settings = environment(tmp_path)
    assert settings == json.loads(written.read_text())
    assert settings["DATABASE_URL"] == plan.postgres.url
    assert plan.settings().items() >= settings.items()
