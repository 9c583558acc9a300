"""The demo's parts with a hole between every pair: `python -m tests.faults.system` runs them until a signal.

Ports and holes are chosen by the test that starts it (see `stack.py`): it keeps the holes, so that it can
stop them up at any time.
"""

import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from demo import parts
from demo.__main__ import Options, interruptible
from demo.control_plane import ControlPlane
from demo.folder import Folder, write_private
from demo.parts import Env, Site
from demo.plan import LOOPBACK, Plan
from demo.process import Part
from demo.report import Report
from demo.supervisor import Supervisor

CLUSTER = "kr-prod"
AGENTS = ("prod-1", "prod-2", "prod-3")
SETTINGS_FILE = "settings.json"


class System:
    """One run. Only one cluster has agents."""

    def __init__(self, folder: Folder, *, port: int) -> None:
        self._plan = Plan(folder, port=port)
        self._holes: dict[str, int] = json.loads(folder.path("holes.json").read_text())
        self._settings_file = folder.path(SETTINGS_FILE)
        self._plan.report.unlink(missing_ok=True)
        self._supervisor = Supervisor(self._plan.logs, say=_say, lock=folder.lock)

    def run(self) -> None:
        """Start everything, and start again what dies."""
        try:
            report = self._start()
            self._supervisor.watch(goes_on=lambda: True, changed=partial(self._write, report))
        finally:
            self._supervisor.stop()

    def _start(self) -> Report:
        plan, supervisor = self._plan, self._supervisor
        supervisor.launch(plan.postgres.part(supervisor), plan.broker.part())
        control_plane = ControlPlane(self._straight())
        control_plane.collect_static()
        supervisor.settle()
        seeded = control_plane.migrate_and_seed(upstreams=plan.upstream_urls, state=plan.seed_state)
        write_private(self._settings_file, text=json.dumps(self._straight()))
        self._start_control_plane()
        sites = self._start_sites(control_plane)
        report = Report(plan=plan, seeded=seeded, sites=sites)
        self._write(report)
        return report

    def _start_control_plane(self) -> None:
        plan = self._plan
        web, worker, beat = (self._through(part) for part in ("web", "worker", "beat"))
        self._supervisor.launch(
            parts.web(web, port=plan.web_port),
            parts.worker(worker),
            parts.beat(beat),
            parts.upstreams(plan.env, ports=plan.upstreams),
        )
        self._supervisor.settle()

    def _start_sites(self, control_plane: ControlPlane) -> tuple[Site, ...]:
        plan, supervisor = self._plan, self._supervisor
        sites = tuple(plan.site(id="", name=name, cluster=CLUSTER) for name in AGENTS)
        for site in sites:
            site.forget()
        supervisor.run(
            *(
                self._enrolment(site, code=control_plane.enrolment_code(cluster=CLUSTER, agent=site.name))
                for site in sites
            )
        )
        sites = tuple(replace(site, id=self._lead_through_hole(site)) for site in sites)
        supervisor.launch(
            *(self._envoy(site) for site in sites),
            *(parts.agent(site, env=plan.env) for site in sites),
        )
        supervisor.settle()
        for site in sites:
            supervisor.wait_until(
                partial(_is_connected, site, control_plane), part=site.agent, otherwise="did not connect"
            )
        return sites

    def _enrolment(self, site: Site, *, code: str) -> Part:
        """As the demo's, but that the control plane reaches the agent through its hole."""
        part = parts.enrolment(site, code=code, env=self._plan.env)
        return replace(
            part,
            argv=tuple(
                argument.replace(f"http://{LOOPBACK}:{site.listen}", self._url(f"agent-{site.name}"))
                for argument in part.argv
            ),
        )

    def _lead_through_hole(self, site: Site) -> str:
        """Let the agent reach its gateway's admin side through a hole; returns the agent's id."""
        file = site.state / "agent.json"
        facts = json.loads(file.read_text())
        facts["options"]["admin"] = f"{LOOPBACK}:{self._holes[f'admin-{site.name}']}"
        write_private(file, text=json.dumps(facts))
        return str(facts["agent_id"])

    def _envoy(self, site: Site) -> Part:
        """As the demo's, but that it asks its agent through a hole."""
        part, original = parts.envoy(site, env=self._plan.env), site.state / "envoy" / "bootstrap.json"
        bootstrap = json.loads(original.read_text())
        (cluster,) = bootstrap["static_resources"]["clusters"]
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        port = self._holes[f"xds-{site.name}"]
        endpoint["endpoint"]["address"] = {"socket_address": {"address": LOOPBACK, "port_value": port}}
        through = site.state / "through-hole.json"
        write_private(through, text=json.dumps(bootstrap))
        argv = tuple(str(through) if argument == str(original) else argument for argument in part.argv)
        return replace(part, argv=argv)

    def _straight(self) -> Env:
        """The control plane's settings without holes, but for the address that agents know it by."""
        return {**self._plan.settings(), "PUBLIC_URL": self._url("control-plane")}

    def _url(self, hole: str) -> str:
        return f"http://{LOOPBACK}:{self._holes[hole]}"

    def _through(self, part: str) -> Env:
        plan, holes = self._plan, self._holes
        broker = plan.broker.url.replace(f":{plan.broker.port}/", f":{holes[f'{part}-broker']}/")
        database = plan.postgres.url.replace(
            f":{plan.postgres.port}/", f":{holes.get(f'{part}-postgres', plan.postgres.port)}/"
        )
        return {**self._straight(), "REDIS_URL": broker, "DATABASE_URL": database}

    def _write(self, report: Report) -> None:
        report.write(self._plan.report, pids=self._supervisor.pids())


def _is_connected(site: Site, control_plane: ControlPlane) -> bool:
    return site.name in control_plane.connected_agents()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """DEMO_DIR and PORT, as for the demo."""
    interruptible()
    options = Options.of(os.environ)
    System(Folder(Path(options.folder)), port=options.port).run()


if __name__ == "__main__":
    main()
