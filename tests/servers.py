"""A pytest plugin (`-p tests.servers`): PostgreSQL and Valkey for one run, and the settings' environment.

A plugin and not a conftest, because pytest-django reads the settings before any conftest is loaded.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.protocol.signing import new_key, private_jwk
from demo.embedded import NOT_DURABLE, Postgres, Valkey
from demo.folder import free_port, write_private
from demo.process import DemoRefused
from demo.supervisor import Supervisor

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SECRET_KEY": "for-tests-only-" + "0123456789abcdef" * 3,
    "PUBLIC_URL": "http://testserver.localhost:2",  # a name that needs no name server
    "ALLOWED_HOSTS": "*",
    "AGENT_NETWORKS": "127.0.0.0/8",
    "ENCRYPTION_KEYS": "tests:" + "dGVz" * 10 + "dGU=",
    "INSECURE_COOKIES": "1",
    "STATICFILES_BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before the settings are read.

    Servers that the environment names already are used, and none is started.
    """
    folder = tempfile.TemporaryDirectory(prefix="imp-tests-")
    early_config.add_cleanup(folder.cleanup)
    home = Path(folder.name)
    # Empty: each test client lists all files below it, and beside it lie those of the database.
    static = home / "static"
    static.mkdir()
    for name, value in {
        **ENVIRONMENT,
        "SIGNING_KEY_FILE": str(write_signing_key(home)),
        "STATIC_ROOT": str(static),
    }.items():
        os.environ.setdefault(name, value)
    if not {"DATABASE_URL", "REDIS_URL"} <= set(os.environ):
        try:
            urls = start_servers(home, env=dict(os.environ), at_end=early_config.add_cleanup)
        except DemoRefused as refusal:
            raise pytest.UsageError(str(refusal)) from refusal
        for name, url in urls.items():
            os.environ.setdefault(name, url)
    # Each parallel process has its own database (pytest-django) and its own broker database.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{worker.removeprefix('gw')}"


def write_signing_key(home: Path) -> Path:
    """A fresh signing key of the control plane, in a file of the folder."""
    path = home / "signing-key.json"
    write_private(path, text=json.dumps(private_jwk(new_key())))
    return path


def start_servers(
    home: Path, *, env: dict[str, str], at_end: Callable[[Callable[[], None]], object]
) -> dict[str, str]:
    """Start PostgreSQL and Valkey in a folder; `at_end` stops them. URLs by name. Raises DemoRefused."""
    first, second = free_port(), free_port()
    postgres = Postgres(home=home / "postgres", port=first, password="tests", env=env, settings=NOT_DURABLE)
    broker = Valkey(home=home / "broker", port=second, password="tests", env=env)
    supervisor = Supervisor(home / "log", say=print)
    at_end(supervisor.stop)
    supervisor.launch(postgres.part(supervisor), broker.part())
    supervisor.settle()
    return {"DATABASE_URL": postgres.url, "REDIS_URL": broker.url}
