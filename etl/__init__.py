"""The outside world in, and out: readers, checks, quarantine, load; exports; the demo county."""
