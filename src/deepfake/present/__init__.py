"""What people see of verdicts: words, marked pictures, a file's origin, reports. For app and REST alike."""
