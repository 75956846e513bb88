"""How the models that come with tonearm are made: their recipes, their net, and the one command from pack to file."""
