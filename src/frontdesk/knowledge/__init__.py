"""Documents: parse, chunk, embed, store, search, cite."""
