"""How to split without fooling yourself, and the audit."""
