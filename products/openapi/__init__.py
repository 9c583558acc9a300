"""OpenAPI 3 documents: read safely, turned into an API service, and compared with the one that is there. Nothing is ever fetched."""
