"""Text to instructions: the language is shown in `syntax`."""

from appliance.ebpf.assembler.program import assemble
from appliance.ebpf.assembler.statements import AssemblyError

__all__ = ["AssemblyError", "assemble"]
