"""What of a product goes to a gateway, what does not and why, and what a digest stands for."""

import pytest

from agent.protocol import spec as wire
from agent.protocol.spec import State
from products.models import ApiService, Route
from publishes import spec
from publishes.errors import PathsOverlap
from tests.world import World, add_service


def test_a_live_spec_carries_exactly_what_is_active(world: World) -> None:
    publish = world.draft()
    built = spec.live(publish)
    assert (built.publish_id, built.generation, built.state, built.host) == (
        publish.pk,
        1,
        State.LIVE,
        "payment-api.dev.kr-seoul.localhost",
    )
    shapes = [
        (
            s.name,
            s.upstream.scheme,
            s.upstream.host,
            s.upstream.port,
            [(r.path, r.methods, r.strip_path) for r in s.routes],
        )
        for s in built.services
    ]
    assert shapes == [
        (
            "Billing Service",
            "http",
            "127.0.0.1",
            8081,
            [("/billing", ("DELETE", "GET", "POST", "PUT"), False)],
        ),
        ("Invoice Service", "http", "127.0.0.1", 8081, [("/invoices", ("GET", "POST"), False)]),
        ("Refund Service", "http", "127.0.0.1", 8081, [("/refunds", ("POST",), False)]),
    ]


def test_what_is_left_out_is_named_with_its_reason(world: World) -> None:
    add_service(world.product, "Asleep", "/asleep", [], active=False)
    add_service(world.product, "Empty", None, [])
    closed = add_service(world.product, "Closed", "/closed", [])
    Route.objects.filter(service=closed).update(status="inactive")
    selection = spec.select(world.product)
    assert [service.name for service in selection.services] == [
        "Billing Service",
        "Invoice Service",
        "Refund Service",
    ]
    assert [omitted.service.name for omitted in selection.left_out] == ["Asleep", "Closed", "Empty"]
    assert selection.left_out[0].reason != selection.left_out[1].reason == selection.left_out[2].reason


def test_the_digest_changes_with_the_content_and_not_with_the_generation(world: World) -> None:
    publish = world.draft()
    first = spec.live(publish)
    publish.generation = 7
    assert spec.live(publish).digest == first.digest
    assert spec.live(publish).generation == 8
    ApiService.objects.filter(name="Billing Service").update(upstream_port=9)
    assert spec.live(publish).digest != first.digest
    assert len({first.digest, spec.withdrawn(publish).digest, spec.absent(publish).digest}) == 3


def test_one_path_may_be_shared_by_services_with_different_methods(world: World) -> None:
    add_service(world.product, "Billing Reports", "/billing", ["PATCH"])
    assert len(spec.live(world.draft()).services) == 4


def test_a_withdrawn_spec_keeps_the_host_that_is_claimed_and_an_absent_one_has_none(world: World) -> None:
    publish = world.published()
    publish.hostname_base = "edited.localhost"
    assert (spec.withdrawn(publish).host, spec.withdrawn(publish).services) == (
        "payment-api.dev.kr-seoul.localhost",
        (),
    )
    assert (spec.absent(publish).host, spec.absent(publish).services) == ("", ())


def test_a_key_counts_in_the_digest_by_its_fingerprint_alone_and_hides_from_logs(world: World) -> None:
    publish = world.draft()
    key = wire.ApiKey(id=publish.pk, consumer="ci", fingerprint="f1", secret="s3cret")
    stored, joined, changed = (
        spec.live(publish).model_copy(
            update={"auth": wire.Auth(mode=wire.AuthMode.API_KEY, key_header="apikey", keys=(auth_key,))}
        )
        for auth_key in (
            key.model_copy(update={"secret": ""}),
            key,
            key.model_copy(update={"fingerprint": "f2"}),
        )
    )
    assert stored.digest == joined.digest != changed.digest
    assert "s3cret" not in repr(joined)


def test_a_route_without_methods_overlaps_every_route_on_its_path(world: World) -> None:
    add_service(world.product, "Every method", "/invoices", [])
    with pytest.raises(PathsOverlap):
        spec.deployable(world.product)
