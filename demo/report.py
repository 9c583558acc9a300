"""The report of the demo: `demo.json` for programs, the banner for people."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.folder import write_private
from demo.parts import Site
from demo.plan import Plan

if TYPE_CHECKING:
    from demo.seed import Login, Seeded, SeededCluster

SERVERS = ("web", "worker", "beat", "postgres", "broker")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that does not change while the demo runs."""

    plan: Plan
    seeded: "Seeded"
    sites: tuple[Site, ...]

    def write(self, path: Path, *, pids: Mapping[str, int]) -> None:
        """Write demo.json for the processes of this moment."""
        write_private(path, text=json.dumps(self.facts(pids), indent=2, ensure_ascii=False))

    def facts(self, pids: Mapping[str, int]) -> dict[str, Any]:
        """The content of demo.json."""
        plan, seeded = self.plan, self.seeded
        return {
            "web_url": plan.web_url,
            "admin_url": f"{plan.web_url}/admin/",
            "operator": {"username": seeded.operator.username, "password": seeded.operator.password},
            "provider": asdict(seeded.provider),
            "other_provider": asdict(seeded.other_provider),
            "viewer": asdict(seeded.viewer),
            "product_id": seeded.product_id,
            "clusters": [self._cluster(cluster, pids) for cluster in seeded.clusters],
            "pids": {name: pids[name] for name in SERVERS},
            "issuer_url": plan.issuer_url,
            "log_dir": str(plan.logs),
            "database_url": plan.postgres.url,
            "redis_url": plan.broker.url,
        }

    def banner(self) -> str:
        """The content of the report, once all is ready."""
        plan, seeded = self.plan, self.seeded
        publishes = f"{plan.web_url}/api/v1/provider/products/{seeded.product_id}/publishes"
        return f"""
  imp-gateway   {plan.web_url}

    provider        {_sign_in(seeded.provider)}
    viewer          {_sign_in(seeded.viewer)}
    other provider  {_sign_in(seeded.other_provider)}
    operator        {_sign_in(seeded.operator)}   {plan.web_url}/admin/

  First thing to try: sign in as the provider and publish the product
    {plan.web_url}/provider/products/{seeded.product_id}
  or ask the API:
    curl -H 'Authorization: Bearer {seeded.provider.api_token}' {publishes}

  Tokens for publishes with OAuth 2.0 (issuer {plan.issuer_url}, audience payment-api, scopes read write):
    curl -s {plan.issuer_url}/token

  Gateways: {", ".join(f"{site.cluster} {site.proxy_url}" for site in self.sites)}
  Logs: {plan.logs}   Ctrl-C stops everything; the data stays until `make demo-reset`.
"""

    def _cluster(self, cluster: "SeededCluster", pids: Mapping[str, int]) -> dict[str, Any]:
        gateways = [
            {"id": gateway.id, "name": gateway.name, "class": gateway.gateway_class}
            for gateway in cluster.gateways
        ]
        agents = [_agent(site, pids) for site in self.sites if site.cluster == cluster.name]
        return {"id": cluster.id, "name": cluster.name, "gateways": gateways, "agents": agents}


def _agent(site: Site, pids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": site.id,
        "name": site.name,
        "pid": pids[site.agent],
        "gateway_pid": None if site.kong else pids[site.envoy],
        "proxy_url": site.proxy_url,
        "admin_url": site.admin_url,
    }


def _sign_in(login: "Login") -> str:
    return f"{login.username} / {login.password}"
