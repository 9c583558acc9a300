"""The control plane of a running demo from inside, for benches that need more agents than the demo has.

Call `enter` first, then import Django's apps.
"""

import json
import os
from pathlib import Path
from typing import Any

import django


def enter(demo_json: Path) -> dict[str, Any]:
    """Load the settings for the demo's database and broker; returns what demo.json tells."""
    facts: dict[str, Any] = json.loads(demo_json.read_text())
    secrets = demo_json.parent / "secrets"
    os.environ.update(
        DJANGO_SETTINGS_MODULE="config.settings",
        DATABASE_URL=facts["database_url"],
        REDIS_URL=facts["redis_url"],
        PUBLIC_URL=facts["web_url"],
        SECRET_KEY=(secrets / "secret-key").read_text(),
        SIGNING_KEY_FILE=str(secrets / "signing-key.json"),
        # Nothing that is encrypted is touched from here.
        ENCRYPTION_KEYS="bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        AGENT_NETWORKS="127.0.0.0/8",
        INSECURE_COOKIES="1",
        LOG_LEVEL="WARNING",
    )
    django.setup()
    return facts
