"""BTF: the types of an object file and of a kernel, and what they say of contexts and structures."""
