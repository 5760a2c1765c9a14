"""The peer's side of `resume.py`: DBOS Transact.

While the file `gate` exists, workflows stop after their second step, and the process kills itself
when all of them have come so far.
"""

import os
import signal
import threading
import time
from pathlib import Path

from dbos import DBOS
from figures import program

TASKS = 5
GATE = [Path("/nowhere")]
there = []


@DBOS.step()
def step(number):
    return number


@DBOS.workflow()
def five():
    done = [step(0), step(1)]
    if GATE[0].exists():
        there.append(1)
        threading.Event().wait()
    return sum(done) + sum(step(number) for number in range(2, TASKS))


def measure(url, count, gate, started):
    GATE[0] = Path(gate)
    first = GATE[0].exists()
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "enable_otlp": False,
            "application_version": "1",
            # All of them wait at the gate at once; afterwards its own default.
            **({"max_executor_threads": count + 8} if first else {}),
        }
    )
    DBOS.launch()
    if first:
        for _ in range(count):
            DBOS.start_workflow(five)
        while len(there) < count:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    # Cheaper than asking by its own interface: one row for each state.
    import sqlite3

    path = url.removeprefix("sqlite:///")
    query = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
    while sqlite3.connect(path, timeout=60).execute(query).fetchone()[0] < count:
        time.sleep(0.2)
    figures = {"seconds": time.time() - started, "cpu": time.process_time()}
    print("FIGURES", __import__("json").dumps(figures), flush=True)
    os._exit(0)


program(measure)
