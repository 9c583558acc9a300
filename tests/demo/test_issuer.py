"""The demo's issuer: what it publishes fits what it signs with, and it stays the same from run to run."""

import json
import threading
import urllib.request
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet

from demo.folder import free_port
from demo.issuer import Issuer


def test_its_tokens_fit_its_published_keys_and_are_made_as_wished(tmp_path: Path) -> None:
    issuer = Issuer(port=free_port(), folder=tmp_path)
    threading.Thread(target=issuer.serve_forever, args=(0.02,), daemon=True).start()

    def get(url: str) -> str:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode())

    discovery = json.loads(get(f"{issuer.url}/.well-known/openid-configuration"))
    assert discovery["issuer"] == issuer.url
    keys = json.loads(get(discovery["jwks_uri"]))
    assert [(key["kid"], "d" in key) for key in keys["keys"]] == [
        ("demo-rs256", False),
        ("demo-es256", False),
    ]
    for query, algorithm, scope in (("", "RS256", "read write"), ("?alg=ES256&scope=read", "ES256", "read")):
        token = jwt.decode(
            get(discovery["token_endpoint"] + query).strip(),
            KeySet.import_key_set(keys),
            algorithms=["RS256", "ES256"],
        )
        assert (token.header["alg"], token.claims["scope"], token.claims["aud"], token.claims["iss"]) == (
            algorithm,
            scope,
            "payment-api",
            issuer.url,
        )
    issuer.shutdown()
    issuer.server_close()
    again = Issuer(port=free_port(), folder=tmp_path)
    assert again.jwks() == keys
    again.server_close()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
