"""What learns: classical estimators here, each a file; all are fitted, asked and kept in the same way."""

from tonearm.models._classical import Classical, Estimator, create, registry
from tonearm.models._file import load, save

__all__ = ["Classical", "Estimator", "create", "load", "registry", "save"]
