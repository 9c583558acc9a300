"""Django's PostgreSQL backend with a deadline for every statement. Named by the setting DATABASES."""
