"""Every metric of the design is exported, at 0 from the start, with the labels it promises."""

import urllib.request

import pytest

from appliance.datapath.statistics import Count, InterfaceStatistics
from appliance.errors import CannotRun
from appliance.metrics import BoxCollector, MapUse, MetricsServer, RuleCount, Snapshot, WorkerUse

SNAPSHOT = Snapshot(
    version="0.1.0",
    rules=(RuleCount("xmas", "drop", "enforce", Count(3, 180)), RuleCount("quiet", "drop", "monitor", Count())),
    interfaces={"eth0": InterfaceStatistics()},
    interfaces_up={"eth0": True},
    interfaces_isolated={"eth0": False},
    interfaces_closed_again={"eth0": 2},
    workers={"0": WorkerUse(True, 1.5e9), "1": WorkerUse(False, 1.25e9)},
    parse_errors={"ipv4_truncated": 2},
    maps=(MapUse("seen", 5, 100, 7),),
    verify_seconds={"tidegate_in": 0.1},
    approvals={"approved": 3, "expired": 1},
    remembered={"found": 4},
)


@pytest.fixture(scope="module")
def page() -> list[str]:
    with (
        MetricsServer("127.0.0.1", 0, BoxCollector(lambda: SNAPSHOT)) as server,
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer,
    ):
        return answer.read().decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'tidegate_rule_packets_total{action="drop",mode="enforce",rule="xmas"} 3.0',
        'tidegate_rule_bytes_total{action="drop",mode="enforce",rule="xmas"} 180.0',
        'tidegate_rule_packets_total{action="drop",mode="monitor",rule="quiet"} 0.0',
        'tidegate_interface_packets_total{direction="receive",interface="eth0",verdict="drop"} 0.0',
        'tidegate_interface_packets_total{direction="transmit",interface="eth0",verdict="sent"} 0.0',
        'tidegate_interface_bytes_total{direction="receive",interface="eth0",verdict="aborted"} 0.0',
        'tidegate_capture_dropped_packets_total{interface="eth0",reason="ring_full"} 0.0',
        'tidegate_transmit_errors_total{interface="eth0",reason="too_long"} 0.0',
        'tidegate_parse_errors_total{reason="ipv4_truncated"} 2.0',
        'tidegate_map_entries{map="seen"} 5.0',
        'tidegate_map_capacity{map="seen"} 100.0',
        'tidegate_interface_up{interface="eth0"} 1.0',
        'tidegate_worker_up{worker="0"} 1.0',
        'tidegate_worker_up{worker="1"} 0.0',
        'tidegate_worker_last_progress_timestamp_seconds{worker="1"} 1.25e+09',
        'tidegate_interface_isolated{interface="eth0"} 0.0',
        'tidegate_interface_closed_again_total{interface="eth0"} 2.0',
        'tidegate_program_verify_seconds{program="tidegate_in"} 0.1',
        "tidegate_program_compile_seconds 0.0",
        'tidegate_reloads_total{result="failure"} 0.0',
        "tidegate_reload_timestamp_seconds 0.0",
        'tidegate_approvals_total{result="expired"} 1.0',
        'tidegate_remembered_code_total{result="found"} 4.0',
        'tidegate_build_info{version="0.1.0"} 1.0',
    ],
)
def test_series(page: list[str], line: str) -> None:
    assert line in page


def test_registering_takes_no_snapshot() -> None:
    def never() -> Snapshot:
        raise AssertionError("asked for a snapshot before anybody scraped")

    MetricsServer("127.0.0.1", 0, BoxCollector(never)).close()


def test_a_port_in_use_is_one_clear_message() -> None:
    with MetricsServer("127.0.0.1", 0, BoxCollector(lambda: SNAPSHOT)) as server:
        with pytest.raises(CannotRun) as caught:
            MetricsServer("127.0.0.1", server.port, BoxCollector(lambda: SNAPSHOT))
        assert str(caught.value) == (
            f"metrics can't be served on 127.0.0.1:{server.port}: Address already in use\n"
            "  hint: stop what listens there, or choose another address in `metrics.listen`"
        )


@pytest.mark.parametrize("name", ["cpu_seconds_total", "resident_memory_bytes", "start_time_seconds"])
def test_the_process_tells_of_itself(page: list[str], name: str) -> None:
    (line,) = (line for line in page if line.startswith(f"tidegate_process_{name} "))
    assert float(line.split()[1]) > 0
