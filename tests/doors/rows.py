"""Who may use each URL: one row per URL, with one word per method.

A URL without a row fails tests/architecture/test_doors.py.

To add a URL: add a line to ROWS below. To add a parameter that URLs had not yet: add a line to `ids_of` in
scene.py. A form that is looked at before the role is: add what it needs to FORMS. Methods that a row does not
name must be refused with 405, except where everybody is let in anyway.
"""

from dataclasses import dataclass

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
IN, SIGN_IN = "in", "sign in"
Outcome = int | str
"""A status, or IN (through the door, whatever was said behind it), or SIGN_IN (led to the sign-in page)."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The answer for each persona.

    The ids in the URL are of the viewer's and the developer's tenant; the stranger is of another one.
    """

    nobody: Outcome
    viewer: Outcome
    developer: Outcome
    stranger: Outcome
    operator: Outcome
    agent: Outcome
    revoked: Outcome


def _api(*, viewer: Outcome, stranger: Outcome, developer: Outcome = IN, operator: Outcome = 403) -> Access:
    return Access(
        nobody=401,
        viewer=viewer,
        developer=developer,
        stranger=stranger,
        operator=operator,
        agent=401,
        revoked=401,
    )


def _page(*, viewer: Outcome, stranger: Outcome, developer: Outcome = IN) -> Access:
    return Access(
        nobody=SIGN_IN,
        viewer=viewer,
        developer=developer,
        stranger=stranger,
        operator=403,
        agent=SIGN_IN,
        revoked=SIGN_IN,
    )


def _all(outcome: Outcome) -> Access:
    return Access(
        nobody=outcome,
        viewer=outcome,
        developer=outcome,
        stranger=outcome,
        operator=outcome,
        agent=outcome,
        revoked=outcome,
    )


def _person(outcome: Outcome) -> Access:
    """Everybody who is signed in, whatever they belong to."""
    return Access(
        nobody=SIGN_IN,
        viewer=outcome,
        developer=outcome,
        stranger=outcome,
        operator=outcome,
        agent=SIGN_IN,
        revoked=SIGN_IN,
    )


READ = _api(viewer=IN, stranger=404)  # API: something of ours
READ_OWN = _api(viewer=IN, stranger=IN)  # API: a list, of which everybody sees his own
READ_ALL = _api(viewer=IN, stranger=IN, operator=IN)
WRITE = _api(viewer=403, stranger=404)  # API: change something of ours
WRITE_OWN = _api(viewer=403, stranger=IN)  # API: make something new, everybody in his own workspace
MANAGE = _api(viewer=403, developer=403, stranger=404)  # API: owners and admins alone
MANAGE_OWN = _api(viewer=403, developer=403, stranger=403)
PAGE = _page(viewer=IN, stranger=404)
PAGE_OWN = _page(viewer=IN, stranger=IN)
PAGE_WRITE = _page(viewer=403, stranger=404)
PAGE_WRITE_OWN = _page(viewer=403, stranger=IN)
PAGE_MANAGE = _page(viewer=403, developer=403, stranger=404)
PAGE_MANAGE_OWN = _page(viewer=403, developer=403, stranger=403)
PUBLIC = _all(IN)
NOTHING = _all(404)
AGENTS = Access(nobody=401, viewer=401, developer=401, stranger=401, operator=401, agent=IN, revoked=401)
BY_CODE = _all(IN)  # enrolment: the code in the body decides, and {} holds none

_API = "/api/v1/provider"
_PRODUCT = "/provider/products/<uuid:product_id>"
_PUBLISH = f"{_PRODUCT}/publishes/<uuid:publish_id>"
_SERVICE = "/provider/api-services/<uuid:service_id>"
_GATEWAY = "/provider/gateways/<uuid:gateway_id>"
_FORM = {"GET": PAGE_WRITE, "POST": PAGE_WRITE}
_FORM_OWN = {"GET": PAGE_WRITE_OWN, "POST": PAGE_WRITE_OWN}

_PROVIDER_PAGES = (
    "second-step",
    "oidc/<str:provider_id>",
    "oidc/<str:provider_id>/callback",
    "refused",
    "cancelled",
    "unknown",
)
_SECOND_STEP_PAGES = (
    "code-again",
    "second-step",
    "second-step/app",
    "second-step/app/off",
    "second-step/codes",
    "second-step/codes/new",
)

ROWS: dict[str, dict[str, Access]] = {
    "/": {"GET": _person(IN)},
    "/livez": {"GET": PUBLIC},
    "/readyz": dict.fromkeys(METHODS, _all(503)),  # for everybody; no worker runs here
    "/theme": {"POST": PUBLIC},
    "/i18n/setlang/": {"POST": PUBLIC},
    "/sign-in": {"GET": PUBLIC, "POST": PUBLIC},
    "/sign-out": {"POST": _all(SIGN_IN)},
    # signing in: by a provider and in two steps only while that is configured
    **dict.fromkeys((f"/sign-in/{page}" for page in _PROVIDER_PAGES), dict.fromkeys(METHODS, NOTHING)),
    **dict.fromkeys((f"/account/{page}" for page in _SECOND_STEP_PAGES), dict.fromkeys(METHODS, NOTHING)),
    "/account/password-again": {"GET": _person(IN), "POST": _person(IN)},
    # the account
    "/account": {"GET": _person(IN)},
    "/account/preferences": {"GET": _person(IN), "POST": _person(IN)},
    "/account/password": {"GET": _person(IN), "POST": _person(IN)},
    "/account/workspace": {"POST": _person(404)},  # {} names none
    "/account/sessions/others/end": {"POST": _person(IN)},
    "/account/sessions/<int:session_id>/end": {"POST": _person(404)},  # it is nobody's
    "/account/leave": {"GET": PAGE_OWN, "POST": PAGE_OWN},
    "/account/invitations/<uuid:invitation_id>/accept": {"POST": _person(404)},  # it is somebody else's
    "/account/invitations/<uuid:invitation_id>/decline": {"POST": _person(404)},
    "/account/invitations/<uuid:invitation_id>/take-back": {"POST": PAGE_MANAGE},
    "/account/members": {"GET": PAGE_MANAGE_OWN, "POST": PAGE_MANAGE_OWN},
    "/account/members/<uuid:membership_id>/role": {"GET": PAGE_MANAGE, "POST": PAGE_MANAGE},
    "/account/members/<uuid:membership_id>/remove": {"GET": PAGE_MANAGE, "POST": PAGE_MANAGE},
    "/account/tokens": {"GET": PAGE_MANAGE_OWN, "POST": PAGE_MANAGE_OWN},
    "/account/tokens/<uuid:token_id>/revoke": {"GET": PAGE_MANAGE, "POST": PAGE_MANAGE},
    # agents
    "/agent/v1/enroll": {"POST": BY_CODE},
    "/agent/v1/heartbeat": {"POST": AGENTS},
    "/agent/v1/key": {"POST": AGENTS},
    "/agent/v1/keys-let-in": {"POST": AGENTS},
    "/agent/v1/report": {"POST": AGENTS},
    "/agent/v1/results": {"POST": AGENTS},
    "/agent/v1/specs": {"POST": AGENTS},
    # the JSON API
    "/api/v1/": dict.fromkeys(METHODS, NOTHING),
    "/api/v1/docs": {"GET": PUBLIC},
    "/api/v1/openapi.json": {"GET": PUBLIC},
    "/api/v1/operator/clusters": {"GET": READ_ALL},
    f"{_API}/api-tokens": {"GET": MANAGE_OWN, "POST": MANAGE_OWN},
    f"{_API}/api-tokens/<uuid:token_id>": {"GET": MANAGE, "DELETE": MANAGE},
    f"{_API}/api-services": {"GET": READ_OWN, "POST": WRITE_OWN},
    f"{_API}/api-services/<uuid:service_id>": {"GET": READ, "PUT": WRITE, "DELETE": WRITE},
    f"{_API}/gateways": {"GET": READ_OWN, "POST": WRITE_OWN},
    f"{_API}/gateways/<uuid:gateway_id>": {"GET": READ, "PUT": WRITE, "DELETE": WRITE},
    f"{_API}/operations": {"GET": READ_OWN},
    f"{_API}/operations/<uuid:operation_id>": {"GET": READ},
    f"{_API}/operations/<uuid:operation_id>/cancel": {"POST": WRITE},
    f"{_API}/operations/<uuid:operation_id>/retry": {"POST": WRITE},
    f"{_API}/product-publishes": {"GET": READ_OWN},
    f"{_API}/product-publishes/<uuid:publish_id>": {"GET": READ, "PUT": WRITE, "DELETE": WRITE},
    f"{_API}/product-publishes/<uuid:publish_id>/keys": {"GET": READ},
    f"{_API}/product-publishes/<uuid:publish_id>/test-key": {"POST": WRITE, "DELETE": WRITE},
    f"{_API}/product-publishes/<uuid:publish_id>/events": {"GET": READ},
    f"{_API}/product-publishes/<uuid:publish_id>/publish": {"POST": WRITE},
    f"{_API}/product-publishes/<uuid:publish_id>/withdraw": {"POST": WRITE},
    f"{_API}/products": {"GET": READ_OWN, "POST": WRITE_OWN},
    f"{_API}/products/<uuid:product_id>": {"GET": READ, "PUT": WRITE, "DELETE": WRITE},
    f"{_API}/products/<uuid:product_id>/activate": {"POST": WRITE},
    f"{_API}/products/<uuid:product_id>/archive": {"POST": WRITE},
    f"{_API}/products/<uuid:product_id>/deactivate": {"POST": WRITE},
    f"{_API}/products/<uuid:product_id>/publishes": {"GET": READ, "POST": WRITE},
    # pages of products
    "/provider/products": {"GET": PAGE_OWN},
    "/provider/products/new": _FORM_OWN,
    _PRODUCT: {"GET": PAGE},
    **{
        f"{_PRODUCT}/{verb}": _FORM
        for verb in ("edit", "services", "activate", "deactivate", "archive", "delete")
    },
    # pages of API services
    "/provider/api-services": {"GET": PAGE_OWN},
    "/provider/api-services/new": _FORM_OWN,
    "/provider/api-services/import": _FORM_OWN,
    "/provider/api-services/upstream": {"GET": PAGE_WRITE_OWN},
    _SERVICE: {"GET": PAGE},
    **{f"{_SERVICE}/{verb}": _FORM for verb in ("edit", "import", "delete")},
    # pages of gateways
    "/provider/gateways": {"GET": PAGE_OWN},
    "/provider/gateways/new": _FORM_OWN,
    _GATEWAY: {"GET": PAGE},
    **{f"{_GATEWAY}/{verb}": _FORM for verb in ("edit", "delete")},
    "/system": {"GET": PUBLIC},  # whether the background works, for every page
    # pages of clusters: everybody sees the places that his workspace may use, and there what is his own
    "/provider/clusters": {"GET": PAGE_OWN},
    "/provider/clusters/live": {"GET": PAGE_OWN},
    "/provider/clusters/<uuid:cluster_id>": {"GET": PAGE},
    "/provider/clusters/<uuid:cluster_id>/live": {"GET": PAGE},
    # pages of publishes
    "/provider/publishes": {"GET": PAGE_OWN},
    "/provider/publishes/board": {"GET": PAGE_OWN},
    "/provider/publishes/<uuid:publish_id>": {"GET": PAGE},
    f"{_PRODUCT}/publish": {"GET": PAGE_WRITE},
    f"{_PRODUCT}/publish/<str:step>": _FORM,
    f"{_PRODUCT}/publish/confirm/checks": {"GET": PAGE_WRITE},
    f"{_PRODUCT}/publish/settings/hostname": {"GET": PAGE_WRITE},
    f"{_PRODUCT}/publishes": {"GET": PAGE},
    _PUBLISH: {"GET": PAGE},
    f"{_PUBLISH}/agents": {"GET": PAGE},
    f"{_PUBLISH}/cancel": _FORM,
    f"{_PUBLISH}/command": {"GET": PAGE},
    f"{_PUBLISH}/compare": {"GET": PAGE},
    f"{_PUBLISH}/delete": _FORM,
    f"{_PUBLISH}/execute": _FORM,
    f"{_PUBLISH}/history": {"GET": PAGE},
    f"{_PUBLISH}/keys/<uuid:credential_id>/off": _FORM,
    f"{_PUBLISH}/keys/reached": {"GET": PAGE},
    f"{_PUBLISH}/live": {"GET": PAGE},
    f"{_PUBLISH}/retry": {"GET": PAGE_WRITE, "POST": PAGE_WRITE},
    f"{_PUBLISH}/settings": _FORM,
    f"{_PUBLISH}/services": {"GET": PAGE},
    f"{_PUBLISH}/test-key": _FORM,
    f"{_PUBLISH}/withdraw": _FORM,
}
FORMS = {f"{_PUBLISH}/cancel": "operation={operation_id}"}
"""What a page's POST has to carry before anybody is asked for a role."""

OPERATORS_ALONE = "/admin/"
"""Below this everything is Django's admin: one rule for all of it."""
