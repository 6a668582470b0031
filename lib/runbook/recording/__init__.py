"""Every answer of a run, once, for ever: written by the recorder, read by the replay."""
