"""What rules about sockets match by words: the call, the caller's file, the caller's cgroup.

exe: /usr/bin/curl                         that file
exe: [/usr/bin/curl, /usr/bin/wget]        one of them
exe: {not: [/usr/bin/curl]}                none of them
cgroup: system.slice/backup.service        that cgroup, or one below
"""

from __future__ import annotations

from typing import Any

from appliance.errors import InputRefused
from appliance.rules.document.document import Document
from appliance.rules.document.elements import each
from appliance.rules.document.places import KeyPath
from appliance.rules.errors import did_you_mean
from appliance.rules.sockets.model import EVERY_OP, Fact, FactKind, HasFact, Op

_ONE_OF, _NOT = ("eq", "any", "in"), "not"
_OPS = {op.value: op for op in Op}


class WordReader:
    """Reads words of one document, and collects what is wrong with them. For one thread."""

    def __init__(self, document: Document, defects: list[InputRefused]) -> None:
        self.document = document
        self.defects = defects

    def ops(self, value: Any, at: KeyPath) -> frozenset[Op]:
        """The calls that are meant; all of them if the words are wrong."""
        meant, before = EVERY_OP, len(self.defects)
        for words, negated in self._groups(value, at):
            found = set()
            for word, where in words:
                if word in _OPS:
                    found.add(_OPS[word])
                else:
                    self._refuse(f"{word!r} is no call that rules judge", where, did_you_mean(word, _OPS))
            meant = meant - found if negated else meant & found
        if not meant and len(self.defects) == before:
            self._refuse("op can't have any value here", at, "loosen or remove a condition")
        return meant if len(self.defects) == before else EVERY_OP

    def facts(self, kind: FactKind, value: Any, at: KeyPath) -> list[HasFact]:
        """What is asked of the caller."""
        return [
            HasFact(tuple(Fact(kind, self._path(kind, word, where)) for word, where in words), negated)
            for words, negated in self._groups(value, at)
        ]

    def _path(self, kind: FactKind, word: str, at: KeyPath) -> str:
        """An executable's path as it is; a cgroup's from the root of the hierarchy."""
        if kind is FactKind.EXE:
            if not word.startswith("/"):
                self._refuse(f"{word!r} is no absolute path", at, "write it from the root on, as in /usr/bin/curl")
            return word
        path = "/" + word.strip("/")
        if any(part in ("", ".", "..") for part in path.split("/")[1:]) and path != "/":
            self._refuse(f"{word!r} is no path of a cgroup", at, "write it as in system.slice/backup.service")
        return path

    def _groups(self, value: Any, at: KeyPath) -> list[tuple[list[tuple[str, KeyPath]], bool]]:
        """Lists of words with their places, each with whether they are excluded."""
        operators = value if isinstance(value, dict) else {"eq": value}
        groups = []
        for operator, given in operators.items():
            where = (*at, operator) if isinstance(value, dict) else at
            if operator not in (*_ONE_OF, _NOT):
                known = did_you_mean(operator, (*_ONE_OF, _NOT))
                self._refuse(f"{at[-1]} takes no operator {operator!r}", where, known, key=True)
                continue
            groups.append((self._texts(given, where), operator == _NOT))
        if not operators:
            self._refuse(f"{at[-1]} has no value", at, f"operators are: {', '.join((*_ONE_OF, _NOT))}")
        return groups

    def _texts(self, given: Any, at: KeyPath) -> list[tuple[str, KeyPath]]:
        texts = []
        for word, where in each(given, at):
            if isinstance(word, str) and word and "\0" not in word:
                texts.append((word, where))
            else:
                self._refuse(f"{at[-1]}: {word!r} is no word", where, "write text")
        if not texts and given == []:
            self._refuse(f"{at[-1]}: this list is empty", at, "leave the key out, or give it an element")
        return texts

    def _refuse(self, what: str, at: KeyPath, hint: str | None = None, *, key: bool = False) -> None:
        self.defects.append(self.document.refuse(what, at, hint=hint, key=key))
