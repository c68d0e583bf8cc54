"""YAML text to plain data that remembers where every key and every value stood.

    text ── events of ruamel's parser ── Builder ── Document(data, places)

The builder takes a small, safe part of YAML 1.2: mappings with text keys, lists, and the scalars of the core schema.
Tags, anchors and aliases, duplicate keys, several documents in one file and bottomless nesting are refused, each with
its place, so that what the reader of a file sees is what the box does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from appliance.errors import InputRefused, SourceLine
from appliance.rules.errors import RuleSetRefused

KeyPath = tuple[str | int, ...]

LARGEST_FILE = 16 << 20  # bytes
DEEPEST_NESTING = 32

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Document:
    """One file's data. `keys` and `values` give the place of each key and value by its path from the top."""

    file: str
    text: str
    data: Any
    keys: Mapping[KeyPath, SourceLine]
    values: Mapping[KeyPath, SourceLine]

    def place(self, path: KeyPath, *, key: bool = False) -> SourceLine:
        """The place of the value at `path` (of its key, if asked), or of the nearest thing around it."""
        while path:
            found = self.keys.get(path) if key else None
            found = found or self.values.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return self.values[()]

    def refuse(self, what: str, path: KeyPath, *, hint: str | None = None, key: bool = False) -> InputRefused:
        """A defect at that path; the caller raises or collects it."""
        return InputRefused(what, where=self.place(path, key=key), hint=hint)


def read_document(path: str | Path) -> Document:
    """Read a YAML file. Raises RuleSetRefused."""
    return parse_document(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """A text file's contents, UTF-8. Raises RuleSetRefused."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise RuleSetRefused([InputRefused(f"can't read the file: {reason}", where=str(path))]) from error
    if len(data) > LARGEST_FILE:
        what = f"the file is larger than {LARGEST_FILE >> 20} MiB"
        raise RuleSetRefused([InputRefused(what, where=str(path), hint="split it into several files")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        where = SourceLine(str(path), line, column)
        refused = InputRefused(f"byte 0x{data[error.start]:02x} isn't UTF-8 text", where=where, hint="save it as UTF-8")
        raise RuleSetRefused([refused]) from error


def parse_document(text: str, file: str) -> Document:
    """Parse YAML text; `file` is only named. Raises RuleSetRefused."""
    return _Builder(text, file).document()


class _Builder:
    """Turns the parser's events into data, one event at a time."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = text.splitlines()
        self.keys: dict[KeyPath, SourceLine] = {}
        self.values: dict[KeyPath, SourceLine] = {}
        self.defects: list[InputRefused] = []
        self.events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))

    def document(self) -> Document:
        try:
            data = self._document()
        except InputRefused as refused:
            raise RuleSetRefused([*self.defects, refused]) from refused
        except YAMLError as error:
            raise RuleSetRefused([*self.defects, self._syntax(error)]) from error
        if self.defects:
            raise RuleSetRefused(self.defects)
        return Document(self.file, self.text, data, self.keys, self.values)

    def _document(self) -> Any:
        data: Any = None
        documents = 0
        self.values[()] = SourceLine(self.file, 1, 1, self.lines[0] if self.lines else "")
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents == 2:
                    hint = "remove the `---` line, or make it two files"
                    raise InputRefused("a second document begins here", where=self._at(event), hint=hint)
            elif isinstance(event, NodeEvent):
                data = self._node(event, ())
            elif isinstance(event, StreamEndEvent):
                break
        return data

    def _node(self, event: Event, path: KeyPath) -> Any:
        place = self._at(event)
        self.values[path] = place
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            hint = 'give the list a name under `sets:` and use it as "@name"'
            raise InputRefused("anchors and aliases aren't supported", where=place, hint=hint)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise InputRefused(f"the tag {tag} isn't supported", where=place, hint="write the value without it")
        if len(path) > DEEPEST_NESTING:
            raise InputRefused(f"nested deeper than {DEEPEST_NESTING} levels", where=place)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, ScalarEvent)
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            raise InputRefused("half a character (a surrogate) isn't text", where=place, hint="remove the escape")
        return scalar(event.value) if event.implicit[0] else event.value

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            place = self._at(event)
            if not isinstance(event, ScalarEvent):
                raise InputRefused("a key must be a word", where=place, hint="look for a bracket too many")
            key = str(event.value).encode(errors="replace").decode()
            if key in data:
                hint = f"it is first given at {self.keys[(*path, key)]}"
                self.defects.append(InputRefused(f"key {key!r} is given twice", where=place, hint=hint))
            self.keys[(*path, key)] = place
            data[key] = self._node(next(self.events), (*path, key))
        return data

    def _sequence(self, path: KeyPath) -> list[Any]:
        data: list[Any] = []
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            data.append(self._node(event, (*path, len(data))))
        return data

    def _at(self, event: Event) -> SourceLine:
        return self._place(event.start_mark.line, event.start_mark.column)

    def _place(self, line: int, column: int) -> SourceLine:
        text = self.lines[line] if line < len(self.lines) else ""
        return SourceLine(self.file, line + 1, column + 1, text)

    def _syntax(self, error: YAMLError) -> InputRefused:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if isinstance(error, MarkedYAMLError) and mark is not None:
            about = ", ".join(part for part in (error.context, error.problem) if part)
            tab = "\\t" in about or "\t" in about
            hint = "indent with spaces: YAML allows no tab there" if tab else "look at the indentation and the brackets"
            return InputRefused(f"this isn't YAML: {about}", where=self._place(mark.line, mark.column), hint=hint)
        position = getattr(error, "position", 0)
        line = self.text.count("\n", 0, position)
        column = position - (self.text.rfind("\n", 0, position) + 1)
        where = self._place(line, column)
        return InputRefused("this isn't YAML: a control character stands here", where=where, hint="remove it")


def scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema: null, a truth value, a number, or text."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text, 0) if "0x" in text else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
