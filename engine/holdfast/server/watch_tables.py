"""What the server keeps of watching, in tables beside the package's (watching.md, "What is kept").

Triggers note what has come, so it is in the transaction of the message itself, also when a stock
server uses the file. Nothing here refers to the package's tables by a foreign key, which would keep
a stock server from deleting its rows.
"""

from typing import Final

_ARRIVES: Final = """INSERT INTO holdfast_arrivals (watcher, mailbox_id, side)
            SELECT watcher, mailbox_id, side FROM holdfast_watches AS w
            WHERE NOT EXISTS (SELECT 1 FROM holdfast_arrivals
                WHERE mailbox_id = w.mailbox_id AND side = w.side)"""

TABLES: Final = (
    # `name` is the hash of the watcher's secret name: the file does not give it away. Both numbers
    # below are never used twice, so what was said of one that has gone cannot mean another.
    """CREATE TABLE IF NOT EXISTS holdfast_watchers (
        id INTEGER PRIMARY KEY AUTOINCREMENT, app_id VARCHAR NOT NULL, name BLOB NOT NULL,
        seen REAL NOT NULL, revision INTEGER NOT NULL DEFAULT 0,
        watches INTEGER NOT NULL DEFAULT 0, UNIQUE (app_id, name))""",
    """CREATE TABLE IF NOT EXISTS holdfast_watches (
        mailbox_id VARCHAR NOT NULL, side VARCHAR NOT NULL, watcher INTEGER NOT NULL,
        PRIMARY KEY (mailbox_id, side)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS holdfast_watches_of ON holdfast_watches (watcher)",
    """CREATE TABLE IF NOT EXISTS holdfast_arrivals (
        number INTEGER PRIMARY KEY AUTOINCREMENT, watcher INTEGER NOT NULL,
        mailbox_id VARCHAR NOT NULL, side VARCHAR NOT NULL, UNIQUE (mailbox_id, side))""",
    "CREATE INDEX IF NOT EXISTS holdfast_arrivals_of ON holdfast_arrivals (watcher, number)",
    f"""CREATE TRIGGER IF NOT EXISTS holdfast_message AFTER INSERT ON messages BEGIN
        {_ARRIVES} AND w.mailbox_id = NEW.mailbox_id AND w.side <> NEW.side; END""",
    # Whoever watched a mailbox that is swept must hear of it too, and look.
    f"""CREATE TRIGGER IF NOT EXISTS holdfast_gone AFTER DELETE ON mailboxes BEGIN
        {_ARRIVES} AND w.mailbox_id = OLD.id; END""",
    """CREATE TRIGGER IF NOT EXISTS holdfast_closed AFTER UPDATE OF opened ON mailbox_sides
        WHEN NEW.opened = 0 BEGIN
        DELETE FROM holdfast_watches WHERE mailbox_id = NEW.mailbox_id AND side = NEW.side; END""",
    """CREATE TRIGGER IF NOT EXISTS holdfast_watched AFTER INSERT ON holdfast_watches BEGIN
        UPDATE holdfast_watchers SET watches = watches + 1 WHERE id = NEW.watcher; END""",
    """CREATE TRIGGER IF NOT EXISTS holdfast_unwatched AFTER DELETE ON holdfast_watches BEGIN
        DELETE FROM holdfast_arrivals WHERE mailbox_id = OLD.mailbox_id AND side = OLD.side;
        UPDATE holdfast_watchers SET watches = watches - 1 WHERE id = OLD.watcher; END""",
)

# Of this connection only: a stock server does not have the function.
CAME: Final = "holdfast_came"
TELL: Final = f"""CREATE TEMP TRIGGER holdfast_tell AFTER INSERT ON main.holdfast_arrivals BEGIN
    SELECT {CAME}(NEW.watcher); END"""
