"""From files to verdicts, for the app and the command line: many files at once."""
