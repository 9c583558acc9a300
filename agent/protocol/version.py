"""Which version of imp-gateway this is: read from pyproject.toml, where it stands once."""

import tomllib
from pathlib import Path

PROGRAM_VERSION: str = tomllib.loads(
    (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]
"""What agents say of themselves, and what operators and the API's document show."""
