"""Whether what the store holds of a subject was generated (合成): told wherever it is shown."""

from __future__ import annotations

from gis.store.pool import Pool
from gis.store.queries import load_queries


class Provenance:
    """Reads the loads that still stand (intake.load)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = load_queries("tiles")["synthetic_subjects"]

    def generated(self, subject: str) -> bool:
        """Whether any standing load of a subject is generated.

        Raises
        ------
        StoreUnavailable
            When the store is away: then nobody knows.
        """
        with self._pool.reading() as conn:
            row = conn.execute(self._sql).fetchone()
        by_subject = next(iter(row.values())) if row else None
        return bool((by_subject or {}).get(subject))
