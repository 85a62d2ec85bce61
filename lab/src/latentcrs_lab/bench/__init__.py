"""Benchmarks of the laboratory: how long every stage takes, beside a named peer."""
