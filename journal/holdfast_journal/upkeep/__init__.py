"""What an operator does with a database: its schema, its keys, and flows that ended long ago."""

from holdfast_journal.keys.files import add_key, key_lines
from holdfast_journal.keys.master import key_file_of
from holdfast_journal.keys.sealing import new_key
from holdfast_journal.store.urls import parse_url
from holdfast_journal.upkeep.rotating import KeyUse, Rotation
from holdfast_journal.upkeep.upkeep import Upkeep, list_keys

__all__ = [
    "KeyUse",
    "Rotation",
    "Upkeep",
    "add_key",
    "key_file_of",
    "key_lines",
    "list_keys",
    "new_key",
    "parse_url",
]
