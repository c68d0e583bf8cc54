"""Hash tables: plain, LRU, per-CPU, of devices; and bloom filters, which hash as well."""
