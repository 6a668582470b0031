"""Charts of the evidence: a `model.Chart` in, a picture, a table or one plain-text line out; no I/O, no clock.

Equal charts give equal bytes, whatever the time zone, locale or own matplotlib settings of the machine.
"""
