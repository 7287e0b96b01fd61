# Shell: the bootstrap is all of it.
chmod +x bootstrap
