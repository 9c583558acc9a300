"""The version of imp-gateway, read from pyproject.toml, its only place."""

import tomllib
from pathlib import Path

PROGRAM_VERSION: str = tomllib.loads(
    (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]
"""The version in agents' heartbeats, on operators' pages and in the API's document."""
