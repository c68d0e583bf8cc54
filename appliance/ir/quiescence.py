"""A native loop as a reader (see `appliance.epochs`): the code that writes its word, named as liburcu's QSBR has it.

    online              word = epoch; fence    offline before: nothing may be read until the word is seen
    quiescent_state     word = epoch           what was read before is let go
    offline             word = 0               an extended quiescent state: nobody waits for it now

    quiescent_state     %epoch = load atomic acquire @global      what is read behind it is not older than this epoch
                        store atomic release %epoch, %word        what was read before it has been read

`quiescent_state` needs no fence, so that a batch costs two plain moves on x86: whoever sees this word knows that this
thread has seen this epoch, hence all that was taken out before it began. `online` does: who waits may just have
seen the word at 0, and takes no second look; either it sees the word now, or this thread sees what it took out
(Dekker's pattern, and the fence on the other side stands in `Domain`). It costs nothing beside the poll() that the
thread was offline for.
"""

from __future__ import annotations

from appliance.epochs import QUIESCENT
from appliance.ir.code import Code
from appliance.ir.storage import Field
from appliance.ir.types import I64, Pointer


class QsbrReader:
    """Writes the states of one reader: its word, and the place of the global epoch, as pointers.
    For one thread."""

    def __init__(self, code: Code, word: Pointer, epoch: Pointer) -> None:
        self._code = code
        self._word, self._epoch = (Field(code, place, I64, 8) for place in (word, epoch))

    def online(self) -> None:
        """Begin to read."""
        self.quiescent_state()
        self._code.builder.fence("seq_cst")

    def quiescent_state(self) -> None:
        """Hold nothing of what was read so far."""
        self._word.store_release(self._epoch.load_acquire())

    def offline(self) -> None:
        """Hold nothing, and read nothing until it is online again."""
        self._word.store_release(QUIESCENT)
