"""The agents' protocol under fire: signed messages with hostile values in every field, and hostile proofs.

No answer is a 5xx, no bug is logged, and the pages of the cluster open afterwards. A bounded run here;
`make test-long` tries a hundred times as much.
"""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.protocol import messages as m
from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.signing import (
    ALGORITHM,
    CONTROL_PLANE,
    Purpose,
    key_id,
    new_key,
    prove_request,
    public_jwk,
    seal,
)
from clusters.models import AgentLiveness, UsedRequest
from clusters.services import create_enrolment_code
from publishes.verbs import publishing
from tests.enrolment import enrol_request
from tests.publishes.agent_api.test_agent_door import BEAT
from tests.world import Voice, World

BOUNDED, FULL = 25, 2_500
NEWCOMER = new_key()
"""Of an agent that is not enrolled yet: nobody else has it."""
NUMBERS = [
    -1,
    0,
    1,
    -5,
    32_768,
    2**31,
    GENERATION_MAX,
    GENERATION_MAX + 1,
    2**63 - 1,
    2**63,
    2**70,
    -(2**70),
    10**20,
    10**400,
    1.5,
    1e308,
    True,
]
TEXTS = [
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfff",
    "\r\n",
    "a" * 300,
    "b" * 70_000,
    "e" * 64,
    "\x00" * 64,
    "²",
    "９" * 5,
    "\u202e",
    "' OR 1=1",
    "{}",
    "-1",
]
URLS = [
    "http://h:99999",
    "http://h:abc",
    "http://[",
    "http://",
    "javascript:alert(1)",
    "http://h:0",
    "//h",
    "http://a b",
    "http://h:١",
    "https://h/\n",
    "http://[::1]:8",
]
ODD: list[Any] = [
    None,
    [],
    {},
    [[]],
    [None],
    {"a": {"b": []}},
    ["\x00"],
    [BEAT.model_dump(mode="json")],
    "🙂" * 100,
    list(range(2_000)),
    {str(n): n for n in range(50)},
]
HOSTILE = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *URLS, *ODD]),
    st.integers(),
    st.text(alphabet=st.characters(), max_size=80),
    st.uuids().map(str),
)
Places = list[tuple[str | int, ...]]


def places_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value of a message, rows and their fields included."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield (*path, name)
        yield from places_of(child, (*path, name))


def changed(value: Any, path: tuple[str | int, ...], to: Any) -> None:
    """Puts a value at a place, if an earlier change has left that place."""
    for name in path[:-1]:
        try:
            value = value[name]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(value, dict | list):
        try:
            cast("Any", value)[path[-1]] = to
        except (IndexError, TypeError):
            return


def sound(world: World) -> dict[str, dict[str, Any]]:
    """One sound message of each kind, of the things that stand in this world."""
    live, waiting, voice, next_key = (
        world.published(),
        world.draft(hostname_base="two.localhost"),
        world.agents[0],
        new_key(),
    )
    publishing.request_publish(world.actor, waiting.pk)
    (claimed,) = voice.claim()
    rows = [
        {
            "publish_id": str(pk),
            "generation": 1,
            "digest": live.desired_digest,
            "state": "live",
            "verified": True,
        }
        for pk in (live.pk, waiting.pk)
    ]
    unknown = {
        "publish_id": str(uuid.uuid4()),
        "generation": 3,
        "digest": "e" * 64,
        "state": "live",
        "verified": False,
    }
    results = [
        voice.result(claimed.spec, outcome, token=claimed.token).model_dump(mode="json")
        for outcome in (m.Outcome.UNREACHABLE, m.Outcome.STALE)
    ]
    proof = seal(
        next_key, "", purpose=Purpose.NEW_KEY, issuer=str(voice.agent.pk), audience=CONTROL_PLANE
    ).token
    code = create_enrolment_code(world.cluster, agent_name="new")
    return {
        m.PATH_HEARTBEAT: BEAT.model_dump(mode="json"),
        m.PATH_REPORT: {**m.Report(carried=()).model_dump(mode="json"), "carried": [*rows, unknown]},
        m.PATH_RESULTS: {"results": results},
        m.PATH_SPECS: {"publish_ids": [str(live.pk), str(waiting.pk)]},
        m.PATH_KEY: {"public_key": public_jwk(next_key), "proof": proof},
        m.PATH_ENROL: enrol_request(code, key=NEWCOMER, url="").model_dump(mode="json"),
    }


def post(voice: Voice, path: str, body: bytes, *, token: str = "") -> Any:
    url = django_settings.PUBLIC_URL + path
    key = NEWCOMER if path == m.PATH_ENROL else voice.key
    token = token or prove_request(key, agent_id=str(voice.agent.pk), method="POST", url=url, body=body).token
    return Client().post(
        path, body, content_type="application/json", headers={"Authorization": f"Imp {token}"}
    )


def pages_open(world: World) -> None:
    """What a page of this cluster makes of it, for people and operators."""
    browser = Client()
    browser.force_login(world.user)
    publish = world.product.publishes.order_by("created_at")[0]
    for url in (
        reverse("publishes:detail", args=[world.product.pk, publish.pk]),
        reverse("clusters:detail", args=[world.cluster.pk]),
    ):
        assert browser.get(url).status_code == 200


def fire(world: World, path: str, *, examples: int) -> set[int]:
    """Send that many messages of a kind with up to three hostile values; each is taken back.

    Returns the answers.
    """
    message, statuses = sound(world)[path], set[int]()
    places: Places = sorted(places_of(message), key=str)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(changes=st.lists(st.tuples(st.sampled_from(places), HOSTILE), max_size=3))
    def check(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
        hostile = json.loads(json.dumps(message))
        for place, value in changes:
            changed(hostile, place, value)
        with transaction.atomic(), capture_logs() as logs:
            response = post(world.agents[0], path, json.dumps(hostile).encode())
            statuses.add(response.status_code)
            assert response.status_code < 500
            assert [line for line in logs if line["event"] == "bug"] == []
            if response.status_code == 200:
                pages_open(world)
            transaction.set_rollback(True)

    check()
    return statuses


PATHS = [m.PATH_HEARTBEAT, m.PATH_REPORT, m.PATH_RESULTS, m.PATH_SPECS, m.PATH_KEY, m.PATH_ENROL]


@pytest.mark.parametrize("path", PATHS)
def test_no_value_in_any_field_is_a_5xx_or_breaks_a_page(world: World, path: str) -> None:
    assert {200, 422} <= fire(world, path, examples=BOUNDED)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", PATHS)
def test_no_value_in_any_field_is_a_5xx_or_breaks_a_page_in_a_long_run(world: World, path: str) -> None:
    assert {200, 422} <= fire(world, path, examples=FULL)


@pytest.mark.parametrize(
    ("path", "place", "value"),
    [
        *[
            (m.PATH_HEARTBEAT, (name,), value)
            for name in ("agent_version", "driver", "fingerprint", "pinned", "proxy_url")
            for value in ("a\x00", "x" * 300)
        ],
        *[(m.PATH_HEARTBEAT, ("protocol",), value) for value in (-5, 2**15, 2**70)],
        *[(m.PATH_HEARTBEAT, ("proxy_url",), value) for value in URLS if value != "http://[::1]:8"],
        *[(m.PATH_HEARTBEAT, ("reserved",), value) for value in (["a\x00"], ["h:1"] * 101)],
        *[
            (m.PATH_REPORT, ("carried", 0, "generation"), value)
            for value in (-1, GENERATION_MAX + 1, 2**63 - 1, 2**70)
        ],
        *[
            (m.PATH_REPORT, ("carried", 0, "digest"), value)
            for value in ("\x00" * 64, "E" * 64, "e" * 63, "e" * 64 + "\n")
        ],
        *[
            (m.PATH_RESULTS, ("results", 0, name), value)
            for name in ("generation", "highest_generation")
            for value in (-1, 2**63 - 1)
        ],
        *[(m.PATH_RESULTS, ("results", 0, "evidence", "probes"), value) for value in (-1, 2**31)],
        (m.PATH_SPECS, ("publish_ids",), [str(uuid.UUID(int=n)) for n in range(1_001)]),
        (m.PATH_ENROL, ("url",), "http://127.0.0.1/" + "a" * 200),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_breaks_a_bound_is_refused_by_the_name_of_its_field(
    world: World, path: str, place: tuple[str | int, ...], value: Any
) -> None:
    message = sound(world)[path]
    changed(message, place, value)
    response = post(world.agents[0], path, json.dumps(message).encode())
    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert ".".join(str(part) for part in place) in response.json()["detail"]


def test_an_agents_words_are_cut_to_what_can_be_kept(world: World) -> None:
    beat = BEAT.model_dump(mode="json") | {
        "gateway_error": "\x00no \ud800" + "x" * 9_000,
        "gateway_version": "v" * 101,
        "gateway_mode": "m\x00" * 50,
    }
    assert (
        post(
            world.agents[0], m.PATH_HEARTBEAT, json.dumps(beat).encode().replace(b"\\ud800", b"?")
        ).status_code
        == 200
    )
    row = AgentLiveness.objects.get(agent=world.agents[0].agent)
    assert (row.gateway_error[:6], len(row.gateway_error), row.gateway_version, row.gateway_mode) == (
        " no ?x",
        500,
        "v" * 99 + "…",
        "m " * 24 + "m…",
    )


HEADERS = ["alg", "typ", "kid", "crit", "b64", "jwk", "cty"]
CLAIMS = ["iss", "htm", "htu", "bsh", "iat", "exp", "jti", "body"]


def forged(voice: Voice, content: bytes, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A proof of this agent's own key that says something else in places.

    Signed by hand: libraries refuse to say some of it.
    """
    url = django_settings.PUBLIC_URL + m.PATH_HEARTBEAT
    proof = prove_request(voice.key, agent_id=str(voice.agent.pk), method="POST", url=url, body=content).token
    payload = json.loads(base64.urlsafe_b64decode(proof.split(".")[1] + "==")) | claims
    header = {"alg": ALGORITHM, "typ": Purpose.REQUEST.value, "kid": key_id(voice.key)} | (headers or {})
    signed = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)
    )
    signature: bytes = voice.key.get_op_key("sign").sign(signed)  # type: ignore[union-attr]
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "ahead",
    [31, 86_400, 10**20, 10**400, -(10**400), None],
    ids=["moment", "day", "far", "farther", "before all", "none"],
)
def test_a_proof_that_is_good_for_longer_than_a_moment_is_refused_and_not_kept(
    world: World, ahead: int | None
) -> None:
    body, exp = BEAT.model_dump_json().encode(), None if ahead is None else int(time.time()) + ahead
    assert (
        post(world.agents[0], m.PATH_HEARTBEAT, body, token=forged(world.agents[0], body)).status_code == 200
    )
    refused = post(world.agents[0], m.PATH_HEARTBEAT, body, token=forged(world.agents[0], body, exp=exp))
    assert (refused.status_code, refused.json()["code"]) == (401, "agent_refused")
    assert UsedRequest.objects.count() == 1


@pytest.mark.parametrize(
    "token", ["e30." + "[" * 50_000 + ".xx", "x", "....", "e30.e30.", "é.é.é", "e30.bnVsbA.xx", "[" * 100_000]
)
def test_what_is_no_proof_is_401(world: World, token: str) -> None:
    assert post(world.agents[0], m.PATH_HEARTBEAT, b"{}", token=token).status_code == 401


def test_no_claim_of_a_proof_is_a_5xx(world: World) -> None:
    body = BEAT.model_dump_json().encode()

    @settings(
        max_examples=BOUNDED * 2,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(
        claims=st.dictionaries(st.sampled_from(CLAIMS), HOSTILE, max_size=2),
        headers=st.dictionaries(st.sampled_from(HEADERS), HOSTILE, max_size=1),
    )
    def check(claims: dict[str, Any], headers: dict[str, Any]) -> None:
        token = forged(world.agents[0], body, headers=headers, **claims)
        with transaction.atomic():
            assert post(world.agents[0], m.PATH_HEARTBEAT, body, token=token).status_code < 500
            transaction.set_rollback(True)

    check()
