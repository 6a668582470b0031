"""Text for people, safe at every border: numbers and times as words, escaping, suggestions for a misspelled name."""
