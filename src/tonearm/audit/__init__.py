"""What fools you in a dataset or a split: duplicates, leaks, doubtful labels, inflated figures, horses."""

from tonearm.audit.run import Options, audit

__all__ = ["Options", "audit"]
