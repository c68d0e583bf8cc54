"""What a value that is signed may be, stated once: its bounds, its bytes to the keeper, and its JSON.

                    in Python         to the keeper, packed                 in a statement
    DIGEST          64 hex digits     32 bytes                              string
    Number(most)    int, 0 and up     8 bytes, little endian                number
    Text(most)      printable ASCII   2 bytes of length, then as many       string
    Optional(F)     None or F         1 byte, then F if that is 1           null or F
    List(F, most)   tuple             2 bytes of number, then each          array
    Table(F, most)  mapping           2 bytes of number, names ascending    object
    Record(C, …)    dataclass C       its fields, one after the other       object

All bounds are known before a byte is read, and nothing is recursive but the declaration: that is all the parsing which
the keeper of the key does.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.errors import InputRefused

_HEX = re.compile(r"[0-9a-f]{64}")
_VISIBLE = re.compile(r"[!-~]*")
_PRINTABLE = re.compile(r"[ -~]*")
_LENGTH = 2
_NUMBER = 8


class Malformed(InputRefused):
    """A value is not of the form that was agreed upon; `where` is the path to it."""


class Reader:
    """Bytes, taken from the front. Raises Malformed where there are too few. For one thread."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._place : self._place + size]
        if len(taken) != size:
            raise Malformed("it is cut short")
        self._place += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def end(self) -> None:
        """Nothing may follow. Raises Malformed."""
        if self._place != len(self._data):
            raise Malformed(f"{len(self._data) - self._place} bytes too many")


class Form(ABC):
    """One kind of value. Every way in goes through `check`: what was read once is right from there on. Any thread."""

    @abstractmethod
    def check(self, value: Any, where: str) -> None:
        """Raises Malformed."""

    @abstractmethod
    def pack(self, value: Any) -> Iterator[bytes]:
        """A checked value as bytes."""

    @abstractmethod
    def unpack(self, reader: Reader) -> Any:
        """Raises Malformed for too few bytes, and leaves all else to `check`."""

    def plain(self, value: Any) -> Any:
        """A checked value as JSON has it."""
        return value

    def of_plain(self, plain: Any, where: str) -> Any:
        """Raises Malformed where JSON has another shape."""
        return plain


class Digest(Form):
    """A SHA-256. Any thread."""

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise Malformed("no SHA-256 in lower-case hex", where=where)

    def pack(self, value: Any) -> Iterator[bytes]:
        yield bytes.fromhex(value)

    def unpack(self, reader: Reader) -> str:
        return reader.take(32).hex()


class Number(Form):
    """An integer from `least` to `most`. Any thread."""

    def __init__(self, most: int, least: int = 0) -> None:
        self.most = most
        self.least = least

    def check(self, value: Any, where: str) -> None:
        if type(value) is not int or not self.least <= value <= self.most:
            raise Malformed(f"no number from {self.least} to {self.most}", where=where)

    def pack(self, value: Any) -> Iterator[bytes]:
        yield value.to_bytes(_NUMBER, "little")

    def unpack(self, reader: Reader) -> int:
        return reader.number(_NUMBER)


class Text(Form):
    """Printable ASCII, 1 to `most` characters; a name has no space. Any thread."""

    def __init__(self, most: int, pattern: re.Pattern[str] = _PRINTABLE) -> None:
        self.most = most
        self.pattern = pattern

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str) or not 1 <= len(value) <= self.most or not self.pattern.fullmatch(value):
            raise Malformed(f"no 1 to {self.most} visible characters of ASCII", where=where)

    def pack(self, value: Any) -> Iterator[bytes]:
        yield len(value).to_bytes(_LENGTH, "little")
        yield value.encode("ascii")

    def unpack(self, reader: Reader) -> str:
        return reader.take(reader.number(_LENGTH)).decode("ascii", "replace")  # whose sign is no ASCII: `check` refuses


class Optional(Form):
    """A value or none. Any thread."""

    def __init__(self, form: Form) -> None:
        self.form = form

    def check(self, value: Any, where: str) -> None:
        if value is not None:
            self.form.check(value, where)

    def pack(self, value: Any) -> Iterator[bytes]:
        yield bytes([value is not None])
        if value is not None:
            yield from self.form.pack(value)

    def unpack(self, reader: Reader) -> Any:
        given = reader.number(1)
        if given > 1:
            raise Malformed("neither there nor not there")
        return self.form.unpack(reader) if given else None

    def plain(self, value: Any) -> Any:
        return None if value is None else self.form.plain(value)

    def of_plain(self, plain: Any, where: str) -> Any:
        return None if plain is None else self.form.of_plain(plain, where)


class List(Form):
    """At most `most` values of a form, in an order that counts. Any thread."""

    def __init__(self, form: Form, most: int) -> None:
        self.form = form
        self.most = most

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, tuple) or len(value) > self.most:
            raise Malformed(f"no list of at most {self.most}", where=where)
        for number, each in enumerate(value):
            self.form.check(each, f"{where}[{number}]")

    def pack(self, value: Any) -> Iterator[bytes]:
        yield len(value).to_bytes(_LENGTH, "little")
        for each in value:
            yield from self.form.pack(each)

    def unpack(self, reader: Reader) -> tuple[Any, ...]:
        return tuple(self.form.unpack(reader) for _ in range(_at_most(reader, self.most)))

    def plain(self, value: Any) -> list[Any]:
        return [self.form.plain(each) for each in value]

    def of_plain(self, plain: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(plain, list):
            raise Malformed("no list", where=where)
        return tuple(self.form.of_plain(each, f"{where}[{number}]") for number, each in enumerate(plain))


class Table(Form):
    """At most `most` values of a form, by name. Any thread."""

    def __init__(self, form: Form, most: int) -> None:
        self.form = form
        self.most = most

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping) or len(value) > self.most:
            raise Malformed(f"no table of at most {self.most}", where=where)
        for name, each in value.items():
            NAME.check(name, where)
            self.form.check(each, f"{where}.{name}")

    def pack(self, value: Any) -> Iterator[bytes]:
        yield len(value).to_bytes(_LENGTH, "little")
        for name in sorted(value):
            yield from NAME.pack(name)
            yield from self.form.pack(value[name])

    def unpack(self, reader: Reader) -> dict[str, Any]:
        found: dict[str, Any] = {}
        last = ""
        for _ in range(_at_most(reader, self.most)):
            name = NAME.unpack(reader)
            if name <= last:
                raise Malformed("names that do not ascend")
            found[name] = self.form.unpack(reader)
            last = name
        return found

    def plain(self, value: Any) -> dict[str, Any]:
        return {name: self.form.plain(each) for name, each in value.items()}

    def of_plain(self, plain: Any, where: str) -> dict[str, Any]:
        if not isinstance(plain, dict):
            raise Malformed("no table", where=where)
        return {name: self.form.of_plain(each, f"{where}.{name}") for name, each in plain.items()}


class Record(Form):
    """A dataclass, field by field: these and no others. Any thread."""

    def __init__(self, kind: type[Any], **fields: Form) -> None:
        self.kind = kind
        self.fields = fields

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, self.kind):
            raise Malformed(f"no {self.kind.__name__}", where=where)
        for name, form in self.fields.items():
            form.check(getattr(value, name), f"{where}.{name}" if where else name)

    def pack(self, value: Any) -> Iterator[bytes]:
        for name, form in self.fields.items():
            yield from form.pack(getattr(value, name))

    def unpack(self, reader: Reader) -> Any:
        return self.kind(**{name: form.unpack(reader) for name, form in self.fields.items()})

    def plain(self, value: Any) -> dict[str, Any]:
        return {name: form.plain(getattr(value, name)) for name, form in self.fields.items()}

    def of_plain(self, plain: Any, where: str) -> Any:
        if not isinstance(plain, dict) or plain.keys() != self.fields.keys():
            raise Malformed(f"not exactly {', '.join(self.fields)}", where=where)
        inside = f"{where}." if where else ""
        return self.kind(**{name: form.of_plain(plain[name], inside + name) for name, form in self.fields.items()})


def _at_most(reader: Reader, most: int) -> int:
    number = reader.number(_LENGTH)
    if number > most:
        raise Malformed(f"more than {most}")
    return number


DIGEST = Digest()
NAME = Text(255, _VISIBLE)


def packed(form: Form, value: Any) -> bytes:
    """The bytes of a value. Raises Malformed if it is none of that form."""
    form.check(value, "")
    return b"".join(form.pack(value))


def unpacked(form: Form, data: bytes) -> Any:
    """The value that these bytes are, all of them. Raises Malformed."""
    reader = Reader(data)
    value = form.unpack(reader)
    reader.end()
    form.check(value, "")
    return value


def of_plain(form: Form, plain: Any) -> Any:
    """The value that JSON says. Raises Malformed."""
    value = form.of_plain(plain, "")
    form.check(value, "")
    return value
