"""Text to instructions: the language is shown in `syntax`."""

from appliance.ebpf.isa.assembler.program import assemble
from appliance.ebpf.isa.assembler.statements import AssemblyError

__all__ = ["AssemblyError", "assemble"]
