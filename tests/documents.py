"""OpenAPI documents for tests."""

LEDGER = """\
openapi: 3.1.0
info:
  title: Ledger
  version: "1.4"
  description: Accounts and their postings.
servers:
  - url: http://ledger-upstream:8080/v1
  - url: https://{region}.ledger.example.com
    variables:
      region: {default: kr}
  - url: /relative
paths:
  /accounts:
    get: {responses: {"200": {description: ok}}}
    post: {responses: {"201": {description: made}}}
  /accounts/{id}:
    get: {responses: {"200": {description: ok}}}
    delete: {responses: {"204": {description: gone}}}
  /accounts/{id}/postings:
    get: {responses: {"200": {description: ok}}}
  /health:
    get: {responses: {"200": {description: ok}}}
    trace: {responses: {"200": {description: ok}}}
"""

LEDGER_AGAIN = (
    LEDGER.replace('"1.4"', '"1.5"').replace("  /health:", "  /reports:").replace("    delete:", "    patch:")
)
"""The next version of the same: /health gone, /reports new, accounts changed instead of deleted."""
