"""Revisions: people's edits alone count them, so nothing that agents, sweeps or verbs do refuses an edit."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agent.protocol.messages import Outcome
from core.problems import ChangedMeanwhile
from products.catalogue import products
from products.models import Product
from publishes import sweeping
from publishes.callers import issuers
from publishes.choices import Kind, Status
from publishes.engine import outbox
from publishes.models import ProductPublish
from publishes.verbs import cancelling, drafts, publishing
from tests.agent import issuer as keys
from tests.issuing import IssuerSite
from tests.publishes.engine.test_races import at_once
from tests.world import World

P = "/api/v1/provider"


def put(api: Client, path: str, body: Any, **headers: str) -> Any:
    return api.put(path, json.dumps(body), content_type="application/json", headers=headers)


def at(publish: ProductPublish) -> str:
    return f"{P}/product-publishes/{publish.pk}"


def fails_and_goes_back(world: World, publish: ProductPublish) -> None:
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")
    world.everybody_confirms()


def is_cancelled(world: World, publish: ProductPublish) -> None:
    publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk)
    world.everybody_confirms()


def gives_its_host_back_by_the_sweep(world: World, publish: ProductPublish) -> None:
    is_cancelled(world, publish)
    ProductPublish.objects.filter(pk=publish.pk).update(claimed_host=publish.hostname_base)
    sweeping.sweep()


MACHINERY = (fails_and_goes_back, is_cancelled, gives_its_host_back_by_the_sweep)


@pytest.mark.parametrize("happens", MACHINERY, ids=lambda happens: happens.__name__)
@pytest.mark.parametrize("door", ["api", "page"])
def test_a_draft_that_nobody_edited_takes_an_edit_whatever_agents_and_sweeps_did_meanwhile(
    api: Client,
    browser: Client,
    world: World,
    happens: Callable[[World, ProductPublish], None],
    door: str,
) -> None:
    publish = world.draft()
    page = reverse("publishes:edit", args=[publish.product_id, publish.pk])
    etag, hidden = api.get(at(publish)).headers["ETag"], hidden_fields(browser, page)
    before = publish.updated_at
    happens(world, publish)
    publish.refresh_from_db()
    assert (publish.status, publish.claimed_host, publish.updated_at > before) == (Status.DRAFT, None, True)
    if door == "api":
        answer = put(api, at(publish), {"environment": "stage"}, **{"If-Match": etag})
        assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    else:
        typed = {"environment": "stage", "auth_mode": "none", "visibility": "public"}
        typed |= {"hostname_base": publish.hostname_base}
        assert browser.post(page, typed | hidden).status_code == 302
    publish.refresh_from_db()
    assert publish.environment == "stage"


def test_changed_keys_of_an_issuer_are_no_edit_of_the_drafts_that_believe_it(
    api: Client, world: World, issuer_site: IssuerSite
) -> None:
    issuers.learn(issuer_site.url)
    publish = world.draft(auth_mode="oauth2", auth_config=issuer_site.config)
    etag = api.get(at(publish)).headers["ETag"]
    issuer_site.jwks = {"keys": list(keys.public(keys.rsa("rsa-2"), keys.ec()))}
    issuers.refresh_all()
    publish.refresh_from_db()
    assert publish.sync_wanted
    assert put(api, at(publish), {"environment": "stage"}, **{"If-Match": etag}).status_code == 200


def test_a_verb_changes_nothing_that_an_edit_of_the_product_writes(
    api: Client, browser: Client, world: World
) -> None:
    path = f"{P}/products/{world.product.pk}"
    etag = api.get(path).headers["ETag"]
    page = reverse("products:edit", args=[world.product.pk])
    hidden = hidden_fields(browser, page)
    products.deactivate(world.actor, world.product.pk)
    answer = put(api, path, {"description": "Mine"}, **{"If-Match": etag})
    assert (answer.status_code, answer.json()["status"]) == (200, "draft")
    assert browser.post(page, {"name": "Theirs", "version": "2.0"} | hidden).status_code == 409
    world.product.refresh_from_db()
    assert (world.product.name, world.product.description) == ("Payment API", "Mine")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("products", {}),
        ("api-services", {"routes": [{"path": "/new"}]}),
        ("gateways", {"listeners": [{"port": 8080}]}),
    ],
)
def test_an_edit_of_the_rows_that_belong_to_a_record_is_an_edit_of_it(
    api: Client, world: World, kind: str, change: dict[str, Any]
) -> None:
    services = [str(pk) for pk in world.product.services.order_by("name").values_list("pk", flat=True)]
    ids = {"products": world.product.pk, "api-services": services[0], "gateways": world.gateway.pk}
    path = f"{P}/{kind}/{ids[kind]}"
    if kind == "products":
        change = {"api_services": services[:2]}
    if kind == "gateways":
        assert put(api, path, {"listeners": [{"port": 80}]}).status_code == 200
    before = api.get(path)
    changed = put(api, path, change, **{"If-Match": before.headers["ETag"]})
    assert (changed.status_code, changed.json()["revision"]) == (200, before.json()["revision"] + 1)
    assert put(api, path, {"name": "late"}, **{"If-Match": before.headers["ETag"]}).status_code == 412


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_form_names_a_revision_of_many_digits_in_plain_ones(
    browser: Client, world: World, language: str
) -> None:
    Product.objects.filter(pk=world.product.pk).update(revision=12_345)
    page = reverse("products:edit", args=[world.product.pk])
    answer = browser.get(page, headers={"Accept-Language": language}).content.decode()
    assert '<input type="hidden" name="revision" value="12345">' in answer


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(5))
def test_of_two_edits_of_one_revision_at_once_one_is_refused(
    transactional_db: None, world: World, _round: int
) -> None:
    publish = world.draft()

    def edit(environment: str) -> ProductPublish:
        settings = world.settings(environment=environment)
        return drafts.update_publish(world.actor, publish.pk, settings=settings, revision=1)

    ended = at_once(lambda: edit("stage"), lambda: edit("prod"))
    (winner,) = [end for end in ended if isinstance(end, ProductPublish)]
    assert [type(end) for end in ended if end is not winner] == [ChangedMeanwhile]
    publish.refresh_from_db()
    assert (publish.revision, publish.environment) == (2, winner.environment)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(5))
def test_an_edit_and_the_last_agents_word_at_once_are_both_kept(
    transactional_db: None, world: World, monkeypatch: pytest.MonkeyPatch, _round: int
) -> None:
    monkeypatch.setattr(outbox, "wake", lambda _agents: None)
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk)
    world.agents[0].confirm_all()
    (waiting,) = world.agents[1].claim()
    publish.refresh_from_db()
    assert (world.last_operation(publish).kind, publish.claimed_host) == (Kind.REVERT, publish.hostname_base)

    def edit() -> ProductPublish:
        settings = world.settings(environment="stage")
        return drafts.update_publish(world.actor, publish.pk, settings=settings, revision=publish.revision)

    ended = at_once(edit, lambda: world.agents[1].answer(waiting))
    assert [type(end) for end in ended] == [ProductPublish, type(None)]
    publish.refresh_from_db()
    assert (publish.revision, publish.environment, publish.claimed_host) == (2, "stage", None)


def hidden_fields(browser: Client, page: str) -> dict[str, str]:
    """The hidden fields of the form at that page."""
    text = browser.get(page).content.decode()
    return dict(re.findall(r'<input type="hidden" name="(revision)" value="([^"]+)">', text))
