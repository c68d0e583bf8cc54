"""How a native loop announces itself: code that writes a reader's word (see `appliance.epochs`).

    wake      word = epoch; fence          asleep before: nothing may be read until the word is seen
    pass      word = epoch                 a quiescent state: what was read before is let go
    sleep     word = 0                     an extended one: nobody waits for it now

    pass      %epoch = load atomic acquire @global      what is read behind it is not older than this epoch
              store atomic release %epoch, %word        what was read before it has been read

`pass` needs no fence, so that a batch costs two plain moves on x86: whoever sees this word knows that this thread has
seen this epoch, hence all that was taken out before it began. `wake` does: who waits may just have seen the word at 0,
and takes no second look; either it sees the word now, or this thread sees what it took out (Dekker's pattern, and the
fence on the other side stands in `Domain`). It costs nothing beside the poll() that was slept in.
"""

from __future__ import annotations

from appliance.epochs import QUIESCENT
from appliance.ir.code import Code
from appliance.ir.storage import Field
from appliance.ir.types import I64, Pointer


class Announcer:
    """Writes the announcements of one reader: its word, and the place of the global epoch, as pointers.
    For one thread."""

    def __init__(self, code: Code, word: Pointer, epoch: Pointer) -> None:
        self._code = code
        self._word, self._epoch = (Field(code, place, I64, 8) for place in (word, epoch))

    def wake(self) -> None:
        """Begin to read."""
        self.pass_()
        self._code.builder.fence("seq_cst")

    def pass_(self) -> None:
        """Hold nothing of what was read so far."""
        self._word.store_release(self._epoch.load_acquire())

    def sleep(self) -> None:
        """Hold nothing, and read nothing until it wakes."""
        self._word.store_release(QUIESCENT)
