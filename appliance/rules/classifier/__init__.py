"""Rules as data: which rules can lie in a table, and how a table is laid out for the code that asks it."""

import os

# numpy's BLAS, of which nothing is used here, begins a thread for every further processor as it is imported: before a
# box blocks signals, and the next SIGHUP would end it in that thread (appliance.box.signals). It must know before.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
