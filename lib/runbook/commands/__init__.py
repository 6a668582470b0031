"""The commands of the command line, a module each: they parse, call and print."""
