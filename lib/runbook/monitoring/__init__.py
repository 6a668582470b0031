"""What Prometheus and Alertmanager are given: alerting rules and routes, made from the catalogue of alerts."""
