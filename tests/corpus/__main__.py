"""Write down what is said of the bad programs today: `python -m tests.corpus`. Read the difference, then keep it."""

from __future__ import annotations

from dataclasses import asdict

from tests.corpus import large_programs as large
from tests.corpus.corpus import NAMES, REJECTIONS, Rejection, object_of, verdict
from tests.yaml_files import dump

_WORDS = "# What is said of each bad program of the corpus; `python -m tests.corpus` writes it anew.\n"


def main() -> None:
    reports = {name: verdict(object_of(name, "bad")) for name in NAMES}
    said = {name: asdict(Rejection.of(report)) for name, report in reports.items() if report is not None}
    with REJECTIONS.open("w") as file:
        file.write(_WORDS)
        file.write(dump(said))
    of_large = {
        name: {program: large.verdict(name, "bad", program) for program in large.changed(name)} for name in large.NAMES
    }
    with large.REJECTIONS.open("w") as file:
        file.write(_WORDS)
        file.write(dump(of_large))


if __name__ == "__main__":
    main()
