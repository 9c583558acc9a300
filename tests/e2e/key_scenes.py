"""Scenes of keys and tokens, from the wizard's settings to a key that was switched off."""

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from publishes.callers import credentials
from publishes.models import Issuer, ProductPublish
from tests.agent import issuer as token_keys
from tests.e2e.scene import Scene
from tests.publishes.pages.run import Run
from tests.world import World

ISSUER = "https://auth.example.com/realms/payment"
TOKENS = {"issuer_url": ISSUER, "audience": "payment-api", "scopes": ["payment:read", "payment:write"]}


def detail(publish: ProductPublish) -> str:
    return reverse("publishes:detail", args=[publish.product_id, publish.pk])


def closed(world: World) -> ProductPublish:
    """A live publish that asks for keys."""
    return world.published(auth_mode="api-key", auth_config={"key_header": "X-Api-Key"})


def _no_keys(world: World, client: Client) -> str:
    return detail(closed(world))


def _keys(world: World, client: Client) -> str:
    publish = closed(world)
    lost = credentials.issue_test_key(world.actor, publish.pk)
    credentials.switch_off(world.actor, publish.pk, credential_id=lost.credential.pk)
    for _ in range(2):
        credentials.issue_test_key(world.actor, publish.pk)
        world.everybody_confirms()
    return detail(publish)


def _issuer_away(world: World, client: Client) -> str:
    jwks = list(token_keys.public(token_keys.rsa(), token_keys.ec()))
    since = timezone.now() - timedelta(minutes=25)
    reason = {
        "ko": "Issuer 설정: 제시간에 응답하지 않습니다.",
        "en": "The issuer's configuration: It did not answer in time.",
    }
    Issuer.objects.create(url=ISSUER, jwks=jwks, fetched_at=since, failing_since=since, reason=reason)
    return detail(world.published(auth_mode="oauth2", auth_config=TOKENS))


def _settings(world: World, client: Client) -> str:
    run = Run(world, client)
    run.choose(upto="settings")
    return run.url("settings")


def _wrong_issuer(page: Page) -> None:
    page.locator("[value=oauth2]").check()
    page.locator("[name=settings-issuer_url]").fill("http://localhost:9/realms/payment")
    page.locator("[name=settings-audience]").fill("payment-api")
    page.locator("[name=settings-audience]").press("Enter")
    page.locator(".error-text").wait_for()


def _make(page: Page) -> None:
    page.locator("#open-make-key").click()
    page.locator("#make-key button.primary").click()
    page.locator("#new-key").wait_for()


KEYS = (
    Scene(name="keys-empty", prepare=_no_keys),
    Scene(name="key-made", prepare=_keys, act=_make),
    Scene(name="dialog-make-key", prepare=_keys, act=lambda page: page.locator("#open-make-key").click()),
    Scene(name="issuer-away", prepare=_issuer_away),
    Scene(name="wizard-issuer-refused", prepare=_settings, act=_wrong_issuer, status=422),
)
