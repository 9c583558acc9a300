"""The commands for scripts: what they print, and their exit codes."""

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from clusters.models import EnrolmentCode
from publishes.models import Operation, ProductPublish
from tenants.models import ApiToken
from tenants.services import actor_by_token
from tests.enrolment import opened_code
from tests.world import World, nobody_knows


def run(*words: Any, **options: Any) -> list[str]:
    out = StringIO()
    call_command(*[str(word) for word in words], stdout=out, stderr=StringIO(), **options)
    return out.getvalue().splitlines()


def test_enroll_agent_prints_the_code_alone_on_the_last_line(world: World) -> None:
    lines = run("enroll_agent", "--cluster", "acme-kr", "--name", "busan-9")
    assert len(lines) == 1
    assert set(opened_code(lines[0])) == {"url", "fingerprint", "secret"}
    assert EnrolmentCode.objects.get().agent.name == "busan-9"


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--cluster", "nowhere", "--name", "a"), "no cluster named 'nowhere'. Known: acme-kr."), (("--cluster", "acme-kr", "--name", "Not A Name"), "letters")],
)
def test_enroll_agent_says_what_is_wrong(world: World, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run("enroll_agent", *words)
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
    assert (operation.phase, operation.note, operation.actor_label) == ("QUEUED", "from a script", "command line")


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
def test_wait_gives_up_with_exit_code_5_and_the_operation_goes_on(transactional_db: None, world: World) -> None:
    with pytest.raises(CommandError) as late:
        run("publish", world.draft().pk, "--wait", "--timeout", "0.2")
    assert late.value.returncode == 5
    assert Operation.objects.get().phase == "QUEUED"


def test_what_is_refused_is_said_with_exit_code_1(world: World) -> None:
    publish = world.draft()
    for words in (("withdraw", publish.pk, "--reason", "x"), ("publish", nobody_knows()), ("withdraw", nobody_knows(), "--reason", "x")):
        with pytest.raises(CommandError) as refusal:
            run(*words)
        assert refusal.value.returncode == 1
    assert not Operation.objects.exists()
