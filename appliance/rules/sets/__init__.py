"""Named sets whose elements may change while frames flow: lists to keys of maps."""
