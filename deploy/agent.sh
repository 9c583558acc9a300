#!/bin/sh
# Enrols once, with the one-time code in AGENT_CODE, and then serves; the folder /state has to outlive the container.
set -eu
if ! python -c 'import sys; from pathlib import Path; from agent import config; sys.exit(not config.is_enrolled(Path("/state")))'; then
    : "${AGENT_CODE:?make a code with: docker compose exec web python manage.py enroll_agent --cluster NAME --name AGENT}"
    python -m agent enroll --code "$AGENT_CODE" --state /state --driver kong --listen 127.0.0.1:8443 --advertise "" \
        --admin-url "$KONG_ADMIN_URL" --proxy-url "$KONG_PROXY_URL" --public-url "${KONG_PUBLIC_URL:-$KONG_PROXY_URL}" ${KONG_ALONE:+--alone}
fi
exec python -m agent run --state /state
