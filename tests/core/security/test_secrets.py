"""Secrets at rest: readable at their own place alone, and with the ring's keys alone."""

import base64
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from core.security.secrets import SecretLost, decrypt, encrypt, is_current

ROW = UUID(int=7)
OLD, NEW = (
    f"{name}:{base64.urlsafe_b64encode(bytes([number]) * 32).decode()}"
    for number, name in enumerate(("old", "new"))
)


def sealed(text: str = "a secret", *, table: str = "t", row: UUID = ROW, column: str = "c") -> str:
    return encrypt(text, table=table, row=row, column=column)


def test_a_secret_comes_back_at_its_own_place() -> None:
    ciphertext = sealed("비밀")
    assert "비밀" not in ciphertext
    assert ciphertext.startswith("imp1.tests.")
    assert decrypt(ciphertext, table="t", row=ROW, column="c") == "비밀"
    assert sealed("비밀") != ciphertext


@pytest.mark.parametrize(
    "elsewhere", [{"table": "u"}, {"row": uuid4()}, {"column": "d"}], ids=["table", "row", "column"]
)
def test_a_ciphertext_says_nothing_at_another_place(elsewhere: dict[str, object]) -> None:
    with pytest.raises(SecretLost, match="belongs to another place"):
        decrypt(sealed(), **({"table": "t", "row": ROW, "column": "c"} | elsewhere))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "a secret",
        "imp1",
        "imp1.tests",
        "imp1.tests.",
        "imp1.tests.AAAA",
        "imp1.tests.%%",
        "imp2.tests.AAAA",
        "imp1.gone.AAAA",
    ],
)
def test_what_is_damaged_or_none_of_ours_is_lost_not_guessed(damage: str) -> None:
    with pytest.raises(SecretLost):
        decrypt(damage, table="t", row=ROW, column="c")


def test_one_turned_bit_is_noticed() -> None:
    head, _, text = sealed().rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(text))
    raw[20] ^= 1
    with pytest.raises(SecretLost):
        decrypt(f"{head}.{base64.urlsafe_b64encode(raw).decode()}", table="t", row=ROW, column="c")


def test_the_first_key_encrypts_and_all_decrypt(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    ciphertext = sealed()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt(ciphertext, table="t", row=ROW, column="c") == "a secret"
    assert (is_current(ciphertext), is_current(sealed())) == (False, True)
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(SecretLost, match="has no key named 'old'"):
        decrypt(ciphertext, table="t", row=ROW, column="c")


@pytest.mark.parametrize(
    "ring",
    [
        [],
        ["nokey"],
        ["short:AAAA"],
        [OLD, OLD],
        ["a.b:" + OLD.partition(":")[2]],
        [":" + OLD.partition(":")[2]],
    ],
)
def test_a_ring_that_is_not_right_is_said_in_words_and_not_quoted(
    settings: Settings, ring: list[str]
) -> None:
    settings.ENCRYPTION_KEYS = ring
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS") as caught:
        sealed()
    assert OLD.partition(":")[2] not in str(caught.value)
