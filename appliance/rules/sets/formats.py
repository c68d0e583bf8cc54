"""Lists as they are published: which format a file is in, and what is an element in its lines.

    plain      an element in each line; `#` and `;` begin a comment     FireHOL's netsets, Spamhaus DROP, blocklist.de
    ipset      add NAME ELEMENT …                                       ipset save
    dshield    FIRST <tab> LAST <tab> …                                 DShield's block.txt
    json       {"cidr": ELEMENT, …}, one object in each line            Spamhaus DROP since 2024

The first line that says something tells which it is. Every format gives one element for each line, "" where there is
none, so that a line's number is its place in the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from appliance.rules.values import BadValue

_COMMENT = re.compile(r"[#;].*")
_BLANKS = " \t\r\f\v"
_MEANINGFUL = re.compile(r"^[ \t]*([^\s#;].*)$", re.MULTILINE)
_SILENT = ("create", "flush", "-N", "-F", "COMMIT")  # ipset's commands that put nothing in


@dataclass(frozen=True, slots=True)
class Format:
    """`begins` is what its first meaningful line looks like; `element` gives a line's one, or raises BadValue."""

    name: str
    begins: re.Pattern[str]
    element: Callable[[str], str]

    def elements(self, lines: Sequence[str]) -> Iterator[str]:
        """The element of each line, "" for none. Raises BadValue at a line that is none of the format's."""
        return map(self.element, lines)


def plain_elements(text: str) -> list[str]:
    """The elements of plain lines, all at once: most lists are long, and of nothing else."""
    if "#" in text or ";" in text:
        text = _COMMENT.sub("", text)
    lines = text.split("\n")
    return [line.strip() for line in lines] if any(blank in text for blank in _BLANKS) else lines


def _plain(line: str) -> str:
    return _COMMENT.sub("", line).strip()


def _ipset(line: str) -> str:
    words = line.split()
    if not words or words[0].startswith("#") or words[0] in _SILENT:
        return ""
    if words[0] not in ("add", "-A") or len(words) < 3:
        raise BadValue(
            f"{line.strip()!r} isn't a line of `ipset save`", "it has lines `create …` and `add NAME ELEMENT`"
        )
    if "nomatch" in words[3:]:
        raise BadValue(f"{words[2]} is an exception (nomatch)", "put it into a set of its own, and use `not` of it")
    return words[2]


def _dshield(line: str) -> str:
    fields = _plain(line).split("\t")
    if fields == [""] or fields[0].strip().lower() == "start":
        return ""
    if len(fields) < 2:
        raise BadValue(f"{line.strip()!r} isn't a line of DShield's", "it has the first and the last address, and tabs")
    return f"{fields[0].strip()}-{fields[1].strip()}"


def _json(line: str) -> str:
    if not line.strip():
        return ""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadValue(f"this isn't JSON: {error}", 'each line is an object with a "cidr"') from error
    if not isinstance(entry, dict):
        raise BadValue("this isn't a JSON object", 'each line is an object with a "cidr"')
    if entry.get("type") == "metadata":
        return ""
    if not isinstance(entry.get("cidr"), str):
        raise BadValue('there is no "cidr" in this object', 'each line is an object with a "cidr"')
    return str(entry["cidr"])


PLAIN = Format("plain", re.compile(r""), _plain)
FORMATS = (
    Format("ipset", re.compile(r"(create|add|-N|-A)\s+\S+\s+\S+"), _ipset),
    Format("dshield", re.compile(r"start\tend\b|[0-9.]+\t[0-9.]+(\t|$)", re.IGNORECASE), _dshield),
    Format("json", re.compile(r"\{"), _json),
    PLAIN,
)


def recognise(text: str) -> Format | None:
    """The format of a list that begins so; None if no line says anything yet."""
    first = _MEANINGFUL.search(text)
    return next(each for each in FORMATS if each.begins.match(first[1])) if first else None
