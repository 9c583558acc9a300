"""Django's PostgreSQL, but for one thing: no statement is waited for without end. Named by the setting DATABASES."""
