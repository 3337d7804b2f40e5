"""Features of every crop and its views. They are computed once, so that a head trains in seconds."""
