"""Known datasets, one file each: the listing of this folder is the registry."""
