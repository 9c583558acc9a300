"""OpenAPI 3 documents: read within bounds, compared with an API service, imported. Nothing is fetched."""
