"""The files for containers fit the project.

No container is started here: the files are read and compared with the code.
"""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from agent.__main__ import _parse
from demo import parts

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
LOCKED = {
    package["name"]: package["version"]
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    if "version" in package
}
OURS = ("migrate", "web", "worker", "beat", "agent", "agent-db")


def test_it_is_the_whole_system_with_a_kong_of_either_kind() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {"postgres", "redis", "migrate", "web", "worker", "beat", "kong", "agent"}
    assert {
        name for name, service in SERVICES.items() if service.get("profiles") == ["kong-db"]
    } == SERVICES.keys() - always
    assert SERVICES["kong"]["environment"]["KONG_DATABASE"] == "off"
    assert SERVICES["kong-db"]["environment"]["KONG_DATABASE"] == "postgres"
    assert {SERVICES[name]["image"] for name in ("kong", "kong-db", "kong-migrate")} == {"kong:3.9.3"}


def test_every_image_from_elsewhere_is_named_by_an_exact_tag() -> None:
    of_compose = {service["image"] for service in SERVICES.values() if "build" not in service}
    of_dockerfile = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert [image.split(":")[0] for image in sorted(of_compose | of_dockerfile)] == [
        "kong",
        "postgres",
        "python",
        "redis",
    ]
    assert [
        image
        for image in of_compose | of_dockerfile
        if not re.fullmatch(r"\w+:(\d+\.\d+\.\d+|\d{2}\.\d+)(-[\w-]+)?", image)
    ] == []
    assert re.findall(r"uv==\d+\.\d+\.\d+ babel==(\S+)", DOCKERFILE) == [LOCKED["babel"]]


@pytest.mark.parametrize("name", ["kong", "kong-db"])
def test_the_admin_side_of_kong_is_reached_by_its_agent_alone(name: str) -> None:
    kong, agent = SERVICES[name], SERVICES[name.replace("kong", "agent")]
    for side in ("ADMIN", "STATUS"):
        assert kong["environment"][f"KONG_{side}_LISTEN"].startswith("127.0.0.1:")
    assert [port.rpartition(":")[2] for port in kong["ports"]] == ["8000"]
    assert agent["network_mode"] == f"service:{name}"
    assert agent["environment"]["KONG_ADMIN_URL"] == f"http://{kong['environment']['KONG_ADMIN_LISTEN']}"


def test_the_control_plane_has_every_setting_that_it_cannot_start_without() -> None:
    modules = [ROOT / "config" / name for name in ("settings.py", "sign_in.py")]
    text = "".join(module.read_text(encoding="utf-8") for module in modules)
    required = set(re.findall(r'env\.\w+\("(\w+)"\)', text)) | {"DATABASE_URL"}
    assert {"SECRET_KEY", "PUBLIC_URL", "SIGNING_KEY_FILE", "ENCRYPTION_KEYS", "REDIS_URL"} <= required
    for name in ("migrate", "web", "worker", "beat"):
        assert required <= SERVICES[name]["environment"].keys()
        assert SERVICES[name]["secrets"] == ["signing_key"]


def test_nothing_of_ours_runs_as_root_or_writes_where_it_need_not() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert DOCKERFILE.index("USER 10001") > DOCKERFILE.rindex("RUN ")
    for name in OURS:
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
            True,
            ["ALL"],
            ["no-new-privileges:true"],
        )
        assert "user" not in service
        assert "privileged" not in service


def test_no_secret_stands_in_the_files() -> None:
    secret = re.compile(r"(PASSWORD|SECRET_KEY|ENCRYPTION_KEYS|CODE)$")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or re.fullmatch(r"\$\{\w+:[?-]\}", str(value)), name
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    assert re.findall(r"^\w+=(.+)$", example, re.MULTILINE) == []
    required = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    assert required <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_image_is_made_of_what_is_there_and_holds_every_package() -> None:
    copied = [
        line.split()[1:-1]
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    sources = {source for line in copied for source in line}
    assert all((ROOT / source).exists() for source in sources)
    apps = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "demo", "tests"}
    assert apps <= sources
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sources <= {line.removeprefix("!") for line in ignored if line.startswith("!")}


def test_the_parts_are_started_as_the_operators_guide_says() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in ("worker", "beat"):
        assert f"| {name} | `{shlex.join(SERVICES[name]['command'])}`" in guide
    command = next(
        json.loads(line.removeprefix("CMD ")) for line in DOCKERFILE.splitlines() if line.startswith("CMD ")
    )
    place = command.index("--host")
    assert f"| web | `{shlex.join([*command[:place], *command[place + 4 :]])}`" in guide
    assert int(command[command.index("--http1-header-read-timeout") + 1]) > 2 * settings.HEARTBEAT_S * 1000
    demo = list(parts.web({}, port=1).argv)
    assert demo[demo.index("granian") :] == [
        *command[:place],
        "--host",
        "127.0.0.1",
        "--port",
        "1",
        "--no-access-log",
        command[-1],
    ]


def test_the_agent_s_script_is_a_shell_s_and_its_command_line_one_that_we_take() -> None:
    script = DEPLOY / "agent.sh"
    subprocess.run(["sh", "-n", str(script)], check=True)
    enrol = re.search(
        r"python -m agent (enroll .*?)\nfi", script.read_text(encoding="utf-8").replace("\\\n", ""), re.DOTALL
    )
    assert enrol
    values = {
        "$AGENT_CODE": "code",
        "$KONG_ADMIN_URL": "http://127.0.0.1:8001",
        "$KONG_PROXY_URL": "http://127.0.0.1:8000",
        "${KONG_ALONE:+--alone}": "--alone",
    }
    arguments = [values.get(argument, argument) for argument in shlex.split(enrol.group(1))]
    chosen = _parse(arguments)
    assert (chosen.driver, chosen.admin_url, chosen.proxy_url, chosen.advertise) == (
        "kong",
        "http://127.0.0.1:8001",
        "http://127.0.0.1:8000",
        "",
    )
    assert chosen.alone
