"""Why an object file is refused.

InputRefused
  ObjectError            the file is damaged, hostile, or no eBPF object at all
    UnsupportedObject    the file is sound but asks for something that Tidegate does not have
    CoreError            a CO-RE relocation that can't be done against these types
"""

from __future__ import annotations

from appliance.errors import InputRefused


class ObjectError(InputRefused):
    """An object file that can't be loaded. `where` is the file and, where known, the section or function in it."""

    def within(self, place: str) -> ObjectError:
        """The same error, with `place` in front of where it happened."""
        self.where = place if self.where is None else f"{place}: {self.where}"
        return self


class UnsupportedObject(ObjectError):
    """A sound file that needs `feature`, which is missing here. It is refused whole rather than loaded in part."""

    def __init__(self, feature: str, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.feature = feature


class CoreError(ObjectError):
    """A CO-RE relocation that makes no sense, or whose answer differs between the types that it may mean."""
