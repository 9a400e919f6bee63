"""The schema's history, one Alembic file a change. Released files never change."""
