"""The bundle: drafted beside its place, sealed with a digest of every file, renamed into place, proved by audit."""
