"""Workers run before others, where they leave a processor to them."""

from __future__ import annotations

import os
import threading

import pytest

from appliance.ir import Engine
from tests.appliance.datapath.conftest import running_box

PROCESSORS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize("workers", [1, PROCESSORS])
def test_workers_are_real_time_threads_if_they_leave_a_processor(engine: Engine, workers: int) -> None:
    with running_box(engine, workers=workers) as box:
        assert box.datapath.statistics()
        threads = [each for each in threading.enumerate() if each.name.startswith("worker-")]
        deadline = threading.Event()
        policies: set[int] = set()
        for _ in range(100):  # each says so itself when it has begun
            policies = {os.sched_getscheduler(each.native_id or 0) & ~os.SCHED_RESET_ON_FORK for each in threads}
            if policies != {os.SCHED_OTHER}:
                break
            deadline.wait(0.01)
    assert len(threads) == workers
    assert policies == {os.SCHED_RR if workers < PROCESSORS else os.SCHED_OTHER}
