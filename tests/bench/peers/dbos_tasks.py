"""The peer's side of `tasks.py`: DBOS Transact, workflows of five steps, so many at a time."""

import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS
from figures import program

TASKS = 5


@DBOS.step()
def step(number):
    return number


@DBOS.workflow()
def five():
    return sum(step(number) for number in range(TASKS))


def measure(url, count, at_once):
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "enable_otlp": False,
            "max_executor_threads": max(64, at_once),
            "sys_db_pool_size": 20,
        }
    )
    DBOS.launch()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: five(), range(at_once)))
        begun, cpu = time.monotonic(), time.process_time()
        assert set(pool.map(lambda _: five(), range(count))) == {sum(range(TASKS))}
        took, used = time.monotonic() - begun, time.process_time() - cpu
    DBOS.destroy()
    return {"per_second": count / took, "cpu_ms": used / count * 1000}


program(measure)
