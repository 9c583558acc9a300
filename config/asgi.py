"""The entry for the web server: Django behind its edge."""

from config.edge import Edge
from config.wsgi import application as django

THREADS = 4

application = Edge(django, threads=THREADS)
