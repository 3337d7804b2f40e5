"""Features of every crop and of views of it, computed once, so that heads train in seconds."""
