"""Refusals of this app, in words."""

from typing import Self

from django.utils.translation import gettext_lazy as _

from agent.protocol import OLDEST, VERSION
from core.problems import Conflict, Problem


class EnrolmentRefused(Problem):
    """The code is not good (any more)."""

    status = 403
    code = "enrolment_refused"
    detail = _(
        "This enrolment code is unknown, used or expired, or its agent is blocked. Ask an operator for a new one (manage.py enroll_agent)."
    )


class ClusterInUse(Conflict):
    """Gateways stand in it."""

    code = "in_use"
    detail = _(
        "Gateways of providers stand in this cluster, or publishes of theirs are or were there. It cannot be deleted; set it to maintenance instead."
    )


class AgentRefused(Problem):
    """A request that claims to come from an agent cannot be believed."""

    status = 401
    code = "agent_refused"
    detail = _("The request is not signed by a known agent's key.")


class AgentOutdated(Problem):
    """The agent speaks an older protocol than we still understand."""

    status = 409
    code = "protocol_unsupported"
    detail = _(
        "This agent speaks protocol %(theirs)d; the control plane needs %(oldest)d to %(newest)d. Update the agent."
    )

    @classmethod
    def of(cls, theirs: int) -> Self:
        """With the numbers."""
        return cls(cls.detail % {"theirs": theirs, "oldest": OLDEST, "newest": VERSION})


class AgentSilentError(Exception):
    """An agent could not be reached or did not answer in time; the text says which. Always worth another try."""
