"""What a verdict says: the kinds of rejection, the report of one, and the path that led there."""
