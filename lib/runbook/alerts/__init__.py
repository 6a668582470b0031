"""The alerts: one module for each, named like it (`high_error_rate` for HighErrorRate), holding its `ALERT`.

`registry` finds them, those of other people included."""
