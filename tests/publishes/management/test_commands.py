"""The commands for scripts: what they print, and their exit codes."""

import argparse
import os
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection

from agent.drivers.registry import SETUPS
from clusters.models import EnrolmentCode
from core.commands import TerminalCommand, language_of
from publishes.models import Operation, ProductPublish
from tenants.models import ApiToken
from tenants.tokens import actor_by_token
from tests.enrolment import opened_code
from tests.world import World, nobody_knows


def run(*arguments: Any, **options: Any) -> list[str]:
    out = StringIO()
    call_command(*[str(argument) for argument in arguments], stdout=out, stderr=StringIO(), **options)
    return out.getvalue().splitlines()


def test_enroll_agent_prints_the_code_alone_on_the_last_line(world: World) -> None:
    lines = run("enroll_agent", "--cluster", "acme-kr", "--name", "busan-9")
    assert len(lines) == 1
    assert set(opened_code(lines[0])) == {"url", "fingerprint", "secret"}
    assert EnrolmentCode.objects.get().agent.name == "busan-9"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--cluster", "nowhere", "--name", "a"), "No cluster has the name nowhere. Known: acme-kr."),
        (("--cluster", "acme-kr", "--name", "Not A Name"), "letters"),
    ],
)
def test_enroll_agent_says_what_is_wrong(world: World, arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run("enroll_agent", *arguments)
    assert not EnrolmentCode.objects.exists()


def test_create_api_token_prints_a_token_that_works(world: World) -> None:
    (token,) = run("create_api_token", "--tenant", "acme", "--role", "developer")
    actor = actor_by_token(token)
    assert (actor.tenant_id, actor.role) == (world.tenant.pk, "developer")


def test_create_api_token_knows_no_other_tenants(world: World) -> None:
    with pytest.raises(CommandError, match="Known: acme"):
        run("create_api_token", "--tenant", "nobody", "--role", "developer")
    assert not ApiToken.objects.exists()


def test_publish_prints_the_operation_and_does_not_wait_unless_told(world: World) -> None:
    publish = world.draft()
    (operation_id,) = run("publish", publish.pk, "--note", "from a script")
    operation = Operation.objects.get(pk=operation_id)
    assert (operation.phase, operation.note, operation.actor_label) == (
        "QUEUED",
        "from a script",
        "command line",
    )


@pytest.mark.django_db(transaction=True)
def test_publish_wait_returns_when_it_is_live(transactional_db: None, world: World) -> None:
    publish = world.draft()

    def agents() -> None:
        for _ in range(100):
            world.everybody_confirms()
            if ProductPublish.objects.get().status == "PUBLISHED":
                break
        connection.close()

    helper = threading.Timer(0.2, agents)
    helper.start()
    lines = run("publish", publish.pk, "--wait", "--timeout", "20")
    helper.join()
    assert lines[1].startswith("publish succeeded in")
    assert ProductPublish.objects.get().status == "PUBLISHED"


@pytest.mark.django_db(transaction=True)
def test_wait_gives_up_with_exit_code_5_and_the_operation_goes_on(
    transactional_db: None, world: World
) -> None:
    with pytest.raises(CommandError) as late:
        run("publish", world.draft().pk, "--wait", "--timeout", "0.2")
    assert late.value.returncode == 5
    assert Operation.objects.get().phase == "QUEUED"


def test_what_is_refused_is_said_with_exit_code_1(world: World) -> None:
    publish = world.draft()
    for arguments in (
        ("withdraw", publish.pk, "--reason", "x"),
        ("publish", nobody_knows()),
        ("withdraw", nobody_knows(), "--reason", "x"),
    ):
        with pytest.raises(CommandError) as refusal:
            run(*arguments)
        assert refusal.value.returncode == 1
    assert not Operation.objects.exists()


def own_commands() -> dict[str, TerminalCommand]:
    root = Path(__file__).parents[3]
    ours = {
        config.name
        for config in apps.get_app_configs()
        if Path(config.path).is_relative_to(root) and ".venv" not in config.path
    }
    commands = {name: load_command_class(app, name) for name, app in get_commands().items() if app in ours}
    assert {name for name, command in commands.items() if not isinstance(command, TerminalCommand)} == set()
    return {name: command for name, command in commands.items() if isinstance(command, TerminalCommand)}


def test_a_wrong_command_line_ends_every_command_of_ours_with_1_because_2_means_that_something_differs() -> (
    None
):
    commands = own_commands()
    assert {
        "apply",
        "export",
        "publish",
        "publish_status",
        "withdraw",
        "enroll_agent",
        "create_api_token",
        "rotate_secrets",
    } <= set(commands)
    for name, command in commands.items():
        with pytest.raises(SystemExit) as ending:
            command.run_from_argv(["manage.py", name, "--nonsense"])
        assert (name, ending.value.code) == (name, 1)
    with pytest.raises(SystemExit) as helped:
        commands["apply"].run_from_argv(["manage.py", "apply", "--help"])
    assert helped.value.code == 0


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko"}, "ko"),
        ({"LC_ALL": "", "LANG": "ko"}, "ko"),
        ({"LC_ALL": "kok_IN"}, "en"),
    ],
)
def test_the_locale_decides_the_language_of_the_terminal(environ: dict[str, str], language: str) -> None:
    assert language_of(environ) == language


@pytest.mark.parametrize(
    ("locale", "unknown", "refused"),
    [
        ("en_US.UTF-8", "No tenant has the slug nobody. Known: acme.", "A draft is not live"),
        ("ko_KR.UTF-8", "슬러그가 nobody인 워크스페이스가 없습니다. 사용할 수 있는 슬러그: acme.", "초안"),
    ],
)
def test_a_terminal_speaks_one_language(
    world: World, monkeypatch: pytest.MonkeyPatch, locale: str, unknown: str, refused: str
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    with pytest.raises(CommandError) as nobody:
        run("create_api_token", "--tenant", "nobody", "--role", "developer")
    assert str(nobody.value) == unknown
    with pytest.raises(CommandError) as wrong:
        run("withdraw", world.draft().pk, "--reason", "x")
    assert refused in str(wrong.value)


def test_the_hint_of_enroll_agent_has_every_option_that_a_driver_needs(world: World) -> None:
    err = StringIO()
    call_command("enroll_agent", "--cluster", "acme-kr", "--name", "busan-9", stdout=StringIO(), stderr=err)
    lines = [line.strip() for line in err.getvalue().splitlines() if "python -m agent enroll" in line]
    for name in ("envoy", "kong"):
        (line,) = [line for line in lines if f"--driver {name} " in line]
        parser = argparse.ArgumentParser(exit_on_error=False)
        for option in ("--code", "--state", "--listen", "--driver"):
            parser.add_argument(option, required=True)
        SETUPS[name].add_arguments(parser)
        assert parser.parse_args(line.split()[4:]).driver == name
    assert "..." not in err.getvalue()


@pytest.mark.parametrize("command", ["publish_status", "migrate"])
def test_without_settings_two_lines_say_what_to_do(command: str) -> None:
    bare = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "manage.py", command],
        env=bare,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stderr.splitlines()
    assert (ended.returncode, len(lines)) == (1, 2)
    assert "SECRET_KEY" in lines[0]
    assert 'make manage ARGS="..."' in lines[1]
