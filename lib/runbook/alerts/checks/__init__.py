"""The diagnostic questions, a module each, which the alerts share: queries in, a result with its sentence out."""
