"""The causes of the alerts that have many: one module per alert, named like it.
Causes that several alerts share are in `alerts/shared_causes.py`.
"""
