"""Every number of a platform is a helper, a refusal with its reason, or said to be missing: exactly one of them."""

from __future__ import annotations

import pytest

from appliance.ebpf.platform import PLATFORMS, Platform
from appliance.helpers.prototypes import PROTOTYPES
from appliance.helpers.unimplemented import UNIMPLEMENTED
from appliance.helpers.unsupported import FAMILY_UNSUPPORTED, UNSUPPORTED

# The last number of `enum bpf_func_id` (closed since Linux 6.0: what came later are kernel functions), and of
# `ebpf_helper_id_t` of eBPF for Windows 1.6.
LAST = {"linux": 211, "windows": 35}


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_every_number_stands_in_exactly_one_table(platform: Platform) -> None:
    refused = {number: refusal.name for number, refusal in UNSUPPORTED[platform.name].items()}
    tables = (platform.helpers, refused, UNIMPLEMENTED[platform.name])
    assert sorted(number for table in tables for number in table) == list(range(1, LAST[platform.name] + 1))
    names = [name for table in tables for name in table.values()]
    assert len(set(names)) == len(names)
    assert set(platform.helpers.values()) <= PROTOTYPES.keys()


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_a_number_of_a_family_is_there_or_refused_but_not_both(platform: Platform) -> None:
    for family, own in FAMILY_UNSUPPORTED.get(platform.name, {}).items():
        assert not own.keys() & platform.family_helpers[family].keys()
