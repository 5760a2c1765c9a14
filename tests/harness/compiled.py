"""SQL that is compiled once for all databases of a process, and for the forks of a fork server.

SQLAlchemy keeps what it has compiled with the engine, and each test has an engine of its own, so it
would compile the same hundred statements anew. What it compiles is for one dialect, of which it
wants the very object: engines for the same place get the one that has asked what it can do.
"""

from sqlalchemy.util import LRUCache

from holdfast_journal.store import database

_cache = LRUCache(2000)
_dialects = {}
_makers = {
    name: getattr(database, name)
    for name in ("sqlite_engine", "looking_engine", "postgresql_engine")
}


def _shared(engine):
    """Let an engine have what was compiled for others."""
    place = engine.url.set(database="")
    first = _dialects.get(place)
    if first is None or first.server_version_info is None:
        _dialects[place] = engine.dialect  # it asks when it connects
    else:
        engine.dialect = first
    engine._compiled_cache = _cache
    return engine


def install():
    """Let `Database.open` use it from now on."""
    for name, make in _makers.items():
        setattr(database, name, lambda *options, make=make: _shared(make(*options)))
