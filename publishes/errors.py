"""Refusals of this app: each says what is wrong and what to do."""

from django.utils.translation import gettext_lazy as _

from core.problems import Conflict


class WrongState(Conflict):
    """The publish's status does not allow the verb; the detail is chosen by `engine.allowed`."""

    code = "wrong_state"


class AlreadyInProgress(Conflict):
    """A person's operation is open."""

    code = "operation_open"
    detail = _(
        "Another operation is still going on for this publish. Wait until it has finished, then try again."
    )


class Frozen(Conflict):
    """Agents have a higher generation than we know of."""

    code = "generation_ahead"
    detail = _(
        "An agent has a version of this publish that we do not know of, as after a restored backup. "
        "An operator has to adopt it first."
    )


class NoGenerationAbove(Conflict):
    """An agent has a generation so high that too few are left above it."""

    code = "no_generation_above"
    detail = _(
        "An agent says that it has v%(generation)d of this publish, and too few numbers are left above that. "
        "Remove the agent that the alarm names: "
        "the freeze then ends by itself, and its program can be enrolled anew with an empty state folder."
    )


class NotCancellable(Conflict):
    """Only a publish goes back; what is being taken off stays wanted."""

    code = "not_cancellable"
    detail = _(
        "Only a publish can be cancelled. Taking something off goes on until every agent has confirmed; "
        "publish it again afterwards."
    )


class NotTheLastOperation(Conflict):
    """Only the last thing that was asked for can be tried again."""

    code = "not_the_last"
    detail = _("Something else was asked of this publish since. Look at its last operation.")


class ProductNotActive(Conflict):
    """Only active products are published."""

    code = "product_not_active"
    detail = _("The product is not active. Activate it first; then it can be published.")


class NothingToDeploy(Conflict):
    """No active service with an active route."""

    code = "nothing_to_deploy"
    detail = _(
        "No active API service with an active route is linked to the product. Link or activate one first."
    )


class NoService(Conflict):
    """A product without services has nothing to publish."""

    code = "no_service"
    detail = _("No API service is linked to the product. Link one first; then it can be published.")


class NoAgent(Conflict):
    """The cluster has nobody who could serve."""

    code = "no_agent"
    detail = _(
        "No agent of this cluster can serve this gateway. "
        "Ask an operator to enrol one, or choose another cluster."
    )


class ClusterInMaintenance(Conflict):
    """New publishes are refused; all else goes on."""

    code = "cluster_in_maintenance"
    detail = _(
        "The cluster is in maintenance: new publishes are refused until it is over. What is live stays live."
    )


class ClusterClosed(Conflict):
    """Operators do not let the workspace use the cluster any more."""

    code = "cluster_closed"
    detail = _(
        "Operators have closed this cluster to your workspace, so nothing is published there anew. "
        "Ask one, or make a publish in another cluster."
    )


class HostTaken(Conflict):
    """Another publish has the host in this cluster."""

    code = "host_taken"
    detail = _("Another publish uses this hostname in this cluster. Choose another hostname.")


class HostReserved(Conflict):
    """Another tenant's draft names the host, or had it until a short while ago."""

    code = "host_reserved"
    detail = _(
        "This hostname is kept for another workspace: a draft names it, or it was deleted a short while ago. "
        "Choose another hostname."
    )


class HostBeingReleased(Conflict):
    """An earlier host of this very publish may still be served somewhere."""

    code = "host_being_released"
    detail = _(
        "The earlier hostname %(host)s is still being taken off an agent. "
        "Wait until every agent has confirmed, or use that hostname again."
    )


class HostNotAllowed(Conflict):
    """The host is outside the suffixes that operators allow for the cluster."""

    code = "host_not_allowed"
    detail = _("The hostname must end in one of: %(suffixes)s. Change it in the settings of this publish.")


class UpstreamRefused(Conflict):
    """An upstream is outside the fence."""

    code = "upstream_refused"
    detail = _(
        "The upstream of %(service)s is refused: %(reason)s Change the upstream, "
        "or ask an operator to allow its network."
    )


class NoKeysAskedFor(Conflict):
    """Keys are for publishes in api-key mode."""

    code = "no_keys_asked_for"
    detail = _(
        "Callers of this publish need no API key. "
        "Only a publish with the authentication mode API Key has keys."
    )


class IssuerUnknown(Conflict):
    """The keys of the issuer were never fetched, so no token could be checked."""

    code = "issuer_unknown"
    detail = _(
        "The public keys of the issuer are not known. "
        "Save the settings again while the issuer can be reached."
    )


class PathsOverlap(Conflict):
    """Two routes would answer the same request."""

    code = "paths_overlap"
    detail = _(
        "%(first)s and %(second)s both serve %(path)s with the same methods. Change one of the routes."
    )


class PlaceIsFixed(Conflict):
    """After its first operation a publish keeps its cluster and gateway."""

    code = "place_is_fixed"
    detail = _(
        "This publish was sent to its cluster before, so its cluster and gateway stay. "
        "Make a new publish for another place."
    )
