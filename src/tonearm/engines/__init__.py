"""Where many files are worked on."""
