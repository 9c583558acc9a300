"""Authentication modes by API (A45, A46, A82): which settings each mode takes, and the refusals of others."""

from typing import Any

import pytest
from django.test import Client

from publishes.models import Issuer, ProductPublish
from tests.issuing import IssuerSite
from tests.publishes.api.test_publishes import P, create
from tests.world import World


@pytest.fixture(autouse=True)
def reading_english(api: Client) -> None:
    api.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"


def refusal_text(response: Any) -> str:
    assert response.status_code == 422, response.content
    (text,) = (
        response.json()["errors"]["auth_config"]
        if "errors" in response.json()
        else response.json()["fields"]["auth_config"]
    )
    return str(text)


def test_a45_api_key_needs_no_settings_and_may_name_its_header(api: Client, world: World) -> None:
    draft = create(api, world, auth_mode="api-key").json()
    assert (draft["auth_mode"], draft["auth_config"]) == ("api-key", {})
    draft_with_header = create(
        api, world, auth_mode="api-key", auth_config={"key_header": "X-Api-Key"}
    ).json()
    assert draft_with_header["auth_config"] == {"key_header": "X-Api-Key"}


NO_NAME = ["a b", "x:y", ":path", "-x", "x" * 61, "ä", "a.b"]
HTTP_S_OWN = [
    *(
        "host",
        "Connection",
        "keep-alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "transfer_encoding",
        "Upgrade",
        "Expect",
        "Cookie",
    ),
    *("Content-Type", "content-length", "Content_Encoding", "via"),
]
GATEWAYS_OWN = [
    *(
        "X-Real-IP",
        "x_real_ip",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Anything",
        "x-request-id",
        "Forwarded",
    ),
    *("X-Envoy-Peer", "x-kong-request-id", "X-Consumer-Username"),
]
OURS = ["Imp-Generation", "imp_key", "imp-anything"]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        *((header, "letters, digits, hyphens and underscores") for header in NO_NAME),
        *((header, "HTTP itself uses this header") for header in HTTP_S_OWN),
        *(
            (header, "Gateways write this header themselves")
            for header in (*GATEWAYS_OWN, "Imp-Consumer", "imp_consumer")
        ),
        *((header, "Names that begin with imp-") for header in OURS),
        (7, "A text of at most 500 characters."),
    ],
)
def test_a_header_that_cannot_carry_a_key_is_refused_with_the_reason(
    api: Client, world: World, header: Any, reason: str
) -> None:
    text = refusal_text(create(api, world, auth_mode="api-key", auth_config={"key_header": header}))
    assert text.startswith("key_header: ")
    assert reason in text


@pytest.mark.parametrize(
    "header", ["apikey", "X-Api-Key", "api_key", "Authorization", "x-te", "hostname", "important"]
)
def test_a_header_that_can_carry_a_key_is_taken(api: Client, world: World, header: str) -> None:
    assert create(api, world, auth_mode="api-key", auth_config={"key_header": header}).json()[
        "auth_config"
    ] == {"key_header": header}


def test_a46_oauth2_keeps_issuer_audience_and_scopes_and_learns_the_keys(
    api: Client, world: World, issuer_site: IssuerSite
) -> None:
    config = {"issuer_url": issuer_site.url, "audience": "payment-api", "scopes": "read write read"}
    draft = create(api, world, auth_mode="oauth2", auth_config=config).json()
    assert draft["auth_config"] == {
        "issuer_url": issuer_site.url,
        "audience": "payment-api",
        "scopes": ["read", "write"],
    }
    assert len(Issuer.objects.get(url=issuer_site.url).jwks) == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"issuer_url": ""}, "issuer_url: Say which issuer the tokens come from."),
        (
            {"issuer_url": "auth.example.com"},
            (
                "issuer_url: An address such as https://auth.example.com/realms/api, "
                "without a question mark or a fragment."
            ),
        ),
        (
            {"issuer_url": "http://1.1.1.1/realms"},
            "issuer_url: The issuer's configuration: It must begin with https://.",
        ),
        (
            {"issuer_url": "https://169.254.169.254/"},
            (
                "issuer_url: The issuer's configuration: "
                "Its address is not public, and operators have not allowed it."
            ),
        ),
        ({"audience": ""}, "audience: Say which audience the tokens must be for."),
        ({"audience": 7}, "audience: A text of at most 500 characters."),
        (
            {"scopes": 7},
            "scopes: Scopes are words of visible ASCII characters, at most 20, separated by spaces.",
        ),
        (
            {"scopes": ['a"b']},
            "scopes: Scopes are words of visible ASCII characters, at most 20, separated by spaces.",
        ),
        ({"client_secret": "x"}, "The authentication mode oauth2 has no setting client_secret."),
    ],
)
def test_settings_that_are_not_right_are_refused_in_words(
    api: Client, world: World, issuer_site: IssuerSite, change: dict[str, Any], text: str
) -> None:
    assert (
        refusal_text(create(api, world, auth_mode="oauth2", auth_config=issuer_site.config | change)) == text
    )
    assert not ProductPublish.objects.exists()


def test_everything_that_is_wrong_with_the_settings_is_said_at_once(api: Client, world: World) -> None:
    refused = create(api, world, auth_mode="oauth2", auth_config={"scopes": 7}).json()
    assert [
        text.partition(":")[0] for text in (refused.get("errors") or refused["fields"])["auth_config"]
    ] == ["issuer_url", "audience", "scopes"]


def test_an_issuer_that_is_not_right_is_refused_in_words(
    api: Client, world: World, issuer_site: IssuerSite
) -> None:
    issuer_site.document = {"jwks_uri": None}
    assert (
        refusal_text(create(api, world, auth_mode="oauth2", auth_config=issuer_site.config))
        == "issuer_url: The issuer's configuration names no keys (jwks_uri)."
    )
    issuer_site.document = {"issuer": "https://other.example"}
    assert "calls itself https://other.example" in refusal_text(
        create(api, world, auth_mode="oauth2", auth_config=issuer_site.config)
    )


@pytest.mark.parametrize(
    ("mode", "config"),
    [("none", {"key_header": "x"}), ("api-key", {"issuer_url": "x"}), ("none", [1]), ("api-key", "x")],
)
def test_a_mode_has_its_own_settings_alone(api: Client, world: World, mode: str, config: Any) -> None:
    assert create(api, world, auth_mode=mode, auth_config=config).status_code == 422


def test_another_mode_leaves_the_settings_of_the_old_one_behind(
    api: Client, world: World, issuer_site: IssuerSite
) -> None:
    publish = create(api, world, auth_mode="oauth2", auth_config=issuer_site.config).json()
    publish_url = f"{P}/product-publishes/{publish['id']}"
    changed = api.put(publish_url, {"environment": "stage"}, content_type="application/json").json()
    assert (changed["auth_mode"], changed["auth_config"]) == ("oauth2", issuer_site.config)
    changed = api.put(publish_url, {"auth_mode": "api-key"}, content_type="application/json").json()
    assert (changed["auth_mode"], changed["auth_config"]) == ("api-key", {})
