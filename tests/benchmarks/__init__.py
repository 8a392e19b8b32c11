"""Benchmarks: each compares against a yardstick within one run, and prints ratios; nothing is asserted."""
