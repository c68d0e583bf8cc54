"""Every kind of rejection has a page whose programs are rejected and accepted as it says, by us and by Linux."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.verifier.rejections import Rejection
from tests.appliance.verifier import kernel as verifier_kernel
from tests.appliance.verifier.support import MAPS
from tests.corpus import kernel
from tests.docs.rejection_pages import FOLDER, INDEX, WITHOUT_PROGRAMS, Example, page, with_programs

every_page = pytest.mark.parametrize("kind", with_programs())
REJECTS, ACCEPTS = "Linux rejects it", "Linux accepts it"


def linux_accepts(example: Example, folder: Path) -> bool:
    if example.language == "asm":
        spec, _ = example.load()
        with verifier_kernel.kernel_maps(MAPS) as maps:
            return verifier_kernel.refusal(spec, maps) is None
    path = folder / "filter.bpf.o"
    path.write_bytes(example.object())
    return kernel.accepts(path)


def test_there_is_a_page_for_each_kind_and_the_index_names_all() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {*Rejection, "README"}
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(([\w-]+)\.md\) \|", INDEX.read_text(), re.MULTILINE)
    assert rows == [(kind, kind) for kind in Rejection]


@pytest.mark.parametrize("kind", Rejection)
def test_a_page_names_its_kind(kind: Rejection) -> None:
    text = (FOLDER / f"{kind}.md").read_text()
    assert f"\nKind: `{kind}`\n" in text
    assert ("## Rejected" in text) == (kind not in WITHOUT_PROGRAMS)


@every_page
def test_the_bad_program_is_rejected_in_these_words(kind: Rejection) -> None:
    found = page(kind)
    report = found.bad.rejection()
    assert report is not None
    assert report.kind is kind
    assert str(report) == found.message


@every_page
def test_the_fixed_program_is_accepted(kind: Rejection) -> None:
    assert page(kind).good.rejection() is None


@pytest.mark.skipif(not kernel.available(), reason="no kernel to ask")
@pytest.mark.parametrize("kind", [kind for kind in with_programs() if "\nLinux " in page(kind).text])
def test_linux_says_what_the_page_says_of_it(kind: Rejection, tmp_path: Path) -> None:
    found = page(kind)
    if REJECTS in found.text:
        assert not linux_accepts(found.bad, tmp_path)
        assert linux_accepts(found.good, tmp_path)
    elif ACCEPTS in found.text:
        assert linux_accepts(found.bad, tmp_path)
        assert linux_accepts(found.good, tmp_path)
    else:
        assert not linux_accepts(found.good, tmp_path)
