"""Refusals of this app, in words."""

from django.utils.translation import gettext_lazy as _

from core.problems import Problem


class EnrolmentRefused(Problem):
    """The code is not good (any more)."""

    status = 403
    code = "enrolment_refused"
    detail = _("This enrolment code is unknown, used or expired, or its agent is blocked. Ask an operator for a new one (manage.py enroll_agent).")


class AgentRefused(Problem):
    """A request that claims to come from an agent cannot be believed."""

    status = 401
    code = "agent_refused"
    detail = _("The request is not signed by a known agent's key.")


class AgentSilentError(Exception):
    """An agent could not be reached or did not answer in time; the text says which. Always worth another try."""
