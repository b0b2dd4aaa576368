"""The figures of docs/figures.md, measured on the machine at hand: `python -m benchmarks`. Nothing here is asserted."""
