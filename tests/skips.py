"""Hooks of pytest for `requires` (tests/capabilities.py), and the option by which CI refuses every other skip.

    --no-unneeded-skips     a test fails if it was skipped in any way but through `requires` or `require`, whose probes
                            prove what the machine lacks, and if it lacks what `make install` brings

What a run skipped, and why, is told by pytest's own `-rs`.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.capabilities import Lacking, require

OPTION = "--no-unneeded-skips"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="fail what is skipped without a proof that it can't run here")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of the test is made."""
    for mark in item.iter_markers("requires"):
        require(*mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption(OPTION):
        skip = call.excinfo.value if call.excinfo is not None else None
        if unneeded := _unneeded(skip):
            report.outcome, report.longrepr = "failed", f"{item.nodeid}: {unneeded}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that skips itself while it is read."""
    report = yield
    if report.skipped and collector.config.getoption(OPTION):
        report.outcome, report.longrepr = "failed", f"{collector.nodeid}: skipped while it was read, without a proof"
    return report


def _unneeded(skip: BaseException | None) -> str | None:
    """What is wrong with a skip; None if the machine had to make it."""
    if not isinstance(skip, Lacking):
        return f"skipped without a proof ({skip}): say what it takes with `requires` of tests/capabilities.py"
    if skip.capability.installed:
        return f"skipped ({skip}), but `make install` brings that"
    return None
