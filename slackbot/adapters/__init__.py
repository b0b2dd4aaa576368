"""One file for each outside system; the only places that import its SDK."""
