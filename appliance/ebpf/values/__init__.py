"""Values of C types as Python has them, by what BTF says: dicts or dataclasses, lists, numbers, bytes.

codecs = Codecs(spec.types)
codec = codecs.of(spec.maps["flows"].value_type, spec.maps["flows"].value_size)
codec.encode({"packets": 1, "bytes": 60})
codec.decode(data)                     a dict
TypedCodec(codec, Flow).decode(data)   a Flow
"""

from appliance.ebpf.values.build import Codecs
from appliance.ebpf.values.codec import Codec, RawBytes
from appliance.ebpf.values.composites import Composite
from appliance.ebpf.values.errors import ValueUnfit
from appliance.ebpf.values.names import definition, parts_of, type_name
from appliance.ebpf.values.python_types import TypedCodec, make_dataclass
from appliance.ebpf.values.scalars import Boolean, Number

__all__ = [
    "Boolean",
    "Codec",
    "Codecs",
    "Composite",
    "Number",
    "RawBytes",
    "TypedCodec",
    "ValueUnfit",
    "definition",
    "make_dataclass",
    "parts_of",
    "type_name",
]
