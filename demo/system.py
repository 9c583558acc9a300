"""The whole system, in its order of start.

Servers, schema and seeds, control plane, agents with their gateways, and the report at the end.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from demo import parts
from demo.control_plane import ControlPlane
from demo.folder import Folder
from demo.own_kong import OwnKong
from demo.parts import Site
from demo.plan import Plan
from demo.reaper import ignore_endings
from demo.report import Report
from demo.supervisor import Supervisor

if TYPE_CHECKING:
    from demo.seed import Seeded


class System:
    """One run of the demo in one folder."""

    def __init__(
        self, folder: Folder, *, port: int, say: Callable[[str], None], kong: OwnKong | None = None
    ) -> None:
        """`port` is the web port; `say` takes lines for the person; `kong` gets a cluster and an agent of its
        own.
        """
        self._begun = time.monotonic()
        self._say, self._kong = say, kong
        self._plan = Plan(folder, port=port)
        self._plan.report.unlink(missing_ok=True)
        self._supervisor = Supervisor(self._plan.logs, say=say, lock=folder.lock)

    def run(self) -> None:
        """Start everything and keep it running until a signal comes.

        Nothing is left running, however it ends.
        """
        had_terminal = os.isatty(0)
        try:
            report = self._start()
            self._say(report.banner())
            # make keeps a closed terminal's SIGHUP to itself and waits for us, so look.
            self._supervisor.watch(
                goes_on=lambda: os.isatty(0) == had_terminal, changed=partial(self._write, report)
            )
        finally:
            ignore_endings()
            self._supervisor.stop()

    def lost_ports(self) -> list[int]:
        """The ports that another program took after they were chosen, once `run` has ended."""
        return self._plan.lost_ports()

    def _start(self) -> Report:
        control_plane = self._start_servers()
        seeded = control_plane.migrate_and_seed(
            upstreams=self._plan.upstream_urls, state=self._plan.seed_state, with_kong=self._kong is not None
        )
        self._tell("schema, sample data")
        sites = self._sites(seeded)
        self._start_control_plane(sites)
        self._enrol(sites, control_plane)
        self._start_sites(sites, control_plane)
        report = Report(plan=self._plan, seeded=seeded, sites=sites)
        self._write(report)
        return report

    def _sites(self, seeded: "Seeded") -> tuple[Site, ...]:
        placed = [
            (agent, cluster, self._kong if cluster.is_kong else None)
            for cluster in seeded.clusters
            for agent in cluster.agents
        ]
        return tuple(
            self._plan.site(id=agent.id, name=agent.name, cluster=cluster.name, kong=kong)
            for agent, cluster, kong in placed
        )

    def _start_servers(self) -> ControlPlane:
        plan = self._plan
        self._supervisor.launch(plan.postgres.part(self._supervisor), plan.broker.part())
        control_plane = ControlPlane(plan.settings())
        control_plane.collect_static()
        self._supervisor.settle()
        self._tell("postgres, broker")
        return control_plane

    def _start_control_plane(self, sites: tuple[Site, ...]) -> None:
        plan, env = self._plan, self._plan.settings(sites)
        samples = (
            parts.upstreams(plan.env, ports=plan.upstreams),
            parts.issuer(plan.env, port=plan.issuer_port, state=plan.issuer_state),
        )
        plan.write_settings(sites)
        self._supervisor.launch(
            parts.web(env, port=plan.web_port), parts.worker(env), parts.beat(env), *samples
        )
        self._supervisor.settle()
        self._tell("web, worker, beat, upstreams, issuer")

    def _enrol(self, sites: tuple[Site, ...], control_plane: ControlPlane) -> None:
        url, env = self._plan.web_url, self._plan.env
        new = [site for site in sites if not site.is_enrolled_at(url)]
        for site in new:
            site.forget()
        self._supervisor.run(
            *(
                parts.enrolment(
                    site, code=control_plane.enrolment_code(cluster=site.cluster, agent=site.name), env=env
                )
                for site in new
            ),
        )
        for site in new:
            site.note_enrolled_at(url)

    def _start_sites(self, sites: tuple[Site, ...], control_plane: ControlPlane) -> None:
        env, supervisor = self._plan.env, self._supervisor
        supervisor.launch(
            *(parts.envoy(site, env=env) for site in sites if not site.kong),
            *(parts.agent(site, env=env) for site in sites),
        )
        supervisor.settle()
        for site in sites:
            supervisor.wait_until(
                partial(_is_connected, site, control_plane),
                part=site.agent,
                otherwise="did not connect to the control plane",
            )
        supervisor.wait_until(
            partial(parts.status_is, self._plan.web_port, "/readyz", 200),
            part="web",
            otherwise="is not ready (/readyz)",
        )
        self._tell("agents and gateways " + ", ".join(site.name for site in sites))

    def _write(self, report: Report) -> None:
        report.write(self._plan.report, pids=self._supervisor.pids())

    def _tell(self, step: str) -> None:
        self._say(f"  {time.monotonic() - self._begun:4.1f} s  {step}")


def _is_connected(site: Site, control_plane: ControlPlane) -> bool:
    return site.name in control_plane.connected_agents()
