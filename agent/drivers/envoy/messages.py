"""Envoy's configuration as protobuf: JSON-shaped resources in, bytes out. Only this module knows the classes.

The imports below without a name register the types that an `Any` inside a resource may hold.
"""

import hashlib
import json
from enum import StrEnum

import envoy.config.core.v3.extension_pb2
import envoy.extensions.access_loggers.filters.cel.v3.cel_pb2
import envoy.extensions.common.matching.v3.extension_matcher_pb2
import envoy.extensions.filters.http.api_key_auth.v3.api_key_auth_pb2
import envoy.extensions.filters.http.composite.v3.composite_pb2
import envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2
import envoy.extensions.filters.http.jwt_authn.v3.config_pb2
import envoy.extensions.filters.http.lua.v3.lua_pb2
import envoy.extensions.filters.http.rbac.v3.rbac_pb2
import envoy.extensions.filters.http.router.v3.router_pb2
import envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2
import envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2
import envoy.type.matcher.v3.http_inputs_pb2  # noqa: F401 (see above)
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration
from google.protobuf.json_format import ParseDict, ParseError

from agent.drivers.base import Refused
from fence import split_endpoint

Resource = dict[str, object]
"""A message of Envoy's in its JSON form."""

TYPE = "type.googleapis.com"
EXTENSIONS = f"{TYPE}/envoy.extensions"
HTTP_FILTERS = f"{EXTENSIONS}.filters.http"

FROM_AGENT: Resource = {"ads": {}, "resource_api_version": "V3"}
"""Where Envoy asks for a kind of resource: at its agent."""


class Kind(StrEnum):
    """The resources that we serve; the values are their type URLs."""

    CLUSTER = f"{TYPE}/envoy.config.cluster.v3.Cluster"
    LISTENER = f"{TYPE}/envoy.config.listener.v3.Listener"
    SCOPE = f"{TYPE}/envoy.config.route.v3.ScopedRouteConfiguration"


_CLASSES = {Kind.CLUSTER: Cluster, Kind.LISTENER: Listener, Kind.SCOPE: ScopedRouteConfiguration}


def encoded(kind: Kind, resource: Resource) -> bytes:
    """The resource as Envoy reads it. Raises Refused for what no message of this kind can say."""
    try:
        return bytes(ParseDict(resource, _CLASSES[kind]()).SerializeToString())
    except ParseError as problem:
        name = str(resource.get("name", ""))
        raise Refused(f"Envoy cannot express {name}: {problem}", code="invalid", entity=name) from problem


def socket_address(endpoint: str) -> Resource:
    """An address as Envoy's configuration says it. Raises ValueError."""
    host, port = split_endpoint(endpoint)
    return {"socket_address": {"address": host, "port_value": port}}


def content_hash(resource: Resource) -> str:
    """Changes with the content and with nothing else. 16 hexadecimal digits.

    Not over the bytes: protobuf writes maps in any order.
    """
    return hashlib.sha256(json.dumps(resource, sort_keys=True).encode()).hexdigest()[:16]
