"""Refusals of this app."""

from typing import Self

from django.utils.translation import gettext_lazy as _

from agent.protocol import OLDEST, VERSION
from core.problems import Conflict, Problem


class EnrolmentRefused(Problem):
    """The enrolment code is invalid, used or expired."""

    status = 403
    code = "enrolment_refused"
    detail = _(
        "This enrolment code is unknown, used or expired, or its agent is blocked. "
        "Ask an operator for a new one (manage.py enroll_agent)."
    )


class ClusterInUse(Conflict):
    """Gateways or publishes use the cluster."""

    code = "in_use"
    detail = _(
        "Gateways use this cluster, or publishes use or used it. "
        "It cannot be deleted; set it to maintenance instead."
    )


class AgentRefused(Problem):
    """A request of an agent could not be authenticated."""

    status = 401
    code = "agent_refused"
    detail = _("The request is not signed by a known agent's key.")


class AgentOutdated(Problem):
    """The agent's protocol is too old."""

    status = 409
    code = "protocol_unsupported"
    detail = _(
        "This agent uses protocol %(theirs)d; the control plane needs %(oldest)d to %(newest)d. "
        "Update the agent."
    )

    @classmethod
    def of(cls, theirs: int) -> Self:
        """The refusal with the protocol numbers."""
        return cls(cls.detail % {"theirs": theirs, "oldest": OLDEST, "newest": VERSION})


class AgentSilentError(Exception):
    """An agent is unreachable or did not answer in time; the text says which. A retry may help."""
