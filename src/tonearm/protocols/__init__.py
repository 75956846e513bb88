"""How to split without fooling yourself. One protocol, one file; a file whose name has no underscore is a protocol."""

from tonearm.protocols._groups import Groups, group
from tonearm.protocols._leaks import Leak, LeakError, assert_disjoint, leaks
from tonearm.protocols._protocol import Protocol, make_split, registry
from tonearm.protocols._split import Split, SplitError, difference, read_split, same_split, write_split
from tonearm.protocols._table import TrackTable, table_of

__all__ = [
    "Groups",
    "Leak",
    "LeakError",
    "Protocol",
    "Split",
    "SplitError",
    "TrackTable",
    "assert_disjoint",
    "difference",
    "group",
    "leaks",
    "make_split",
    "read_split",
    "registry",
    "same_split",
    "table_of",
    "write_split",
]
