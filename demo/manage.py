"""`python -m demo.manage COMMAND ...`: manage.py with the settings of the demo in DEMO_DIR.

Without a demo, the settings come from the environment.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from demo.embedded import is_listening
from demo.process import ROOT, DemoRefused


def environment(folder: Path) -> dict[str, str]:
    """The settings that the demo in this folder wrote down; empty when none ever ran there.

    Raises DemoRefused when it does not run now.
    """
    path = folder / "environment.json"
    if not path.exists():
        return {}
    settings: dict[str, str] = json.loads(path.read_text())
    if not is_listening(urlsplit(settings["DATABASE_URL"]).port or 0):
        raise DemoRefused(f"The demo in {folder} is not running. Start it in another terminal: make demo")
    return settings


def main() -> None:
    """Become manage.py."""
    try:
        settings = environment(Path(os.environ.get("DEMO_DIR") or ROOT / "var").resolve())
    except DemoRefused as refusal:
        sys.exit(str(refusal))
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, str(ROOT / "manage.py"), *sys.argv[1:]], os.environ | settings)  # noqa: S606 - our own program


if __name__ == "__main__":
    main()
