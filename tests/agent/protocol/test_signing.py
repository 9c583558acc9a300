"""Who is believed: seals and request proofs, and everything that must not be."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import JoseError

from agent.protocol import signing
from agent.protocol.signing import Purpose, SignatureRefused

NOW = 1_800_000_000.0
KEY = signing.new_key()
OTHER_KEY = signing.new_key()


def seal(body: str = "{}", **changed: object) -> signing.Sealed:
    fields: dict[str, object] = {
        "purpose": Purpose.COMMAND,
        "issuer": "control-plane",
        "audience": "agent-1",
        "now": NOW,
        **changed,
    }
    return signing.seal(KEY, body, **fields)  # type: ignore[arg-type]


def unseal(token: str, **changed: object) -> signing.Opened:
    fields: dict[str, object] = {
        "purpose": Purpose.COMMAND,
        "issuer": "control-plane",
        "audience": "agent-1",
        "now": NOW,
        **changed,
    }
    return signing.unseal(token, [KEY], **fields)  # type: ignore[arg-type]


@given(st.text())
def test_what_was_sealed_comes_out_again(body: str) -> None:
    sealed = seal(body)
    opened = unseal(sealed.token)
    assert (opened.body, opened.id, opened.issuer, opened.expires_at) == (
        body,
        sealed.id,
        "control-plane",
        int(NOW) + 30,
    )


@pytest.mark.parametrize(
    ("sealing", "opening", "reason"),
    [
        ({"audience": "agent-2"}, {}, "meant for somebody else"),
        ({"issuer": "agent-9"}, {}, "comes from somebody else"),
        ({"purpose": Purpose.ANSWER}, {}, "of another kind"),
        ({}, {"purpose": Purpose.ANSWER}, "of another kind"),
        ({"answers": "one"}, {}, "answers another request"),
        ({"answers": "one"}, {"answers": "two"}, "answers another request"),
        ({"now": NOW - 30 - 61}, {}, "expired"),
        ({"now": NOW + 62}, {}, "ahead of ours"),
    ],
)
def test_a_seal_that_does_not_fit_is_refused(
    sealing: dict[str, object], opening: dict[str, object], reason: str
) -> None:
    with pytest.raises(SignatureRefused, match=reason):
        unseal(seal(**sealing).token, **opening)  # type: ignore[arg-type]


@pytest.mark.parametrize("clock_difference", [-60, -30, 0, 30, 60])
def test_clocks_may_differ_by_a_minute(clock_difference: int) -> None:
    assert unseal(seal(now=NOW + clock_difference).token).body == "{}"
    assert unseal(seal().token, now=NOW + clock_difference).body == "{}"


def test_another_key_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="not known here"):
        signing.unseal(seal().token, [OTHER_KEY], purpose=Purpose.COMMAND, audience="agent-1", now=NOW)


def test_a_seal_under_our_key_id_by_another_key_is_refused() -> None:
    header = json.loads(base64.urlsafe_b64decode(seal().token.split(".")[0] + "=="))
    forged = signing.seal(
        OTHER_KEY, "{}", purpose=Purpose.COMMAND, issuer="control-plane", audience="agent-1", now=NOW
    ).token.split(".")
    forged[0] = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    with pytest.raises(SignatureRefused, match="does not fit"):
        unseal(".".join(forged))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "....", "eyJhbGciOiJub25lIn0.e30.", "\x00"])
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(SignatureRefused):
        unseal(token)


def test_an_unsigned_token_is_refused() -> None:
    payload = seal().token.split(".")[1]
    header = (
        base64.urlsafe_b64encode(
            json.dumps({"alg": "none", "typ": Purpose.COMMAND.value, "kid": signing.key_id(KEY)}).encode()
        )
        .decode()
        .rstrip("=")
    )
    with pytest.raises(SignatureRefused):
        unseal(f"{header}.{payload}.")


def test_a_changed_body_is_refused() -> None:
    head, payload, signature = seal('{"generation": 1}').token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["body"] = '{"generation": 2}'
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(SignatureRefused, match="does not fit"):
        unseal(f"{head}.{changed}.{signature}")


URL = "https://cp.example/agent/v1/heartbeat"


def prove(**changed: object) -> signing.Sealed:
    fields: dict[str, object] = {
        "agent_id": "agent-1",
        "method": "POST",
        "url": URL,
        "body": b"{}",
        "now": NOW,
        **changed,
    }
    return signing.prove_request(KEY, **fields)  # type: ignore[arg-type]


def check(token: str, **changed: object) -> signing.Opened:
    fields: dict[str, object] = {"method": "POST", "url": URL, "body": b"{}", "now": NOW, **changed}
    return signing.check_request(token, [KEY], **fields)  # type: ignore[arg-type]


def test_a_request_proof_names_its_agent_and_its_id() -> None:
    proof = prove()
    assert (check(proof.token).issuer, check(proof.token).id) == ("agent-1", proof.id)
    assert signing.issuer_of(proof.token) == "agent-1"


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"url": URL + "/"},
        {"url": "https://evil.example/agent/v1/heartbeat"},
        {"body": b"{ }"},
    ],
)
def test_a_proof_is_good_for_one_request_only(changed: dict[str, object]) -> None:
    with pytest.raises(SignatureRefused, match="another request"):
        check(prove().token, **changed)


def test_a_proof_expires() -> None:
    with pytest.raises(SignatureRefused, match="expired 61 s ago"):
        check(prove().token, now=NOW + 30 + 61)
    assert check(prove().token, now=NOW + 30 + 60).issuer == "agent-1"


def test_a_seal_is_no_proof_and_a_proof_is_no_seal() -> None:
    with pytest.raises(SignatureRefused, match="of another kind"):
        check(seal().token)
    with pytest.raises(SignatureRefused, match="of another kind"):
        unseal(prove().token)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.e30.c", "a.W10.c"])
def test_the_issuer_of_garbage_is_empty(text: str) -> None:
    assert signing.issuer_of(text) == ""


def test_a_key_survives_its_jwk_and_the_public_half_cannot_sign() -> None:
    whole = signing.import_key(signing.private_jwk(KEY))
    public = signing.import_key(signing.public_jwk(KEY))
    assert signing.key_id(whole) == signing.key_id(public) == signing.key_id(KEY)
    assert set(signing.public_jwk(KEY)) == {"kty", "crv", "x"}
    with pytest.raises(JoseError):
        signing.seal(public, "{}", purpose=Purpose.COMMAND, issuer="a", audience="b")


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "RSA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "!"},
    ],
)
def test_what_is_no_ed25519_key_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused):
        signing.import_key(jwk)
