"""What frontdesk costs: one module a measurement, `make bench-NAME`; results are committed in `results/`."""
