"""Keys are shown once, replaced with an overlap, switched off, expired; no table, log or page holds one."""

import json
import os
import subprocess
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from agent.protocol.messages import Outcome
from agent.protocol.spec import AuthMode, Spec
from core.problems import Forbidden, NotFound
from core.security.secrets import decrypt
from demo.embedded import POSTGRES_BIN
from publishes import errors, spec, sweeping
from publishes.callers import credentials
from publishes.choices import EventKind, KeyState, Kind, Phase
from publishes.engine import delivery, keys
from publishes.models import Credential, Operation, ProductPublish, PublishEvent
from publishes.verbs import deleting, publishing, withdrawing
from tests.api_clients import client_for
from tests.core.security.test_secrets import NEW, OLD
from tests.publishes.engine.test_line import kinds
from tests.world import World, nobody_knows


def closed(world: World, **changes: Any) -> ProductPublish:
    return world.published(auth_mode="api-key", **changes)


def draft(world: World) -> ProductPublish:
    return world.draft(auth_mode="api-key")


def spec_to_send(world: World) -> Spec:
    """The spec that a worker would send to the first agent now."""
    (waiting,) = world.agents[0].claim()
    (spec,) = keys.joined([waiting.spec])
    return spec


def test_a_key_is_stored_encrypted_for_its_row_and_known_by_its_fingerprint(world: World) -> None:
    issued = credentials.issue_test_key(world.actor, draft(world).pk)
    row = Credential.objects.get()
    assert issued.key.startswith("imp_")
    assert len(issued.key) == 47
    assert (row.consumer, row.is_test, row.state, row.expires_at) == ("test", True, "active", None)
    assert issued.key not in row.secret
    assert len(row.fingerprint) == 32
    assert decrypt(row.secret, table="publishes_credential", row=row.pk, column="secret") == issued.key
    assert issued.key not in repr(issued)


def test_keys_are_sent_joined_and_stored_by_fingerprint(world: World) -> None:
    publish = draft(world)
    issued = credentials.issue_test_key(world.actor, publish.pk)
    operation = publishing.request_publish(world.actor, publish.pk)
    spec = spec_to_send(world)
    assert spec.auth.mode == AuthMode.API_KEY
    assert [(key.consumer, key.secret, key.fingerprint) for key in spec.auth.keys] == [
        ("test", issued.key, issued.credential.fingerprint)
    ]
    assert spec.auth.key_header == "apikey"
    stored = Spec.model_validate(Operation.objects.get(pk=operation.pk).spec)
    assert (stored.digest, [key.secret for key in stored.auth.keys]) == (spec.digest, [""])


def test_an_agent_that_asks_gets_them_joined_too(world: World) -> None:
    publish = closed(world)
    issued = credentials.issue_test_key(world.actor, publish.pk)
    (item,) = delivery.fetch(world.agents[0].agent, (publish.pk,))
    assert [key.secret for key in item.spec.auth.keys] == [issued.key]


def test_a_key_that_cannot_be_read_is_sent_empty_so_that_the_agent_refuses_it(
    world: World, settings: Settings
) -> None:
    publish = draft(world)
    credentials.issue_test_key(world.actor, publish.pk)
    publishing.request_publish(world.actor, publish.pk)
    settings.ENCRYPTION_KEYS = [NEW]
    assert [key.secret for key in spec_to_send(world).auth.keys] == [""]


def test_a_key_is_in_force_by_a_sync_that_moves_no_status(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    operation = world.last_operation(publish)
    assert (operation.kind, operation.phase, operation.actor_label) == (Kind.SYNC, Phase.QUEUED, "acme-owner")
    world.everybody_confirms()
    operation.refresh_from_db()
    publish.refresh_from_db()
    assert (publish.status, operation.phase) == ("PUBLISHED", Phase.SUCCEEDED)
    assert kinds(publish)[-3:] == ["key_made", "sync_requested", "synced"]


def test_a_replaced_key_goes_on_for_a_day_and_those_before_it_end_at_once(world: World) -> None:
    publish = closed(world)
    first, second, third = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(3))
    for credential in (first, second, third):
        credential.refresh_from_db()
    assert [credential.state for credential in (first, second, third)] == ["off", "active", "active"]
    assert second.expires_at is not None
    assert abs(second.expires_at - timezone.now() - timedelta(hours=24)) < timedelta(minutes=1)
    assert {key.id for key in spec_to_send(world).auth.keys} == {second.pk, third.pk}
    assert [kind for kind in kinds(publish) if kind.startswith("key_")] == [
        "key_made",
        "key_rotated",
        "key_rotated",
    ]


def test_without_an_overlap_the_key_before_ends_at_once(world: World) -> None:
    publish = closed(world)
    old = credentials.issue_test_key(world.actor, publish.pk).credential
    new = credentials.issue_test_key(world.actor, publish.pk, overlap=timedelta()).credential
    assert [key.id for key in spec_to_send(world).auth.keys] == [new.pk]
    old.refresh_from_db()
    assert old.state == KeyState.OFF


def test_a_key_that_is_to_end_keeps_its_end_when_another_is_made_and_no_key_gets_longer(world: World) -> None:
    publish = closed(world)
    old, lost = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2))
    credentials.switch_off(world.actor, publish.pk, credential_id=lost.pk)
    old.refresh_from_db()
    end = old.expires_at
    assert end is not None
    credentials.issue_test_key(world.actor, publish.pk)
    old.refresh_from_db()
    assert (old.state, old.expires_at) == (KeyState.ACTIVE, end)
    credentials.switch_off(world.actor, publish.pk, credential_id=publish.credentials.latest("created_at").pk)
    credentials.issue_test_key(world.actor, publish.pk, overlap=timedelta(hours=1))
    old.refresh_from_db()
    assert old.state == KeyState.ACTIVE
    assert old.expires_at is not None
    assert abs(old.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)


def test_switching_off_takes_the_key_out_of_what_is_live(world: World) -> None:
    publish = closed(world)
    active, ended = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2))
    assert credentials.switch_off(world.actor, publish.pk, credential_id=ended.pk).credentials == (ended,)
    assert [key.id for key in spec_to_send(world).auth.keys] == [active.pk]
    with pytest.raises(NotFound):
        credentials.switch_off(world.actor, publish.pk, credential_id=ended.pk)
    assert credentials.switch_off(world.actor, publish.pk).credentials == (active,)
    assert spec_to_send(world).auth.keys == ()


def test_a_key_whose_time_has_come_is_taken_out_by_the_sweep(world: World) -> None:
    publish = closed(world)
    old = credentials.issue_test_key(world.actor, publish.pk).credential
    new = credentials.issue_test_key(world.actor, publish.pk).credential
    world.everybody_confirms()
    sweeping.sweep()
    assert world.last_operation(publish).generation == 3
    Credential.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    assert [key.id for key in spec_to_send(world).auth.keys] == [new.pk]
    old.refresh_from_db()
    assert (old.state, "key_expired" in kinds(publish)) == (KeyState.EXPIRED, True)


def test_keys_are_for_writers_of_the_tenant_and_for_publishes_that_ask_for_them(
    world: World, other: World
) -> None:
    publish = closed(world)
    with pytest.raises(Forbidden):
        credentials.issue_test_key(world.viewer, publish.pk)
    for publish_id in (publish.pk, nobody_knows()):
        with pytest.raises(NotFound):
            credentials.issue_test_key(other.actor, publish_id)
    with pytest.raises(errors.NoKeysAskedFor):
        credentials.issue_test_key(world.actor, world.draft(hostname_base="open.localhost").pk)
    assert Credential.objects.count() == 0


def test_a_deleted_publish_keeps_no_key(world: World) -> None:
    publish = draft(world)
    credentials.issue_test_key(world.actor, publish.pk)
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="over")
    world.everybody_confirms()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert ProductPublish.objects.get(pk=publish.pk).deleted_at is not None
    assert Credential.objects.count() == 0


def test_rotate_secrets_encrypts_all_anew_so_that_the_old_key_can_go(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    publish = closed(world)
    first = credentials.issue_test_key(world.actor, publish.pk)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    second = credentials.issue_test_key(world.actor, publish.pk)
    call_command("rotate_secrets")
    assert capsys.readouterr().out == "1 secrets encrypted again, 1 were up to date.\n"
    settings.ENCRYPTION_KEYS = [NEW]
    assert {key.secret for key in spec_to_send(world).auth.keys} == {first.key, second.key}
    call_command("rotate_secrets")
    assert capsys.readouterr().out == "0 secrets encrypted again, 2 were up to date.\n"
    settings.ENCRYPTION_KEYS = [OLD]
    with pytest.raises(CommandError, match="2 secrets cannot be read"):
        call_command("rotate_secrets")


class Everywhere:
    """All that is stored, sent or shown while a key is made, delivered, refused and switched off."""

    def __init__(self, world: World, page: Client, api: Client) -> None:
        self.world, self.page, self.api = world, page, api
        self.publish = closed(world)
        answer = self.api.post(f"{self.url}/test-key", content_type="application/json")
        self.key: str = answer.json()["key"]
        self.said = [self.api.get(f"{self.url}{path}").content for path in ("", "/keys", "/events")]
        self._go_on()
        self.said += [
            self.page.get(f"/provider/products/{world.product.pk}/publishes/{self.publish.pk}{path}").content
            for path in ("", "/history", "/live")
        ]
        self.said += [
            self.api.get(f"/api/v1/provider/operations/{operation.pk}").content
            for operation in self.publish.operations.all()
        ]

    @property
    def url(self) -> str:
        return f"/api/v1/provider/product-publishes/{self.publish.pk}"

    def _go_on(self) -> None:
        for voice in self.world.agents:
            for waiting in voice.claim():
                keys.joined([waiting.spec])
                voice.answer(waiting, Outcome.UNREACHABLE, message="away")
        delivery.deliver(self.world.agents[0].agent.pk)  # nobody listens there
        delivery.fetch(self.world.agents[1].agent, (self.publish.pk,))
        sweeping.sweep()


@pytest.fixture
def everywhere(world: World, client: Client, caplog: pytest.LogCaptureFixture) -> Everywhere:
    caplog.set_level("DEBUG")
    client.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    return Everywhere(world, client, client_for(world))


@pytest.mark.django_db(transaction=True)
def test_canary_specs_events_answers_logs_and_the_whole_database_hold_no_key(
    everywhere: Everywhere, caplog: pytest.LogCaptureFixture
) -> None:
    key = everywhere.key
    assert key.startswith("imp_")
    stored = [
        *Operation.objects.values_list("spec", flat=True),
        *PublishEvent.objects.values("note", "evidence", "kind"),
    ]
    assert key not in json.dumps(stored, default=str)
    assert not [text for text in everywhere.said if key.encode() in text]
    assert key not in caplog.text
    assert key not in _dump()
    assert str(everywhere.publish.pk) in _dump()
    assert key not in _messages()
    assert "publishes.deliver" in _messages()


def _dump() -> str:
    """The whole database as pg_dump writes it."""
    at = connection.get_connection_params()
    env = {**os.environ, "PGPASSWORD": str(at.get("password", ""))}
    connection_options = [
        "--host",
        str(at["host"]),
        "--port",
        str(at["port"]),
        "--username",
        str(at["user"]),
        "--dbname",
        str(at["dbname"]),
    ]
    dump = subprocess.run(
        [POSTGRES_BIN / "pg_dump", "--no-password", *connection_options],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return dump.stdout


def _messages() -> str:
    """All messages that wait at the broker."""
    broker = redis.Redis.from_url(configured.CELERY_BROKER_URL)
    names: Any = broker.keys("*")
    return "".join(str(broker.lrange(name, 0, -1)) for name in names if broker.type(name) == b"list")


def test_a_key_past_its_end_is_in_no_new_spec(world: World) -> None:
    publish = draft(world)
    issued = credentials.issue_test_key(world.actor, publish.pk)
    assert [key.id for key in spec.live(publish).auth.keys] == [issued.credential.pk]
    Credential.objects.update(expires_at=timezone.now())
    assert spec.live(publish).auth.keys == ()


def test_who_switched_a_key_off_stands_in_the_history(world: World) -> None:
    publish = draft(world)
    credentials.issue_test_key(world.actor, publish.pk)
    credentials.switch_off(world.actor, publish.pk)
    (event,) = PublishEvent.objects.filter(publish=publish, kind=EventKind.KEY_OFF)
    assert (event.actor_user_id, event.actor_label) == (world.actor.user_id, world.actor.label)
