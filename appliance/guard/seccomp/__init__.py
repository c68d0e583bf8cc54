"""The engine in this process: calls wait, are judged, and are performed on duplicates of the sockets."""
