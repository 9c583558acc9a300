"""Bounds of numbers, texts and JSON from outside: values beyond them are refused, never an error 500."""

import base64
import json
import time

import pytest
from django.test import Client
from django.urls import reverse

from core.texts import JsonRefused, read_json, storable, whole_number
from publishes.callers import issuers
from publishes.models import Issuer
from tests.issuing import IssuerSite
from tests.pages import signed_in, url
from tests.world import World

P = "/api/v1/provider"
LONG = "9" * 5_000
NESTED = "[" * 50_000 + "]" * 50_000


@pytest.mark.parametrize("number", [LONG, "1" * 25, "٣" * 5_000, "-1", "", "²"])
def test_a_number_in_a_url_that_is_none_is_no_error(world: World, number: str) -> None:
    publish, browser = world.published(), signed_in(world.user)
    assert browser.get(url("detail", publish), {"history": number}).status_code == 200
    for chosen in ({"new": number}, {"old": number}, {"old": number, "new": number}):
        assert browser.get(url("compare", publish), chosen).status_code in {200, 404}
    for page in ("overview:list", "products:list", "clusters:list"):
        assert browser.get(reverse(page), {"page": number}).status_code == 200


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("17", 17),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        (LONG, None),
        ("٣", None),
        ("-1", None),
        ("1\n", None),
    ],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def token(header: str, payload: str) -> str:
    return ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, payload, "xx")
    )


@pytest.mark.parametrize(
    "proof",
    [
        f"e30.{NESTED}.xx",
        token("{}", NESTED),
        token(NESTED, '{"iss": "6b0a9b1e-0000-4000-8000-000000000000"}'),
        token("{}", '{"iss": "\\ud800"}'),
        token("{}", '{"iss": "6b0a9b1e-0000-4000-8000-000000000000", "exp": ' + LONG + "}"),
    ],
)
@pytest.mark.parametrize("door", ["heartbeat", "enroll"])
def test_a_proof_that_cannot_be_read_is_refused(db: None, proof: str, door: str) -> None:
    body = {
        "protocol": 1,
        "secret": "x",
        "public_key": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        "driver": "envoy",
    }
    answer = Client().post(
        f"/agent/v1/{door}", body, content_type="application/json", headers={"Authorization": f"Imp {proof}"}
    )
    assert answer.status_code in {401, 422}, answer.content


@pytest.mark.parametrize("kid", ["a\x00b", "a\ud800b", "\x00"])
def test_an_issuers_key_whose_name_cannot_be_stored_is_not_usable(
    db: None, issuer_site: IssuerSite, kid: str
) -> None:
    keys = issuer_site.jwks["keys"]
    keys.append({**keys[0], "kid": kid})
    issuers.learn(issuer_site.url)
    assert {key["kid"] for key in Issuer.objects.get().jwks} == {key["kid"] for key in keys[:-1]}


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
def test_what_an_issuer_says_of_itself_is_kept_with_a_mark(
    world: World, issuer_site: IssuerSite, name: str
) -> None:
    issuers.learn(issuer_site.url)
    world.published(auth_mode="oauth2", auth_config=issuer_site.config)
    issuer_site.document = {"issuer": name}
    issuers.refresh_all()
    assert "a\N{REPLACEMENT CHARACTER}b" in Issuer.objects.get().reason["en"]


def test_texts_that_cannot_be_stored_get_a_mark() -> None:
    assert storable("a\x00b\ud800c", most=4) == "a�b�"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (path, "unknown=1")
        for path in (
            "operations",
            "products",
            "api-services",
            "gateways",
            "product-publishes",
            "api-tokens",
            "products/{product}/publishes",
        )
    ]
    + [("product-publishes/{publish}/events", "kind=x"), ("product-publishes/{publish}/keys", "q=x")]
    + [("operations", "product_id=1"), ("operations", "status=OPEN"), ("operations", "sort=x")],
)
def test_a_parameter_that_a_list_does_not_know_is_422_and_named(
    owner: Client, world: World, path: str, query: str
) -> None:
    publish = world.published()
    refused = owner.get(f"{P}/{path.format(product=world.product.pk, publish=publish.pk)}?page=1&{query}")
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [query.partition("=")[0]])


def test_a_body_of_a_hundred_thousand_fields_is_refused_at_once(owner: Client) -> None:
    body = json.dumps({f"field{number}": number for number in range(100_000)})
    began = time.process_time()
    refused = owner.post(f"{P}/products", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "too_many_values")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("body", [NESTED, '{"a":' * 40 + "1" + "}" * 40, "[" * 900 + "]" * 900])
def test_a_body_that_is_too_deep_is_refused(owner: Client, body: str) -> None:
    refused = owner.post(f"{P}/products", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "too_many_values")


def test_of_many_wrong_fields_a_hundred_are_named(owner: Client) -> None:
    refused = owner.post(
        f"{P}/products",
        {f"field{number}": number for number in range(4_000)},
        content_type="application/json",
    )
    assert (refused.status_code, len(refused.json()["fields"])) == (422, 100)


def test_json_is_counted_and_measured() -> None:
    assert read_json('{"a": [1, {"b": null}]}', values=6, depth=3) == {"a": [1, {"b": None}]}
    for bounds in ({"values": 4}, {"depth": 2}):
        with pytest.raises(JsonRefused):
            read_json('{"a": [1, {"b": null}]}', **bounds)
    with pytest.raises(ValueError, match="integer string conversion"):
        read_json(f"[{LONG}]")
