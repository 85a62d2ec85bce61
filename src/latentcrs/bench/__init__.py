"""Benchmarks: how long things take here, beside what they should take and beside a named peer."""
