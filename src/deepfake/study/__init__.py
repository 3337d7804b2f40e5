"""Leave-one-out studies: which part of a detector helps on fakes of a held-out generator."""
