"""Files of an older agent: a newer one rewrites them in its own form, and callers get right answers alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.drivers.envoy.admin_api import Admin, Kind
from agent.drivers.envoy.documents import Document
from agent.protocol.spec import Spec
from agent.work.carried import carried_now
from tests.agent import issuer
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until
from tests.agent.drivers.envoy.test_auth import UNAUTHENTICATED, ask_with_token, is_problem, with_tokens
from tests.agent.gateway import Gateway
from tests.agent.running import Running

JWT, RBAC = "envoy.filters.http.jwt_authn", "envoy.filters.http.rbac"


def as_before(gateway: Gateway, spec: Spec) -> None:
    """The auth of the first agents: Envoy's jwt filter checked the audience loosely, the policy the scopes
    alone.
    """
    former = f"imp:{spec.publish_id}:0123456789ab"
    folder, admin = gateway.driver._folder, Admin(gateway.admin)
    (tokens,) = Document.read(folder.tokens).resources
    config: Any = tokens["typed_config"]
    (provider,) = config["providers"].values()
    config["providers"] = {former: provider | {"audiences": [spec.auth.audience]}}
    config["requirement_map"] = {former: {"provider_name": former}}
    (routes,) = Document.read(folder.routes).resources
    hosts: Any = routes["virtual_hosts"]
    policy = next(host for host in hosts if str(spec.publish_id) in host["name"])["typed_per_filter_config"]
    policy[JWT]["requirement_name"] = former
    policy[RBAC]["rbac"] = {
        "rules": {
            "action": "ALLOW",
            "policies": {"scopes": {"permissions": [{"any": True}], "principals": [{"any": True}]}},
        }
    }
    for kind, path, resource in ((Kind.TOKENS, folder.tokens, tokens), (Kind.ROUTES, folder.routes, routes)):
        document = Document.of([resource])
        document.save(path)
        admin.wait_for(kind, document.version)


def test_an_older_agent_s_issuers_are_changed_without_a_gap(
    tmp_path: Path,
    control_plane: ControlPlaneDouble,
    gateway: Gateway,
    upstream: Upstreams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = Running(tmp_path, control_plane, driver=gateway.driver)
    spec, open_spec = with_tokens(upstream.port, scopes=()), live(port=upstream.port)
    agent.post(agent.seal(spec, open_spec).token)
    agent.stop()
    as_before(gateway, spec)
    agent = Running(tmp_path, control_plane, driver=gateway.driver)
    good, alike, strange = (
        issuer.token(aud=audience) for audience in (issuer.AUDIENCE, f"https://{issuer.AUDIENCE}/", "strange")
    )
    assert [ask_with_token(gateway, spec, token).status for token in (good, alike, strange)] == [
        200,
        200,
        403,
    ]
    wait_for, met = Admin.wait_for, list[tuple[int, int]]()

    def look_after_each(admin: Admin, kind: Kind, version: str) -> None:
        wait_for(admin, kind, version)
        met.append(
            (ask_with_token(gateway, spec, good).status, ask_with_token(gateway, spec, strange).status)
        )

    monkeypatch.setattr(Admin, "wait_for", look_after_each)
    agent.watch.look()
    until(lambda: agent.worker.is_renewed, description="all has the new shape")
    assert met == [(200, 403), (200, 401), (200, 401)]  # the new issuer, the routes, and the old issuer's end
    assert is_problem(ask_with_token(gateway, spec, alike), UNAUTHENTICATED)
    assert [entry.verified for entry in carried_now(gateway.driver, agent.store.records)] == [True, True]
    (tokens,) = json.loads((gateway.state / "envoy" / "ecds.json").read_text())["resources"]
    assert [provider.get("audiences") for provider in tokens["typed_config"]["providers"].values()] == [None]
    agent.stop()
