"""Issuers of tokens: which published keys are used, what is refused, and issuers that change or are away."""

import base64
from html import unescape
from threading import Barrier
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from joserfc.jwk import ECKey, OctKey, RSAKey

from agent.protocol.spec import AuthMode, Spec
from publishes import errors, spec, sweeping
from publishes.callers import issuers
from publishes.callers.issuers import IssuerRefused
from publishes.choices import Kind
from publishes.models import Issuer, ProductPublish
from publishes.verbs import publishing
from tests.agent import issuer as keys
from tests.issuing import IssuerSite
from tests.publishes.engine.test_line import kinds
from tests.world import World


def believing(world: World, site: IssuerSite, **changes: Any) -> ProductPublish:
    """A PUBLISHED publish that asks for this issuer's tokens."""
    issuers.learn(site.url)
    return world.published(auth_mode="oauth2", auth_config=site.config, **changes)


def refusal(site: IssuerSite, url: str = "") -> str:
    with pytest.raises(IssuerRefused) as caught:
        issuers.look_up(url or site.url)
    return str(caught.value.text)


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": "odd", **more}


def test_the_usable_keys_are_taken_sorted_with_their_public_members_alone(issuer_site: IssuerSite) -> None:
    issuer_site.jwks = {
        "keys": [
            {**keys.public(keys.rsa())[0], "x5c": ["a certificate"], "alg": "RS256"},
            keys.ec().as_dict(private=True),  # an issuer's mistake must not become ours
        ]
    }
    published = issuers.look_up(issuer_site.url)
    assert [(key["kid"], key["alg"], set(key)) for key in published.jwks] == [
        ("ec-1", "ES256", {"kty", "kid", "use", "alg", "crv", "x", "y"}),
        ("rsa-1", "RS256", {"kty", "kid", "use", "alg", "n", "e"}),
    ]
    assert issuer_site.requested_paths == ["/realms/api/.well-known/openid-configuration", "/realms/api/jwks"]


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "RSA"},
        "no object",
        {},
        jwk(OctKey.generate_key(256)),
        jwk(RSAKey.generate_key(1024)),
        jwk(RSAKey.generate_key(2048), alg="PS256"),
        jwk(RSAKey.generate_key(2048), use="enc"),
        {name: value for name, value in jwk(RSAKey.generate_key(2048)).items() if name != "kid"},
        jwk(ECKey.generate_key("P-384")),
        jwk(ECKey.generate_key("P-256"), alg="RS256"),
        jwk(RSAKey.generate_key(2048), n="%%%"),
        jwk(ECKey.generate_key("P-256"), kid="a\x00b"),
        jwk(ECKey.generate_key("P-256"), kid="k" * 201),
    ],
    ids=[
        "bare",
        "text",
        "empty",
        "symmetric",
        "short",
        "PS256",
        "for-encryption",
        "nameless",
        "P-384",
        "other-algorithm",
        "no-number",
        "unprintable",
        "long",
    ],
)
def test_a_key_that_gateways_cannot_check_tokens_with_is_left_out(issuer_site: IssuerSite, odd: Any) -> None:
    issuer_site.jwks["keys"].append(odd)
    assert [key["kid"] for key in issuers.look_up(issuer_site.url).jwks] == ["ec-1", "rsa-1"]
    issuer_site.jwks = {"keys": [odd]}
    assert "no key that can be used" in refusal(issuer_site)


def many_keys(count: int) -> list[dict[str, Any]]:
    key = ECKey.generate_key("P-256")
    return [jwk(key, kid=f"key-{number}") for number in range(count)]


def of_bits(bits: int) -> dict[str, Any]:
    """An RSA key of that size, as it is published. Its modulus is only odd, so that it signs nothing."""
    modulus = ((1 << bits) - 1).to_bytes(bits // 8, "big")
    return {
        "kty": "RSA",
        "kid": "odd",
        "n": base64.urlsafe_b64encode(modulus).decode().rstrip("="),
        "e": "AQAB",
    }


def test_ten_keys_of_4096_bits_are_taken(issuer_site: IssuerSite) -> None:
    issuer_site.jwks = {"keys": [*many_keys(9), of_bits(4096)]}
    assert len(issuers.look_up(issuer_site.url).jwks) == 10


TOO_MANY = (
    "The issuer publishes more than 10 keys. "
    "Each costs the gateway time with every token that names none of them."
)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (many_keys(11), TOO_MANY),
        (many_keys(400), TOO_MANY),
        ([of_bits(4104)], "The issuer's key odd is larger than RSA of 4096 bits."),
        ([of_bits(8192), *many_keys(1)], "The issuer's key odd is larger than RSA of 4096 bits."),
        (
            [of_bits(2048) | {"e": of_bits(1024)["n"]}],
            "The issuer's key odd is larger than RSA of 4096 bits.",
        ),
    ],
    ids=["eleven", "many", "a byte too large", "8192 bits among others", "a large exponent"],
)
def test_keys_that_would_cost_every_caller_time_are_refused_in_words(
    issuer_site: IssuerSite, listed: list[Any], message: str
) -> None:
    """Envoy is shared: a bad token is tried with each key of its issuer."""
    issuer_site.jwks = {"keys": listed}
    assert refusal(issuer_site) == message


@pytest.mark.parametrize("listed", [many_keys(11), [of_bits(8192)]], ids=["eleven", "8192 bits"])
def test_the_last_good_keys_stay_when_an_issuer_publishes_too_many_or_too_large(
    world: World, issuer_site: IssuerSite, listed: list[Any]
) -> None:
    publish = believing(world, issuer_site)
    issuer_site.jwks = {"keys": listed}
    issuers.refresh_all()
    issuer = Issuer.objects.get(url=issuer_site.url)
    assert [key["kid"] for key in issuer.jwks] == ["ec-1", "rsa-1"]
    assert issuer.failing_since is not None
    assert "10" in issuer.reason["ko"] or "4096" in issuer.reason["ko"]
    publish.refresh_from_db()
    assert not publish.sync_wanted


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"issuer": "https://other.example"},
            "The issuer calls itself https://other.example. Write it exactly so.",
        ),
        ({"issuer": None}, "What answers there is no issuer's configuration."),
        ({"jwks_uri": None}, "The issuer's configuration names no keys (jwks_uri)."),
        ({"jwks_uri": 7}, "The issuer's configuration names no keys (jwks_uri)."),
        (
            {"jwks_uri": "https://10.0.0.1/keys"},
            "The issuer's keys (jwks_uri): Its address is not public, and operators have not allowed it.",
        ),
        (
            {"jwks_uri": "ftp://x/"},
            (
                "The issuer's keys (jwks_uri): It must be an address such as https://host/path, "
                "without a user name."
            ),
        ),
    ],
)
def test_a_configuration_that_is_not_right_is_refused_in_words(
    issuer_site: IssuerSite, document: dict[str, Any], message: str
) -> None:
    issuer_site.document = document
    assert refusal(issuer_site) == message


@pytest.mark.parametrize("jwks", [[], {}, {"keys": {}}, {"keys": []}, "keys"])
def test_a_set_of_keys_that_is_none_is_refused(issuer_site: IssuerSite, jwks: Any) -> None:
    issuer_site.jwks = jwks
    assert refusal(issuer_site)


def test_an_issuer_that_is_not_there_not_https_or_not_public_is_refused_in_words(
    issuer_site: IssuerSite,
) -> None:
    assert (
        refusal(issuer_site, "http://1.1.1.1/realms")
        == "The issuer's configuration: It must begin with https://."
    )
    assert (
        refusal(issuer_site, "https://10.1.2.3/")
        == "The issuer's configuration: Its address is not public, and operators have not allowed it."
    )
    assert "The connection failed: no server is listening" in refusal(issuer_site, "http://127.0.0.1:9")
    issuer_site.status = 404
    assert refusal(issuer_site) == "The issuer's configuration: It answers 404."


def test_the_spec_carries_issuer_audience_scopes_and_keys(world: World, issuer_site: IssuerSite) -> None:
    publish = believing(world, issuer_site)
    auth = Spec.model_validate(world.last_operation(publish).spec).auth
    assert (auth.mode, auth.issuer, auth.audience, auth.scopes) == (
        AuthMode.OAUTH2,
        issuer_site.url,
        "payment-api",
        ("read", "write"),
    )
    assert [key["kid"] for key in auth.jwks] == ["ec-1", "rsa-1"]


def test_without_known_keys_nothing_is_published(world: World, issuer_site: IssuerSite) -> None:
    publish = world.draft(auth_mode="oauth2", auth_config=issuer_site.config)
    with pytest.raises(errors.IssuerUnknown):
        publishing.request_publish(world.actor, publish.pk)
    with pytest.raises(errors.IssuerUnknown):
        spec.auth_of(publish)


def test_changed_keys_go_out_by_themselves_as_a_sync(world: World, issuer_site: IssuerSite) -> None:
    publish = believing(world, issuer_site)
    withdrawn = world.draft(
        auth_mode="oauth2", auth_config=issuer_site.config, hostname_base="other.localhost"
    )
    issuers.refresh_all()
    assert publish.operations.count() == 1
    issuer_site.jwks = {"keys": list(keys.public(keys.rsa("rsa-2"), keys.ec()))}
    issuers.refresh_all()
    sweeping.sweep()
    operation = world.last_operation(publish)
    assert operation.kind == Kind.SYNC
    assert [key["kid"] for key in Spec.model_validate(operation.spec).auth.jwks] == ["ec-1", "rsa-2"]
    assert kinds(publish)[-2:] == ["issuer_changed", "sync_requested"]
    assert withdrawn.operations.count() == 0
    issuers.refresh_all()
    sweeping.sweep()
    assert publish.operations.count() == 2


def test_keys_that_changed_when_somebody_else_saved_go_out_too(world: World, issuer_site: IssuerSite) -> None:
    publish = believing(world, issuer_site)
    issuer_site.jwks = {"keys": list(keys.public(keys.ec()))}
    issuers.learn(issuer_site.url)
    sweeping.sweep()
    assert world.last_operation(publish).kind == Kind.SYNC


@pytest.mark.parametrize("trouble", ["away", "empty", "wrong"])
def test_while_an_issuer_gives_no_keys_the_old_ones_stay_and_the_row_says_since_when(
    world: World, issuer_site: IssuerSite, trouble: str
) -> None:
    publish = believing(world, issuer_site)
    before = Issuer.objects.get()
    issuer_site.status = 503 if trouble == "away" else 200
    issuer_site.jwks = {"keys": []} if trouble == "empty" else issuer_site.jwks
    issuer_site.document = {"issuer": "other"} if trouble == "wrong" else {}
    began = timezone.now()
    issuers.refresh_all()
    first = Issuer.objects.get()
    issuers.refresh_all()
    second = Issuer.objects.get()
    assert (first.jwks, first.fetched_at) == (before.jwks, before.fetched_at)
    assert first.failing_since is not None
    assert first.failing_since >= began
    assert second.failing_since == first.failing_since
    assert set(second.reason) == {"ko", "en"}
    assert second.reason["ko"] != second.reason["en"]
    page = Client(headers={"Accept-Language": "ko"})
    page.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    shown = unescape(
        page.get(reverse("publishes:detail", args=[publish.product_id, publish.pk])).content.decode()
    )
    assert f'<time datetime="{first.failing_since.isoformat(timespec="seconds")}">' in shown
    assert second.reason["ko"] in shown
    assert second.reason["en"] not in shown
    assert publish.operations.count() == 1
    issuer_site.status, issuer_site.document = 200, {}
    issuer_site.jwks = {"keys": list(keys.public(keys.rsa(), keys.ec()))}
    issuers.refresh_all()
    sweeping.sweep()
    assert (Issuer.objects.get().failing_since, Issuer.objects.get().reason) == (None, {})
    assert publish.operations.count() == 1


def test_issuers_that_nobody_uses_are_not_asked(world: World, issuer_site: IssuerSite) -> None:
    issuers.learn(issuer_site.url)
    issuer_site.requested_paths.clear()
    issuers.refresh_all()
    assert issuer_site.requested_paths == []


def test_one_issuer_s_trouble_keeps_no_other_from_its_turn(world: World, issuer_site: IssuerSite) -> None:
    publish = believing(world, issuer_site)
    other = IssuerSite()
    other.url, other.status = other.url.replace("127.0.0.1", "127.0.0.2"), 500
    world.draft(auth_mode="oauth2", auth_config=other.config, hostname_base="other.localhost")
    issuer_site.jwks = {"keys": list(keys.public(keys.ec()))}
    issuers.refresh_all()
    sweeping.sweep()
    assert world.last_operation(publish).kind == Kind.SYNC
    other.shutdown()
    other.server_close()


def test_issuers_are_asked_at_once_so_that_one_that_hangs_holds_up_nobody(
    world: World, issuer_site: IssuerSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, everybody = believing(world, issuer_site), Barrier(3)
    for number in (2, 3):
        world.draft(
            auth_mode="oauth2",
            auth_config={**issuer_site.config, "issuer_url": f"http://127.0.0.{number}:9"},
            hostname_base=f"{number}.localhost",
        )
    ask = issuers.look_up

    def look_up(url: str, **how: Any) -> issuers.IssuerKeys:
        everybody.wait(timeout=5)
        return ask(url, **how)

    monkeypatch.setattr(issuers, "look_up", look_up)
    issuer_site.jwks = {"keys": list(keys.public(keys.ec()))}
    issuers.refresh_all()
    publish.refresh_from_db()
    assert publish.sync_wanted


def test_saving_again_asks_one_query_when_nothing_changed(
    world: World, issuer_site: IssuerSite, django_assert_num_queries: Any
) -> None:
    issuers.learn(issuer_site.url)
    with django_assert_num_queries(1):
        issuers.learn(issuer_site.url)
