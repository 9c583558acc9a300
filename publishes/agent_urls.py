"""The agents' paths, as the protocol names them."""

from django.urls import path

from agent.protocol import messages
from publishes import agent_api

urlpatterns = [
    path(messages.PATH_HEARTBEAT.removeprefix("/"), agent_api.heartbeat, name="agent-heartbeat"),
    path(messages.PATH_REPORT.removeprefix("/"), agent_api.report, name="agent-report"),
    path(messages.PATH_KEYS_LET_IN.removeprefix("/"), agent_api.keys_let_in, name="agent-keys-let-in"),
    path(messages.PATH_SPECS.removeprefix("/"), agent_api.specs, name="agent-specs"),
    path(messages.PATH_KEY.removeprefix("/"), agent_api.new_key, name="agent-key"),
    path(messages.PATH_RESULTS.removeprefix("/"), agent_api.results, name="agent-results"),
]
